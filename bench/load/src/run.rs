//! One run: all connections at once, a warm-up, the measured window, and what came of it.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::LocalSet;

use crate::lane::Connection;
use crate::plan::Plan;
use crate::proc;

/// What one run measured. Times are microseconds.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Answers inside the window.
    pub requests: u64,
    /// Length of the window in seconds.
    pub seconds: f64,
    /// Answers per second.
    pub throughput: f64,
    /// The latency that half of them stayed under.
    pub p50_us: u64,
    /// The latency that 99 in 100 stayed under.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
    /// CPU of the server's process tree per request.
    pub server_cpu_us: Option<f64>,
    /// CPU of the server's process tree in the window, as a share of one core.
    pub server_cpu_share: Option<f64>,
    /// Resident memory of the server's process tree at the end, in bytes.
    pub server_rss: Option<u64>,
    /// CPU of this load generator per request.
    pub load_cpu_us: f64,
    /// CPU of this load generator as a share of one core.
    pub load_cpu_share: f64,
    /// Connections that the server closed between two requests.
    pub reopened: u64,
}

/// The time in which answers count.
struct Window {
    from: Instant,
    to: Instant,
    latencies: Histogram<u64>,
}

/// Runs the plan.
pub async fn run(plan: Plan) -> Result<Measured> {
    let tokens = plan.chain.as_ref().map(|chain| chain.load()).transpose()?;
    let authority = plan.authority()?;
    let connections: Vec<Connection> = (0..plan.connections)
        .zip(plan.lanes.iter().cycle())
        .map(|(n, lane)| {
            let chain = match (&plan.chain, &tokens) {
                (Some(chain), Some(tokens)) => {
                    let token = tokens.get(n).with_context(|| format!("no token for lane {n}"))?;
                    Some((token.clone(), chain.member.clone()))
                }
                _ => None,
            };
            let number = u8::try_from(n + 1).context("more connections than addresses")?;
            Ok(Connection::new(authority, number, lane.clone(), plan.expect, chain))
        })
        .collect::<Result<_>>()?;

    let begin = Instant::now();
    let counted = plan.requests_each.is_some();
    let from = if counted { begin } else { begin + Duration::from_millis(plan.warmup_ms) };
    let to = if counted { begin + Duration::from_secs(3600) } else { from + Duration::from_millis(plan.window_ms) };
    let latencies = Histogram::new_with_bounds(1, 120_000_000, 3).context("no histogram")?;
    let window = Rc::new(RefCell::new(Window { from, to, latencies }));

    let local = LocalSet::new();
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|connection| local.spawn_local(walk(connection, Rc::clone(&window), plan.requests_each)))
        .collect();
    let pid = plan.pid;
    let usage = local.spawn_local(async move {
        tokio::time::sleep_until(from.into()).await;
        let (server, own, at) = (pid.map(proc::tree), proc::own_cpu_s(), Instant::now());
        if counted {
            return (server, own, at, None);
        }
        tokio::time::sleep_until(to.into()).await;
        (server, own, at, Some((pid.map(proc::tree), proc::own_cpu_s(), Instant::now())))
    });
    let mut ended = Vec::new();
    local
        .run_until(async {
            for task in tasks {
                // The first failure ends the run; the other connections go with it.
                ended.push(task.await.context("a connection's task panicked")??);
            }
            Ok::<_, anyhow::Error>(())
        })
        .await?;
    let (server_before, own_before, at_before, after) = local.run_until(usage).await.context("measuring panicked")?;
    let after = after.unwrap_or_else(|| (pid.map(proc::tree), proc::own_cpu_s(), Instant::now()));
    let (server_after, own_after, at_after) = after;

    if let Some(chain) = &plan.chain {
        // Lanes beyond the connections keep what they had.
        let mut tokens = tokens.unwrap_or_default();
        for (token, connection) in tokens.iter_mut().zip(&ended) {
            if let Some((next, _)) = &connection.chain {
                token.clone_from(next);
            }
        }
        chain.store(&tokens)?;
    }

    let window = window.borrow();
    let requests = window.latencies.len();
    let seconds = at_after.duration_since(at_before).as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "no run has 2^52 requests")]
    let count = requests.max(1) as f64;
    let server_cpu = server_before.zip(server_after).map(|(before, after)| after.cpu_s - before.cpu_s);
    let own_cpu = own_after - own_before;
    Ok(Measured {
        requests,
        seconds,
        throughput: if requests == 0 { 0.0 } else { count / seconds },
        p50_us: window.latencies.value_at_quantile(0.5),
        p99_us: window.latencies.value_at_quantile(0.99),
        max_us: window.latencies.max(),
        server_cpu_us: server_cpu.map(|cpu| cpu * 1e6 / count),
        server_cpu_share: server_cpu.map(|cpu| cpu / seconds),
        server_rss: server_after.map(|usage| usage.rss),
        load_cpu_us: own_cpu * 1e6 / count,
        load_cpu_share: own_cpu / seconds,
        reopened: ended.iter().map(|connection| connection.reopened).sum(),
    })
}

/// Sends until the window's end, or as many requests as are wanted, and gives the connection back.
async fn walk(mut connection: Connection, window: Rc<RefCell<Window>>, wanted: Option<u64>) -> Result<Connection> {
    let (from, to) = (window.borrow().from, window.borrow().to);
    let mut sent = 0;
    loop {
        let begun = Instant::now();
        if begun >= to || wanted.is_some_and(|wanted| sent >= wanted) {
            return Ok(connection);
        }
        connection.turn().await?;
        sent += 1;
        let ended = Instant::now();
        if ended >= from && ended < to {
            let took = u64::try_from(ended.duration_since(begun).as_micros()).unwrap_or(u64::MAX);
            window.borrow_mut().latencies.saturating_record(took.max(1));
        }
    }
}
