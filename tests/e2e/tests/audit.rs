//! The audit log of a running server: sealed by maintenance, read by the operator, and verified with its key.

use serde_json::{Value, json};
use tmcp_e2e::{Ask, World};
use tmcp_protocol::audit::{AuditRow, Place, Verifier};
use tmcp_protocol::service::ServiceKeys;

fn problems(keys: &ServiceKeys, rows: &[AuditRow]) -> Vec<String> {
    let mut verifier = Verifier::new(keys, Place::default());
    rows.iter().for_each(|row| verifier.follow(row));
    verifier.end().1.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn what_was_done_is_sealed_and_a_change_would_be_found() {
    let world = World::new();
    let person = world.person().await;
    let refused = json!({"matrix_user_id": person.matrix.user_id, "access_token": "syt_wrong"});
    for _ in 0..10 {
        world.sign_in_with(&refused).await.is_refused(401, "invalid_matrix_credentials");
    }
    let done = world.post("/ops/maintenance").bearer_auth(&world.up.operator_token).ask().await.ok();
    assert!(done["audit"]["head"]["seq"].as_i64().unwrap() > 10, "{done}");
    let keys = ServiceKeys::parse(world.keys().all["audit_key"].as_str().unwrap()).ok().unwrap();
    let mut rows = world.audit_log().await;
    assert_eq!(problems(&keys, &rows), [] as [&str; 0]);
    let first = rows.iter().find(|row| row.actor.as_deref() == Some(person.uid.as_str())).unwrap();
    assert_eq!((first.action.as_str(), first.outcome.as_str()), ("sign_in.matrix.first", "ok"));
    let sign =
        rows.iter().find(|row| row.action == "attack.many_failures" && row.target.as_ref() == Some(&person.matrix.user_id));
    let detail: Value = serde_json::from_str(sign.unwrap().detail.as_ref().unwrap()).unwrap();
    assert_eq!((&detail["count"], &detail["by"]), (&json!(10), &json!("account")));
    let n = rows.len() / 2;
    rows[n].outcome.push('!');
    assert_eq!(problems(&keys, &rows).len(), 1);
    rows.remove(n);
    assert!(problems(&keys, &rows)[0].contains("missing"));
    let page = world.get("/ops/metrics").bearer_auth(&world.up.operator_token).ask().await.text;
    assert!(page.contains("tmcp_attack_signs_total{sign=\"many_failures\"}"), "{page}");
    world.get("/ops/audit").bearer_auth(&person.token).ask().await.is_refused(401, "INVALID_TOKEN");
}
