//! GET /saml/metadata/{provider}: what the identity provider is told of us: our name there, our certificates, and where responses go.
//!
//! | answer | when |
//! |---|---|
//! | 200 | `application/samlmetadata+xml` |
//! | 404 | no such provider |

use crate::settings::{self, consumer, entity};
use askama::Template;
use tmcp_http::{Call, Failure, Reply};
use tmcp_ports::Platform;
use tmcp_protocol::routes::SAML_METADATA;

#[derive(Template)]
#[template(path = "metadata.xml")]
struct Metadata<'a> {
    entity: &'a str,
    consumer: &'a str,
    certificates: &'a [String],
    persistent: bool,
}

/// The handler.
pub async fn handle<P: Platform>(call: Call<P>) -> Result<Reply, Failure> {
    let instance = settings::find(&call, &call.rest_of_path(SAML_METADATA.prefix())?)?;
    let metadata = Metadata {
        entity: &entity(&call, &instance),
        consumer: &consumer(&call, &instance),
        certificates: &settings::ours(&call.platform)?.certificates,
        persistent: instance.saml.id_attribute.is_none(),
    };
    let xml = metadata.render().map_err(|error| Failure::internal(error.to_string()))?;
    Ok(Reply::text("application/samlmetadata+xml", xml))
}
