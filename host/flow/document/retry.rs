//! The schema of a retry policy, which its own crate does not carry.

use schemars::JsonSchema;
use serde::Deserialize;
use soma_retry::Strategy;

/// Whether and when a node is tried again (reference: dagonizer, section 1.3).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct Form {
    /// Attempts, the first included; 3 unless said.
    #[serde(default)]
    #[schemars(range(min = 1))]
    max_attempts: Option<u32>,
    /// How waits grow; exponentially unless said.
    #[serde(default)]
    #[schemars(with = "Option<StrategyForm>")]
    strategy: Option<Strategy>,
    /// Milliseconds that the strategy starts from; 1000 unless said.
    #[serde(default)]
    #[schemars(range(min = 0))]
    base_delay: Option<f64>,
    /// Milliseconds that one wait takes at most; 30000 unless said.
    #[serde(default)]
    #[schemars(range(min = 0))]
    max_delay: Option<f64>,
    /// Growth of exponential waits; 2 unless said.
    #[serde(default)]
    #[schemars(range(min = 0))]
    multiplier: Option<f64>,
    /// By which share of itself a wait may change either way; 0.1 unless said.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    jitter_factor: Option<f64>,
    /// Codes or classes of failures to try again after; those that are
    /// recoverable unless said.
    #[serde(default)]
    retry_on: Option<Vec<String>>,
    /// Codes or classes of failures that end the attempts.
    #[serde(default)]
    abort_on: Option<Vec<String>>,
}

/// How waits grow.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
enum StrategyForm {
    /// The base.
    Constant,
    /// The base times the number of the attempt that failed.
    Linear,
    /// The base times the multiplier to the power of the attempts before.
    Exponential,
    /// Anything from the base to three times the base.
    DecorrelatedJitter,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::BTreeSet;

    use serde_json::{Value, to_value};
    use soma_retry::RetryPolicy;

    use super::*;
    use crate::package::schema_of;

    fn keys(object: &Value) -> BTreeSet<&String> {
        object.as_object().unwrap().keys().collect()
    }

    #[test]
    fn the_schema_has_the_keys_of_a_policy() {
        let schema = schema_of::<Form>();
        let policy = to_value(RetryPolicy::default()).unwrap();
        let properties = schema.get("properties").unwrap();
        assert_eq!(keys(properties), keys(&policy));
    }
}
