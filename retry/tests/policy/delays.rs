//! How long to wait.

use super::*;

/// Without jitter, and with a cap that is out of the way.
fn plain(strategy: Strategy) -> RetryPolicy {
    RetryPolicy {
        strategy,
        base_delay: ms(100),
        max_delay: Duration::MAX,
        jitter_factor: 0.0,
        ..RetryPolicy::default()
    }
}

fn delays(policy: &RetryPolicy, unit: f64) -> [Duration; 4] {
    [1, 2, 3, 4].map(|attempt| policy.delay(attempt, || unit))
}

/// Numbers from `[0, 1)`, the same each time (xorshift64*).
fn units() -> impl FnMut() -> f64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let upper = u32::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32);
        f64::from(upper.unwrap()) / 4_294_967_296.0
    }
}

#[test]
fn a_constant_delay_is_the_base() {
    assert_eq!(delays(&plain(Strategy::Constant), 0.9), [ms(100); 4]);
}

#[test]
fn a_linear_delay_is_the_base_times_the_number_of_the_attempt() {
    let linear = [100, 200, 300, 400].map(ms);
    assert_eq!(delays(&plain(Strategy::Linear), 0.9), linear);
}

#[test]
fn an_exponential_delay_is_the_base_times_a_power_of_the_multiplier() {
    let doubling = [100, 200, 400, 800].map(ms);
    assert_eq!(delays(&plain(Strategy::Exponential), 0.9), doubling);
    let growing = |multiplier| RetryPolicy {
        multiplier,
        ..plain(Strategy::Exponential)
    };
    assert_eq!(delays(&growing(3.0), 0.9), [100, 300, 900, 2_700].map(ms));
    assert_eq!(delays(&growing(1.0), 0.9), [ms(100); 4]);
    assert_eq!(
        delays(&growing(0.5), 0.9),
        [100_000, 50_000, 25_000, 12_500].map(Duration::from_micros)
    );
    assert_eq!(delays(&growing(0.0), 0.9), [100, 0, 0, 0].map(ms));
}

#[test]
fn a_decorrelated_delay_is_uniform_from_the_base_to_three_times_it_whatever_was_before() {
    let policy = RetryPolicy {
        // It has no part in this strategy.
        jitter_factor: 0.5,
        ..plain(Strategy::DecorrelatedJitter)
    };
    assert_eq!(delays(&policy, 0.0), [ms(100); 4]);
    assert_eq!(delays(&policy, 0.5), [ms(200); 4]);
    let mut unit = units();
    let (mut shortest, mut longest, mut sum) = (Duration::MAX, Duration::ZERO, 0.0);
    for attempt in 1..=10_000 {
        let delay = policy.delay(attempt, &mut unit);
        assert!((ms(100)..ms(300)).contains(&delay), "{delay:?}");
        shortest = shortest.min(delay);
        longest = longest.max(delay);
        sum += delay.as_secs_f64();
    }
    assert!(shortest < ms(101) && longest > ms(299));
    assert!((sum / 10_000.0 - 0.2).abs() < 0.002, "{sum}");
}

#[test]
fn jitter_changes_a_delay_by_its_share_of_it_either_way() {
    for strategy in [Strategy::Constant, Strategy::Linear, Strategy::Exponential] {
        let jittered = RetryPolicy {
            jitter_factor: 0.5,
            ..plain(strategy)
        };
        for attempt in 1..=5 {
            let plain = plain(strategy).delay(attempt, || 0.0);
            assert_eq!(jittered.delay(attempt, || 0.0), plain / 2);
            assert_eq!(jittered.delay(attempt, || 0.5), plain);
            let mut unit = units();
            let mut sum = 0.0;
            for _ in 0..2_000 {
                let delay = jittered.delay(attempt, &mut unit);
                assert!((plain / 2..plain * 3 / 2).contains(&delay), "{delay:?}");
                sum += delay.as_secs_f64() / plain.as_secs_f64();
            }
            assert!((sum / 2_000.0 - 1.0).abs() < 0.02, "{sum}");
        }
    }
}

#[test]
fn jitter_of_the_whole_delay_spreads_it_from_nothing_to_twice_it() {
    let whole = RetryPolicy {
        jitter_factor: 1.0,
        ..plain(Strategy::Constant)
    };
    assert_eq!(whole.delay(1, || 0.0), Duration::ZERO);
    assert_eq!(whole.delay(1, || 0.75), ms(150));
}

#[test]
fn the_cap_comes_after_the_jitter_so_that_no_wait_is_longer() {
    let capped = RetryPolicy {
        max_delay: ms(120),
        jitter_factor: 0.5,
        ..plain(Strategy::Constant)
    };
    assert_eq!(capped.delay(1, || 0.99), ms(120));
    assert_eq!(capped.delay(1, || 0.0), ms(50));
    let below_base = RetryPolicy {
        base_delay: ms(1_000),
        max_delay: ms(500),
        ..RetryPolicy::default()
    };
    let mut unit = units();
    for strategy in STRATEGIES {
        let policy = RetryPolicy {
            strategy,
            ..below_base.clone()
        };
        for attempt in 1..100 {
            assert_eq!(policy.delay(attempt, &mut unit), ms(500), "{strategy:?}");
        }
    }
}

#[test]
fn a_base_or_a_cap_of_zero_never_waits() {
    let mut unit = units();
    for strategy in STRATEGIES {
        let eager = RetryPolicy {
            strategy,
            ..RetryPolicy::immediate()
        };
        let capped = RetryPolicy {
            strategy,
            max_delay: Duration::ZERO,
            ..RetryPolicy::default()
        };
        for attempt in [1, 2, 1_000, u32::MAX] {
            assert_eq!(eager.delay(attempt, &mut unit), Duration::ZERO);
            assert_eq!(capped.delay(attempt, &mut unit), Duration::ZERO);
        }
    }
}

#[test]
fn a_delay_beyond_all_numbers_is_the_cap_however_it_is_jittered() {
    for strategy in [Strategy::Linear, Strategy::Exponential] {
        let policy = RetryPolicy {
            strategy,
            base_delay: Duration::MAX,
            ..RetryPolicy::default()
        };
        assert_eq!(policy.delay(9, || 0.5), policy.max_delay);
    }
    // 2^1999 is beyond a float: a share of it, off or on, would be no number.
    let long = RetryPolicy::default();
    for unit in [0.0, 0.25, 0.5, 0.75] {
        assert_eq!(long.delay(2_000, || unit), long.max_delay);
        assert_eq!(long.delay(u32::MAX, || unit), long.max_delay);
    }
    let unbounded = RetryPolicy {
        max_delay: Duration::MAX,
        ..RetryPolicy::default()
    };
    assert_eq!(unbounded.delay(2_000, || 0.0), Duration::MAX);
}

#[test]
fn what_is_no_number_is_the_cap_and_what_is_negative_is_no_wait() {
    let with = |multiplier, jitter_factor| RetryPolicy {
        multiplier,
        jitter_factor,
        ..RetryPolicy::default()
    };
    let cap = RetryPolicy::default().max_delay;
    assert_eq!(with(f64::NAN, 0.1).delay(2, || 0.3), cap);
    assert_eq!(with(f64::INFINITY, 0.1).delay(2, || 0.3), cap);
    assert_eq!(with(-2.0, 0.0).delay(2, || 0.3), Duration::ZERO);
    assert_eq!(
        with(f64::NEG_INFINITY, 0.0).delay(2, || 0.3),
        Duration::ZERO
    );
    assert_eq!(with(2.0, f64::INFINITY).delay(1, || 0.5), cap);
    assert_eq!(with(2.0, 3.0).delay(1, || 0.0), Duration::ZERO);
    // Not negative, nor a number: no jitter.
    assert_eq!(with(2.0, f64::NAN).delay(1, || 0.3), SECOND);
    assert_eq!(with(2.0, -0.5).delay(1, || 0.3), SECOND);
    // A source of randomness that is broken.
    for strategy in STRATEGIES {
        let policy = RetryPolicy {
            strategy,
            ..RetryPolicy::default()
        };
        for unit in [f64::NAN, f64::INFINITY] {
            assert_eq!(policy.delay(1, || unit), cap, "{strategy:?}");
        }
        assert_eq!(policy.delay(1, || -1e9), Duration::ZERO, "{strategy:?}");
    }
}

#[test]
fn attempts_count_from_1_and_0_is_taken_for_it() {
    for strategy in STRATEGIES {
        let policy = plain(strategy);
        assert_eq!(policy.delay(0, || 0.3), policy.delay(1, || 0.3));
    }
}

#[test]
fn chance_is_asked_once_and_only_where_it_has_a_part() {
    let draws = |policy: &RetryPolicy| {
        let mut draws = 0;
        let delay = policy.delay(2, || {
            draws += 1;
            0.5
        });
        assert!(delay <= policy.max_delay);
        draws
    };
    for strategy in [Strategy::Constant, Strategy::Linear, Strategy::Exponential] {
        assert_eq!(draws(&plain(strategy)), 0);
        let jittered = RetryPolicy {
            jitter_factor: 0.1,
            ..plain(strategy)
        };
        assert_eq!(draws(&jittered), 1);
    }
    assert_eq!(draws(&plain(Strategy::DecorrelatedJitter)), 1);
    assert_eq!(draws(&RetryPolicy::immediate()), 0);
}

#[test]
fn every_delay_of_every_valid_policy_is_within_its_cap() {
    let mut unit = units();
    for round in 0..20_000 {
        let policy = RetryPolicy {
            strategy: STRATEGIES.into_iter().nth(round % 4).unwrap(),
            base_delay: Duration::from_secs_f64((unit() * 80.0).exp2() / 1e6),
            max_delay: Duration::from_secs_f64((unit() * 80.0).exp2() / 1e6),
            multiplier: (unit() * 2_000.0 - 900.0).exp2(),
            jitter_factor: unit(),
            ..RetryPolicy::default()
        };
        if policy.validate().is_err() {
            continue;
        }
        let attempt = 1 + u32::try_from(round / 4).unwrap();
        let delay = policy.delay(attempt, &mut unit);
        assert!(delay <= policy.max_delay, "{policy:?}: {delay:?}");
    }
}
