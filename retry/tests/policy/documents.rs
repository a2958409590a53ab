//! Policies as JSON.

use serde_json::{Value, json};

use super::*;

fn read(value: Value) -> RetryPolicy {
    let read = serde_json::from_str(&value.to_string()).unwrap();
    assert_eq!(serde_json::from_value::<RetryPolicy>(value).unwrap(), read);
    read
}

fn refusal(text: &str) -> String {
    let refused = serde_json::from_str::<RetryPolicy>(text);
    let told = refused.unwrap_err().to_string();
    told.split(" at line").next().unwrap().to_owned()
}

#[test]
fn every_key_is_optional_and_has_the_references_default() {
    assert_eq!(read(json!({})), RetryPolicy::default());
    let nulls = json!({"retryOn": null, "abortOn": null});
    assert_eq!(read(nulls), RetryPolicy::default());
}

#[test]
fn every_key_is_in_camel_case_and_delays_are_milliseconds() {
    let policy = read(json!({
        "maxAttempts": 2, "strategy": "constant", "baseDelay": 500, "maxDelay": 1500.5,
        "multiplier": 3, "jitterFactor": 0, "retryOn": ["timeout", "FLAKY"], "abortOn": [],
    }));
    assert_eq!(
        policy,
        RetryPolicy {
            max_attempts: 2,
            strategy: Strategy::Constant,
            base_delay: ms(500),
            max_delay: Duration::from_micros(1_500_500),
            multiplier: 3.0,
            jitter_factor: 0.0,
            retry_on: words(&["timeout", "FLAKY"]),
            abort_on: words(&[]),
        }
    );
}

#[test]
fn the_strategies_have_the_references_names() {
    let names = ["constant", "linear", "exponential", "decorrelated-jitter"];
    for (strategy, name) in STRATEGIES.into_iter().zip(names) {
        assert_eq!(read(json!({"strategy": name})).strategy, strategy);
        assert_eq!(serde_json::to_value(strategy).unwrap(), json!(name));
    }
}

#[test]
fn what_is_written_is_read_as_the_same_policy() {
    let written = serde_json::to_value(RetryPolicy::default()).unwrap();
    assert_eq!(
        written,
        json!({
            "maxAttempts": 3, "strategy": "exponential", "baseDelay": 1000, "maxDelay": 30000,
            "multiplier": 2.0, "jitterFactor": 0.1, "retryOn": null, "abortOn": null,
        })
    );
    for delay in [
        Duration::ZERO,
        Duration::from_micros(500),
        // The longest that every reader of JSON numbers keeps to the millisecond.
        ms(1 << 53),
        Duration::MAX,
    ] {
        let policy = RetryPolicy {
            base_delay: delay,
            max_delay: delay,
            retry_on: words(&["any"]),
            abort_on: words(&["A", "B"]),
            ..RetryPolicy::default()
        };
        assert_eq!(read(serde_json::to_value(&policy).unwrap()), policy);
    }
}

#[test]
fn an_unknown_key_or_strategy_is_refused() {
    assert_eq!(
        refusal(r#"{"max_attempts": 2}"#),
        "unknown field `max_attempts`, expected one of `maxAttempts`, `strategy`, `baseDelay`, \
         `maxDelay`, `multiplier`, `jitterFactor`, `retryOn`, `abortOn`"
    );
    assert_eq!(
        refusal(r#"{"strategy": "fibonacci"}"#),
        "unknown variant `fibonacci`, expected one of `constant`, `linear`, `exponential`, \
         `decorrelated-jitter`"
    );
}

#[test]
fn a_key_given_twice_is_refused() {
    assert_eq!(
        refusal(r#"{"baseDelay": 1, "baseDelay": 2}"#),
        "duplicate field `baseDelay`"
    );
}

#[test]
fn attempts_are_counted_in_whole_numbers_that_are_not_negative() {
    for wrong in ["1.5", "-1", "\"3\"", "null"] {
        let told = refusal(&format!("{{\"maxAttempts\": {wrong}}}"));
        assert!(told.contains("expected u32"), "{told}");
    }
    // 0 can be written: `validate` tells it with all else that is wrong.
    assert_eq!(read(json!({"maxAttempts": 0})).max_attempts, 0);
}

#[test]
fn a_delay_is_a_number_that_is_not_negative() {
    for (wrong, what) in [
        ("-1", "invalid value: integer `-1`"),
        ("-0.5", "invalid value: floating point `-0.5`"),
        ("\"1s\"", "invalid type: string \"1s\""),
        ("null", "invalid type: null"),
    ] {
        for key in ["baseDelay", "maxDelay"] {
            assert_eq!(
                refusal(&format!("{{\"{key}\": {wrong}}}")),
                format!("{what}, expected a number of milliseconds, 0 or more")
            );
        }
    }
    assert_eq!(read(json!({"baseDelay": -0.0})).base_delay, Duration::ZERO);
    assert_eq!(read(json!({"maxDelay": 1e300})).max_delay, Duration::MAX);
}

#[test]
fn what_makes_no_sense_is_read_and_told_whole_by_validate() {
    let policy = read(json!({"maxAttempts": 0, "multiplier": -2, "retryOn": [""]}));
    let InvalidPolicy { problems } = policy.validate().unwrap_err();
    let paths: Vec<_> = problems.iter().map(Problem::path).collect();
    assert_eq!(paths, ["maxAttempts", "multiplier", "retryOn.0"]);
}
