//! `Sql`: batches are all or nothing, constraints are named, lost guards are seen, integers survive.

use crate::{Broken, promise};
use serde::Deserialize;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tmcp_ports::sql::MAX_INTEGER;
use tmcp_ports::{Platform, Random, Sql, SqlError, stmt};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS contract_rows (id TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL, note TEXT, \
    version INTEGER NOT NULL DEFAULT 1, CONSTRAINT small_n CHECK (n < 100 OR n > 1000000)) STRICT";
const INSERT: &str = "INSERT INTO contract_rows (id, n, note) VALUES (?1, ?2, ?3)";
const GUARDED: &str = "UPDATE contract_rows SET n = ?3, version = version + 1 WHERE id = ?1 AND version = ?2 RETURNING version";
const SELECT: &str = "SELECT n, note, version FROM contract_rows WHERE id = ?1";

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Found {
    n: i64,
    note: Option<String>,
    version: i64,
}

/// The suite.
pub async fn suite<P: Platform>(platform: &P) -> Result<(), Broken> {
    let sql = platform.sql();
    sql.query(stmt!(TABLE)).await?;
    let run = tmcp_protocol::hex::hex(&platform.random().bytes::<8>());
    let id = |name: &str| format!("{run}-{name}");
    values(sql, &id).await?;
    abandoned(sql, &id).await?;
    batches(sql, &id).await?;
    guards(sql, &id).await?;
    refusals(sql, &id).await
}

async fn find(sql: &impl Sql, id: &str) -> Result<Option<Found>, SqlError> {
    sql.first(stmt!(SELECT, id)).await
}

async fn values(sql: &impl Sql, id: &impl Fn(&str) -> String) -> Result<(), Broken> {
    let (lines, mixed) = ("x\n\u{1e}\"\\".repeat(200), "é\u{1F600}".repeat(300));
    let (long, longer) = ("x".repeat(3_000), "é".repeat(10_000));
    for (name, n, note) in [
        ("max", MAX_INTEGER, Some("é \u{1F600} \"quoted\"")),
        ("min", -MAX_INTEGER, None),
        ("zero", 0, Some("")),
        ("lines", 1, Some(&lines)),
        ("mixed", 2, Some(&mixed)),
        ("long", 3, Some(&long)),
        ("longer", 4, Some(&longer)),
    ] {
        sql.query(stmt!(INSERT, id(name), n, note)).await?;
        let found = find(sql, &id(name)).await?;
        let expected = Found { n, note: note.map(str::to_owned), version: 1 };
        promise(found.as_ref() == Some(&expected), &format!("what is bound comes back, but {name} came back as {found:?}"))?;
    }
    promise(find(sql, &id("absent")).await?.is_none(), "what is not there is no row")
}

/// What nobody waits for any more disturbs nobody else, and who waits may be another than who began.
async fn abandoned(sql: &impl Sql, id: &impl Fn(&str) -> String) -> Result<(), Broken> {
    for round in 0..20 {
        let [left, taken] = [0, 1].map(|who| id(&format!("round-{round}-{who}")));
        sql.query(stmt!(INSERT, left.as_str(), round, None::<&str>)).await?;
        sql.query(stmt!(INSERT, taken.as_str(), -round, None::<&str>)).await?;
        let mut waiting = Box::pin(find(sql, &taken));
        let begun = {
            let mut nobody = Context::from_waker(Waker::noop());
            let mut abandoned = pin!(find(sql, &left));
            let _ = abandoned.as_mut().poll(&mut nobody);
            waiting.as_mut().poll(&mut nobody)
        };
        let found = match begun {
            Poll::Ready(found) => found?,
            Poll::Pending => waiting.await?,
        };
        let expected = Found { n: -round, note: None, version: 1 };
        promise(found == Some(expected), &format!("an answer comes to who waits for it, but {found:?} came in round {round}"))?;
    }
    Ok(())
}

async fn batches(sql: &impl Sql, id: &impl Fn(&str) -> String) -> Result<(), Broken> {
    let results = sql.batch(vec![stmt!(INSERT, id("b1"), 1, None::<&str>), stmt!(SELECT, id("b1"))]).await?;
    promise(results.get(1).is_some_and(|rows| rows.len() == 1), "a statement of a batch sees what those before it did")?;
    let failed = sql.batch(vec![stmt!(INSERT, id("b2"), 1, None::<&str>), stmt!(INSERT, id("b3"), 500, None::<&str>)]).await;
    let named = failed.as_ref().err().is_some_and(|error| error.is_constraint("small_n"));
    promise(named, &format!("a CHECK that fails is named, but it came as {failed:?}"))?;
    promise(find(sql, &id("b2")).await?.is_none(), "nothing of a failed batch takes effect")?;
    let twice = sql.batch(vec![stmt!(INSERT, id("b4"), 1, None::<&str>), stmt!(INSERT, id("b1"), 1, None::<&str>)]).await;
    let named = matches!(&twice, Err(SqlError::Constraint(name)) if name.contains("contract_rows.id"));
    promise(named, &format!("a key that is there already is named, but it came as {twice:?}"))?;
    promise(find(sql, &id("b4")).await?.is_none(), "nothing of a batch with a repeated key takes effect")
}

async fn guards(sql: &impl Sql, id: &impl Fn(&str) -> String) -> Result<(), Broken> {
    sql.query(stmt!(INSERT, id("guard"), 1, None::<&str>)).await?;
    let first = sql.query(stmt!(GUARDED, id("guard"), 1, 2)).await?;
    promise(first.len() == 1, "a guarded write returns its row")?;
    let second = sql.query(stmt!(GUARDED, id("guard"), 1, 3)).await?;
    promise(second.is_empty(), "a guarded write that lost returns none")?;
    promise(find(sql, &id("guard")).await?.is_some_and(|found| found.n == 2), "and changes nothing")
}

async fn refusals(sql: &impl Sql, id: &impl Fn(&str) -> String) -> Result<(), Broken> {
    let beyond = sql.query(stmt!(INSERT, id("beyond"), MAX_INTEGER + 1, None::<&str>)).await;
    promise(beyond.is_err(), "an integer that a double cannot hold is refused")?;
    let none = sql.query(stmt!("SELECT n FROM contract_no_such_table")).await;
    promise(matches!(none, Err(SqlError::Unavailable(_))), "a missing table is an error of its own")
}
