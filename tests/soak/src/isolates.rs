//! What the Workers keep, seen through workerd's inspector.
//!
//! V8 collects garbage when it has to, and on a machine with free memory it has to seldom: the resident memory of workerd says for
//! how long nobody collected, and grows under wrangler's own proxy as it does under ours. So each isolate is asked to collect before
//! anybody looks. What is left in it then is what counts: V8's heap and what hangs on it, and the memory of the wasm module.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket};

/// How long an isolate may take. One that no request wakes answers nothing, and one that is too busy may not either: they are left out
/// of this look, and `memory` counts in how many each was.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Adds up the bytes of an array of `WebAssembly.Memory`.
const SUM: &str = "function() { return this.reduce((sum, memory) => sum + memory.buffer.byteLength, 0); }";

/// The inspector of the workerd that runs our Workers.
pub struct Inspector {
    /// The id of its process.
    pub process: i32,
    address: SocketAddr,
    client: reqwest::Client,
}

/// Kilobytes by the name of the Worker.
pub type Kept = BTreeMap<String, u64>;

/// The ports on which a process listens, on the loopback.
fn ports(process: i32) -> Vec<u16> {
    let links = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let sockets: Vec<String> = links
        .filter_map(|link| {
            let target = fs::read_link(link.path()).ok()?;
            Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    // "number: local remote state queues timer retransmits uid time-out inode …", in hexadecimal; the state 0A is that of a listener.
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap_or_default();
    let lines = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|fields| fields.len() > 9 && fields[3] == "0A" && sockets.iter().any(|socket| socket == fields[9]))
        .filter_map(|fields| u16::from_str_radix(fields[1].split_once(':')?.1, 16).ok())
        .collect()
}

/// An isolate: where it is spoken to, and its name if it is a Worker of ours. The others are Miniflare's D1, KV and entry.
struct Target {
    url: String,
    ours: Option<String>,
}

/// The inspector's targets; none where none is ours.
async fn targets(client: &reqwest::Client, address: SocketAddr) -> Option<Vec<Target>> {
    let answer = client.get(format!("http://{address}/json")).send().await.ok()?;
    let list: Vec<Value> = serde_json::from_str(&answer.text().await.ok()?).ok()?;
    let target = |target: &Value| {
        let ours = target["id"].as_str()?.strip_prefix("core:user:tmcp-").map(str::to_owned);
        Some(Target { url: target["webSocketDebuggerUrl"].as_str()?.to_owned(), ours })
    };
    let all: Vec<Target> = list.iter().filter_map(target).collect();
    all.iter().any(|target| target.ours.is_some()).then_some(all)
}

impl Inspector {
    /// That of one of these processes, if one has it.
    pub async fn find(processes: impl IntoIterator<Item = i32>) -> Option<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().ok()?;
        for process in processes {
            for port in ports(process) {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                if targets(&client, address).await.is_some() {
                    return Some(Self { process, address, client });
                }
            }
        }
        None
    }

    /// Has every isolate collect, and says what each of ours keeps.
    pub async fn collect(&self) -> Kept {
        let (targets, address) = (targets(&self.client, self.address).await.unwrap_or_default(), self.address);
        let ask = |Target { url, ours }| {
            thread::spawn(move || {
                let mut session = Session::open(address, &url)?;
                let wasm = if ours.is_some() { session.wasm()? } else { 0 };
                Some((ours?, (wasm + session.heap()?) / 1024))
            })
        };
        let asked: Vec<_> = targets.into_iter().map(ask).collect();
        tokio::task::block_in_place(|| asked.into_iter().filter_map(|asked| asked.join().ok()?).collect())
    }
}

/// One conversation by the Chrome DevTools Protocol.
struct Session {
    socket: WebSocket<TcpStream>,
    asked: u64,
    context: Option<Value>,
}

impl Session {
    fn open(address: SocketAddr, url: &str) -> Option<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let (socket, _) = tungstenite::client(url, stream).ok()?;
        Some(Self { socket, asked: 0, context: None })
    }

    /// The bytes of the memories of its wasm modules.
    fn wasm(&mut self) -> Option<u64> {
        self.ask("Runtime.enable", &json!({}))?;
        let context = self.context.take()?;
        let prototype = json!({"expression": "WebAssembly.Memory.prototype", "contextId": context});
        let prototype = self.ask("Runtime.evaluate", &prototype)?;
        let memories = self.ask("Runtime.queryObjects", &json!({"prototypeObjectId": prototype["result"]["objectId"]}))?;
        let sum = json!({"objectId": memories["objects"]["objectId"], "functionDeclaration": SUM, "returnByValue": true});
        self.ask("Runtime.callFunctionOn", &sum)?["result"]["value"].as_u64()
    }

    /// The bytes of its heap and of what hangs on it, once it has collected. Without the memory of wasm.
    fn heap(&mut self) -> Option<u64> {
        self.ask("HeapProfiler.collectGarbage", &json!({}))?;
        let heap = self.ask("Runtime.getHeapUsage", &json!({}))?;
        let parts = ["usedSize", "embedderHeapUsedSize", "backingStorageSize"].map(|part| heap[part].as_u64().unwrap_or(0));
        Some(parts.iter().sum())
    }

    fn ask(&mut self, method: &str, parameters: &Value) -> Option<Value> {
        self.asked += 1;
        let question = json!({"id": self.asked, "method": method, "params": parameters});
        self.socket.send(Message::text(question.to_string())).ok()?;
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let Message::Text(text) = self.socket.read().ok()? else { continue };
            let mut message: Value = serde_json::from_str(text.as_str()).ok()?;
            if message["method"] == "Runtime.executionContextCreated" {
                self.context = Some(message["params"]["context"]["id"].take());
            }
            if message["id"] == self.asked {
                return Some(message["result"].take()).filter(Value::is_object);
            }
        }
        None
    }
}
