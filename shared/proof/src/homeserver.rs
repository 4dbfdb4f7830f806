//! Which homeserver to ask: configured ones, or in open federation the one that `.well-known` names.
//!
//! Closed federation is the default: a server that is not configured is nobody's.

use serde::Deserialize;
use std::sync::Arc;
use tmcp_http::settings::{InvalidSetting, remembered};
use tmcp_http::{Call, Failure};
use tmcp_ports::{Clock, Config, HttpClient, HttpError, Memo, OutboundRequest, Platform, Trust};
use tmcp_protocol::ServerName;
use url::Url;

/// How long a discovered homeserver is remembered.
const REMEMBER_MS: i64 = 60 * 60 * 1000;

/// A homeserver from configuration.
#[derive(Debug, Clone, Deserialize)]
pub struct Configured {
    /// The part behind `:` in its users' ids.
    pub server_name: ServerName,
    /// Where its client-server API is.
    pub client_url: Url,
    /// Where its federation API is; the client URL where it is not given.
    pub federation_url: Option<Url>,
    /// The provider instance that its identities belong to; `matrix:<server name>` where it is not given.
    pub instance: Option<String>,
}

/// What the configuration says about homeservers.
#[derive(Debug)]
pub struct Homeservers {
    configured: Vec<Configured>,
    open: bool,
    /// Everybody, where nothing is said.
    allowed: Option<Vec<Pattern>>,
    denied: Vec<Pattern>,
}

/// Which server names are meant: one, or `*.example.org`, all below it.
#[derive(Debug, Clone)]
struct Pattern(String);

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let name = text.to_ascii_lowercase();
        let host = name.strip_prefix("*.").unwrap_or(&name);
        // A port would never match, and a list that does not match lets in.
        (ServerName::parse(host).is_ok() && !host.contains(':') && !host.ends_with('.')).then_some(Self(name))
    }

    /// Ports do not tell servers apart here: whoever has one has the others.
    fn means(&self, server_name: &str) -> bool {
        let host = server_name.split(':').next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        match self.0.strip_prefix('*') {
            Some(below) => host.ends_with(below) && host.len() > below.len(),
            None => host == self.0,
        }
    }
}

/// A homeserver to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Homeserver {
    /// The part behind `:` in its users' ids.
    pub server_name: String,
    /// The provider instance.
    pub instance: String,
    /// Base of the client-server API, without a slash at the end.
    pub client_url: String,
    /// Base of the federation API, without a slash at the end.
    pub federation_url: String,
    /// Which client reaches it.
    pub trust: Trust,
}

fn read(config: &impl Config) -> Result<Homeservers, InvalidSetting> {
    let wrong = |name, problem: &str| InvalidSetting { name, problem: problem.to_owned() };
    let json = config.get("HOMESERVERS");
    let json = json.as_ref().map_or("[]", tmcp_protocol::Secret::expose);
    let configured: Vec<Configured> = serde_json::from_slice(json.as_bytes())
        .map_err(|error| InvalidSetting { name: "HOMESERVERS", problem: error.to_string() })?;
    let open = match config.get("FEDERATION").as_ref().map(tmcp_protocol::Secret::expose) {
        None | Some("closed") => false,
        Some("open") => true,
        Some(_) => return Err(wrong("FEDERATION", "must be `closed` or `open`")),
    };
    let patterns = |name: &'static str| {
        let Some(json) = config.get(name) else { return Ok(None) };
        let names: Vec<String> =
            serde_json::from_slice(json.expose().as_bytes()).map_err(|error| wrong(name, &error.to_string()))?;
        let pattern =
            |text: &String| Pattern::parse(text).ok_or_else(|| wrong(name, &format!("`{text}` is no server name and no *.name")));
        names.iter().map(pattern).collect::<Result<Vec<_>, _>>().map(Some)
    };
    Ok(Homeservers {
        configured,
        open,
        allowed: patterns("FEDERATION_ALLOW")?,
        denied: patterns("FEDERATION_DENY")?.unwrap_or_default(),
    })
}

fn base(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

impl Homeservers {
    /// The configured ones.
    pub fn of(platform: &impl Platform) -> Result<Arc<Self>, InvalidSetting> {
        remembered(platform, "homeservers", |platform| read(platform.config()))
    }

    /// Whether a server's people may come at all. Who is denied stays out, though they are configured; who is not configured comes where
    /// federation is open, and is among the allowed, if there are any.
    fn admits(&self, name: &str) -> bool {
        let is_configured = self.configured.iter().any(|server| server.server_name.as_str() == name);
        let is_allowed = self.open && self.allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|one| one.means(name)));
        (is_configured || is_allowed) && !self.denied.iter().any(|one| one.means(name))
    }

    /// Those that are configured.
    pub fn configured(&self) -> impl Iterator<Item = Homeserver> {
        self.configured.iter().map(Homeserver::from)
    }
}

impl From<&Configured> for Homeserver {
    fn from(found: &Configured) -> Self {
        let client_url = base(&found.client_url);
        Self {
            server_name: found.server_name.to_string(),
            instance: found.instance.clone().unwrap_or_else(|| format!("matrix:{}", found.server_name)),
            federation_url: found.federation_url.as_ref().map_or_else(|| client_url.clone(), base),
            client_url,
            trust: Trust::Configured,
        }
    }
}

/// The homeserver of that name, or without a name the only one that is configured; `None` where it is nobody's.
pub async fn find<P: Platform>(call: &Call<P>, name: Option<&str>) -> Result<Option<Homeserver>, Failure> {
    let homeservers = Homeservers::of(&call.platform)?;
    let Some(name) = name else {
        return Ok(match homeservers.configured.as_slice() {
            [only] if homeservers.admits(only.server_name.as_str()) => Some(only.into()),
            _ => None,
        });
    };
    if !homeservers.admits(name) {
        return Ok(None);
    }
    match homeservers.configured.iter().find(|server| server.server_name.as_str() == name) {
        Some(found) => Ok(Some(found.into())),
        None => discover(call, name).await,
    }
}

#[derive(Deserialize)]
struct ClientWellKnown {
    #[serde(rename = "m.homeserver")]
    homeserver: BaseUrl,
}

#[derive(Deserialize)]
struct BaseUrl {
    base_url: Url,
}

#[derive(Deserialize)]
struct ServerWellKnown {
    #[serde(rename = "m.server")]
    server: String,
}

/// `.well-known` of the server name (Matrix client-server API "Well-known URI", server-server API "Resolving server names"), by the
/// untrusted client. What names no usable place is nobody's.
async fn discover<P: Platform>(call: &Call<P>, name: &str) -> Result<Option<Homeserver>, Failure> {
    let (memo, now) = (call.platform.memo(), call.platform.clock().now());
    let key = format!("homeserver:{name}");
    if let Some(found) = memo.get::<Homeserver>(&key, now) {
        return Ok(Some(found));
    }
    let Some(client) = well_known::<P, ClientWellKnown>(call, name, "client").await? else { return Ok(None) };
    let server = well_known::<P, ServerWellKnown>(call, name, "server").await?;
    let federation_url = match server {
        Some(server) => match ServerName::parse(server.server) {
            Ok(server) if server.as_str().contains(':') => format!("https://{server}"),
            Ok(server) => format!("https://{server}:8448"),
            Err(_) => return Ok(None),
        },
        None if name.contains(':') => format!("https://{name}"),
        None => format!("https://{name}:8448"),
    };
    let found = Homeserver {
        server_name: name.to_owned(),
        instance: format!("matrix:{name}"),
        client_url: base(&client.homeserver.base_url),
        federation_url,
        trust: Trust::Untrusted,
    };
    memo.put(&key, found.clone(), now.plus(REMEMBER_MS));
    Ok(Some(found))
}

async fn well_known<P: Platform, T: for<'de> Deserialize<'de>>(
    call: &Call<P>,
    name: &str,
    kind: &str,
) -> Result<Option<T>, Failure> {
    let host = name.split(':').next().unwrap_or(name);
    let mut request = OutboundRequest::get(format!("https://{host}/.well-known/matrix/{kind}"));
    request.max_bytes = 16 * 1024;
    match call.platform.http().send(Trust::Untrusted, call.outbound(request)).await {
        Ok(response) if response.status == 200 => Ok(serde_json::from_slice(&response.body).ok()),
        Ok(response) if response.status >= 500 => Err(Failure::unavailable(format!("well-known answered {}", response.status))),
        Ok(_) | Err(HttpError::Refused(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tmcp_testkit::TestPlatform;

    fn admits(settings: &[(&str, &str)], name: &str) -> Result<bool, String> {
        let platform = TestPlatform::new();
        platform.set("HOMESERVERS", r#"[{"server_name":"own.example","client_url":"https://m.own.example"}]"#);
        for (name, value) in settings {
            platform.set(name, value);
        }
        read(platform.config()).map(|found| found.admits(name)).map_err(|error| error.to_string())
    }

    #[test]
    fn whose_people_may_come() {
        let open = ("FEDERATION", "open");
        let (allow, deny) = (
            ("FEDERATION_ALLOW", r#"["*.friends.example","pal.example"]"#),
            ("FEDERATION_DENY", r#"["*.bad.example","own.example"]"#),
        );
        let cases: [(&[_], &str, bool); 17] = [
            (&[open, ("FEDERATION_ALLOW", "[]")], "else.example", false),
            (&[open, deny], "x.bad.example.", false),
            (&[], "own.example", true),
            (&[], "else.example", false),
            (&[open], "else.example", true),
            (&[open, allow], "else.example", false),
            (&[open, allow], "a.friends.example", true),
            (&[open, allow], "A.Friends.Example:8448", true),
            (&[open, allow], "friends.example", false),
            (&[open, allow], "evilfriends.example", false),
            (&[open, allow], "pal.example:1", true),
            (&[open, allow], "own.example", true),
            (&[allow], "pal.example", false),
            (&[open, deny], "x.bad.example", false),
            (&[open, deny], "bad.example", true),
            (&[open, deny], "own.example", false),
            (&[deny], "own.example", false),
        ];
        for (settings, name, expected) in cases {
            assert_eq!(admits(settings, name), Ok(expected), "{settings:?} {name}");
        }
    }

    #[test]
    fn what_is_no_name_is_told() {
        for value in ["x", "{}", "[1]", r#"["a b"]"#, r#"["*"]"#, r#"["*."]"#, r#"["a.*"]"#, r#"["a.b:8448"]"#, r#"["[::1]"]"#] {
            let error = admits(&[("FEDERATION_DENY", value)], "x").expect_err(value);
            assert!(error.contains("FEDERATION_DENY"), "{error}");
        }
    }
}
