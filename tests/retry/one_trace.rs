//! Attempts that share a trace.

use super::*;

#[test]
fn attempts_on_one_trace_do_not_overlap_either_and_never_answer_for_each_other() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let trace = stage.tenant.open_trace();
        let strategy = RetryStrategy {
            new_trace: false,
            ..RetryStrategy::default()
        };
        let task = by_attempt(json!([
            [append("first"), wait_at_gate(), {"output": {"value": "late"}}],
            [append("second"), wait_at_gate(), {"output": {"value": "right"}}],
        ]))
        .on_trace(trace.id().clone());
        let clock = async {
            stage.gate.arrived(1).await;
            hand.wait_for_pending(2).await;
            hand.advance(Duration::from_secs(30));
            stage.gate.arrived(2).await;
            assert_eq!(stage.gate.inside(), 1, "the first attempt still runs");
            stage.gate.open();
        };
        let (answer, ()) = tokio::join!(stage.tenant.run_with_retry(task, &strategy), clock);
        assert_eq!(answer.unwrap().output().unwrap()["value"], "right");
        // The first attempt's end, then the second; the trace is not stopped.
        assert_eq!(tap.types(), [Task, Error, Task, AgentOutput]);
        let traces: Vec<&TraceId> = tap.seen().iter().map(|signal| &signal.trace_id).collect();
        assert!(traces.iter().all(|one| *one == trace.id()));
        let Payload::Error(cancelled) = &tap.seen()[1].payload else {
            panic!()
        };
        assert_eq!(cancelled.code, "CANCELLED");
        // Whoever named the trace settles it: both attempts' writes.
        let acks = trace.stop(StopOptions::rollback()).await;
        assert_eq!(acks[0].compensated, 2);
        assert!(stage.memory.is_empty());
    });
}

#[test]
fn attempts_on_one_trace_that_nobody_named_share_a_fresh_one_that_is_committed() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let strategy = RetryStrategy {
            new_trace: false,
            ..patient()
        };
        let failing = json!([append("first"), {"fail": {"code": "F", "recoverable": true}}]);
        let task = by_attempt(json!([failing, [append("second")]]));
        let answer = stage.tenant.run_with_retry(task, &strategy).await.unwrap();
        assert!(answer.is_output());
        assert_eq!(tap.types(), [Task, Error, Task, AgentOutput]);
        let tasks = of_type(tap.seen(), Task);
        assert_eq!(tasks[0].trace_id, tasks[1].trace_id);
        assert_eq!(stage.memory.len(), 2);
        assert_eq!(stage.tenant.tenant().journal_held(), 0);
        common::until(|| stage.tenant.traces().is_empty()).await;
    });
}

#[test]
fn an_attempt_on_one_trace_has_ended_with_all_that_it_started() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let plan = json!({"emit": {"kind": "PLAN", "payload": {"steps": []}}});
        let child = common::told(json!([plan, wait_at_gate()]));
        let start = json!({"dispatch": {"neuron": "puppet", "input": child}});
        let here = json!({"dispatch": {"neuron": "puppet", "trace": "myself", "input": child}});
        let strategy = RetryStrategy {
            new_trace: false,
            ..patient()
        };
        for round in 0..20 {
            let first = json!([start, here, {"next": 0}, {"next": 1},
                {"fail": {"code": "F", "recoverable": true}}]);
            let task = by_attempt(json!([first, []]));
            let answer = stage.tenant.run_with_retry(task, &strategy).await;
            assert!(answer.unwrap().is_output());
            let started = tap.seen().iter().rposition(|signal| {
                signal.signal_type() == Task && signal.meta.get("attempt") == Some(&json!(1))
            });
            let before = &tap.seen()[..started.unwrap()];
            let tasks = of_type(before, Task).len();
            let replies = of_type(before, Error).len() + of_type(before, AgentOutput).len();
            assert_eq!(replies, tasks, "round {round}: the attempts overlapped");
        }
    });
}
