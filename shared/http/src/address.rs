//! Where a request came from, as coarse as limits and logs need it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A source address: IPv4 whole, IPv6 by its /64, since one subscriber has all of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Reads an address with or without a port; anything else becomes one shared, unknown address.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        // There is one way to write such an address, and this is it.
        if text.parse::<Ipv4Addr>().is_ok() {
            return Self(text.to_owned());
        }
        let ip = text.parse::<IpAddr>().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip()));
        match ip {
            Some(IpAddr::V4(v4)) => Self(v4.to_string()),
            Some(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
                Some(v4) => Self(v4.to_string()),
                None => {
                    let [a, b, c, d, ..] = v6.segments();
                    Self(format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
                }
            },
            None => Self("unknown".to_owned()),
        }
    }

    /// For a limit's key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For the audit log: IPv4 by /24, IPv6 by /48.
    pub fn truncated(&self) -> String {
        if let Ok(v4) = self.0.parse::<Ipv4Addr>() {
            let [a, b, c, _] = v4.octets();
            return format!("{a}.{b}.{c}.0/24");
        }
        match self.0.strip_suffix("/64").and_then(|net| net.parse::<Ipv6Addr>().ok()) {
            Some(v6) => {
                let [a, b, c, ..] = v6.segments();
                format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
            }
            None => self.0.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_coarsens() {
        let cases = [
            ("192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
            ("192.0.2.7:1234", "192.0.2.7", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
            ("[2001:db8:1:2:3:4:5:6]:80", "2001:db8:1:2::/64", "2001:db8:1::/48"),
            ("192.000.2.7", "unknown", "unknown"),
            ("192.0.519", "unknown", "unknown"),
            ("bogus", "unknown", "unknown"),
        ];
        for (text, key, truncated) in cases {
            let address = Address::parse(text);
            assert_eq!((address.as_str(), address.truncated().as_str()), (key, truncated), "{text}");
        }
    }
}
