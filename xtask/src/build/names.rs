//! Takes the names of functions out of a built Worker: an eighth of the compressed module, which nothing reads at run time.
//!
//! `worker-build` always has `wasm-opt` keep them.

use anyhow::{Context, Result, ensure};

/// "\0asm" and version 1.
const HEADER: [u8; 8] = [0, b'a', b's', b'm', 1, 0, 0, 0];
/// The id of a custom section (WebAssembly core specification, part 5.5.2).
const CUSTOM: u8 = 0;

/// Whether they are to stay, for a profiler: `KEEP_NAMES` is set.
pub fn stay() -> bool {
    std::env::var_os("KEEP_NAMES").is_some()
}

/// The module without its custom sections `name` and `producers`; everything else byte for byte.
pub fn strip(module: &[u8]) -> Result<Vec<u8>> {
    ensure!(module.starts_with(&HEADER), "not a WebAssembly module");
    let mut kept = HEADER.to_vec();
    let mut rest = module.get(HEADER.len()..).unwrap_or_default();
    while let Some((id, after)) = rest.split_first() {
        let (size, content) = number(after).context("a section without a size")?;
        ensure!(size <= content.len(), "a section is longer than the module");
        let (content, next) = content.split_at(size);
        let dropped = *id == CUSTOM && name_of(content).is_some_and(|name| name == b"name" || name == b"producers");
        if !dropped {
            kept.extend_from_slice(rest.strip_suffix(next).unwrap_or_default());
        }
        rest = next;
    }
    Ok(kept)
}

fn name_of(content: &[u8]) -> Option<&[u8]> {
    let (size, rest) = number(content)?;
    rest.get(..size)
}

/// An unsigned LEB128 number of 32 bits, and what follows it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (n, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(n + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        for (id, content) in sections {
            // Two bytes where one would do is a number all the same.
            bytes.extend([*id, content.len() as u8 | 0x80, 0]);
            bytes.extend(*content);
        }
        bytes
    }

    #[test]
    fn names_go_and_everything_else_stays() {
        let whole = module(&[(1, b"types"), (0, b"\x04name..."), (10, b"code"), (0, b"\x09producersx"), (0, b"\x05other1")]);
        assert_eq!(strip(&whole).unwrap(), module(&[(1, b"types"), (10, b"code"), (0, b"\x05other1")]));
    }

    #[test]
    fn what_is_broken_is_refused() {
        assert!(strip(b"no module").is_err());
        assert!(strip(&[&HEADER[..], &[1, 9, 0]].concat()).is_err());
        assert!(strip(&[&HEADER[..], &[1, 0x80]].concat()).is_err());
    }
}
