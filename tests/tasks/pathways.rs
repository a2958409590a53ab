//! The caller's end of a task.

use super::*;

#[test]
fn in_terminal_scope_a_pathway_shows_only_what_ends_the_task() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let plan = json!({"emit": {"kind": "PLAN", "payload": {"steps": []}}});
        let mut terminal = stage
            .tenant
            .dispatch(puppet(json!([plan])).terminal())
            .unwrap();
        let mut all = stage.tenant.dispatch(puppet(json!([plan]))).unwrap();
        let outputs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&outputs);
        terminal.on(SignalType::AgentOutput, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let mut shown = (Vec::new(), Vec::new());
        while let Some(signal) = terminal.next().await {
            shown.0.push(signal.signal_type());
        }
        while let Some(signal) = all.next().await {
            shown.1.push(signal.signal_type());
        }
        assert_eq!(shown.0, [SignalType::Final]);
        assert_eq!(outputs.load(Ordering::SeqCst), 1, "callbacks see them all");
        assert_eq!(shown.1, [SignalType::Plan, SignalType::AgentOutput]);
    });
}

#[test]
fn a_pathway_streams_calls_back_and_is_awaited() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let plan = json!({"emit": {"kind": "PLAN", "payload": {"steps": []}}});
        let steps = json!([plan, plan, plan, wait_at_gate()]);
        let mut pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        pathway.on(SignalType::Plan, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let first = pathway.next().await.unwrap();
        assert_eq!(first.signal_type(), SignalType::Plan);
        assert_eq!(first.parent_id.as_ref(), Some(pathway.task_id()));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        stage.gate.open();
        assert!(pathway.wait(LONG).await.unwrap().is_output());
        assert_eq!(calls.load(Ordering::SeqCst), 3);
        // A reply that was awaited is there for every later wait.
        assert!(pathway.wait(Duration::ZERO).await.unwrap().is_output());
        assert!(pathway.next().await.is_none());
        assert_eq!(pathway.lost(), 0);
    });
}

#[test]
fn a_pathway_that_nobody_reads_keeps_the_latest_signals_and_counts_the_rest() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let plan = json!({"emit": {"kind": "PLAN", "payload": {"steps": []}}});
        let steps =
            json!([{"repeat": {"times": 2_000, "steps": [plan]}}, {"output": {"value": 1}}]);
        let mut pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        let answer = pathway.wait(LONG).await.unwrap();
        assert!(answer.is_output());
        let mut read = 0;
        let mut last = None;
        while let Some(signal) = pathway.next().await {
            read += 1;
            last = Some(signal.signal_type());
        }
        assert_eq!(read + pathway.lost(), 2_001);
        assert_eq!(last, Some(SignalType::AgentOutput));
    });
}

#[test]
fn closing_a_pathway_ends_its_waits_and_not_the_task() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let steps = json!([wait_at_gate(), append("done")]);
        let mut pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        stage.gate.arrived(1).await;
        pathway.close();
        let trace = pathway.trace_id().clone();
        let closed = pathway.wait(LONG).await.unwrap_err();
        assert_eq!(closed, WaitError::Closed(trace.clone()));
        assert_eq!(
            closed.to_string(),
            format!("the pathway on {trace} was closed before a reply")
        );
        assert!(pathway.next().await.is_none());
        stage.gate.open();
        common::until(|| stage.memory.len() == 1).await;
    });
}

#[test]
fn a_reply_that_was_there_before_the_pathway_closed_is_still_returned() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let trace = stage.tenant.open_trace();
        let task = puppet(json!([])).on_trace(trace.id().clone());
        let mut pathway = stage.tenant.dispatch(task).unwrap();
        tap.next(SignalType::AgentOutput).await;
        common::until(|| host_is_idle(&stage)).await;
        pathway.close();
        assert!(pathway.wait(LONG).await.unwrap().is_output());
    });
}

/// Nothing of the tenant holds memory: no instance of it lives.
fn host_is_idle(stage: &Stage) -> bool {
    stage.tenant.tenant().memory_held() == 0
}

#[test]
fn another_tasks_reply_on_the_same_trace_never_answers_this_wait() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let trace = stage.tenant.open_trace();
        let on_it = |steps| puppet(steps).on_trace(trace.id().clone());
        let steps = json!([wait_at_gate(), {"output": {"value": "slow"}}]);
        let mut slow = stage.tenant.dispatch(on_it(steps)).unwrap();
        stage.gate.arrived(1).await;
        for steps in [
            json!([{"output": {"value": "fast"}}]),
            json!([{"fail": {"code": "FAST"}}]),
            json!([{"clarify": {"question": "fast?"}}]),
        ] {
            drop(
                stage
                    .tenant
                    .dispatch_and_wait(on_it(steps), LONG)
                    .await
                    .unwrap(),
            );
        }
        let fast = on_it(json!([{"output": {"value": "last word"}}])).terminal();
        let last = stage.tenant.dispatch_and_wait(fast, LONG).await.unwrap();
        assert_eq!(last.signal.signal_type(), SignalType::Final);
        let waited = slow.wait(Duration::ZERO).await.unwrap_err();
        assert!(matches!(waited, WaitError::Timeout { .. }));
        stage.gate.open();
        let answer = slow.wait(LONG).await.unwrap();
        assert_eq!(answer.output().unwrap()["value"], "slow");
        assert_eq!(answer.signal.parent_id.as_ref(), Some(slow.task_id()));
    });
}

#[test]
fn a_wait_that_times_out_names_the_trace_and_leaves_the_task_running() {
    let (host, hand) = common::virtual_host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let steps = json!([wait_at_gate(), append("done")]);
        let mut pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        stage.gate.arrived(1).await;
        let wait = async {
            // The task's own deadline waits too.
            hand.wait_for_pending(2).await;
            hand.advance(Duration::from_secs(2));
        };
        let (waited, ()) = tokio::join!(pathway.wait(Duration::from_secs(2)), wait);
        let error = waited.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no reply on {} within 2000 ms", pathway.trace_id())
        );
        stage.gate.open();
        assert!(pathway.wait(LONG).await.unwrap().is_output());
        assert_eq!(stage.memory.len(), 1);
    });
}

#[test]
fn dispatch_and_wait_names_the_trace_to_stop_when_it_times_out() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let task = puppet(json!([append("half"), wait_at_gate()]));
        let call = stage.tenant.dispatch_and_wait(task, Duration::ZERO);
        let Err(CallError::Wait(WaitError::Timeout { trace, .. })) = call.await else {
            panic!("no timeout")
        };
        stage.gate.arrived(1).await;
        let acks = stage
            .tenant
            .stop_trace(&trace, StopOptions::rollback())
            .await;
        assert_eq!((acks[0].cancelled, acks[0].compensated), (1, 1));
        assert!(stage.memory.is_empty());
    });
}
