//! Scenarios 1, 2 and 4: a generator that does not answer.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde_json::json;

use super::{
    figures::Millis,
    report::Report,
    stage::{Stage, Stall, cannot, memory},
};
use crate::{
    cli::{Failed, silent::Silent},
    engram::Engram,
    neuron::Limits,
    orchestration::{
        Access, Answer, Dispatch, Neuron, Outcome, RetryError, RetryPolicy, RetryStrategy,
        StopOptions, Stopped, TenantHandle, WaitError,
    },
    signal::SignalType,
    synapse::{Delivery, SubscribeOptions},
    tenant::Quotas,
};

/// Of one attempt, as in the reference demo.
const ATTEMPT: Duration = Duration::from_millis(500);
const SHORT_ATTEMPT: Duration = Duration::from_millis(400);

/// How the generator of scenario 4 stalls.
pub(super) fn endless(stall: Option<Stall>) -> Stall {
    stall.unwrap_or(Stall::Spin)
}

/// A tenant with a generator that stalls for its first calls.
struct Cast {
    tenant: TenantHandle,
    /// Holds one entry for each call of the generator.
    calls: Arc<dyn Engram>,
    dispatch: Dispatch,
}

impl Cast {
    fn new(stage: &Stage, stall: Stall, stall_first: u32) -> Result<Self, Failed> {
        let tenant = stage.tenant("retry-demo", Quotas::default())?;
        let calls = memory(&tenant, "calls");
        let never = tenant.add_engram(Silent::new("never"));
        let generator = Neuron::new("generator", stage.plugin("generator")?)
            .bind("calls", Arc::clone(&calls), Access::ReadWrite)
            .bind("never", never, Access::Read)
            // Nothing but STOP ends a stalled attempt.
            .limits(Limits {
                fuel: u64::MAX,
                ..Limits::default()
            });
        tenant.register(generator);
        let dispatch = Dispatch::to_neuron("generator").input(json!({
            "question": "what is a Dendrite?",
            "stall_first": stall_first,
            "stall": stall.as_str(),
        }));
        Ok(Self {
            tenant,
            calls,
            dispatch,
        })
    }

    /// Says the answer and how often the generator was called.
    fn answered(&self, report: &mut Report, answer: &Answer) {
        let text = |key| answer.output().and_then(|output| output.get(key));
        let attempt = text("attempt").and_then(serde_json::Value::as_u64);
        let said = text("answer").and_then(serde_json::Value::as_str);
        let shown = said.unwrap_or_default();
        let number = attempt.unwrap_or_default();
        report.say(format_args!("-> answer on attempt {number}: {shown}"));
        let invoked = self.calls.len();
        report.say(format_args!("generator was invoked {invoked} times total"));
        report.fact("answer", shown);
        report.fact("answered_on_attempt", number);
        report.fact("invocations", invoked);
        let expected = Some("answer to 'what is a Dendrite?'");
        report.expect("the answer", expected, said);
        report.expect("the attempt that answers", Some(2), attempt);
        report.expect("the number of invocations", 2, invoked);
    }
}

/// The name that Cosmonapse has for how an attempt ended.
fn name_of(error: &WaitError) -> &'static str {
    match error {
        WaitError::Timeout { .. } => "TimeoutError",
        WaitError::Closed(_) => "PathwayClosed",
    }
}

fn name_of_outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Ok(_) => "ERROR",
        Err(error) => name_of(error),
    }
}

/// Scenario 1.
pub(super) fn survives(stage: &Stage, report: &mut Report) -> Result<(), Failed> {
    let cast = Cast::new(stage, stage.stall.unwrap_or(Stall::Sleep), 1)?;
    let stuck = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&stuck);
    let strategy = RetryStrategy {
        timeout: ATTEMPT,
        on_retry: Some(Arc::new(move |attempt, outcome| {
            noted.lock().push((attempt + 1, name_of_outcome(outcome)));
        })),
        ..RetryStrategy::default()
    };
    let answer = retry(stage, &cast, strategy).map_err(cannot)?;
    let stuck = std::mem::take(&mut *stuck.lock());
    for (attempt, why) in &stuck {
        report.say(format_args!(
            "attempt {attempt} stuck ({why}) -> STOP + re-dispatch on a fresh trace"
        ));
    }
    report.fact("stuck_attempts", json!(stuck));
    report.expect("the stuck attempts", vec![(1, "TimeoutError")], stuck);
    cast.answered(report, &answer);
    Ok(())
}

/// Scenario 2.
pub(super) fn gives_up(stage: &Stage, report: &mut Report) -> Result<(), Failed> {
    let cast = Cast::new(stage, stage.stall.unwrap_or(Stall::Sleep), u32::MAX)?;
    let mut signals = cast
        .tenant
        .observe(SubscribeOptions::default())
        .map_err(cannot)?;
    let strategy = RetryStrategy {
        policy: RetryPolicy {
            max_attempts: 2,
            ..RetryPolicy::immediate()
        },
        timeout: SHORT_ATTEMPT,
        ..RetryStrategy::default()
    };
    let raised = match retry(stage, &cast, strategy) {
        Err(RetryError::Exhausted { last, .. }) => name_of(&last),
        Err(other) => return Err(cannot(other)),
        Ok(_) => "nothing",
    };
    let invoked = cast.calls.len();
    let mut stopped = 0;
    while let Some(delivery) = signals.try_recv() {
        if let Delivery::Signal(signal) = delivery {
            stopped += usize::from(signal.signal_type() == SignalType::Stopped);
        }
    }
    let each = match stopped {
        all if all == invoked => "each STOPped".to_owned(),
        some => format!("{some} STOPped"),
    };
    report.say(format_args!(
        "raised {raised} after {invoked} invocations ({each})"
    ));
    report.fact("raised", raised);
    report.fact("invocations", invoked);
    report.fact("stopped", stopped);
    report.expect("what is raised", "TimeoutError", raised);
    report.expect("the number of invocations", 2, invoked);
    report.expect("the number of STOPped attempts", 2, stopped);
    Ok(())
}

fn retry(stage: &Stage, cast: &Cast, strategy: RetryStrategy) -> Result<Answer, RetryError> {
    let tenant = cast.tenant.clone();
    let dispatch = cast.dispatch.clone();
    let work = async move { tenant.run_with_retry(dispatch, &strategy).await };
    stage.host.run(work)
}

/// Scenario 4: the two attempts by hand, with a watch on STOP.
pub(super) fn measures_stop(stage: &Stage, report: &mut Report) -> Result<(), Failed> {
    let stall = endless(stage.stall);
    let cast = Cast::new(stage, stall, 1)?;
    let tenant = cast.tenant.clone();
    let dispatch = cast.dispatch.clone();
    let attempts = async move {
        let mut pathway = tenant.dispatch(dispatch.clone()).map_err(cannot)?;
        let first = pathway.wait(ATTEMPT).await;
        let stop = tenant.stop_trace(pathway.trace_id(), StopOptions::default());
        let watch = tenant.clock().stopwatch();
        let acks = stop.await;
        let took = watch.elapsed();
        let held = tenant.tenant().memory_held();
        let second = tenant.dispatch_and_wait(dispatch.attempt(1), ATTEMPT).await;
        let second = second.map_err(cannot)?;
        Ok::<_, Failed>((first, acks, Millis(took), held, second))
    };
    let (first, acks, took, held, second) = stage.host.run(attempts)?;
    let silent = matches!(first, Err(WaitError::Timeout { .. }));
    if silent {
        let (verb, limit) = (stall.verb(), ATTEMPT.as_millis());
        report.say(format_args!("attempt 1 {verb}: no reply within {limit} ms"));
    }
    let cancelled: u64 = acks.iter().map(|ack: &Stopped| ack.cancelled).sum();
    report.say(format_args!(
        "STOP -> stopped after {took}: {cancelled} task cancelled, {held} bytes of its memory held"
    ));
    report.fact("stall", stall.as_str());
    report.fact("stop_to_stopped_ms", took.value());
    report.fact("cancelled", cancelled);
    report.fact("memory_held_bytes", held);
    report.expect("the first attempt's silence", true, silent);
    report.expect("the number of cancelled tasks", 1, cancelled);
    report.expect("the memory that the stopped attempt holds", 0, held);
    cast.answered(report, &second);
    Ok(())
}
