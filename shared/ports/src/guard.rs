//! What the untrusted client may reach: public names over https, and nothing that could be a machine of the operator's own.
//!
//! Names that resolve to private addresses cannot be seen from wasm: the operator's outbound policy stops those (Spin's
//! `block_networks = ["private"]`, Workers' `global_fetch_strictly_public`).

use url::{Host, Url};

/// Why a URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not an absolute URL.
    #[error("not a URL")]
    Malformed,
    /// Another scheme than https.
    #[error("not https")]
    Scheme,
    /// A user name or password inside.
    #[error("credentials in the URL")]
    Credentials,
    /// Another port than 443, 8443 or 8448.
    #[error("unusual port")]
    Port,
    /// An IP address, in any notation.
    #[error("an IP address")]
    Address,
    /// A name without a dot, or one that means this machine or this network.
    #[error("not a public name")]
    Name,
    /// Our own public name.
    #[error("our own host")]
    OwnHost,
    /// Answered by a redirect, which is not followed.
    #[error("a redirect")]
    Redirect,
}

/// Ports that homeservers and identity providers are found on.
const PORTS: [u16; 3] = [443, 8443, 8448];

/// Suffixes that are not on the public internet (RFC 6761, RFC 6762, RFC 8375, RFC 9476), and Spin's own.
const LOCAL_SUFFIXES: [&str; 12] = [
    "localhost",
    "local",
    "internal",
    "localdomain",
    "home.arpa",
    "lan",
    "home",
    "corp",
    "intranet",
    "private",
    "test",
    "invalid",
];

/// The host of an origin such as `https://tmcp.example:8443`, as our own is configured.
pub fn host_of(origin: &str) -> &str {
    let authority = origin.split_once("://").map_or(origin, |(_, rest)| rest);
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

/// Checks a URL for the untrusted client. `own_host` is the host of our own public origin.
pub fn check_untrusted(url: &str, own_host: &str) -> Result<Url, Refused> {
    let url = Url::parse(url).map_err(|_| Refused::Malformed)?;
    if url.scheme() != "https" {
        return Err(Refused::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::Credentials);
    }
    // The URL parser has already turned decimal, octal, hexadecimal and full-width spellings into an address.
    let Some(Host::Domain(domain)) = url.host() else {
        return Err(Refused::Address);
    };
    let domain = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
    // An empty label hides a number at the end from the URL parser: `0x7f.1..` would stay a name.
    if !domain.contains('.') || domain.split('.').any(str::is_empty) {
        return Err(Refused::Name);
    }
    if domain.rsplit('.').next().is_some_and(is_number) {
        return Err(Refused::Address);
    }
    let is_local = |suffix: &&str| domain.strip_suffix(*suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if LOCAL_SUFFIXES.iter().any(is_local) {
        return Err(Refused::Name);
    }
    if domain == own_host.trim_end_matches('.').to_ascii_lowercase() {
        return Err(Refused::OwnHost);
    }
    if !PORTS.contains(&url.port_or_known_default().unwrap_or(0)) {
        return Err(Refused::Port);
    }
    Ok(url)
}

/// Whether `inet_aton` would read a label as a number.
fn is_number(label: &str) -> bool {
    label.strip_prefix("0x").map_or_else(
        || label.bytes().all(|byte| byte.is_ascii_digit()),
        |digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
    )
}

/// Addresses that must be refused, each with the reason; the contract suite sends every one through every adapter.
pub const REFUSED_URLS: &[(&str, Refused)] = &[
    ("nonsense", Refused::Malformed),
    ("http://matrix.example.org/", Refused::Scheme),
    ("ftp://matrix.example.org/", Refused::Scheme),
    ("https://user:pass@matrix.example.org/", Refused::Credentials),
    ("https://127.0.0.1/", Refused::Address),
    ("https://127.1/", Refused::Address),
    ("https://2130706433/", Refused::Address),
    ("https://0x7f000001/", Refused::Address),
    ("https://0177.0.0.1/", Refused::Address),
    ("https://１２７.0.0.1/", Refused::Malformed),
    ("https://10.0.0.8/", Refused::Address),
    ("https://169.254.169.254/latest/meta-data", Refused::Address),
    ("https://1.1.1.1/", Refused::Address),
    ("https://[::1]/", Refused::Address),
    ("https://[::ffff:127.0.0.1]/", Refused::Address),
    ("https://0x.0x../", Refused::Name),
    ("https://0x7f.0.0.0x1../", Refused::Name),
    ("https://127.0.0.1../", Refused::Name),
    ("https://matrix..example.org/", Refused::Name),
    ("https://localhost/", Refused::Name),
    ("https://LOCALHOST./", Refused::Name),
    ("https://intranet/", Refused::Name),
    ("https://a.localhost/", Refused::Name),
    ("https://printer.local/", Refused::Name),
    ("https://identity.spin.internal/", Refused::Name),
    ("https://metadata.google.internal/", Refused::Name),
    ("https://tmcp.example/", Refused::OwnHost),
    ("https://TMCP.example./", Refused::OwnHost),
    ("https://matrix.example.org:22/", Refused::Port),
    ("https://matrix.example.org:8008/", Refused::Port),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_every_form() {
        for (url, reason) in REFUSED_URLS {
            assert_eq!(check_untrusted(url, "tmcp.example").err(), Some(*reason), "{url}");
        }
    }

    #[test]
    fn an_origin_has_a_host() {
        for origin in ["https://tmcp.example", "http://tmcp.example:8787", "tmcp.example"] {
            assert_eq!(host_of(origin), "tmcp.example");
        }
    }

    #[test]
    fn lets_public_names_pass() {
        for url in [
            "https://matrix.example.org/x?y",
            "https://matrix.org:8448/",
            "https://hs.example.com:8443/",
            "https://xn--mnchen-3ya.example.de/",
        ] {
            assert!(check_untrusted(url, "tmcp.example").is_ok(), "{url}");
        }
    }
}
