//! Whether to try again.

use super::*;

const NOT_RETRIED: Decision = Decision::GiveUp(GiveUp::NotRetried);
const ABORT_ON: Decision = Decision::GiveUp(GiveUp::AbortOn);
const EXHAUSTED: Decision = Decision::GiveUp(GiveUp::Exhausted);
const AT_ONCE: Decision = Decision::Retry {
    after: Duration::ZERO,
};

fn with(retry_on: Option<Vec<String>>, abort_on: Option<Vec<String>>) -> RetryPolicy {
    RetryPolicy {
        retry_on,
        abort_on,
        ..RetryPolicy::immediate()
    }
}

fn first(policy: &RetryPolicy, code: &'static str, recoverable: bool) -> Decision {
    policy.decide(1, &Failure(code, recoverable), || 0.5)
}

#[test]
fn attempts_end_with_the_last_and_its_number_counts_from_1() {
    let policy = RetryPolicy {
        jitter_factor: 0.0,
        ..RetryPolicy::default()
    };
    let failure = Failure("FLAKY", true);
    let decisions = [1, 2, 3, 4, u32::MAX].map(|attempt| policy.decide(attempt, &failure, || 0.5));
    let after = |after| Decision::Retry { after };
    assert_eq!(
        decisions,
        [
            after(SECOND),
            after(2 * SECOND),
            EXHAUSTED,
            EXHAUSTED,
            EXHAUSTED
        ]
    );
    let once = RetryPolicy {
        max_attempts: 1,
        ..policy
    };
    assert_eq!(once.decide(1, &failure, || 0.5), EXHAUSTED);
}

#[test]
fn without_lists_a_failure_is_retried_when_it_is_recoverable() {
    let policy = RetryPolicy::immediate();
    assert_eq!(first(&policy, "FLAKY", true), AT_ONCE);
    assert_eq!(first(&policy, "NEURON_TRAP", false), NOT_RETRIED);
}

#[test]
fn with_retry_on_only_what_it_names_is_retried_recoverable_or_not() {
    let policy = with(words(&["FLAKY", "RATE_LIMITED"]), None);
    for recoverable in [true, false] {
        assert_eq!(first(&policy, "FLAKY", recoverable), AT_ONCE);
        assert_eq!(first(&policy, "RATE_LIMITED", recoverable), AT_ONCE);
        for other in ["flaky", "FLAKY_", "FLAK", "", "TIMEOUT"] {
            assert_eq!(first(&policy, other, recoverable), NOT_RETRIED, "{other}");
        }
    }
}

#[test]
fn an_empty_retry_on_retries_nothing_and_an_empty_abort_on_aborts_nothing() {
    assert_eq!(first(&with(words(&[]), None), "FLAKY", true), NOT_RETRIED);
    assert_eq!(first(&with(None, words(&[])), "FLAKY", true), AT_ONCE);
}

#[test]
fn abort_on_wins_over_retry_on_and_over_recoverable() {
    let policy = with(words(&["FLAKY", "QUOTA"]), words(&["QUOTA"]));
    assert_eq!(first(&policy, "FLAKY", true), AT_ONCE);
    assert_eq!(first(&policy, "QUOTA", true), ABORT_ON);
    assert_eq!(
        first(&with(None, words(&["QUOTA"])), "QUOTA", true),
        ABORT_ON
    );
    assert_eq!(
        first(&with(words(&["any"]), words(&["any"])), "X", true),
        ABORT_ON
    );
}

#[test]
fn what_a_list_refuses_is_refused_for_that_reason_on_the_last_attempt_too() {
    let policy = with(words(&["FLAKY"]), words(&["QUOTA"]));
    let last = |code| policy.decide(3, &Failure(code, true), || 0.5);
    assert_eq!(last("FLAKY"), EXHAUSTED);
    assert_eq!(last("QUOTA"), ABORT_ON);
    assert_eq!(last("OTHER"), NOT_RETRIED);
}

#[test]
fn class_words_name_failures_by_what_they_are() {
    let named = |word: &str, code: &'static str, recoverable| {
        let policy = with(words(&[word]), None);
        first(&policy, code, recoverable) == AT_ONCE
    };
    assert!(named("any", "NEURON_TRAP", false) && named("any", "", true));
    assert!(named("recoverable", "ANYTHING", true));
    assert!(!named("recoverable", "ANYTHING", false));
    for code in [
        "TIMEOUT",
        "NEURON_DEADLINE",
        "ENGRAM_TIMEOUT",
        "HTTP_TIMEOUT",
        "DEADLINE",
    ] {
        assert!(named("timeout", code, false), "{code}");
    }
    for code in [
        "TIMEOUTS",
        "TIMEOUT_SETTING",
        "NOTIMEOUT",
        "CLOSED",
        "Timeout",
        "",
    ] {
        assert!(!named("timeout", code, true), "{code}");
    }
    assert!(named("closed", "CLOSED", false) && named("closed", "SOCKET_CLOSED", false));
    assert!(!named("closed", "DISCLOSED", true) && !named("closed", "CLOSED_DOOR", true));
    // A code that is spelled like a class word is found by its letters.
    assert!(named("closed", "closed", false) && named("timeout", "timeout", false));
}

#[test]
fn class_words_and_codes_mix_and_say_what_to_abort_on_too() {
    let policy = with(
        words(&["timeout", "FLAKY"]),
        words(&["ENGRAM_TIMEOUT", "closed"]),
    );
    assert_eq!(first(&policy, "NEURON_DEADLINE", true), AT_ONCE);
    assert_eq!(first(&policy, "FLAKY", false), AT_ONCE);
    assert_eq!(first(&policy, "ENGRAM_TIMEOUT", true), ABORT_ON);
    assert_eq!(first(&policy, "CLOSED", true), ABORT_ON);
    assert_eq!(first(&policy, "OTHER", true), NOT_RETRIED);
}

#[test]
fn an_end_that_a_call_reports_as_an_abort_of_its_own_is_a_failure_like_any_other() {
    assert_eq!(first(&RetryPolicy::immediate(), "ABORTED", true), AT_ONCE);
    assert_eq!(
        first(&with(words(&["any"]), None), "CANCELLED", false),
        AT_ONCE
    );
}

#[test]
fn what_is_to_be_retried_whatever_the_lists_say_ends_with_the_attempts_only() {
    let policy = with(words(&[]), words(&["any"]));
    let again = [1, 2, 3].map(|attempt| policy.again(attempt, || 0.5));
    assert_eq!(again, [AT_ONCE, AT_ONCE, EXHAUSTED]);
}

#[test]
fn no_chance_is_drawn_where_there_is_no_wait_to_come() {
    let policy = RetryPolicy {
        abort_on: words(&["QUOTA"]),
        ..RetryPolicy::default()
    };
    let draws = |attempt, failure: Failure| {
        let mut draws = 0;
        policy.decide(attempt, &failure, || {
            draws += 1;
            0.5
        });
        draws
    };
    assert_eq!(draws(1, Failure("FLAKY", true)), 1);
    assert_eq!(draws(1, Failure("TRAP", false)), 0);
    assert_eq!(draws(1, Failure("QUOTA", true)), 0);
    assert_eq!(draws(3, Failure("FLAKY", true)), 0);
}

#[test]
fn a_failure_behind_references_is_the_same_failure() {
    let failure = Failure("FLAKY", true);
    let dynamic: &dyn Failed = &failure;
    let policy = RetryPolicy::immediate();
    assert_eq!(policy.decide(1, dynamic, || 0.5), AT_ONCE);
    assert_eq!(policy.decide(1, &&failure, || 0.5), AT_ONCE);
}
