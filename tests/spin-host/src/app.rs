//! The application at run time: its compiled components, and one fresh instance of a component per request.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, anyhow};
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode};
use tokio::sync::oneshot;
use tokio::time::timeout;
use wasmtime::Store;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::{WasiBody, WasiHttpView};

use crate::compile::compile;
use crate::counts::{self, Count};
use crate::engine::engine;
use crate::host::outbound::AllowedHost;
use crate::host::{State, kv, linker, sqlite};
use crate::logs::{Log, PassOn};
use crate::manifest::{self, Manifest};
use crate::router::{RouteMatch, Router};

/// How long an instance may live: from the request until its export returns, which may be after the response.
const INSTANCE_BOUND: Duration = Duration::from_secs(60);

/// How often a guest that only computes gives its thread to the others.
const EPOCH: Duration = Duration::from_millis(10);

/// What Spin gives as the client of a request that another component sends.
const CHAINED_CLIENT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));

/// The folders this host writes to.
pub struct Folders {
    /// Databases and key-value stores.
    pub state: PathBuf,
    /// The components' output.
    pub logs: PathBuf,
    /// Compiled components.
    pub cache: PathBuf,
}

/// A loaded application.
pub struct App {
    /// The public routes.
    pub router: Router,
    components: HashMap<String, Arc<Component>>,
}

/// One component, ready to be instantiated, and what it may reach.
pub struct Component {
    /// Its name in the manifest.
    pub id: String,
    /// Where its requests may go.
    pub allowed_hosts: Vec<AllowedHost>,
    /// The stores it may open, by label.
    pub key_value_stores: HashMap<String, kv::Store>,
    /// The files of the databases it may open, by label.
    pub sqlite_databases: HashMap<String, PathBuf>,
    /// Its variables.
    pub variables: HashMap<String, String>,
    /// Its stdout.
    pub stdout: Arc<Log>,
    /// Its stderr.
    pub stderr: Arc<Log>,
    pre: ProxyPre<State>,
}

impl App {
    /// Compiles, or finds compiled, every component, and opens what they share.
    pub fn load(manifest: Manifest, folders: &Folders, quiet: bool) -> Result<Self> {
        for folder in [&folders.state, &folders.logs, &folders.cache] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let router = Router::new(manifest.routes.iter().map(|(route, id)| (route.as_str(), id.as_str())))?;
        let engine = engine()?;
        let linker = linker(&engine)?;

        let labels: HashSet<&String> = manifest.components.values().flat_map(|c| &c.key_value_stores).collect();
        let mut stores = HashMap::new();
        for label in labels {
            let store = kv::Store::open(&folders.state, label).with_context(|| format!("key-value store {label:?}"))?;
            stores.insert(label.clone(), store);
        }

        let mut components = HashMap::new();
        for (id, parsed) in &manifest.components {
            let pre = compile(&engine, &parsed.source, &folders.cache)
                .and_then(|compiled| Ok(ProxyPre::new(linker.instantiate_pre(&compiled)?)?))
                .with_context(|| format!("component {id:?}: {}", parsed.source.display()))?;
            let component =
                Component::new(id, parsed, pre, &stores, folders, quiet).with_context(|| format!("component {id:?}"))?;
            components.insert(id.clone(), Arc::new(component));
        }
        thread::spawn(move || {
            loop {
                thread::sleep(EPOCH);
                engine.increment_epoch();
            }
        });
        Ok(Self { router, components })
    }

    /// Answers a request that another component sends to `target`; `None` if there is no such component.
    pub async fn chain(self: &Arc<Self>, target: &str, mut request: Request<WasiBody>) -> Option<Response<WasiBody>> {
        if !self.components.contains_key(target) {
            return None;
        }
        // Spin's chained requests have their host in the authority alone.
        request.headers_mut().remove(HOST);
        let matched = RouteMatch::chained(target, request.uri().path());
        counts::one(Count::Chained);
        Some(self.answer(&matched, request, CHAINED_CLIENT).await)
    }

    /// Answers a request by a fresh instance of the matched component. Whatever goes wrong in there is a 500 without body.
    pub async fn answer(
        self: &Arc<Self>,
        matched: &RouteMatch,
        mut request: Request<WasiBody>,
        client: SocketAddr,
    ) -> Response<WasiBody> {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost").to_owned();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        matched.add_headers(request.headers_mut(), &host, &path, client);
        self.instantiate(&matched.component, request).await.unwrap_or_else(|error| {
            eprintln!("spin-host: component {:?}: {error:#}", matched.component);
            empty_response(StatusCode::INTERNAL_SERVER_ERROR)
        })
    }

    /// The response comes when the guest sets it; the instance goes on until its export returns.
    async fn instantiate(self: &Arc<Self>, id: &str, request: Request<WasiBody>) -> Result<Response<WasiBody>> {
        let component = Arc::clone(self.components.get(id).context("not loaded")?);
        let mut store = Store::new(component.pre.engine(), State::new(Arc::clone(self), Arc::clone(&component)));
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        let (sender, receiver) = oneshot::channel();
        let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
        let outparam = store.data_mut().http().new_response_outparam(sender)?;

        counts::one(Count::Requests);
        let task = tokio::spawn(async move {
            let run = async {
                let begun = Instant::now();
                let instance = component.pre.instantiate_async(&mut store).await?;
                counts::time(Count::InstantiateMicros, begun.elapsed());
                instance.wasi_http_incoming_handler().call_handle(&mut store, request, outparam).await
            };
            match timeout(INSTANCE_BOUND, run).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(format!("{error:?}")),
                Err(_) => Err(format!("still running after {INSTANCE_BOUND:?}")),
            }
        });
        match receiver.await {
            Ok(response) => {
                let id = id.to_owned();
                tokio::spawn(async move {
                    if let Ok(Err(error)) = task.await {
                        eprintln!("spin-host: component {id:?}, after its response: {error}");
                    }
                });
                Ok(response?)
            }
            // The sender went with the instance.
            Err(_) => match task.await? {
                Ok(()) => Err(anyhow!("returned without a response")),
                Err(error) => Err(anyhow!(error)),
            },
        }
    }
}

impl Component {
    fn new(
        id: &str,
        parsed: &manifest::Component,
        pre: ProxyPre<State>,
        stores: &HashMap<String, kv::Store>,
        folders: &Folders,
        quiet: bool,
    ) -> Result<Self> {
        let log = |stream: &str, pass_on| {
            let path = folders.logs.join(format!("{id}_{stream}.txt"));
            let pass_on = if quiet { PassOn::Nowhere } else { pass_on };
            Log::open(&path, pass_on).map(Arc::new).with_context(|| path.display().to_string())
        };
        let opened = |label: &String| Some((label.clone(), stores.get(label)?.clone()));
        let file = |label: &String| (label.clone(), sqlite::file(&folders.state, label));
        Ok(Self {
            id: id.to_owned(),
            allowed_hosts: parsed.allowed_outbound_hosts.iter().map(|e| AllowedHost::parse(e)).collect::<Result<_>>()?,
            key_value_stores: parsed.key_value_stores.iter().filter_map(opened).collect(),
            sqlite_databases: parsed.sqlite_databases.iter().map(file).collect(),
            variables: parsed.variables.clone().into_iter().collect(),
            stdout: log("stdout", PassOn::Stdout)?,
            stderr: log("stderr", PassOn::Stderr)?,
            pre,
        })
    }
}

/// A response without body.
pub fn empty_response(status: StatusCode) -> Response<WasiBody> {
    let mut response = Response::new(WasiBody::default());
    *response.status_mut() = status;
    response
}
