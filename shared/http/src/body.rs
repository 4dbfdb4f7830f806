//! Bodies: read under a limit, of the type that the route takes, parsed with the place of a mistake named.

use crate::failure::Failure;
use crate::headers::text;
use axum_core::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Display;
use tmcp_protocol::ErrorCode;
use tmcp_protocol::routes;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Whether a request came as a form, as pages send it.
pub fn is_form(headers: &HeaderMap) -> bool {
    media_type(headers).as_deref() == Some(FORM)
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = text(headers.get(header::CONTENT_TYPE)?)?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

fn too_large(limit: usize) -> Failure {
    let message = format!("the body may have at most {limit} bytes");
    Failure::new(ErrorCode::PayloadTooLarge, message).details(serde_json::json!({"max_bytes": limit}))
}

/// Reads what the route takes; stops at the limit, whatever `Content-Length` said.
pub(crate) async fn read(kind: routes::Body, headers: &HeaderMap, body: Body) -> Result<Bytes, Failure> {
    let (limit, expected): (_, &[&str]) = match kind {
        routes::Body::None => return Ok(Bytes::new()),
        routes::Body::Json(limit) => (limit, &[JSON]),
        routes::Body::Form(limit) => (limit, &[FORM]),
        routes::Body::JsonOrForm(limit) => (limit, &[JSON, FORM]),
        routes::Body::Image(limit) => (limit, &routes::IMAGES),
    };
    if !media_type(headers).is_some_and(|found| expected.contains(&found.as_str())) {
        let message = format!("the body must be {}", expected.join(" or "));
        return Err(Failure::new(ErrorCode::UnsupportedMediaType, message));
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(text).and_then(|v| v.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let mut body = body;
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or(0).min(limit));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::invalid("the body broke off").because(error.to_string()))?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > limit {
                return Err(too_large(limit));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}

/// Parses JSON; a mistake names its field and place.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value: T = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = error.path().to_string();
        let field = if field == "." { None } else { Some(field) };
        let error = error.into_inner();
        let message = match &field {
            Some(field) => format!("the body is not as expected at `{field}`: {error}"),
            None => format!("the body is not as expected: {error}"),
        };
        let details = serde_json::json!({"field": field, "line": error.line(), "column": error.column()});
        Failure::invalid(message).details(details)
    })?;
    deserializer.end().map_err(|error| Failure::invalid(format!("something follows the JSON body: {error}")))?;
    Ok(value)
}

/// The members of a shallow JSON body, taken one by one: a mistake names its field as [`json`] does, in a tenth of the code, for a
/// function that has no room.
#[derive(Debug)]
pub struct Members(Map<String, Value>);

fn wrong(field: &str, problem: impl Display) -> Failure {
    let message = format!("the body is not as expected at `{field}`: {problem}");
    Failure::invalid(message).details(serde_json::json!({ "field": field }))
}

impl Members {
    /// Reads an object.
    pub fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let object = serde_json::from_slice(bytes);
        object.map(Self).map_err(|error| Failure::invalid(format!("the body is not as expected: {error}")))
    }

    /// A text, read into something; null counts as absent.
    pub fn text<T, E: Display>(&self, field: &str, read: impl FnOnce(String) -> Result<T, E>) -> Result<Option<T>, Failure> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => read(text.clone()).map(Some).map_err(|error| wrong(field, error)),
            Some(_) => Err(wrong(field, "a text is wanted")),
        }
    }

    /// A text that must be there.
    pub fn required<T, E: Display>(&self, field: &str, read: impl FnOnce(String) -> Result<T, E>) -> Result<T, Failure> {
        self.text(field, read)?.ok_or_else(|| wrong(field, "missing"))
    }

    /// `true` or `false`; absent counts as `false`.
    pub fn flag(&self, field: &str) -> Result<bool, Failure> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong(field, "`true` or `false` is wanted")),
        }
    }

    /// These texts of an object, and nothing else of it; null counts as absent.
    pub fn texts(&self, field: &str, names: &[&str]) -> Result<Option<Value>, Failure> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => {
                let one = |name: &&str| match object.get(*name) {
                    Some(text @ Value::String(_)) => Ok(((*name).to_owned(), text.clone())),
                    _ => Err(wrong(&format!("{field}.{name}"), "a text is wanted")),
                };
                names.iter().map(one).collect::<Result<Map<_, _>, _>>().map(|texts| Some(Value::Object(texts)))
            }
            Some(_) => Err(wrong(field, "an object is wanted")),
        }
    }
}

/// A form's parameters, each at most once (RFC 6749 section 3.2).
#[derive(Debug, Clone, Default)]
pub struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`; empty values count as absent.
    pub fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let mut map = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(bytes) {
            if value.is_empty() {
                continue;
            }
            if map.insert(name.to_string(), value.into_owned()).is_some() {
                let name: String = name.chars().take(40).collect();
                return Err(Failure::oauth("invalid_request", 400, format!("parameter `{name}` is given twice")));
            }
        }
        Ok(Self(map))
    }

    /// Of these parameters; empty values count as absent.
    pub fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that must be there.
    pub fn require(&self, name: &'static str) -> Result<&str, Failure> {
        self.get(name).ok_or_else(|| Failure::oauth("invalid_request", 400, format!("parameter `{name}` is missing")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Item {
        #[allow(dead_code)]
        value: String,
    }

    #[derive(Debug, serde::Deserialize)]
    struct Batch {
        #[allow(dead_code)]
        items: Vec<Item>,
    }

    #[test]
    fn mistakes_name_field_and_place() {
        let message = |text: &str| format!("{:?}", json::<Batch>(text.as_bytes()).unwrap_err());
        assert!(message(r#"{"items": [{"value": "a"}, {"value": 1}]}"#).contains("items[1].value"));
        assert!(message(r#"{"items": [{}]}"#).contains("missing field `value`"));
        assert!(message("{").contains("line 1"));
        assert!(message(r#"{"items": []} x"#).contains("follows"));
    }

    #[test]
    fn members_are_what_they_have_to_be_or_named() {
        let body = br#"{"who": "a", "none": null, "yes": true, "in": {"a": "b", "n": 1}}"#;
        let members = Members::parse(body).unwrap();
        let read = |text: String| if text == "a" { Ok(text.len()) } else { Err("not an a") };
        assert_eq!((members.text("who", read).unwrap(), members.text("none", read).unwrap()), (Some(1), None));
        assert_eq!((members.flag("yes").unwrap(), members.flag("no").unwrap()), (true, false));
        assert_eq!(members.texts("in", &["a"]).unwrap(), Some(serde_json::json!({"a": "b"})));
        assert_eq!(members.texts("none", &["a"]).unwrap(), None);
        let message = |failure: Failure| format!("{failure:?}");
        assert!(message(members.text("yes", read).unwrap_err()).contains("at `yes`: a text is wanted"));
        assert!(message(members.required("none", read).unwrap_err()).contains("at `none`: missing"));
        assert!(message(members.flag("who").unwrap_err()).contains("at `who`"));
        assert!(message(members.texts("in", &["a", "n"]).unwrap_err()).contains("at `in.n`: a text is wanted"));
        assert!(message(members.texts("who", &["a"]).unwrap_err()).contains("at `who`: an object"));
        assert!(message(Members::parse(b"{\n x").unwrap_err()).contains("line 2"));
        assert!(message(Members::parse(br#"{"who": "b"}"#).unwrap().text("who", read).unwrap_err()).contains("`who`: not an a"));
        for malformed in ["", "[]", "null", "{} x"] {
            assert!(Members::parse(malformed.as_bytes()).is_err(), "{malformed}");
        }
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        assert!(Form::parse(b"a=1&b=2&a=3").is_err());
        let form = Form::parse(b"a=1%20x&b=").unwrap();
        assert_eq!((form.get("a"), form.get("b")), (Some("1 x"), None));
    }
}
