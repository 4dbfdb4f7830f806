//! Request ids and W3C trace context: taken up from the caller, passed on to every outgoing call.

use tmcp_ports::Random;
use tmcp_protocol::hex::{hex, unhex};

/// The place of a request in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

/// The trace's id and flags of a `traceparent`.
fn given(header: &str) -> Option<([u8; 16], u8)> {
    let mut parts = header.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (trace, parent, [flags]) = (unhex::<16>(trace)?, unhex::<8>(parent)?, unhex(flags)?);
    let good = version == "00" && trace != [0; 16] && parent != [0; 8] && parts.next().is_none();
    good.then_some((trace, flags))
}

impl Trace {
    /// Our own span in the caller's trace, or in a new one where there is none or a malformed one.
    pub fn take_up(header: Option<&str>, random: &impl Random) -> Self {
        let (trace_id, flags) = header.and_then(given).unwrap_or_else(|| (random.bytes(), 1));
        Self { trace_id, span_id: random.bytes(), flags }
    }

    /// The `traceparent` header of an outgoing call.
    pub fn header(&self) -> String {
        format!("00-{}-{}-{}", hex(&self.trace_id), hex(&self.span_id), hex(&[self.flags]))
    }

    /// The trace's id, for the log.
    pub fn id(&self) -> String {
        hex(&self.trace_id)
    }
}

/// A request id: the caller's where it is a short word, else a new one.
pub fn request_id(given: Option<&str>, random: &impl Random) -> String {
    match given {
        Some(id) if (8..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') => {
            id.to_owned()
        }
        _ => ["req_", &hex(&random.bytes::<12>())].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ones;
    impl Random for Ones {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0x11);
        }
    }

    #[test]
    fn goes_on_with_a_good_trace_and_begins_anew_otherwise() {
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let trace = Trace::take_up(Some(given), &Ones);
        assert_eq!(trace.header(), "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-00");
        for bad in [
            None,
            Some("x"),
            Some("00-0-0-0"),
            Some("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"),
            Some("00-00000000000000000000000000000000-00f067aa0ba902b7-00"),
            Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0A"),
        ] {
            assert_eq!(Trace::take_up(bad, &Ones).id(), "11".repeat(16), "{bad:?}");
        }
    }

    #[test]
    fn request_ids_cannot_carry_anything_else() {
        assert_eq!(request_id(Some("req_12345678"), &Ones), "req_12345678");
        for bad in [None, Some("short"), Some("with space"), Some("new\nline1234")] {
            assert!(request_id(bad, &Ones).starts_with("req_1111"), "{bad:?}");
        }
    }
}
