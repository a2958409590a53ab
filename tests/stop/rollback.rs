//! What STOP undoes, keeps and refuses.

use super::*;

/// A write as a backend with a queue has it in hand: accepted, not yet done.
struct InHand {
    imprint: Imprint,
    scope: WriteScope,
}

/// A backend that takes writes and does them later, when the test says so.
#[derive(Clone)]
struct Deferring(Arc<(MemoryEngram, Mutex<Vec<InHand>>)>);

impl Deferring {
    fn in_hand(&self) -> usize {
        self.0.1.lock().len()
    }

    /// Does all writes now, for callers that may be gone.
    async fn flush(&self) -> Vec<Result<Receipt, EngramError>> {
        let writes = std::mem::take(&mut *self.0.1.lock());
        let mut done = Vec::new();
        for InHand { imprint, scope } in writes {
            done.push(self.0.0.imprint(imprint, Some(&scope)).await);
        }
        done
    }
}

impl Engram for Deferring {
    fn id(&self) -> &Arc<str> {
        self.0.0.id()
    }

    fn kind(&self) -> &str {
        self.0.0.kind()
    }

    fn capabilities(&self) -> &[&str] {
        &[]
    }

    fn recall<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Recalled, EngramError>> {
        self.0.0.recall(query)
    }

    fn imprint<'a>(
        &'a self,
        imprint: Imprint,
        scope: Option<&'a WriteScope>,
    ) -> BoxFuture<'a, Result<Receipt, EngramError>> {
        let scope = scope.unwrap().clone();
        self.0.1.lock().push(InHand { imprint, scope });
        Box::pin(std::future::pending())
    }

    fn commit<'a>(&'a self, trace: &'a TraceId) -> BoxFuture<'a, ()> {
        self.0.0.commit(trace)
    }

    fn rollback<'a>(&'a self, trace: &'a TraceId) -> BoxFuture<'a, Rollback> {
        self.0.0.rollback(trace)
    }

    fn journaled(&self, trace: &TraceId) -> usize {
        self.0.0.journaled(trace)
    }

    fn len(&self) -> usize {
        self.0.0.len()
    }
}

#[test]
fn a_write_that_a_backend_still_has_in_hand_is_refused_after_stop() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let backend = Deferring(Arc::new((
        bare_memory(&stage.tenant, "slow"),
        Mutex::default(),
    )));
    let writer = Neuron::new("writer", common::plugin(&host, "puppet")).bind(
        "memory",
        Arc::new(backend.clone()),
        Access::ReadWrite,
    );
    stage.tenant.register(writer);
    run(&host, async move {
        for options in [StopOptions::default(), StopOptions::rollback()] {
            let task = Dispatch::to_neuron("writer").input(told(json!([append("late")])));
            let pathway = stage.tenant.dispatch(task).unwrap();
            until(|| backend.in_hand() == 1).await;
            let acks = stage.tenant.stop_trace(pathway.trace_id(), options).await;
            assert_eq!((acks[0].cancelled, acks[0].compensated), (1, 0));
            assert_eq!(backend.flush().await, [Err(EngramError::Cancelled)]);
            assert!(backend.is_empty());
            assert_eq!(
                backend.journaled(pathway.trace_id()),
                0,
                "an orphan journal"
            );
        }
    });
}

/// An operator's write.
async fn seed(engram: &Arc<dyn Engram>, key: &str, content: Value) {
    let imprint = Imprint {
        op: Op::Add,
        entry: Draft {
            content,
            tags: vec!["seed".to_owned()],
            ..Draft::default()
        },
        merge_key: Some(key.to_owned()),
        idempotency_key: None,
    };
    engram.imprint(imprint, None).await.unwrap();
}

fn write(op: &str, key: &str, content: Value) -> Value {
    json!({"write": {"to": "memory", "op": op, "key": key, "content": content, "tags": ["new"]}})
}

#[test]
fn rollback_restores_entries_versions_order_and_merge_keys() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        for key in ["a", "b", "c", "d"] {
            seed(&stage.memory, key, json!({"key": key, "list": [1]})).await;
        }
        hand.advance(LONG);
        let gate: Arc<dyn Engram> = Arc::new(stage.gate.clone());
        stage.gate.open();
        let before = (entries(&stage.memory).await, entries(&gate).await);
        let steps = json!([
            write("upsert", "a", json!("replaced")),
            write("upsert", "a", json!("replaced again")),
            write("merge", "b", json!({"list": [2], "more": true})),
            write("delete", "c", json!(null)),
            write("add", "c", json!("another c")),
            write("append", "d", json!("a second d")),
            write("upsert", "e", json!("new")),
            write("delete", "e", json!(null)),
            {"write": {"to": "memory", "op": "add", "id": "mine", "content": 1}},
            {"write": {"to": "gate", "op": "append", "content": "elsewhere"}},
        ]);
        let writes = steps.as_array().unwrap().len() as u64;
        let mut all = steps.as_array().unwrap().clone();
        all.push(json!({"fail": {"code": "HALFWAY"}}));
        let failed = stage
            .tenant
            .dispatch_and_wait(puppet(Value::Array(all)), LONG)
            .await
            .unwrap();
        assert_eq!(error(&failed).code, "HALFWAY");
        assert_ne!(entries(&stage.memory).await, before.0);
        let trace = &failed.signal.trace_id;
        let acks = stage
            .tenant
            .stop_trace(trace, StopOptions::rollback())
            .await;
        let expected = Stopped {
            rolled_back: true,
            cancelled: 0,
            compensated: writes,
            node: "acme".into(),
            kept: Vec::new(),
        };
        assert_eq!(acks[..], [expected]);
        assert_eq!(entries(&stage.memory).await, before.0);
        assert_eq!(entries(&gate).await, before.1);
        let by_key = Query {
            merge_key: Some("c".to_owned()),
            ..Query::default()
        };
        let found = stage.memory.recall(&by_key).await.unwrap();
        assert_eq!(found.hits.len(), 1);
        assert_eq!(found.hits[0].entry.version, 1);
    });
}

#[test]
fn a_rollback_of_a_writer_in_full_flight_leaves_nothing_of_it() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    stage.hostile(&host, "late_writer", unlimited());
    run(&host, async move {
        seed(&stage.memory, "k", json!("kept")).await;
        let before = entries(&stage.memory).await;
        for _ in 0..5 {
            let pathway = stage
                .tenant
                .dispatch(Dispatch::to_neuron("late_writer"))
                .unwrap();
            until(|| stage.memory.len() > 50).await;
            let acks = stage
                .tenant
                .stop_trace(pathway.trace_id(), StopOptions::rollback())
                .await;
            assert!(acks[0].compensated >= 50 && acks[0].rolled_back);
            assert_eq!(entries(&stage.memory).await, before);
        }
        assert_eq!(stage.tenant.tenant().journal_held(), 0);
    });
}

#[test]
fn a_later_write_by_another_trace_is_kept_and_named_with_the_reason() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        for key in ["shared", "own"] {
            seed(&stage.memory, key, json!("original")).await;
        }
        let ids: Vec<_> = entries(&stage.memory)
            .await
            .iter()
            .map(|e| e.id.clone())
            .collect();
        let steps = json!([
            write("upsert", "shared", json!("first")),
            write("upsert", "own", json!("first")),
            append("added"),
            wait_at_gate(),
        ]);
        let first = stage.tenant.dispatch(puppet(steps)).unwrap();
        stage.gate.arrived(1).await;
        let steps = json!([write("upsert", "shared", json!("second"))]);
        let second = stage
            .tenant
            .dispatch_and_wait(puppet(steps), LONG)
            .await
            .unwrap();
        let acks = stage
            .tenant
            .stop_trace(first.trace_id(), StopOptions::rollback())
            .await;
        let ack = &acks[0];
        assert!(!ack.rolled_back);
        assert_eq!(ack.compensated, 2);
        assert_eq!(ack.kept.len(), 1);
        assert_eq!(ack.kept[0].entry, ids[0]);
        assert_eq!(ack.kept[0].merge_key.as_deref(), Some("shared"));
        let reason = format!(
            "entry '{}' of engram 'memory' was overwritten by trace '{}'",
            ids[0], second.signal.trace_id
        );
        assert_eq!(ack.kept[0].to_string(), reason);
        assert_eq!(
            contents(&stage.memory).await,
            [json!("second"), json!("original")]
        );
        let stopped = tap.next(SignalType::Stopped).await;
        let Payload::Stopped(told) = &stopped.payload else {
            panic!("{stopped:?}")
        };
        assert!(!told.rolled_back);
        assert_eq!(told.extra["kept"], json!([reason]));
    });
}

#[test]
fn a_write_below_another_open_traces_write_is_gone_once_both_are_rolled_back() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        seed(&stage.memory, "shared", json!("original")).await;
        let before = entries(&stage.memory).await;
        let mut traces = Vec::new();
        for (turn, content) in ["first", "second"].into_iter().enumerate() {
            let steps = json!([write("upsert", "shared", json!(content)), wait_at_gate()]);
            let pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
            stage.gate.arrived(turn + 1).await;
            traces.push(pathway.trace_id().clone());
        }
        let first = stage
            .tenant
            .stop_trace(&traces[0], StopOptions::rollback())
            .await;
        assert_eq!((first[0].compensated, first[0].kept.len()), (0, 1));
        assert_eq!(contents(&stage.memory).await, [json!("second")]);
        let second = stage
            .tenant
            .stop_trace(&traces[1], StopOptions::rollback())
            .await;
        assert_eq!((second[0].compensated, second[0].kept.len()), (1, 0));
        assert_eq!(entries(&stage.memory).await, before);
    });
}

#[test]
fn stop_without_rollback_keeps_and_commits_what_was_written() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let pathway = stage
            .tenant
            .dispatch(puppet(json!([append("a"), wait_at_gate()])))
            .unwrap();
        stage.gate.arrived(1).await;
        assert!(stage.tenant.tenant().journal_held() > 0);
        let acks = stage
            .tenant
            .stop_trace(pathway.trace_id(), StopOptions::default())
            .await;
        assert_eq!((acks[0].compensated, acks[0].rolled_back), (0, false));
        assert_eq!(contents(&stage.memory).await, [json!("a")]);
        assert_eq!(stage.tenant.tenant().journal_held(), 0);
        assert!(stage.tenant.traces().is_empty());
    });
}
