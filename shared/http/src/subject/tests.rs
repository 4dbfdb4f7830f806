//! What a subject decides.

use super::*;
use tmcp_protocol::limits::LimitClass;

const NOW: Millis = Millis(1_800_000_000_000);

fn decide(state: &mut Option<State>, command: Command, now: Millis) -> Answer {
    let decision = Subject::decide(state.as_ref(), command, Context { now, random: [0; 16] });
    match decision.store {
        Store::Put(next) | Store::Soon(next) => *state = Some(next),
        Store::Delete => *state = None,
        Store::Keep => {}
    }
    decision.reply
}

fn held(generation: i64, session: &str) -> Held {
    Held { generation, session: session.to_owned() }
}

fn admit_with(held: Held) -> Command {
    Command::Admit {
        class: "storage".into(),
        limit: LimitClass::Storage.default_limit().into(),
        held: Some(held),
        patience: None,
    }
}

#[test]
fn a_revocation_holds_from_the_next_request_on() {
    let mut state = None;
    assert_eq!(decide(&mut state, Command::Issue { session: None }, NOW), Answer::Generation(0));
    assert!(matches!(decide(&mut state, admit_with(held(0, "s")), NOW), Answer::Admission(_)));
    decide(&mut state, Command::RevokeAll, NOW);
    assert_eq!(decide(&mut state, admit_with(held(0, "s")), NOW), Answer::Revoked);
    let Answer::Generation(fresh) = decide(&mut state, Command::Issue { session: None }, NOW) else { panic!() };
    assert!(matches!(decide(&mut state, admit_with(held(fresh, "s")), NOW), Answer::Admission(_)));
    // Twice within one millisecond still raises it.
    decide(&mut state, Command::RevokeAll, NOW);
    assert_eq!(decide(&mut state, Command::Check { held: held(fresh, "s") }, NOW), Answer::Revoked);
}

#[test]
fn a_forgotten_subject_never_revives_a_revoked_token() {
    let mut state = None;
    decide(&mut state, Command::RevokeAll, NOW);
    let Answer::Generation(old) = decide(&mut state, Command::Issue { session: None }, NOW) else { panic!() };
    state = None;
    decide(&mut state, Command::RevokeAll, NOW.plus(1));
    assert_eq!(decide(&mut state, Command::Check { held: held(old, "s") }, NOW), Answer::Revoked);
}

#[test]
fn entering_draws_and_tells_the_generation_unless_the_session_is_over() {
    let mut state = None;
    decide(&mut state, Command::RevokeAll, NOW);
    let enter = |session: Option<&str>| Command::Enter {
        class: "token_refresh".into(),
        limit: Limit { capacity: 2, burst: 0, window_s: 60, refill: 0 }.into(),
        session: session.map(str::to_owned),
    };
    decide(&mut state, Command::EndSession { session: "over".into(), until: NOW.plus(1000) }, NOW);
    let mut allowed = Vec::new();
    for session in [None, Some("over"), Some("s"), Some("s")] {
        allowed.push(match decide(&mut state, enter(session), NOW) {
            Answer::Entered { admission, generation } => Some((admission.allowed, generation)),
            _ => None,
        });
    }
    assert_eq!(allowed, [Some((true, NOW.0)), None, Some((true, NOW.0)), Some((false, NOW.0))]);
}

#[test]
fn an_ended_session_ends_alone() {
    let mut state = None;
    decide(&mut state, Command::EndSession { session: "a".into(), until: NOW.plus(1000) }, NOW);
    assert_eq!(decide(&mut state, Command::Check { held: held(0, "a") }, NOW), Answer::Revoked);
    assert_eq!(decide(&mut state, Command::Check { held: held(0, "b") }, NOW), Answer::Holds);
    assert_eq!(decide(&mut state, Command::Issue { session: Some("a".into()) }, NOW), Answer::Revoked);
}

#[test]
fn it_forgets_itself_when_idle_and_not_before() {
    let mut state = None;
    decide(&mut state, Command::RevokeAll, NOW);
    let wake = |now| Subject::wake(state.as_ref(), Context { now, random: [0; 16] }).unwrap();
    assert_eq!(wake(NOW.plus(IDLE_MS - 1)).wake, Wake::At(NOW.plus(IDLE_MS)));
    assert_eq!(wake(NOW.plus(IDLE_MS)).store, Store::Delete);
}

fn suspended(version: i64, until: Option<Millis>) -> Command {
    let suspension = Suspension { until, told: "{}".into() };
    Command::Stand(Standing { version, suspension: Some(suspension) })
}

#[test]
fn who_is_suspended_waits_until_it_ends_or_is_lifted() {
    let mut state = None;
    decide(&mut state, suspended(1, Some(NOW.plus(1000))), NOW);
    let ask = |state: &mut Option<State>, now| {
        let commands = [
            admit_with(held(0, "s")),
            Command::Check { held: held(0, "s") },
            Command::Issue { session: None },
            Command::Enter { class: "storage".into(), limit: LimitClass::Storage.default_limit().into(), session: None },
        ];
        commands.map(|command| matches!(decide(state, command, now), Answer::Suspended(_)))
    };
    assert_eq!(ask(&mut state, NOW.plus(999)), [true; 4]);
    assert_eq!(ask(&mut state, NOW.plus(1000)), [false; 4]);
    decide(&mut state, suspended(3, None), NOW);
    decide(&mut state, Command::Stand(Standing { version: 2, suspension: None }), NOW);
    assert_eq!(ask(&mut state, NOW), [true; 4], "what was said before comes too late");
    decide(&mut state, Command::Stand(Standing { version: 4, suspension: None }), NOW);
    assert_eq!(ask(&mut state, NOW), [false; 4]);
    decide(&mut state, Command::EndSession { session: "s".into(), until: NOW.plus(5000) }, NOW);
    decide(&mut state, suspended(5, None), NOW);
    assert_eq!(decide(&mut state, admit_with(held(0, "s")), NOW), Answer::Revoked, "a token that is over is over first");
}

#[test]
fn who_is_suspended_is_not_forgotten() {
    let mut state = None;
    decide(&mut state, suspended(1, None), NOW);
    let later = NOW.plus(100 * IDLE_MS);
    let wake = |state: &Option<State>, now| Subject::wake(state.as_ref(), Context { now, random: [0; 16] }).unwrap();
    assert!(matches!(wake(&state, later).store, Store::Keep));
    decide(&mut state, Command::Stand(Standing { version: 2, suspension: None }), NOW);
    assert!(matches!(wake(&state, later).store, Store::Delete));
    let mut ending = None;
    decide(&mut ending, suspended(1, Some(later)), NOW);
    assert!(matches!(wake(&ending, NOW.plus(2 * IDLE_MS)).wake, Wake::At(at) if at == later));
    assert!(matches!(wake(&ending, later).store, Store::Delete));
}

#[test]
fn the_stored_form_is_an_interface() {
    let mut state = None;
    decide(&mut state, admit_with(held(0, "s")), NOW);
    decide(&mut state, Command::EndSession { session: "s".into(), until: NOW }, NOW);
    assert_eq!(
        serde_json::to_string(&state).unwrap(),
        r#"{"generation":0,"buckets":{"storage":{"level":7140000,"at":1800000000000,"window_ms":60000}},"ended":{"s":1800000000000},"used_at":1800000000000}"#
    );
}

/// A request of a class whose bucket holds one and refills it in `window_s`, by somebody of whom `patience` is had.
fn hurried(class: &str, window_s: u32, patience: u32) -> Command {
    let patience = Limit { capacity: patience, burst: 0, window_s: 3600, refill: 0 };
    let limit = Limit { capacity: 1, burst: 0, window_s, refill: 0 };
    Command::Admit { class: class.into(), limit: limit.into(), held: Some(held(0, "s")), patience: Some(patience.into()) }
}

fn is_refused(answer: &Answer) -> bool {
    matches!(answer, Answer::Admission(admission) if !admission.allowed)
}

#[test]
fn who_exceeds_too_many_limits_has_to_wait() {
    let mut state = None;
    let at = |state: &mut Option<State>, class: &str, s: i64| decide(state, hurried(class, 60, 3), NOW.plus(s * 1000));
    assert!(matches!(at(&mut state, "storage", 0), Answer::Admission(_)));
    // A hundred refusals within its window are one limit exceeded.
    for n in 0..100 {
        assert!(is_refused(&at(&mut state, "storage", n % 60)), "{n}");
    }
    assert!(is_refused(&at(&mut state, "storage", 60)), "the second, in the next window");
    assert!(matches!(at(&mut state, "batch", 61), Answer::Admission(_)));
    let pause = Pause { at: NOW.plus(62_000), until: NOW.plus((62 + 3600) * 1000) };
    assert_eq!(at(&mut state, "batch", 62), Answer::Paused(pause), "the third, of another class");
    // Whatever it is that they ask for with a token, until it is over; then they begin anew.
    assert!(matches!(at(&mut state, "other", 63), Answer::Paused(_)));
    let enter = Command::Enter { class: "x".into(), limit: LimitClass::Storage.default_limit().into(), session: None };
    assert!(matches!(decide(&mut state, enter, NOW.plus(70_000)), Answer::Paused(_)));
    // Signing in and the pages are not concerned: whoever's token was stolen can end what the thief does with it.
    assert_eq!(decide(&mut state, Command::Check { held: held(0, "s") }, NOW.plus(70_000)), Answer::Holds);
    assert_eq!(decide(&mut state, Command::Issue { session: None }, NOW.plus(70_000)), Answer::Generation(0));
    assert!(matches!(at(&mut state, "other", 3662), Answer::Admission(_)));
    assert!(is_refused(&at(&mut state, "other", 3663)));
}

#[test]
fn limits_that_are_exceeded_now_and_then_are_put_up_with() {
    let mut state = None;
    decide(&mut state, hurried("storage", 60, 3), NOW);
    for n in 1..100 {
        let answer = decide(&mut state, hurried("storage", 60, 3), NOW.plus(n * 1_800_000));
        assert!(is_refused(&answer), "{n}: two in an hour are not three");
    }
    let mut never = None;
    for n in 0..100 {
        let answer = decide(&mut never, hurried("storage", 60, 0), NOW.plus(n * 60_000));
        assert!(matches!(answer, Answer::Admission(_)), "{n}: a patience of 0 has no end");
    }
}

#[test]
fn an_administrator_lets_in_again_who_was_suspended_by_limits() {
    let mut state = None;
    for _ in 0..2 {
        decide(&mut state, hurried("storage", 60, 1), NOW);
    }
    let other = || hurried("other", 60, 1);
    assert!(matches!(decide(&mut state, other(), NOW), Answer::Paused(_)));
    decide(&mut state, Command::Stand(Standing { version: 1, suspension: None }), NOW);
    assert!(matches!(decide(&mut state, other(), NOW), Answer::Admission(_)));
    // What an administrator says is told first.
    assert!(matches!(decide(&mut state, other(), NOW), Answer::Paused(_)));
    decide(&mut state, suspended(2, None), NOW);
    assert_eq!(decide(&mut state, other(), NOW), Answer::Suspended("{}".into()));
}

#[test]
fn whoever_is_refused_at_once_is_forgotten_in_time_too() {
    let limit = Limit { capacity: 0, burst: 0, window_s: 60, refill: 0 };
    let patience = Some(LimitClass::Violations.default_limit().into());
    let command = Command::Admit { class: "storage".into(), limit: limit.into(), held: Some(held(0, "s")), patience };
    let decision = Subject::decide(None, command, Context { now: NOW, random: [0; 16] });
    assert_eq!(decision.wake, Wake::At(NOW.plus(IDLE_MS)));
}
