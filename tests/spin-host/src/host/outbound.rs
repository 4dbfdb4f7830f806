//! `wasi:http/outgoing-handler`: only to hosts the manifest allows, and to other components in this process.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use http_body_util::BodyExt;
use hyper::{Request, Response, Uri};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, default_send_request};

use crate::app::{App, Component};

/// One entry of `allowed_outbound_hosts`: `scheme://host[:port]`, where scheme, host and port may be `*`, the host may begin
/// with `*.`, and the port may be a range `8000..8100` without its end. Spin's networks (`10.0.0.0/8`), its `self` and the
/// ports of its other schemes have no use here.
#[derive(Debug)]
pub struct AllowedHost {
    /// `None`: any.
    scheme: Option<String>,
    host: HostPattern,
    ports: std::ops::Range<u32>,
}

#[derive(Debug)]
enum HostPattern {
    Any,
    /// Ends with this, which begins with a dot.
    Below(String),
    Exactly(String),
}

impl AllowedHost {
    /// Parses an entry whose templates are expanded.
    pub fn parse(entry: &str) -> Result<Self> {
        let (scheme, rest) = entry.split_once("://").with_context(|| format!("{entry:?} has no scheme"))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('/') {
            bail!("{entry:?}: a path, or a network, is not allowed here");
        }
        let (host, port) = match rest.rsplit_once(':') {
            // The colon of `[::1]` is none before a port.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let host = match host.strip_prefix('*') {
            Some("") => HostPattern::Any,
            Some(below) if below.starts_with('.') && !below.contains('*') => HostPattern::Below(below.to_owned()),
            None if !host.is_empty() && !host.contains('*') => HostPattern::Exactly(host.to_owned()),
            _ => bail!("{entry:?}: a host is a name, *.name or *"),
        };
        let ports = match (port, scheme) {
            (Some("*"), _) => 0..u32::from(u16::MAX) + 1,
            (Some(port), _) => parse_ports(port).with_context(|| format!("{entry:?}: {port:?} is no port"))?,
            (None, "http") => 80..81,
            (None, "https") => 443..444,
            (None, _) => bail!("{entry:?} has no port, and its scheme has no usual one"),
        };
        Ok(Self { scheme: (scheme != "*").then(|| scheme.to_owned()), host, ports })
    }

    /// Whether a request to `uri` is allowed by this entry.
    fn allows(&self, uri: &Uri) -> bool {
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return false;
        };
        let host = host.to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if scheme == "http" { 80 } else { 443 });
        self.scheme.as_deref().is_none_or(|allowed| allowed == scheme)
            && self.ports.contains(&u32::from(port))
            && match &self.host {
                HostPattern::Any => true,
                HostPattern::Below(suffix) => host.ends_with(suffix.as_str()),
                HostPattern::Exactly(allowed) => host == *allowed,
            }
    }
}

fn parse_ports(text: &str) -> Option<std::ops::Range<u32>> {
    let port = |text: &str| text.parse::<u16>().ok().map(u32::from);
    match text.split_once("..") {
        Some((start, end)) => Some(port(start)?..port(end)?),
        None => port(text).map(|port| port..port + 1),
    }
}

/// The component that `http://<component>.spin.internal` means, whatever the scheme and port.
fn chained_component(uri: &Uri) -> Option<&str> {
    let (component, domain) = uri.host()?.split_once('.')?;
    (domain == "spin.internal").then_some(component)
}

/// Sends one instance's requests.
pub struct Outbound {
    /// Where the other components are.
    pub app: Arc<App>,
    /// The component that sends.
    pub component: Arc<Component>,
}

/// The response, and what drives its connection while its body is read.
type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let (app, component) = (Arc::clone(&self.app), Arc::clone(&self.component));
        Box::new(async move {
            if !component.allowed_hosts.iter().any(|allowed| allowed.allows(request.uri())) {
                return Err(Error::HttpRequestDenied);
            }
            if let Some(target) = chained_component(request.uri()).map(str::to_owned) {
                // As on Spin, no time-out holds here.
                let response = app.chain(&target, request).await.ok_or(Error::DestinationNotFound)?;
                return Ok((response, Box::new(async { Ok(()) }) as _));
            }
            let (response, connection) = default_send_request(request, options).await?;
            Ok((response.map(BodyExt::boxed_unsync), Box::new(connection) as _))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowed_hosts() {
        for (entry, uri, expected) in [
            ("https://example.com", "https://example.com/x", true),
            ("https://example.com", "https://EXAMPLE.com:443/x", true),
            ("https://example.com/", "https://example.com", true),
            ("https://example.com", "http://example.com:443", false),
            ("https://example.com", "https://example.com:8443", false),
            ("https://example.com", "https://sub.example.com", false),
            ("http://127.0.0.1:8008", "http://127.0.0.1:8008/_matrix", true),
            ("http://127.0.0.1:8008", "http://127.0.0.1:8009", false),
            ("http://[::1]:8008", "http://[::1]:8008", true),
            ("http://[::1]", "http://[::1]", true),
            ("http://localhost:8000..8010", "http://localhost:8009", true),
            ("http://localhost:8000..8010", "http://localhost:8010", false),
            ("http://*:*", "http://anything:1", true),
            ("http://*:*", "https://anything", false),
            ("http://*:*", "http://store.spin.internal/x", true),
            ("*://*:*", "https://anything:1", true),
            ("https://*", "https://anything", true),
            ("https://*", "https://anything:8443", false),
            ("https://*.example.com", "https://a.b.example.com", true),
            ("https://*.example.com", "https://example.com", false),
            ("https://*.example.com", "https://badexample.com", false),
            ("http://auth.spin.internal", "http://auth.spin.internal/internal/x", true),
            ("http://auth.spin.internal", "http://store.spin.internal/", false),
            ("http://*.spin.internal", "http://store.spin.internal/", true),
            ("https://example.com", "https://user:example.com@evil.example/", false),
        ] {
            let uri: Uri = uri.parse().unwrap();
            assert_eq!(AllowedHost::parse(entry).unwrap().allows(&uri), expected, "{entry} {uri}");
        }
    }

    #[test]
    fn malformed_entries() {
        for entry in
            ["", "*", "example.com", "https://", "https://a.*.b", "*://host", "https://a/path", "https://a:port", "http://:80"]
        {
            assert!(AllowedHost::parse(entry).is_err(), "{entry}");
        }
    }

    #[test]
    fn service_chaining() {
        for (uri, expected) in [
            ("http://auth.spin.internal/x", Some("auth")),
            ("https://auth.spin.internal:8443/x", Some("auth")),
            ("http://a.b.spin.internal/", None),
            ("http://spin.internal/", None),
            ("http://auth.spin.internal.example/", None),
        ] {
            assert_eq!(chained_component(&uri.parse().unwrap()), expected, "{uri}");
        }
    }
}
