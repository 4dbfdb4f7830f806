//! The rules for URLs of untrusted origin: whatever passes is https to a public name, and no spelling of an address passes.

use crate::input::Input;
use std::net::{Ipv4Addr, Ipv6Addr};
use tmcp_ports::guard::check_untrusted;

const OWN: &str = "tmcp.example.org";

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    match input.choice(4) {
        0 => passes(&input.text()),
        1 => passes(&format!("https://{}/", input.text())),
        2 => address(input),
        _ => server_name(&input.text()),
    }
}

/// What passes keeps every rule, by other code than the guard's.
fn passes(text: &str) {
    let Ok(url) = check_untrusted(text, OWN) else { return };
    let shown = url.as_str();
    let rest = shown.strip_prefix("https://").unwrap_or_else(|| panic!("not https: {shown}"));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    assert!(!authority.contains('@'), "credentials: {shown}");
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    assert!(["443", "8443", "8448"].contains(&port), "port: {shown}");
    let host = host.trim_end_matches('.');
    assert!(host.contains('.'), "a single label: {shown}");
    assert!(host.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase() && b > b' '), "not normal: {shown}");
    assert!(!looks_like_ipv4(host) && !host.contains(['[', ']', '%']), "an address: {shown}");
    assert!(host.parse::<Ipv4Addr>().is_err() && host.parse::<Ipv6Addr>().is_err(), "an address: {shown}");
    let last = host.rsplit('.').next().unwrap_or_default();
    for local in
        ["localhost", "local", "internal", "localdomain", "lan", "home", "corp", "intranet", "private", "test", "invalid"]
    {
        assert_ne!(last, local, "a local name: {shown}");
    }
    assert_ne!(host, OWN, "our own host: {shown}");
    let again = check_untrusted(shown, OWN).map(|url| url.to_string());
    assert_eq!(again.as_deref(), Ok(shown), "what passed does not pass as it is sent");
}

/// Whether `inet_aton` would take it: one to four parts, decimal, octal or hexadecimal.
fn looks_like_ipv4(host: &str) -> bool {
    let is_number = |part: &str| {
        let hex = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
        match hex {
            Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
            None => !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()),
        }
    };
    host.split('.').count() <= 4 && host.split('.').all(is_number)
}

/// A character in one of the spellings that IDNA maps back, or percent-encoded.
fn dressed(c: char, how: u64) -> String {
    match (how % 5, c) {
        (1, '!'..='~') => char::from_u32(u32::from(c) + 0xfee0).map(String::from).unwrap_or_default(),
        (2, '0'..='9') => char::from_u32(u32::from(c) - u32::from('0') + 0x1d7ce).map(String::from).unwrap_or_default(),
        (3, _) => format!("%{:02x}", u32::from(c)),
        (4, '.') => "\u{3002}".to_owned(),
        _ => c.to_string(),
    }
}

/// An address in a spelling of the input's choice never passes.
fn address(mut input: Input<'_>) {
    let number = u32::try_from(input.number::<4>()).unwrap_or(0);
    let [a, b, c, d] = number.to_be_bytes();
    let style = input.byte();
    let mut part = |value: u32| match input.byte() % 5 {
        0 => format!("0{value:o}"),
        1 => format!("0x{value:x}"),
        2 => format!("0X{value:08X}"),
        3 => format!("000{value:o}"),
        _ => value.to_string(),
    };
    let host = match style % 7 {
        0 => part(number),
        1 => format!("{}.{}", part(a.into()), part(number & 0xff_ffff)),
        2 => format!("{}.{}.{}", part(a.into()), part(b.into()), part(number & 0xffff)),
        3 => format!("[::ffff:{a}.{b}.{c}.{d}]"),
        4 => format!("[{}]", Ipv6Addr::from_bits(u128::from(number) << (style % 96))),
        _ => format!("{}.{}.{}.{}", part(a.into()), part(b.into()), part(c.into()), part(d.into())),
    };
    let dressing = input.byte();
    let bracketed = host.starts_with('[');
    let mut shown: String =
        host.chars().map(|c| if dressing < 64 || bracketed { c.to_string() } else { dressed(c, input.number::<1>()) }).collect();
    if dressing & 1 == 1 && !bracketed {
        shown.push('.');
    }
    for port in ["", ":443", ":8448"] {
        let url = format!("https://{shown}{port}/");
        assert!(check_untrusted(&url, OWN).is_err(), "{url} is {a}.{b}.{c}.{d}, and passes");
    }
}

/// The host of a Matrix server name that is an address never passes, as discovery would ask it.
fn server_name(text: &str) {
    let Ok(name) = tmcp_protocol::ServerName::parse(text) else { return };
    passes(&format!("https://{name}/.well-known/matrix/server"));
    let host = name.as_str().split(':').next().unwrap_or_default();
    if host.parse::<Ipv4Addr>().is_ok() || name.as_str().starts_with('[') {
        assert!(check_untrusted(&format!("https://{name}/"), OWN).is_err(), "{name} is an address, and passes");
    }
}
