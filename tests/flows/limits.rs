//! Limits of a run: each ends it in time, and under a higher one it goes on.

use std::sync::atomic::{AtomicU32, Ordering};

use soma::flow::{
    Failure, Output,
    document::{FanIn, Terminal},
};
use soma_retry::RetryPolicy;

use super::{
    native::{always, run_flow, run_native},
    *,
};

/// A fan-out of `work` over `items`, and nothing else.
fn each(fan: impl FnOnce(FanOut) -> FanOut) -> Dag {
    let each = FanOut::new("each", "work", "items", FanIn::append("out"));
    Dag::builder("each", "1").place(ending(fan(each))).build()
}

fn items(count: usize) -> Value {
    json!({"items": (0..count).collect::<Vec<_>>()})
}

/// At most a million bytes, and what was done stays.
fn narrow() -> RunOptions {
    RunOptions {
        max_state_bytes: 1_000_000,
        on_failure: OnFailure::Keep,
        ..RunOptions::default()
    }
}

/// Goes on with a run that has met a limit.
fn resumed(flow: &Flow, ended: Run, options: RunOptions) -> Run {
    let (host, hand) = virtual_host();
    hand.skip_waits();
    let tenant = tenant(&host, "t");
    let flow = flow.clone();
    run(&host, async move {
        let checkpoint = ended.checkpoint.unwrap();
        flow.resume(&tenant, checkpoint, [], options).unwrap().await
    })
}

#[test]
fn a_state_that_grows_too_large_fails_the_run() {
    let nodes = Nodes::new().function("grow", Contract::routes(["again"]), |call| {
        let passes = call.state.len();
        Ok(Output::on("again").set(format!("k{passes}"), "x".repeat(10_000)))
    });
    let options = RunOptions {
        max_state_bytes: 100_000,
        on_failure: OnFailure::Keep,
        ..RunOptions::default()
    };
    let dag = Dag::builder("grows", "1")
        .place(
            Single::new("here", "grow")
                .route("again", "here")
                .end("error"),
        )
        .build();
    let run = run_native(dag, nodes, json!({}), options);
    assert!(run.checkpoint.is_some(), "with more room it goes on");
    let cause = run.error.unwrap();
    assert!(
        matches!(cause, Cause::StateTooLarge { most: 100_000, .. }),
        "{cause}"
    );
    assert!(run.executed.len() < 11);
}

#[test]
fn results_that_are_not_gathered_yet_count_and_none_is_made_twice() {
    let ran = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&ran);
    let nodes = Nodes::new().function("work", Contract::open(), move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Output::default().set("currentItem", "x".repeat(10_000)))
    });
    let flow = Flow::new(&[each(|fan| fan)], &nodes).unwrap();
    let ended = run_flow(flow.clone(), items(1_000), narrow());
    let cause = ended.error.clone().unwrap();
    assert!(
        matches!(&cause, Cause::StateTooLarge { placement, .. } if &**placement == "each"),
        "{cause}"
    );
    assert!(ran.load(Ordering::Relaxed) < 200, "{ran:?}");
    let whole = resumed(&flow, ended, RunOptions::default());
    assert_eq!(whole.error, None);
    assert_eq!(whole.state["out"].as_array().unwrap().len(), 1_000);
    assert_eq!(ran.load(Ordering::Relaxed), 1_000);
}

#[test]
fn the_words_of_items_that_fail_count() {
    let nodes = Nodes::new().function("work", Contract::open(), |_| {
        Err(Failure::recoverable("DOWN", "x".repeat(10_000)))
    });
    let ended = run_native(each(|fan| fan), nodes, items(1_000), narrow());
    assert!(matches!(ended.error, Some(Cause::StateTooLarge { .. })));
    assert!(ended.steps < 200, "{}", ended.steps);
}

#[test]
fn questions_count() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let fan = FanOut::new("each", "puppet", "scripts", FanIn::append("out"));
        let dag = Dag::builder("each", "1").place(ending(fan.item_key("do")));
        let flow = flow(dag.build());
        let asks = json!([{"clarify": {"question": "x".repeat(100_000)}}]);
        let state = object(json!({"scripts": vec![asks; 40]}));
        let options = RunOptions {
            // The scripts themselves take four million.
            max_state_bytes: 5_000_000,
            ..narrow()
        };
        let ended = flow.run(&stage.tenant, state, options).await;
        assert!(
            matches!(ended.error, Some(Cause::StateTooLarge { .. })),
            "{:?}",
            ended.error
        );
        assert!(ended.questions.len() < 40, "{}", ended.questions.len());
    });
}

#[test]
fn more_items_than_a_run_takes_are_refused_before_the_first_runs() {
    let ran = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&ran);
    let nodes = Nodes::new()
        .function("first", Contract::open(), always(Output::default()))
        .function("work", Contract::open(), move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(Output::default())
        });
    let fan = FanOut::new("each", "work", "items", FanIn::append("out"));
    let dag = Dag::builder("each", "1")
        .place(Single::new("first", "first").route("success", "each"))
        .place(ending(fan))
        .build();
    let flow = Flow::new(&[dag], &nodes).unwrap();
    let options = RunOptions {
        max_items: 3,
        ..narrow()
    };
    let ended = run_flow(flow.clone(), items(4), options);
    assert_eq!(
        ended.error.as_ref().unwrap().to_string(),
        "placement `each` has 4 items, more than the 3 that a run takes"
    );
    assert_eq!(ran.load(Ordering::Relaxed), 0);
    // What came before is not lost.
    let whole = resumed(&flow, ended, RunOptions::default());
    assert_eq!(whole.error, None);
    assert_eq!(steps(&whole), [("each", Some("all-success"), 1)]);
    assert_eq!(ran.load(Ordering::Relaxed), 4);
}

#[test]
fn the_last_step_may_be_the_last_that_is_allowed() {
    let work = || Nodes::new().function("work", Contract::open(), always(Output::default()));
    let most = |max_steps| RunOptions {
        max_steps,
        ..RunOptions::default()
    };
    let empty = run_native(each(|fan| fan), work(), items(0), most(1));
    assert_eq!((empty.error, empty.steps), (None, 1));
    let full = run_native(each(|fan| fan), work(), items(3), most(3));
    assert_eq!((full.error, full.steps), (None, 3));
    let fan = FanOut::new("each", "work", "items", FanIn::append("out")).route("empty", "end");
    let fan = ["all-success", "partial", "all-error"]
        .iter()
        .fold(fan, |fan, route| fan.end(*route));
    let dag = Dag::builder("each", "1")
        .place(fan)
        .place(Terminal::completed("end"))
        .build();
    let named = run_native(dag, work(), items(0), most(1));
    assert_eq!((named.error, named.steps), (None, 1));
}

#[test]
fn a_circle_without_a_node_meets_its_steps_and_goes_on_from_there() {
    let nodes = Nodes::new().function("work", Contract::open(), always(Output::default()));
    let fan = |name: &str, other: &str| {
        let fan = FanOut::new(name, "work", "items", FanIn::append("out")).route("empty", other);
        ["all-success", "partial", "all-error"]
            .iter()
            .fold(fan, |fan, route| fan.end(*route))
    };
    let dag = Dag::builder("circle", "1")
        .place(fan("one", "other"))
        .place(fan("other", "one"))
        .build();
    let flow = Flow::new(&[dag], &nodes).unwrap();
    let most = |max_steps| RunOptions {
        max_steps,
        ..narrow()
    };
    let ended = run_flow(flow.clone(), json!({}), most(30_000));
    assert_eq!(ended.error, Some(Cause::StepLimit(30_000)));
    let again = resumed(&flow, ended, most(40_000));
    assert_eq!(again.error, Some(Cause::StepLimit(40_000)));
}

/// Items that fail again and again without a wait, and what is done to their
/// run in the hundredth attempt.
fn in_the_midst_of_attempts(act: impl Fn(&soma::flow::Control) + Send + Sync + 'static) -> Run {
    let (host, _hand) = virtual_host();
    let tenant = tenant(&host, "t");
    let attempts = Arc::new(AtomicU32::new(0));
    let control = Arc::new(std::sync::OnceLock::<soma::flow::Control>::new());
    let (count, held) = (Arc::clone(&attempts), Arc::clone(&control));
    let nodes = Nodes::new().function("work", Contract::open(), move |_| {
        if count.fetch_add(1, Ordering::Relaxed) == 100 {
            act(held.get().unwrap());
        }
        Err(Failure::recoverable("DOWN", "out of order"))
    });
    let policy = RetryPolicy {
        max_attempts: 1_000_000,
        base_delay: Duration::ZERO,
        ..RetryPolicy::default()
    };
    let flow = Flow::new(&[each(|fan| fan.retry(policy))], &nodes).unwrap();
    let run = run(&host, async move {
        let execution = flow.start(&tenant, object(items(2)), RunOptions::default());
        control.set(execution.control()).unwrap();
        execution.finish().await
    });
    let attempts = attempts.load(Ordering::Relaxed);
    assert!(attempts < 110, "{attempts} attempts were made");
    run
}

#[test]
fn attempts_without_a_wait_between_them_end_with_a_pause_and_with_an_abort() {
    let paused = in_the_midst_of_attempts(|control| control.pause());
    assert_eq!(paused.lifecycle(), Lifecycle::Paused);
    let aborted = in_the_midst_of_attempts(|control| control.abort("enough"));
    assert_eq!(aborted.lifecycle(), Lifecycle::Cancelled);
}
