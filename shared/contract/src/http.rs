//! `HttpClient`: the untrusted client refuses every form of address that it must, before anything is sent.

use crate::{Broken, promise};
use tmcp_ports::guard::{REFUSED_URLS, Refused};
use tmcp_ports::{Config, HttpClient, HttpError, OutboundRequest, Platform, Trust};

/// The suite.
pub async fn suite<P: Platform>(platform: &P) -> Result<(), Broken> {
    let client = platform.http();
    for (url, reason) in REFUSED_URLS.iter().filter(|(_, reason)| *reason != Refused::OwnHost) {
        let outcome = client.send(Trust::Untrusted, OutboundRequest::get(*url)).await.map(|response| response.status);
        let refused = outcome == Err(HttpError::Refused(*reason));
        promise(refused, &format!("{url} is refused because it is {reason}, but it came to {outcome:?}"))?;
    }
    let issuer = platform.config().get("ISSUER").ok_or_else(|| Broken("ISSUER is not set".to_owned()))?;
    let own = issuer.expose().replacen("http://", "https://", 1);
    let outcome = client.send(Trust::Untrusted, OutboundRequest::get(own)).await.map(|response| response.status);
    promise(matches!(outcome, Err(HttpError::Refused(_))), &format!("our own host is refused, but it came to {outcome:?}"))
}
