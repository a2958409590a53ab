//! A tenant that is removed, and what becomes of its handles.

use std::sync::Arc;

use futures_util::FutureExt;
use soma::{
    flow::{Dag, Flow, Nodes, RunOptions, document::Single},
    neuron::Plugin,
    orchestration::{RetryStrategy, Stopped},
    synapse::SubscribeOptions,
};

use super::*;

const REMOVED: &str = "tenant `acme` was removed from this host";

/// Everything that a handle can be used for is refused or does nothing.
async fn is_refused(stage: &Stage, plugin: &Arc<Plugin>) {
    let tenant = &stage.tenant;
    let task = || puppet(json!([append("late")]));
    assert_eq!(
        tenant.dispatch(task()).unwrap_err(),
        DispatchError::Removed("acme".into())
    );
    let asked = tenant.dispatch_and_wait(task(), LONG).await;
    assert_eq!(asked.unwrap_err().to_string(), REMOVED);
    let strategy = RetryStrategy {
        new_trace: false,
        ..RetryStrategy::default()
    };
    let retried = tenant.run_with_retry(task(), &strategy).await;
    assert_eq!(retried.unwrap_err().to_string(), REMOVED);
    let trace = tenant.open_trace();
    let on_it = task().on_trace(trace.id().clone());
    assert_eq!(tenant.dispatch(on_it).unwrap_err().to_string(), REMOVED);
    assert!(trace.stop(StopOptions::rollback()).await.is_empty());
    let unheard = tenant.observe(SubscribeOptions::default());
    assert_eq!(unheard.unwrap_err().to_string(), REMOVED);
    let one = Single::new("one", "puppet").end("success");
    let dag = Dag::builder("late", "1").place(one).build();
    let flow = Flow::new(&[dag], &Nodes::new().or_any_neuron()).unwrap();
    let state = json!({"do": []}).as_object().unwrap().clone();
    let ran = flow.run(tenant, state, RunOptions::default()).await;
    let cause = ran.error.unwrap().to_string();
    assert!(cause.ends_with(REMOVED), "{cause}");
    assert!(tenant.traces().is_empty() && tenant.neurons().is_empty());
    // What is brought to it afterwards changes nothing.
    tenant.register(stage.puppet("puppet", Arc::clone(plugin)));
    common::memory(tenant, "more");
    assert!(tenant.tenant().engram_ids().is_empty());
    assert!(tenant.dispatch(task()).is_err());
}

/// A step that writes to the gate.
fn write_to_gate() -> Value {
    json!({"write": {"to": "gate", "op": "append", "content": "held"}})
}

#[test]
fn a_removed_tenant_has_ended_all_it_did_and_its_handles_are_refused_in_words() {
    let host = Arc::new(host());
    let quotas = Quotas {
        concurrent_tasks: 2,
        ..Quotas::default()
    };
    let stage = Stage::with_quotas(&host, "acme", quotas);
    let other = Stage::new(&host, "other");
    stage.hostile(&host, "spin", unlimited());
    let plugin = common::plugin(&host, "puppet");
    let mut tap = Tap::on(&stage.tenant);
    let used = Arc::clone(&host);
    run(&host, async move {
        // One that has failed and could be undone, two that run, two that wait.
        let failed = ask(&stage, json!([append("a"), {"fail": {"code": "F"}}])).await;
        assert!(failed.is_error());
        let spin = || stage.tenant.dispatch(Dispatch::to_neuron("spin")).unwrap();
        let mut tasks = vec![start(&stage, json!([append("b"), wait_at_gate()])), spin()];
        stage.gate.arrived(1).await;
        tasks.extend([start(&stage, json!([append("c")])), spin()]);
        let open = stage.tenant.open_trace();
        let own = start(&other, json!([append("other"), wait_at_gate()]));
        other.gate.arrived(1).await;

        let stopped = used.remove_tenant("acme", StopOptions::rollback()).await;
        let stopped = stopped.unwrap();
        let sum = |of: fn(&Stopped) -> u64| stopped.iter().map(of).sum::<u64>();
        assert_eq!(sum(|ack| ack.cancelled), 4);
        assert_eq!(sum(|ack| ack.compensated), 2);
        assert_eq!(stopped.len(), 6, "{stopped:?}");
        assert!(stopped.iter().all(|ack| ack.rolled_back), "{stopped:?}");
        let held = stage.tenant.tenant();
        assert_eq!((held.memory_held(), held.inputs_held()), (0, 0));
        assert_eq!((held.journal_held(), stage.memory.len()), (0, 0));
        assert_eq!(stage.gate.inside(), 0);
        for task in &mut tasks {
            assert!(task.wait(LONG).await.is_err());
        }
        let last = tap.types().len();
        open.commit().await;
        is_refused(&stage, &plugin).await;
        assert_eq!(tap.types().len(), last, "a signal after the removal");

        assert!(used.tenant("acme").is_none());
        let again = used.remove_tenant("acme", StopOptions::default()).await;
        assert_eq!(again.unwrap_err().to_string(), "there is no tenant `acme`");
        other.gate.open();
        let mut own = own;
        assert!(own.wait(LONG).await.unwrap().is_output());
    });
}

#[test]
fn a_tenant_without_a_rollback_leaves_what_it_wrote() {
    let host = Arc::new(host());
    let stage = Stage::new(&host, "acme");
    let used = Arc::clone(&host);
    run(&host, async move {
        let task = start(&stage, json!([append("kept"), wait_at_gate()]));
        stage.gate.arrived(1).await;
        let stopped = used.remove_tenant("acme", StopOptions::default()).await;
        assert_eq!(stopped.unwrap()[0].cancelled, 1);
        assert_eq!(contents(&stage.memory).await, [json!("kept")]);
        assert_eq!(stage.tenant.tenant().journal_held(), 0);
        drop(task);
    });
}

#[test]
fn a_name_is_free_when_all_has_ended_and_the_old_handle_never_reaches_the_new_tenant() {
    let host = Arc::new(host());
    let old = Stage::new(&host, "acme");
    let plugin = common::plugin(&host, "puppet");
    let used = Arc::clone(&host);
    run(&host, async move {
        let task = start(&old, json!([write_to_gate(), wait_at_gate()]));
        old.gate.arrived(2).await;
        old.gate.shut_rollbacks();
        // A removal that nobody waits for has begun all the same.
        let begun = used.remove_tenant("acme", StopOptions::rollback());
        assert!(begun.now_or_never().is_none());
        is_refused_at_once(&old);
        let taken = used.add_tenant("acme", Quotas::default()).unwrap_err();
        assert_eq!(taken.to_string(), "there is already a tenant `acme`");
        let (first, second) =
            tokio::join!(used.remove_tenant("acme", StopOptions::rollback()), async {
                let second = used.remove_tenant("acme", StopOptions::rollback());
                old.gate.open_all();
                second.await
            });
        assert_eq!(first.unwrap()[0].compensated, 1);
        assert_eq!(second.unwrap()[0].compensated, 1);
        drop(task);

        let new = Stage::new(&used, "acme");
        let mut tap = Tap::on(&new.tenant);
        is_refused(&old, &plugin).await;
        assert!(tap.seen().is_empty());
        assert!(ask(&new, json!([append("new")])).await.is_output());
        assert!(old.memory.is_empty());
        assert!(used.tenant("acme").is_some());
    });
}

fn is_refused_at_once(stage: &Stage) {
    let refused = stage.tenant.dispatch(puppet(json!([]))).unwrap_err();
    assert_eq!(refused.to_string(), REMOVED);
}

/// An engram holds its ledger, the tenant, and the tenant its engrams.
#[test]
fn what_a_tenant_held_is_let_go_with_it_or_with_its_host() {
    let host = Arc::new(host());
    let filled = |name: &str| {
        let stage = Stage::new(&host, name);
        let gone = Arc::downgrade(&stage.memory);
        let tenant = Arc::downgrade(stage.tenant.tenant());
        run(&host, async move {
            assert!(ask(&stage, json!([append("x")])).await.is_output());
            until(|| stage.tenant.traces().is_empty()).await;
        });
        (gone, tenant)
    };
    let (removed, left) = (filled("acme"), filled("other"));
    assert!(removed.0.upgrade().is_some());
    let used = Arc::clone(&host);
    run(&host, async move {
        let stopped = used.remove_tenant("acme", StopOptions::default()).await;
        assert_eq!(stopped, Ok(Vec::new()));
    });
    assert!(removed.0.upgrade().is_none() && removed.1.upgrade().is_none());
    assert!(left.0.upgrade().is_some());
    drop(host);
    assert!(left.0.upgrade().is_none() && left.1.upgrade().is_none());
}
