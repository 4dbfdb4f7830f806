//! One connection: it sends its requests in turn, and opens again when the server closed between two of them.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_LENGTH, HOST};
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::plan::{Lane, Request};

/// Nothing that is measured takes so long.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// What Cloudflare's edge tells a Worker of the client's address in.
const CLIENT_ADDRESS: &str = "cf-connecting-ip";
/// What the token of a chain stands as in a body.
const TOKEN: &str = "{token}";

/// A kept-alive connection and what it sends.
pub struct Connection {
    authority: String,
    /// Its own, as every client has: servers that limit by address see as many clients as there are connections.
    address: Ipv4Addr,
    lane: Lane,
    next: usize,
    expect: u16,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// The token that the next request carries, and the member of an answer that replaces it.
    pub chain: Option<(String, String)>,
    /// How often it was opened after the first time.
    pub reopened: u64,
}

impl Connection {
    /// Not open yet.
    pub fn new(authority: &str, number: u8, lane: Lane, expect: u16, chain: Option<(String, String)>) -> Self {
        let address = Ipv4Addr::new(127, 0, 1, number);
        Self { authority: authority.to_owned(), address, lane, next: 0, expect, sender: None, chain, reopened: 0 }
    }

    /// Sends the next request and reads the whole answer.
    pub async fn turn(&mut self) -> Result<()> {
        let request = self.lane.requests.get(self.next).context("a lane without requests")?.clone();
        self.next = (self.next + 1) % self.lane.requests.len();
        let what = format!("{} {}", request.method, request.path);
        timeout(ANSWER_LIMIT, self.ask(&request))
            .await
            .with_context(|| format!("{what}: no answer within {} s", ANSWER_LIMIT.as_secs()))?
            .with_context(|| what)
    }

    async fn ask(&mut self, request: &Request) -> Result<()> {
        let mut sender = self.ready().await?;
        let response = sender.send_request(self.build(request)?).await.context("no answer")?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.context("half an answer")?.to_bytes();
        self.sender = Some(sender);
        if status != self.expect {
            let text: String = String::from_utf8_lossy(&body).chars().take(500).collect();
            bail!("answered {status} instead of {}: {text}", self.expect);
        }
        if let Some((token, member)) = &mut self.chain {
            let json: serde_json::Value = serde_json::from_slice(&body).context("not JSON")?;
            let next = json.get(member.as_str()).and_then(|value| value.as_str());
            *token = next.with_context(|| format!("no {member} in the answer"))?.to_owned();
        }
        Ok(())
    }

    /// The open connection, or a new one.
    async fn ready(&mut self) -> Result<SendRequest<Full<Bytes>>> {
        if let Some(mut sender) = self.sender.take() {
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
            self.reopened += 1;
        }
        // Nothing is asked for a name that is an address; `localhost` is in a file.
        let found = self.authority.to_socket_addrs().with_context(|| format!("{} is no address", self.authority))?;
        let server =
            found.into_iter().find(SocketAddr::is_ipv4).with_context(|| format!("{} has no IPv4 address", self.authority))?;
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.address, 0).into()).with_context(|| format!("cannot send from {}", self.address))?;
        let stream = socket.connect(server).await.with_context(|| format!("cannot reach {server}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.context("no HTTP there")?;
        // Ends with the connection; what goes wrong in it shows in the requests.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn build(&self, request: &Request) -> Result<hyper::Request<Full<Bytes>>> {
        let body = match &self.chain {
            Some((token, _)) => Bytes::from(request.body.replace(TOKEN, token)),
            None => Bytes::from(request.body.clone()),
        };
        let mut builder =
            hyper::Request::builder().method(request.method.as_str()).uri(request.path.as_str()).header(HOST, &self.authority);
        builder = builder.header(CLIENT_ADDRESS, self.address.to_string());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if !body.is_empty() {
            builder = builder.header(CONTENT_LENGTH, body.len());
        }
        builder.body(Full::new(body)).context("not a request")
    }
}
