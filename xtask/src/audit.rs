//! `cargo xtask audit verify`: reads a server's audit log, and finds rows that were changed or taken away.

use std::env;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value;
use tmcp_protocol::audit::{AuditRow, Place, Problem, Verifier, is_checkpoint};
use tmcp_protocol::service::ServiceKeys;

use crate::http;
use crate::keys::Keys;
use crate::paths::Paths;
use crate::progress::Progress;
use crate::up::state::{self, Up};

/// More problems are not told one by one.
const TOLD: usize = 20;

/// What is to be done with the audit log.
#[derive(Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Follow the chain of seals from its beginning, and say which rows were changed or are missing.
    ///
    /// Without --url, of the server that `cargo xtask up` started. For another one TMCP_OPERATOR_TOKEN holds the operator's secret and
    /// TMCP_AUDIT_KEY the key of the seals.
    Verify {
        /// The public origin of the server, such as https://tmcp.example.org
        #[arg(long)]
        url: Option<String>,
        /// A number and seal that were kept elsewhere (maintenance answers and logs them): the log has to lead through them.
        #[arg(long, value_name = "SEQ:SEAL")]
        head: Option<String>,
        /// The up.json that is meant.
        #[arg(long, hide = true)]
        up_file: Option<std::path::PathBuf>,
    },
}

/// Where the log is, and what opens it.
struct Access {
    url: String,
    token: String,
    keys: ServiceKeys,
}

/// A portion of the log.
#[derive(Deserialize)]
struct Portion {
    rows: Vec<AuditRow>,
    checkpoint: Option<Checkpoint>,
    head: Place,
}

#[derive(Deserialize)]
struct Checkpoint {
    #[serde(flatten)]
    place: Place,
    signature: String,
}

/// Does it.
pub fn run(paths: &Paths, args: AuditArgs) -> Result<()> {
    let Command::Verify { url, head, up_file } = args.command;
    let kept = head.as_deref().map(parse_head).transpose()?;
    let access = match url {
        Some(url) => elsewhere(url)?,
        None => local(&state::up_file(paths, up_file.as_deref()))?,
    };
    let progress = Progress::new();
    let step = progress.step("reading the audit log");
    let (count, head, problems) = verify(&access, kept.as_ref())?;
    step.done();
    if problems.is_empty() {
        println!(
            "{count} rows, sealed up to number {}: none was changed, none is missing.\nKeep {}:{} elsewhere, and give it as --head the next time.",
            head.seq, head.seq, head.seal
        );
        return Ok(());
    }
    for problem in problems.iter().take(TOLD) {
        println!("{problem}");
    }
    bail!("{} of {count} rows: somebody changed the audit log", problems.len())
}

fn parse_head(text: &str) -> Result<Place> {
    let parsed = text.split_once(':').and_then(|(seq, seal)| Some(Place { seq: seq.parse().ok()?, seal: seal.to_owned() }));
    parsed.context("--head wants a number and a seal with a colon between")
}

fn keys(text: &str) -> Result<ServiceKeys> {
    ServiceKeys::parse(text).map_err(|error| anyhow::anyhow!("the key of the audit log {error}"))
}

fn elsewhere(url: String) -> Result<Access> {
    let of = |name: &str| env::var(name).with_context(|| format!("set {name}"));
    let local = ["http://127.0.0.1", "http://localhost"].iter().any(|origin| url.starts_with(origin));
    ensure!(url.starts_with("https://") || local, "--url must be https: the operator's secret goes there");
    Ok(Access { url, token: of("TMCP_OPERATOR_TOKEN")?, keys: keys(&of("TMCP_AUDIT_KEY")?)? })
}

fn local(up_file: &Path) -> Result<Access> {
    let up = Up::read(up_file)?.context("no server is up: start one with `cargo xtask up`, or name one with --url")?;
    let own = Keys::of(&up.data_dir)?;
    Ok(Access { url: up.base_url, token: up.operator_token, keys: keys(&own.audit_key)? })
}

fn portion(access: &Access, after: i64) -> Result<Portion> {
    let url = format!("{}/ops/audit?after={after}", access.url.trim_end_matches('/'));
    let body: Value = http::get_as(&url, &access.token)?.success("/ops/audit")?;
    serde_json::from_value(body).context("the answer of /ops/audit is of another version")
}

/// Follows the log; how many rows, how far, and what is wrong.
fn verify(access: &Access, kept: Option<&Place>) -> Result<(usize, Place, Vec<Problem>)> {
    let first = portion(access, 0)?;
    let begins = first.checkpoint.as_ref().filter(|it| is_checkpoint(&access.keys, &it.place, &it.signature));
    let from = begins.map(|it| it.place.clone()).unwrap_or_default();
    let mut problems = Vec::new();
    let start = first.rows.first().and_then(|row| row.seq).unwrap_or(first.head.seq + 1);
    let from = if start == from.seq + 1 {
        from
    } else {
        problems.push(Problem::Beginning(start));
        // The rest is judged nevertheless.
        Place { seq: start - 1, ..Place::default() }
    };
    // What was kept may be where the log begins now; what is before that went, as it was to.
    let is_gone = kept.is_some_and(|kept| kept.seq < from.seq || *kept == from);
    let (mut verifier, mut count, mut found) = (Verifier::new(&access.keys, from), 0, kept.is_none() || is_gone);
    let (mut next, mut head) = (first, Place::default());
    while !next.rows.is_empty() {
        for row in &next.rows {
            verifier.follow(row);
            found |= kept.is_some_and(|kept| Some(kept.seq) == row.seq && Some(&kept.seal) == row.seal.as_ref());
        }
        count += next.rows.len();
        let last = next.rows.last().and_then(|row| row.seq).unwrap_or_default();
        head = next.head;
        next = portion(access, last)?;
    }
    let (end, more) = verifier.end();
    problems.extend(more);
    if end.seq < head.seq {
        problems.push(Problem::Missing(end.seq + 1, head.seq));
    }
    if let (false, Some(kept)) = (found, kept) {
        problems.push(Problem::Changed(kept.seq, "the one that was kept elsewhere".to_owned()));
    }
    Ok((count, end, problems))
}
