//! Configuration that every function reads, parsed once per isolate (per request on Spin). A missing or malformed value is named.

use std::sync::Arc;
use tmcp_ports::{Clock, Config, Memo, Platform};
use tmcp_protocol::jwk::{KeySet, PublicJwk};
use tmcp_protocol::limits::Limits;
use tmcp_protocol::service::ServiceKeys;
use tmcp_protocol::{Millis, Secret};

/// How long parsed configuration is remembered.
const REMEMBER_MS: i64 = 60_000;

/// Which value is wrong, and how; never the value itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("configuration {name}: {problem}")]
pub struct InvalidSetting {
    /// The name in upper snake case.
    pub name: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

/// A value that must be there, parsed.
pub fn require<T, E: std::fmt::Display>(
    config: &impl Config,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, InvalidSetting> {
    let value = config.get(name).ok_or_else(|| InvalidSetting { name, problem: "is not set".to_owned() })?;
    parse(value.expose()).map_err(|error| InvalidSetting { name, problem: error.to_string() })
}

/// What every function reads.
pub struct Settings {
    /// Our public origin, without a slash at the end: the issuer of all tokens.
    pub issuer: String,
    /// The keys that verify tokens.
    pub jwks: KeySet<PublicJwk>,
    /// The keys of service tokens.
    pub service_keys: ServiceKeys,
    /// Rate limits in force.
    pub limits: Limits,
    /// Whether every request leaves a line in the log, not only those that fail by our fault.
    pub log_requests: bool,
    /// One of so many requests is counted, so many times.
    pub metrics_sample: u32,
}

fn metrics_sample(text: &str) -> Result<u32, &'static str> {
    text.parse().ok().filter(|n| (1..=10_000).contains(n)).ok_or("must be a whole number from 1 to 10000")
}

fn log_requests(config: &impl Config) -> Result<bool, InvalidSetting> {
    match config.get("LOG").as_ref().map(Secret::expose) {
        None | Some("requests") => Ok(true),
        Some("errors") => Ok(false),
        Some(_) => Err(InvalidSetting { name: "LOG", problem: "must be `requests` or `errors`".to_owned() }),
    }
}

fn issuer(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    let good = text.split_once("://").is_some_and(|(scheme, authority)| {
        let parsed = authority.parse::<http::uri::Authority>().ok().filter(|authority| !authority.host().is_empty());
        parsed.is_some_and(|parsed| match scheme {
            "http" => parsed.port_u16() != Some(80),
            "https" => parsed.port_u16() != Some(443),
            _ => false,
        }) && authority.bytes().all(plain)
    });
    if good {
        Ok(text.to_owned())
    } else {
        Err("must be an origin such as https://tmcp.example.org, without a path or a slash at the end".to_owned())
    }
}

impl Settings {
    fn read(config: &impl Config) -> Result<Self, InvalidSetting> {
        let optional = |name: &'static str, default: &str| config.get(name).unwrap_or_else(|| Secret::new(default));
        let wrong = |name: &'static str| move |error: String| InvalidSetting { name, problem: error };
        Ok(Self {
            issuer: require(config, "ISSUER", issuer)?,
            jwks: require(config, "JWKS", KeySet::parse_public)?,
            service_keys: require(config, "SERVICE_KEY", ServiceKeys::parse)?,
            limits: Limits::parse(optional("LIMITS", "{}").expose()).map_err(|e| wrong("LIMITS")(e.to_string()))?,
            log_requests: log_requests(config)?,
            metrics_sample: metrics_sample(optional("METRICS_SAMPLE", "1").expose())
                .map_err(|problem| wrong("METRICS_SAMPLE")(problem.to_owned()))?,
        })
    }

    /// The settings in force, `now` as the platform's clock says: every request asks, and a look at the clock costs.
    pub fn of(platform: &impl Platform, now: Millis) -> Result<Arc<Self>, InvalidSetting> {
        remembered_at(platform, now, "settings", |platform| Self::read(platform.config()))
    }
}

/// Configuration of any shape, parsed once per isolate.
pub fn remembered<P: Platform, T: Send + Sync + 'static>(
    platform: &P,
    key: &str,
    read: impl FnOnce(&P) -> Result<T, InvalidSetting>,
) -> Result<Arc<T>, InvalidSetting> {
    remembered_at(platform, platform.clock().now(), key, read)
}

fn remembered_at<P: Platform, T: Send + Sync + 'static>(
    platform: &P,
    now: Millis,
    key: &str,
    read: impl FnOnce(&P) -> Result<T, InvalidSetting>,
) -> Result<Arc<T>, InvalidSetting> {
    if let Some(found) = platform.memo().get::<Arc<T>>(key, now) {
        return Ok(found);
    }
    let parsed = Arc::new(read(platform)?);
    platform.memo().put(key, parsed.clone(), now.plus(REMEMBER_MS));
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tmcp_testkit::TestPlatform;

    #[test]
    fn names_what_is_wrong_and_never_shows_it() {
        let cases = [
            ("ISSUER", "", "is not set"),
            ("ISSUER", "https://tmcp.example/", "must be an origin"),
            ("ISSUER", "https://tmcp.example/path", "must be an origin"),
            ("ISSUER", "https://tmcp.example?query", "must be an origin"),
            ("ISSUER", "https://tmcp.example#", "must be an origin"),
            ("ISSUER", "https://TMCP.example", "must be an origin"),
            ("ISSUER", "https://tmcp.example:443", "must be an origin"),
            ("ISSUER", "https://me@tmcp.example", "must be an origin"),
            ("ISSUER", "ftp://tmcp.example", "must be an origin"),
            ("ISSUER", "tmcp.example", "must be an origin"),
            ("JWKS", "{\"keys\":[]}", "the key set is empty"),
            ("SERVICE_KEY", "short-secret", "must be base64"),
            ("SERVICE_KEY", "c2VydmljZS1rZXktb2YtdGhpcnR5LXR3by1ieXRlcyE=,short-secret", "must be base64"),
            ("METRICS_SAMPLE", "0", "must be a whole number"),
            ("LOG", "everything", "must be `requests`"),
            ("LIMITS", "{\"nope\":{}}", "there is no limit class"),
        ];
        for (name, value, problem) in cases {
            let platform = TestPlatform::new();
            platform.set(name, value);
            let error = Settings::of(&platform, Millis(0)).err().expect("an error").to_string();
            assert!(error.contains(name) && error.contains(problem), "{error}");
            assert!(!error.contains("short-secret"));
        }
    }
}
