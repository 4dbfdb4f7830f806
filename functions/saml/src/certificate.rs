//! The certificates of identity providers, of which nothing counts but the key: they are pinned, so that nobody has to vouch for them,
//! and a date in them ends nothing that the operator did not end. The rest of them is skipped, not read.

use crate::signature::Key;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};
use tmcp_protocol::jwk::{EcPublicJwk, PublicJwk};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// A sequence's content, if that is what stands there.
fn sequence<'a>(reader: &mut impl Reader<'a>) -> der::Result<SliceReader<'a>> {
    let any = AnyRef::decode(reader)?;
    any.tag().assert_eq(Tag::Sequence)?;
    SliceReader::new(any.value())
}

/// The algorithm, its parameters and the bits of a certificate's key (RFC 5280 section 4.1).
fn key_info(der: &[u8]) -> der::Result<(ObjectIdentifier, Option<AnyRef<'_>>, &[u8])> {
    let mut whole = SliceReader::new(der)?;
    let mut certificate = sequence(&mut whole)?;
    let mut signed = sequence(&mut certificate)?;
    let version = Tag::ContextSpecific { constructed: true, number: TagNumber::N0 };
    if signed.peek_tag()? == version {
        AnyRef::decode(&mut signed)?;
    }
    // Serial number, signature algorithm, issuer, validity, subject.
    for _ in 0..5 {
        AnyRef::decode(&mut signed)?;
    }
    let mut info = sequence(&mut signed)?;
    let mut algorithm = sequence(&mut info)?;
    let id = ObjectIdentifier::decode(&mut algorithm)?;
    let parameters = if algorithm.is_finished() { None } else { Some(AnyRef::decode(&mut algorithm)?) };
    let bits = BitStringRef::decode(&mut info)?;
    Ok((id, parameters, bits.as_bytes().unwrap_or_default()))
}

/// Modulus and exponent (RFC 8017 appendix A.1.1).
fn rsa(bits: &[u8]) -> der::Result<(&[u8], &[u8])> {
    let mut reader = SliceReader::new(bits)?;
    let mut numbers = sequence(&mut reader)?;
    let (n, e) = (UintRef::decode(&mut numbers)?, UintRef::decode(&mut numbers)?);
    Ok((n.as_bytes(), e.as_bytes()))
}

/// A certificate as one line of base64, without what PEM has around it.
pub fn plain(certificate: &str) -> String {
    let lines = certificate.lines().filter(|line| !line.starts_with("-----"));
    lines.flat_map(str::split_ascii_whitespace).collect()
}

/// The key in a certificate: base64 of DER, with PEM's lines around it or without.
pub fn key(certificate: &str) -> Result<Key, &'static str> {
    let der = STANDARD.decode(plain(certificate)).map_err(|_| "not an X.509 certificate")?;
    let (algorithm, parameters, bits) = key_info(&der).map_err(|_| "not an X.509 certificate")?;
    let (named, text) = (|text: &str| text.to_owned(), |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes));
    match algorithm {
        RSA => {
            let (n, e) = rsa(bits).map_err(|_| "not an RSA key")?;
            let (n, e) = (without_zeros(n), without_zeros(e));
            // The highest bit of 2048 is the highest of 256 bytes.
            if n.len() < 256 || (n.len() == 256 && n.first().is_none_or(|byte| *byte < 0x80)) {
                return Err("an RSA key of fewer than 2048 bits");
            }
            let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
            if n.len() > 512 || e.len() > 4 || e == [1] || !is_odd(n) || !is_odd(e) {
                return Err("an RSA key of more than 4096 bits, or with numbers that are none of RSA's");
            }
            let (kty, kid, alg, use_) = (named("RSA"), named("certificate"), named("RS256"), named("sig"));
            Ok(Key::Rsa(PublicJwk { kty, kid, alg, use_, n: text(n), e: text(e) }))
        }
        EC => {
            let curve = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
            match bits {
                [4, point @ ..] if curve == Some(P256) && point.len() == 64 => {
                    let (x, y) = point.split_at(32);
                    Ok(Key::P256(EcPublicJwk { kid: named("certificate"), x: text(x), y: text(y) }))
                }
                _ => Err("a key on another curve than P-256"),
            }
        }
        _ => Err("a key of another kind than RSA and P-256"),
    }
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let from = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    bytes.get(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Certificates and the keys that are in them, made by another program.
    const RSA_2048: &str = "-----BEGIN CERTIFICATE-----\n\
        MIIC/TCCAeWgAwIBAgIUVQHxe6Tr8wv/a2zFlltPEj/mSSMwDQYJKoZIhvcNAQEL\n\
        BQAwDjEMMAoGA1UEAwwDaWRwMB4XDTI2MTEyMzA0MjQzNVoXDTM2MTEyMDA0MjQz\n\
        NVowDjEMMAoGA1UEAwwDaWRwMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKC\n\
        AQEAsApuMX7p7TuoQfIuNCEWNfq6Hr5Fw/EM3n+m9VJAgWkq0INfP8/BqZrGPwN/\n\
        OFL2J2gD/CnI43f91MLePQhD1JDfxj9I3l08ubOPp1gr5giKChxb+V56/Gq4uWgr\n\
        S5aPzJ/gCu7HA10PI4rkMu+dlhqF91SAdNkcchusuoATYdBsOfxg3YZMU8EmsYp1\n\
        1VLO1qlNW+HoeiEZfEFz8RSXRSXokUogr6kw58jlStrJsrf89vXDV+25NGApIUVE\n\
        UR4MonQulXYYgZvj/A/4rXatirc6kJRcygDNA5SNOfsGlH7agagKRcR13m72uBJu\n\
        W06BJuOHRUIAg2nbDW+8vNh5yQIDAQABo1MwUTAdBgNVHQ4EFgQUHV7YYGPaJ2hg\n\
        GsKpKewpSglOK7AwHwYDVR0jBBgwFoAUHV7YYGPaJ2hgGsKpKewpSglOK7AwDwYD\n\
        VR0TAQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOCAQEAF+YYpsy90NueKK2YOSAV\n\
        43fpWiBFIvT/gk44esFKF16sSdYE3INwlUhJJqhF95eqbAI6786MP/ZNf2UNoNkb\n\
        pwORMMsWSUMIXxCB5iBeHLQUIjjtW1/KZ/5MvMpK3bGhZsNFvya8YmnJ2JeRW4UN\n\
        xVKbby49x/XtDBjMM4Nd00aYFk5lptoQyE3uS9iv/CasbvDjeviUd7EwXjLZnVMz\n\
        KV70G5NhWKDIfHd+2JUiumrSIo1L+dpMz5DX7XbOcByqIl4UJXm9x7dqpgks9DX2\n\
        xj3bDx92xsx7sNFjjF55hkt7SlLzNUcsVtpxULUrcU6H8CABJAS9ivYzI1g5IKQ6\n\
        4g==\n\
        -----END CERTIFICATE-----";
    const MODULUS: &str = "sApuMX7p7TuoQfIuNCEWNfq6Hr5Fw_EM3n-m9VJAgWkq0INfP8_BqZrGPwN_OFL2J2gD_CnI43f91MLePQhD1JDfxj9I3l08ubOPp1gr5giKChxb-V56_Gq4uWgrS5aPzJ_gCu7HA10PI4rkMu-dlhqF91SAdNkcchusuoATYdBsOfxg3YZMU8EmsYp11VLO1qlNW-HoeiEZfEFz8RSXRSXokUogr6kw58jlStrJsrf89vXDV-25NGApIUVEUR4MonQulXYYgZvj_A_4rXatirc6kJRcygDNA5SNOfsGlH7agagKRcR13m72uBJuW06BJuOHRUIAg2nbDW-8vNh5yQ";
    const P_256: &str = "MIIBcjCCARegAwIBAgIUP8zUrM0rgjIk6VlNE4FBH+dk9C4wCgYIKoZIzj0EAwIwDjEMMAoGA1UEAwwDaWRwMB4XDTI2MTEyMzA0MjQzNFoXDTM2MTEyMDA0MjQzNFowDjEMMAoGA1UEAwwDaWRwMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEbR+nRbd1LBBL+LX/zyf23uOWogNzg8MHXzZOJ6pwwEaUL2FxAFJvcoN2ujmlOzMFOjmMjbNK6hCPppY4iQtJkqNTMFEwHQYDVR0OBBYEFAwkt4Fw0cnfWX8rHCO4AQfgWd1IMB8GA1UdIwQYMBaAFAwkt4Fw0cnfWX8rHCO4AQfgWd1IMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAI2iHz3JGCMzN3bvzX7H7tYZkW2X45H2eeIYKaPGH/kRAiEA6oST6jGkA1v+I92+s+ACCIIXsiVx3tqkgMvkYgZeDwM=";
    const POINT: (&str, &str) = ("bR-nRbd1LBBL-LX_zyf23uOWogNzg8MHXzZOJ6pwwEY", "lC9hcQBSb3KDdro5pTszBTo5jI2zSuoQj6aWOIkLSZI");
    const P_384: &str = "MIIBrzCCATSgAwIBAgIUQt1aKOskR7JAv3k+pADSQSm9UkAwCgYIKoZIzj0EAwIwDjEMMAoGA1UEAwwDaWRwMB4XDTI2MTEyMzA0MjQzNFoXDTM2MTEyMDA0MjQzNFowDjEMMAoGA1UEAwwDaWRwMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAE02WNLMpLadCbE2H2xaxPeptfLrIhmOd9dQbAzJXu8iOC/vpuW3QeUzCwaAffltqZhtAsh7HvFfAEgIi4RGWzkRKxQ29LOIWfNkHHlzH1g5WcHqONGJMhRDWFrjJ5mJM+o1MwUTAdBgNVHQ4EFgQUxHk94WRCuWK5IwWiqRbIBkYgq+4wHwYDVR0jBBgwFoAUxHk94WRCuWK5IwWiqRbIBkYgq+4wDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNpADBmAjEAxFBi5XPr2R2aUbTthwYmZzAcT5WvWnM0mv5jG5o5YT1JDqmscuoNOp00pNlYNBcpAjEAkMa7vr0AUXwnWlOs7Mbt7llyHJXFCQiv6Me85/7O6ZPtDMuNfsNtvR0OBhH5n0/s";
    const RSA_1024: &str = "MIIB+DCCAWGgAwIBAgIUMZRTyUppbguySgs/ygucFFNSAgIwDQYJKoZIhvcNAQELBQAwDjEMMAoGA1UEAwwDaWRwMB4XDTI2MTEyMzA0MjQzNFoXDTM2MTEyMDA0MjQzNFowDjEMMAoGA1UEAwwDaWRwMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCwmSOXI3tr6/5tQr1DmxhWAUgaPea338tS28wU9mieUH1q8IS2nVTnFSlJgUJLZvovHnocyrXQlraO1T7/QaWiooF7fvQfiVsHzKFzePfJoVmbDY9dIFvmcNwoOfdR6u3H9/JeyC5WXF6FXjAx4QGwMecmfmWtsuXgsOIcHjB9fQIDAQABo1MwUTAdBgNVHQ4EFgQU6MzPeU6JIXZ0rzvCAJQt3tSkUXAwHwYDVR0jBBgwFoAU6MzPeU6JIXZ0rzvCAJQt3tSkUXAwDwYDVR0TAQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOBgQABOmNTBXyRSpj11cNr+WOWWyMEhfa/xbUFU/vKclC8cG34IPVPpfktInKe/vzb83cqhc2Ow4W3sx+a73vETEMvbctXomIRnVWjjmPEJ2dotNoHNwU66GntqA7O5kHWQ9dJiQlS/By7KMWKW4z+5zpJPFwwjS2Q3EQuB+Y7nH402Q==";
    const ED25519: &str = "MIIBMDCB46ADAgECAhQPv5DBDirT7m43P6WNl41UoUqQDDAFBgMrZXAwDjEMMAoGA1UEAwwDaWRwMB4XDTI2MTEyMzA0MjQzNFoXDTM2MTEyMDA0MjQzNFowDjEMMAoGA1UEAwwDaWRwMCowBQYDK2VwAyEAqT5rwvUtTg9sfzw6TJ+q/zldozxx+OjXpeEWjYlxc6mjUzBRMB0GA1UdDgQWBBSr+vXkGXAQNq/ypLNZH2X6QjTmbDAfBgNVHSMEGDAWgBSr+vXkGXAQNq/ypLNZH2X6QjTmbDAPBgNVHRMBAf8EBTADAQH/MAUGAytlcANBAIrpnmsnw52fksZ0wnQHI3+WWPdiw35usp6FbMayMLLbewj8fJOkxVoB2Auyc/j9mJ8HCEzLMgHL+V2oX4tMYQg=";

    #[test]
    fn the_key_in_a_certificate_is_read() {
        let Ok(Key::Rsa(rsa)) = key(RSA_2048) else { panic!() };
        assert_eq!((rsa.n.as_str(), rsa.e.as_str()), (MODULUS, "AQAB"));
        let Ok(Key::P256(ec)) = key(P_256) else { panic!() };
        assert_eq!((ec.x.as_str(), ec.y.as_str()), POINT);
        let cases = [
            (P_384, "a key on another curve than P-256"),
            (RSA_1024, "an RSA key of fewer than 2048 bits"),
            (ED25519, "a key of another kind than RSA and P-256"),
            ("", "not an X.509 certificate"),
            ("MIIC", "not an X.509 certificate"),
            ("a key?", "not an X.509 certificate"),
        ];
        for (certificate, problem) in cases {
            assert_eq!(key(certificate), Err(problem));
        }
    }
}
