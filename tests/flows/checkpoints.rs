//! Runs that are interrupted, and go on from where they were.

use std::{
    io,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use soma::flow::{
    Checkpoint, Failure, Journal, Output,
    document::{Deep, FanIn, Terminal},
};

use super::{native::always, *};

/// Keeps lines in memory, and fails when it is told to.
#[derive(Clone, Default)]
pub(super) struct Kept {
    pub(super) lines: Arc<Mutex<Vec<String>>>,
    pub(super) full_after: Option<usize>,
}

impl Kept {
    pub(super) fn text(&self) -> String {
        let lines = self.lines.lock().unwrap();
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn keep(&self, line: &str) -> io::Result<()> {
        let mut lines = self.lines.lock().unwrap();
        if self.full_after.is_some_and(|most| lines.len() >= most) {
            return Err(io::Error::other("the disk is full"));
        }
        lines.push(line.to_owned());
        Ok(())
    }
}

impl Journal for Kept {
    fn begin(&mut self, checkpoint: &str) -> io::Result<()> {
        self.lines.lock().unwrap().clear();
        self.keep(checkpoint)
    }

    fn record(&mut self, record: &str) -> io::Result<()> {
        self.keep(record)
    }

    fn end(&mut self, _goes_on: bool) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn with(journal: &Kept) -> RunOptions {
    RunOptions {
        journal: Some(Box::new(journal.clone())),
        ..RunOptions::default()
    }
}

/// A fan-out over six numbers within a flow within a flow, and a sum behind it.
pub(super) fn documents() -> [Dag; 3] {
    let root = Dag::builder("root", "1")
        .place(
            Deep::new("deep", "middle")
                .output("sum", "sum")
                .end("success")
                .route("error", "lost"),
        )
        .place(Terminal::failed("lost"))
        .build();
    let middle = Dag::builder("middle", "1")
        .place(Single::new("begin", "begin").route("success", "deeper"))
        .place(
            Deep::new("deeper", "inner")
                .output("sum", "sum")
                .end("success")
                .route("error", "lost"),
        )
        .place(Terminal::failed("lost"))
        .build();
    let each = FanOut::new("each", "square", "items", FanIn::append("squares"))
        .concurrency(1)
        .route("all-success", "sum")
        .route("partial", "lost")
        .route("all-error", "lost")
        .route("empty", "lost");
    let inner = Dag::builder("inner", "1")
        .place(each)
        .place(Single::new("sum", "sum").end("success"))
        .place(Terminal::failed("lost"))
        .build();
    [root, middle, inner]
}

/// Nodes that count how often each item is squared, and do `at` before item 3.
pub(super) fn nodes(
    runs: &Arc<Mutex<Vec<u64>>>,
    at: impl Fn() -> Result<(), Failure> + Send + Sync + 'static,
) -> Nodes {
    let runs = Arc::clone(runs);
    Nodes::new()
        .function("begin", Contract::open(), |_| {
            Ok(Output::default().set("items", json!([0, 1, 2, 3, 4, 5])))
        })
        .function("square", Contract::open(), move |call| {
            let n = call.state["currentItem"].as_u64().unwrap();
            if n == 3 {
                at()?;
            }
            runs.lock().unwrap().push(n);
            Ok(Output::default().set("currentItem", n * n))
        })
        .function("sum", Contract::open(), |call| {
            let squares = call.state["squares"].as_array().unwrap();
            let sum: u64 = squares.iter().map(|square| square.as_u64().unwrap()).sum();
            Ok(Output::default().set("sum", sum))
        })
}

#[test]
fn a_pause_in_a_nested_fan_out_is_resumed_in_its_midst_and_no_item_runs_twice() {
    let (host, _hand) = virtual_host();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        let runs = Arc::new(Mutex::new(Vec::new()));
        let control = Arc::new(Mutex::new(None::<soma::flow::Control>));
        let handle = Arc::clone(&control);
        let pausing = nodes(&runs, move || {
            if let Some(control) = handle.lock().unwrap().take() {
                control.pause();
            }
            Ok(())
        });
        let flow = Flow::new(&documents(), &pausing).unwrap();
        let execution = flow.start(&tenant, Object::new(), RunOptions::default());
        *control.lock().unwrap() = Some(execution.control());
        let paused = execution.finish().await;
        assert_eq!(paused.lifecycle(), Lifecycle::Paused);
        assert_eq!(paused.error, None);
        assert_eq!(*runs.lock().unwrap(), [0, 1, 2, 3]);
        assert_eq!(
            steps(&paused),
            [("deep/begin", Some("success"), 1)],
            "nothing else has ended"
        );
        // To text and back: as another process would.
        let text = paused.checkpoint.unwrap().to_string();
        assert_eq!(text.lines().count(), 1);
        let checkpoint = Checkpoint::parse(&text).unwrap();
        let flow = Flow::new(&documents(), &nodes(&runs, || Ok(()))).unwrap();
        let resumed = flow
            .resume(&tenant, checkpoint, [], RunOptions::default())
            .unwrap()
            .await;
        assert_eq!(resumed.error, None);
        assert_eq!(*runs.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(resumed.state["sum"], json!(55));
        assert_eq!(
            steps(&resumed),
            [
                ("deep/deeper/each", Some("all-success"), 1),
                ("deep/deeper/sum", Some("success"), 1),
                ("deep/deeper", Some("success"), 1),
                ("deep", Some("success"), 1),
            ]
        );
    });
}

#[test]
fn what_a_journal_holds_at_any_moment_leads_to_the_same_end_and_runs_nothing_again() {
    let (host, _hand) = virtual_host();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        let runs = Arc::new(Mutex::new(Vec::new()));
        let journal = Kept::default();
        let flow = Flow::new(&documents(), &nodes(&runs, || Ok(()))).unwrap();
        let whole = flow.run(&tenant, Object::new(), with(&journal)).await;
        assert_eq!(whole.error, None);
        let text = journal.text();
        let lines: Vec<_> = text.split_inclusive('\n').collect();
        assert_eq!(lines.len(), 1 + 1 + 6 + 1, "{text}");
        for cut in 1..=lines.len() {
            runs.lock().unwrap().clear();
            let mut kept = lines[..cut].concat();
            // A line that was not written to its end counts for nothing.
            if let Some(next) = lines.get(cut) {
                kept.push_str(&next[..next.len() / 2]);
            }
            let checkpoint = Checkpoint::parse(&kept).unwrap();
            let done = flow
                .resume(&tenant, checkpoint, [], RunOptions::default())
                .unwrap()
                .await;
            assert_eq!(done.error, None);
            assert_eq!(done.state, whole.state, "cut after {cut} lines");
            let acked = cut.saturating_sub(2).min(6);
            let left: Vec<_> = (u64::try_from(acked).unwrap()..6).collect();
            assert_eq!(*runs.lock().unwrap(), left, "cut after {cut} lines");
        }
    });
}

#[test]
fn an_abort_within_a_nested_flow_goes_on_there_and_not_behind_it() {
    let (host, _hand) = virtual_host();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        let runs = Arc::new(Mutex::new(Vec::new()));
        let control = Arc::new(Mutex::new(None::<soma::flow::Control>));
        let handle = Arc::clone(&control);
        let aborting = nodes(&runs, move || {
            if let Some(control) = handle.lock().unwrap().take() {
                control.abort("enough");
            }
            Ok(())
        });
        let journal = Kept::default();
        let flow = Flow::new(&documents(), &aborting).unwrap();
        let execution = flow.start(&tenant, Object::new(), with(&journal));
        *control.lock().unwrap() = Some(execution.control());
        let aborted = execution.finish().await;
        assert_eq!(aborted.lifecycle(), Lifecycle::Cancelled);
        let checkpoint = aborted.checkpoint.unwrap();
        let done = flow
            .resume(&tenant, checkpoint, [], RunOptions::default())
            .unwrap()
            .await;
        assert_eq!(done.state["sum"], json!(55));
        assert_eq!(*runs.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
    });
}

#[test]
fn failed_attempts_before_an_interruption_count_after_it() {
    let (host, hand) = virtual_host();
    hand.skip_waits();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let nodes = Nodes::new().function("down", Contract::open(), move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Err(Failure::recoverable("DOWN", "out of order"))
        });
        let policy = soma_retry::RetryPolicy {
            max_attempts: 5,
            ..soma_retry::RetryPolicy::default()
        };
        let only = Single::new("only", "down").end("success").retry(policy);
        let dag = Dag::builder("tried", "1").place(only).build();
        let flow = Flow::new(&[dag], &nodes).unwrap();
        let journal = Kept::default();
        let failed = flow.run(&tenant, Object::new(), with(&journal)).await;
        assert_eq!(failed.lifecycle(), Lifecycle::Failed);
        assert_eq!(calls.swap(0, Ordering::Relaxed), 5);
        // After three failed attempts.
        let text = journal.text();
        let kept: String = text.split_inclusive('\n').take(4).collect();
        let checkpoint = Checkpoint::parse(&kept).unwrap();
        let again = flow.resume(&tenant, checkpoint, [], RunOptions::default());
        let again = again.unwrap().await;
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert_eq!(again.executed[0].attempts, 5);
    });
}

fn refusal(flow: &Flow, tenant: &TenantHandle, text: &str) -> String {
    let resumed = Checkpoint::parse(text)
        .and_then(|checkpoint| flow.resume(tenant, checkpoint, [], RunOptions::default()));
    resumed.unwrap_err().to_string()
}

#[test]
fn a_checkpoint_of_other_documents_is_refused_with_what_has_changed() {
    let (host, _hand) = virtual_host();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        let runs = Arc::new(Mutex::new(Vec::new()));
        let journal = Kept::default();
        let nodes =
            nodes(&runs, || Ok(())).function("other", Contract::open(), always(Output::default()));
        let flow = Flow::new(&documents(), &nodes).unwrap();
        flow.run(&tenant, Object::new(), with(&journal)).await;
        let text = journal.text();
        let [root, middle, inner] = documents();
        let mut changed = inner.clone();
        changed.version = "2".to_owned();
        let told = refusal(
            &Flow::new(&[root.clone(), middle.clone(), changed.clone()], &nodes).unwrap(),
            &tenant,
            &text,
        );
        assert_eq!(
            told,
            format!(
                "the checkpoint is of `root` 1 with other documents: `inner` was {} and is {}; \
                 run the documents that it was made of, or begin anew",
                inner.hash(),
                changed.hash()
            )
        );
        let only = Dag::builder("another", "1")
            .place(Single::new("only", "other").end("success"))
            .build();
        let told = refusal(&Flow::new(&[only], &nodes).unwrap(), &tenant, &text);
        assert_eq!(
            told,
            "the checkpoint is of the flow `root`, not of `another`"
        );
        for (text, expected) in [
            (
                "",
                "line 1 is no checkpoint: EOF while parsing a value at line 1 column 0",
            ),
            (
                "{}",
                "line 1 is no checkpoint: missing field `somaCheckpoint` at line 1 column 2",
            ),
            (
                "{\"somaCheckpoint\": 7}",
                "the checkpoint has the format 7; this version reads format 1",
            ),
        ] {
            assert_eq!(refusal(&flow, &tenant, text), expected);
        }
        let first = text.lines().next().unwrap();
        let told = refusal(&flow, &tenant, &format!("{first}\nnonsense\n"));
        assert!(told.starts_with("line 2 is no checkpoint: "), "{told}");
        let moved = first.replace("\"at\":\"deep\"", "\"at\":\"nowhere\"");
        assert_eq!(
            refusal(&flow, &tenant, &moved),
            "the checkpoint contradicts itself: `root` has no placement `nowhere`"
        );
    });
}

#[test]
fn the_hash_of_a_document_is_that_of_what_it_says() {
    let [root, ..] = documents();
    let text = root.to_string();
    let reread: Dag = serde_json::from_str(&text).unwrap();
    assert_eq!(reread, root);
    assert_eq!(reread.hash(), root.hash());
    let mut other = root.clone();
    other.version = "1.0.1".to_owned();
    assert_ne!(other.hash(), root.hash());
}

pub(super) async fn paused(flow: &Flow, tenant: &TenantHandle, state: Value) -> String {
    let execution = flow.start(tenant, object(state), RunOptions::default());
    execution.control().pause();
    execution.await.checkpoint.unwrap().to_string()
}

pub(super) fn each(fan_in: FanIn) -> Dag {
    let fan = ending(FanOut::new("each", "work", "items", fan_in));
    Dag::builder("each", "1").place(fan).build()
}

#[test]
fn a_checkpoint_that_somebody_has_written_by_hand_is_refused_or_runs_to_an_end() {
    let (host, _hand) = virtual_host();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        let nodes = Nodes::new().function("work", Contract::open(), always(Output::default()));
        let flow = Flow::new(&[each(FanIn::append("out"))], &nodes).unwrap();
        let text = paused(&flow, &tenant, json!({"items": [1, 2]})).await;
        assert!(text.contains("\"group\":{\"of\":2,\"items\":[]}"), "{text}");
        let group = |group: &str| text.replace("{\"of\":2,\"items\":[]}", group);
        for (changed, told) in [
            (
                group("{\"of\":3,\"items\":[]}"),
                "the checkpoint contradicts itself: there are 2 items, not 3",
            ),
            (
                group("{\"of\":2,\"items\":[{\"at\":9}]}"),
                "the checkpoint contradicts itself: there is no item 9",
            ),
            (
                group("{\"of\":2,\"items\":[],\"gathering\":\"all-success\"}"),
                "the checkpoint contradicts itself: no node gathers for `all-success` there",
            ),
            (
                format!("{text}\n{{\"done\":{{\"as\":{{}}}}}}\n"),
                "the checkpoint contradicts itself: something was done that is not to be done at `each`",
            ),
            (
                format!("{text}\n{{\"done\":{{\"item\":7,\"as\":{{}}}}}}\n"),
                "the checkpoint contradicts itself: something was done that is not to be done at `each`",
            ),
        ] {
            assert_eq!(refusal(&flow, &tenant, &changed), told);
        }
        let many = text.replace("\"steps\":0", &format!("\"steps\":{}", u64::MAX));
        let checkpoint = Checkpoint::parse(&many).unwrap();
        let resumed = flow.resume(&tenant, checkpoint, [], RunOptions::default());
        assert_eq!(
            resumed.unwrap().await.error,
            Some(Cause::StepLimit(100_000))
        );
    });
}

#[test]
fn what_was_refused_for_its_size_is_refused_again_when_a_journal_is_read() {
    let (host, _hand) = virtual_host();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        let root = Dag::builder("root", "1")
            .place(
                Deep::new("deep", "each")
                    .end("success")
                    .route("error", "fallback"),
            )
            .place(Single::new("fallback", "work").route("success", "last"))
            .place(Single::new("last", "work").end("success"))
            .build();
        let nodes = Nodes::new().function("work", Contract::open(), |call| {
            Ok(Output::default().set(call.placement, true))
        });
        let flow = Flow::new(&[root, each(FanIn::append("out"))], &nodes).unwrap();
        let journal = Kept::default();
        let options = RunOptions {
            max_items: 1,
            ..with(&journal)
        };
        let whole = flow
            .run(&tenant, object(json!({"items": [1, 2]})), options)
            .await;
        assert_eq!(whole.notes.errors[0].code, "FLOW_ITEMS");
        let text = journal.text();
        let kept: String = text.split_inclusive('\n').take(2).collect();
        let checkpoint = Checkpoint::parse(&kept).unwrap();
        let resumed = flow.resume(&tenant, checkpoint, [], RunOptions::default());
        let resumed = resumed.unwrap().await;
        assert_eq!(steps(&resumed), [("last", Some("success"), 1)]);
        assert_eq!(resumed.state, whole.state);
    });
}

#[test]
fn a_mapping_that_found_no_room_finds_none_when_a_journal_is_read() {
    let (host, _hand) = virtual_host();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        let copies = 0..1_000;
        let deep = copies.fold(Deep::new("deep", "inner"), |deep, at| {
            deep.output(format!("copies.k{at}"), "text")
        });
        let root = Dag::builder("root", "1")
            .place(deep.route("success", "last").route("error", "fallback"))
            .place(Single::new("fallback", "work").route("success", "last"))
            .place(Single::new("last", "work").end("success"))
            .build();
        let inner = Dag::builder("inner", "1")
            .place(Single::new("work", "work").end("success"))
            .build();
        let nodes = Nodes::new().function("work", Contract::open(), |call| {
            let name = call.placement.rsplit('/').next().unwrap_or_default();
            Ok(Output::default().set(name, true))
        });
        let flow = Flow::new(&[root, inner], &nodes).unwrap();
        let journal = Kept::default();
        let options = RunOptions {
            max_state_bytes: 1 << 20,
            ..with(&journal)
        };
        let text = object(json!({"text": "x".repeat(10_000)}));
        let whole = flow.run(&tenant, text, options).await;
        assert_eq!(whole.error, None);
        assert_eq!(whole.notes.errors[0].code, "FLOW_STATE");
        let text = journal.text();
        let kept: String = text.split_inclusive('\n').take(3).collect();
        let checkpoint = Checkpoint::parse(&kept).unwrap();
        let resumed = flow.resume(&tenant, checkpoint, [], RunOptions::default());
        let resumed = resumed.unwrap().await;
        assert_eq!(steps(&resumed), [("last", Some("success"), 1)]);
        assert_eq!(resumed.state, whole.state);
    });
}

#[test]
fn a_run_that_somebody_stopped_goes_on_only_where_its_writes_were_kept() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        for rollback in [true, false] {
            let script = json!([append("x"), wait_at_gate()]);
            let mut execution =
                chain(&["only"]).start(&stage.tenant, state(script), with(&Kept::default()));
            let trace = execution.trace_id().clone();
            let arrived = stage.gate.arrivals() + 1;
            let read = async {
                while let Some(event) = execution.next().await {
                    drop(event);
                }
            };
            tokio::select! {
                biased;
                () = read => panic!("it ended"),
                () = stage.gate.arrived(arrived) => {}
            }
            // It is over, and its trace forgotten, before the run hears of it.
            let options = StopOptions {
                rollback,
                reason: None,
            };
            stage.tenant.stop_trace(&trace, options).await;
            assert!(stage.tenant.traces().is_empty());
            let run = execution.finish().await;
            assert_eq!(run.lifecycle(), Lifecycle::Cancelled);
            assert_eq!(run.stopped[0].rolled_back, rollback);
            assert_eq!(run.checkpoint.is_none(), rollback);
        }
    });
}

#[test]
fn a_run_with_a_journal_that_ends_as_failed_is_undone() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let dag = Dag::builder("lost", "1")
            .place(Single::new("only", "puppet").route("success", "lost"))
            .place(Terminal::failed("lost"))
            .build();
        let script = json!([append("x"), {"output": {"value": {}}}]);
        let run = flow(dag)
            .run(&stage.tenant, state(script), with(&Kept::default()))
            .await;
        assert_eq!(run.error, Some(Cause::Terminal("lost".into())));
        assert_eq!(contents(&stage.memory).await, [] as [Value; 0]);
        assert!(run.checkpoint.is_none());
    });
}
