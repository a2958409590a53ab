//! Policies that make no sense.

use super::*;

fn told(policy: &RetryPolicy) -> String {
    policy.validate().unwrap_err().to_string()
}

#[test]
fn no_attempt_at_all_is_refused_and_one_is_enough() {
    let attempts = |max_attempts| RetryPolicy {
        max_attempts,
        ..RetryPolicy::default()
    };
    assert_eq!(
        told(&attempts(0)),
        "the retry policy is invalid: maxAttempts: 0 attempts make no call; use 1 or more"
    );
    assert_eq!(attempts(1).validate(), Ok(()));
    assert_eq!(attempts(u32::MAX).validate(), Ok(()));
}

#[test]
fn a_multiplier_is_finite_and_not_negative() {
    let multiplier = |multiplier| RetryPolicy {
        multiplier,
        ..RetryPolicy::default()
    };
    for (wrong, text) in [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (-0.5, "-0.5"),
    ] {
        assert_eq!(
            told(&multiplier(wrong)),
            format!(
                "the retry policy is invalid: multiplier: {text} is no growth; use a finite \
                 number, 0 or more"
            )
        );
    }
    for fine in [0.0, 0.5, 1.0, 2.0, f64::MAX] {
        assert_eq!(multiplier(fine).validate(), Ok(()));
    }
}

#[test]
fn a_jitter_factor_is_a_share() {
    let jitter = |jitter_factor| RetryPolicy {
        jitter_factor,
        ..RetryPolicy::default()
    };
    for (wrong, text) in [
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
        (-0.1, "-0.1"),
        (1.5, "1.5"),
    ] {
        assert_eq!(
            told(&jitter(wrong)),
            format!(
                "the retry policy is invalid: jitterFactor: {text} is no share of a wait; use a \
                 number from 0 to 1"
            )
        );
    }
    for fine in [0.0, 0.1, 1.0] {
        assert_eq!(jitter(fine).validate(), Ok(()));
    }
}

#[test]
fn delays_are_whatever_a_duration_holds_and_the_base_may_be_beyond_the_cap() {
    for (base_delay, max_delay) in [
        (Duration::ZERO, Duration::ZERO),
        (Duration::MAX, Duration::ZERO),
        (Duration::from_nanos(1), Duration::MAX),
    ] {
        let policy = RetryPolicy {
            base_delay,
            max_delay,
            ..RetryPolicy::default()
        };
        assert_eq!(policy.validate(), Ok(()));
    }
}

#[test]
fn every_problem_is_told_at_once_with_its_place() {
    let policy = RetryPolicy {
        max_attempts: 0,
        multiplier: -1.0,
        jitter_factor: 2.0,
        retry_on: words(&["FLAKY", "", "timeout"]),
        abort_on: words(&[" QUOTA", "own code", "QUOTA"]),
        ..RetryPolicy::default()
    };
    let InvalidPolicy { problems } = policy.validate().unwrap_err();
    assert_eq!(
        problems,
        [
            Problem::NoAttempts,
            Problem::Multiplier(-1.0),
            Problem::JitterFactor(2.0),
            Problem::RetryOn(1),
            Problem::AbortOn(0),
        ]
    );
    let paths: Vec<_> = problems.iter().map(Problem::path).collect();
    assert_eq!(
        paths,
        [
            "maxAttempts",
            "multiplier",
            "jitterFactor",
            "retryOn.1",
            "abortOn.0"
        ]
    );
    let codes = RetryPolicy {
        max_attempts: 1,
        multiplier: 1.0,
        jitter_factor: 0.0,
        ..policy
    };
    assert_eq!(
        told(&codes),
        "the retry policy is invalid: retryOn.1: this names no failure; use a code or a class \
         word without spaces around it; abortOn.0: this names no failure; use a code or a class \
         word without spaces around it"
    );
}

#[test]
fn empty_lists_make_sense() {
    let policy = RetryPolicy {
        retry_on: words(&[]),
        abort_on: words(&[]),
        ..RetryPolicy::default()
    };
    assert_eq!(policy.validate(), Ok(()));
}
