//! The final checks, with everything up again and the clock ahead of all it has shown.

use crate::faults;
use crate::run::{End, Run, body};
use crate::sessions::{self, Fate, Pass};
use crate::storing::Part;
use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// How long a pass may take to be had, once nothing is disturbed any more.
const PASS_LIMIT: Duration = Duration::from_secs(60);

async fn pass(run: &Run, pass: &Pass) -> Result<String> {
    let began = Instant::now();
    loop {
        match pass.token(run).await {
            // A token of before the last step of the clock may have expired.
            Some(token) => match sessions::probe(run, &token).await {
                End::Answer(answer) if answer.status == 200 => return Ok(token),
                _ => pass.refused(&token).await,
            },
            None if began.elapsed() > PASS_LIMIT => bail!("no session can be had after the faults"),
            None => run.pause(500).await,
        }
    }
}

/// Everything of storage that was acknowledged; then the same after everything has expired that can.
pub async fn storage(run: &Run, parts: &mut [Part], expired: bool) -> Result<()> {
    let mut passes: BTreeMap<*const Pass, Vec<usize>> = BTreeMap::new();
    for (n, part) in parts.iter().enumerate() {
        passes.entry(Arc::as_ptr(&part.pass)).or_default().push(n);
    }
    for members in passes.values() {
        let mut whole = BTreeMap::new();
        for n in members {
            let part = &mut parts[*n];
            let token = pass(run, &part.pass.clone()).await?;
            let keys: Vec<String> = part.keys.iter().filter(|(_, key)| key.is_usable()).map(|(name, _)| name.clone()).collect();
            for few in keys.chunks(6) {
                if !part.batch_get(run, &token, few).await {
                    run.report.wrong("no answer in the final checks".to_owned());
                }
            }
            run.report.checked("keys read back after the run", keys.len() as u64);
            whole = part.listing(run, &token, "").await.context("no listing in the final checks")?;
            usage(run, &token, &whole).await;
            if expired {
                replica(run, part, &token, &whole).await;
            }
        }
        let members: Vec<&Part> = members.iter().map(|n| &parts[*n]).collect();
        if let Some(odd) = whole.keys().find(|key| !members.iter().any(|part| part.keys.contains_key(*key))) {
            run.report.wrong(format!("{odd} is listed, and was never written"));
        }
    }
    Ok(())
}

async fn usage(run: &Run, token: &str, listed: &BTreeMap<String, i64>) {
    let End::Answer(answer) = sessions::probe(run, token).await else {
        return run.report.wrong("no answer in the final checks".to_owned());
    };
    let usage = body(&answer)["usage"].clone();
    let (bytes, keys) = (listed.values().sum::<i64>(), listed.len());
    if usage["bytes"].as_i64() == Some(bytes) && usage["keys"].as_u64() == Some(keys as u64) {
        run.report.checked("usage is the sum of the values", 1);
    } else {
        run.report.wrong(format!("usage is {usage}, and the values are {bytes} bytes under {keys} keys"));
    }
}

/// A client that synced through all of it knows what the list shows; and so does one that begins now.
async fn replica(run: &Run, part: &mut Part, token: &str, listed: &BTreeMap<String, i64>) {
    for begin_anew in [false, true] {
        if begin_anew {
            part.cursor = None;
            part.replica.clear();
        }
        for _ in 0..200 {
            match part.sync_once(run, token, Vec::new()).await {
                Some(true) => {}
                Some(false) => break,
                None => return run.report.wrong("no answer in the final checks".to_owned()),
            }
        }
        if &part.replica == listed {
            run.report.checked("sync tells the same as the list", 1);
        } else {
            let differs = |key: &&String| part.replica.get(*key) != listed.get(*key);
            let keys: Vec<&String> = part.replica.keys().chain(listed.keys()).filter(differs).take(5).collect();
            let who = if begin_anew { "a sync from the start" } else { "a sync that went on by its cursor" };
            run.report.wrong(format!("{who} differs from the list at {keys:?}"));
        }
    }
}

/// Every session that was kept: dead ones are dead, live ones live once.
pub async fn families(run: &Run) {
    let families = run.families.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for mut family in families {
        match family.fate {
            Fate::Dead => sessions::is_dead(run, &family).await,
            Fate::Live => sessions::is_live(run, &mut family).await,
        }
    }
}

/// Calls maintenance until it finds nothing more to do.
pub async fn maintain(run: &Run) -> Result<()> {
    for _ in 0..60 {
        let request = run.world.post("/ops/maintenance").bearer_auth(&run.world.up.operator_token);
        if let End::Answer(answer) = run.send("maintenance", request).await
            && answer.status == 200
        {
            let storage = body(&answer)["storage"].clone();
            if storage["failed"].as_i64() != Some(0) {
                run.report.wrong(format!("maintenance failed in part: {storage}"));
            }
            let waiting = ["expired_namespaces", "stale_intents", "garbage", "resealed"];
            if waiting.iter().all(|name| storage[*name].as_i64() == Some(0)) {
                return Ok(());
            }
        }
        run.pause(100).await;
    }
    run.report.wrong("maintenance finds more to do without end".to_owned());
    Ok(())
}

/// How many values lie under each master key, as the operator sees it, against the rows that hold a value.
pub async fn master_keys(run: &Run) -> Option<i64> {
    let request = run.world.get("/ops/keys").bearer_auth(&run.world.up.operator_token);
    let End::Answer(answer) = run.send("keys", request).await else { return None };
    fn sum(value: &Value) -> i64 {
        match value {
            Value::Number(number) => number.as_i64().unwrap_or(0),
            Value::Array(list) => list.iter().map(sum).sum(),
            Value::Object(map) => map.values().map(sum).sum(),
            _ => 0,
        }
    }
    (answer.status == 200).then(|| sum(&body(&answer)))
}

/// The database files below a folder.
fn databases(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            databases(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "sqlite" || kind == "db" || kind == "sqlite3") {
            found.push(path);
        }
    }
}

fn has_table(database: &Connection, name: &str) -> bool {
    let query = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?1";
    database.query_row(query, [name], |row| row.get::<_, i64>(0)).unwrap_or(0) > 0
}

fn count(database: &Connection, query: &str) -> Result<i64> {
    database.query_row(query, [], |row| row.get(0)).with_context(|| format!("in {query}"))
}

/// The stored rows themselves, of a server that does not run any more: copies are read, so that the original stays as it is.
pub fn rows(run: &Run, under_keys: Option<i64>) -> Result<()> {
    let data = &run.world.up.data_dir;
    let copies = data.join("soak-copies");
    let _ = fs::remove_dir_all(&copies);
    fs::create_dir_all(&copies)?;
    let mut files = Vec::new();
    databases(data, &mut files);
    let (mut entries, mut stored, mut chunks) = (None, None, 0);
    for (n, file) in files.iter().enumerate() {
        let copy = copies.join(format!("{n}.sqlite"));
        for suffix in ["", "-wal"] {
            let side = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
            if side(file).is_file() {
                fs::copy(side(file), side(&copy))?;
            }
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let Ok(database) = Connection::open_with_flags(&copy, flags) else { continue };
        if has_table(&database, "storage_entries") {
            chunks = count(&database, "SELECT COALESCE(SUM(chunks), 0) FROM storage_entries")?;
            entries = Some(count(&database, "SELECT COUNT(*) FROM storage_entries WHERE deleted_at IS NULL")?);
            tables(run, &database)?;
        }
        // Spin's test host, and miniflare.
        for (table, column) in [("entry", "key"), ("_mf_entries", "key")] {
            if has_table(&database, table) {
                let query = format!("SELECT COUNT(*) FROM {table} WHERE {column} LIKE 'storage/%'");
                stored = Some(stored.unwrap_or(0) + count(&database, &query)?);
            }
        }
    }
    let entries = entries.context("no database with storage_entries was found")?;
    if let Some(under_keys) = under_keys {
        equal(run, "values counted by /ops/keys", under_keys, "rows with a value", entries);
    }
    match stored {
        Some(stored) => equal(run, "chunks in the key-value store", stored, "chunks that rows point at", chunks),
        None => run.report.wrong("the key-value store was not found".to_owned()),
    }
    let _ = fs::remove_dir_all(&copies);
    Ok(())
}

fn equal(run: &Run, what: &'static str, count: i64, other: &str, expected: i64) {
    if count == expected {
        run.report.checked(what, u64::try_from(count).unwrap_or(0));
    } else {
        run.report.wrong(format!("{what}: {count}, but {other}: {expected}"));
    }
}

fn tables(run: &Run, database: &Connection) -> Result<()> {
    let none = [
        (
            "families with two live refresh tokens",
            "SELECT COUNT(*) FROM (SELECT t.family FROM refresh_tokens t \
            JOIN refresh_families f ON f.id = t.family WHERE t.used_at IS NULL AND f.ended_at IS NULL \
            GROUP BY t.family HAVING COUNT(*) > 1)",
        ),
        (
            "refresh tokens with two successors",
            "SELECT COUNT(*) FROM (SELECT parent FROM refresh_tokens \
            WHERE parent IS NOT NULL GROUP BY parent HAVING COUNT(*) > 1)",
        ),
        (
            "successors of tokens that were not used",
            "SELECT COUNT(*) FROM refresh_tokens s JOIN refresh_tokens t \
            ON t.hash = s.parent WHERE t.used_at IS NULL",
        ),
        ("intents that wait", "SELECT COUNT(*) FROM storage_intents"),
        ("garbage that waits", "SELECT COUNT(*) FROM storage_garbage"),
        ("expired values that wait", "SELECT COUNT(*) FROM storage_entries WHERE expires_at IS NOT NULL"),
        (
            "tombstones that hold bytes",
            "SELECT COUNT(*) FROM storage_entries WHERE deleted_at IS NOT NULL \
            AND (size > 0 OR chunks > 0 OR body IS NOT NULL)",
        ),
    ];
    for (what, query) in none {
        match count(database, query)? {
            0 => run.report.checked(what, 0),
            found => run.report.wrong(format!("{found} {what}")),
        }
    }
    let families = count(database, "SELECT COUNT(*) FROM refresh_families")?;
    run.report.checked("refresh families in the database", u64::try_from(families).unwrap_or(0));
    Ok(())
}

/// Ends the server, so that its files stand still.
pub fn still(run: &Run) -> Result<()> {
    faults::kill_server(run)
}
