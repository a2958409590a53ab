//! Members side by side, and a node for each item of a list.

use soma::flow::{
    Failure, Output,
    document::{Combine, FanIn, Parallel},
};

use super::{
    native::{always, down, run_native},
    *,
};

fn group(combine: Combine) -> Dag {
    let group = Parallel::new("both", ["a", "b"], combine).route("success", "fine");
    let group = if combine == Combine::Collect {
        group
    } else {
        group.route("error", "not")
    };
    let dag = Dag::builder("group", "1")
        .place(group)
        .place(Single::new("a", "a"))
        .place(Single::new("b", "b"))
        .place(soma::flow::document::Terminal::completed("fine"));
    if combine == Combine::Collect {
        dag.build()
    } else {
        dag.place(soma::flow::document::Terminal::failed("not"))
            .build()
    }
}

fn succeed(key: &'static str) -> Output {
    Output::default().set(key, true)
}

#[test]
fn members_see_the_state_as_the_group_found_it_and_their_outputs_are_merged() {
    let seen = |call: soma::flow::Call<'_>| {
        assert_eq!(call.state.len(), 1, "{:?}", call.state);
        Ok(Output::default().set(call.placement, true))
    };
    let nodes =
        Nodes::new()
            .function("a", Contract::open(), seen)
            .function("b", Contract::open(), seen);
    let run = run_native(
        group(Combine::AllSuccess),
        nodes,
        json!({"given": 1}),
        RunOptions::default(),
    );
    assert_eq!(run.lifecycle(), Lifecycle::Completed);
    assert_eq!(
        Value::Object(run.state.clone()),
        json!({"given": 1, "a": true, "b": true})
    );
    assert_eq!(
        steps(&run),
        [
            ("a", Some("success"), 1),
            ("b", Some("success"), 1),
            ("both", Some("success"), 1)
        ]
    );
}

#[test]
fn a_group_takes_the_route_that_its_combination_says() {
    let ended = |combine, b_fails: bool, a_fails: bool| {
        let mut nodes = Nodes::new()
            .function("a", Contract::open(), always(succeed("a")))
            .function("b", Contract::open(), always(succeed("b")));
        if a_fails {
            nodes = nodes.function("a", Contract::open(), down("A_DOWN"));
        }
        if b_fails {
            nodes = nodes.function("b", Contract::open(), down("B_DOWN"));
        }
        let run = run_native(group(combine), nodes, json!({}), RunOptions::default());
        (
            run.lifecycle() == Lifecycle::Completed,
            run.notes.errors.len(),
        )
    };
    assert_eq!(ended(Combine::AllSuccess, false, false), (true, 0));
    assert_eq!(ended(Combine::AllSuccess, true, false), (false, 2));
    assert_eq!(ended(Combine::AnySuccess, true, false), (true, 1));
    assert_eq!(ended(Combine::AnySuccess, true, true), (false, 3));
    assert_eq!(ended(Combine::Collect, true, true), (true, 2));
}

#[test]
fn a_collecting_group_says_which_route_each_member_took() {
    let nodes = Nodes::new()
        .function("a", Contract::open(), always(Output::on("empty")))
        .function("b", Contract::open(), down("B_DOWN"));
    let run = run_native(
        group(Combine::Collect),
        nodes,
        json!({}),
        RunOptions::default(),
    );
    assert_eq!(
        run.state["metadata"]["parallelOutputs"],
        json!({"a": "empty", "b": "error"})
    );
}

#[test]
fn two_members_that_write_one_key_are_warned_of_and_the_later_one_counts() {
    let nodes = Nodes::new()
        .function("a", Contract::open(), always(Output::default().set("x", 1)))
        .function("b", Contract::open(), always(Output::default().set("x", 2)));
    let run = run_native(
        group(Combine::AllSuccess),
        nodes,
        json!({"x": 0}),
        RunOptions::default(),
    );
    assert_eq!(run.state["x"], json!(2));
    let [warning] = run.notes.warnings.as_slice() else {
        panic!("{:?}", run.notes);
    };
    assert_eq!(warning.code, "PARALLEL_OVERWRITE");
    assert_eq!(
        warning.message,
        "`x` was written by `a` too; `b` comes last"
    );
}

#[test]
fn a_member_that_answers_with_what_it_was_given_overwrites_nothing() {
    let nodes = Nodes::new()
        .function("a", Contract::open(), always(Output::default().set("x", 1)))
        .function("b", Contract::open(), |call| {
            Ok(Output::new(call.state.clone()))
        });
    let run = run_native(
        group(Combine::AllSuccess),
        nodes,
        json!({"x": 0}),
        RunOptions::default(),
    );
    assert_eq!(run.state["x"], json!(1));
    assert!(run.notes.warnings.is_empty());
}

/// A fan-out of `work` over `items`, whose four routes complete the flow.
fn each(fan_in: FanIn) -> Dag {
    let fan = ending(FanOut::new("each", "work", "items", fan_in));
    Dag::builder("each", "1").place(fan).build()
}

/// Squares a number; odd ones take a route of their own, and 13 is bad luck.
fn square(call: soma::flow::Call<'_>) -> Result<Output, Failure> {
    let n = call.state["currentItem"].as_u64().unwrap();
    assert!(call.state["metadata"]["itemIndex"].is_u64());
    assert_eq!(call.state.get("items"), None, "the list itself is not seen");
    if n == 13 {
        return Err(Failure::recoverable("BAD_LUCK", "13"));
    }
    let route = if n.is_multiple_of(2) { "even" } else { "odd" };
    Ok(Output::on(route).set("square", n * n))
}

fn squares(fan_in: FanIn, items: Value) -> Run {
    let nodes = Nodes::new()
        .function("work", Contract::routes(["even", "odd"]), square)
        .function("sum", Contract::open(), |call| {
            let results = &call.state["metadata"]["fanInResults"];
            Ok(Output::default().set("gathered", results.clone()))
        });
    run_native(
        each(fan_in),
        nodes,
        json!({"items": items}),
        RunOptions::default(),
    )
}

fn route(run: &Run) -> &str {
    run.executed.last().unwrap().route.as_deref().unwrap()
}

#[test]
fn results_are_gathered_in_the_order_of_the_list_whatever_their_routes() {
    let run = squares(FanIn::append("squares"), json!([3, 2, 1]));
    assert_eq!(run.error, None);
    assert_eq!(route(&run), "all-success");
    assert_eq!(
        run.state["squares"],
        json!([{"square": 9}, {"square": 4}, {"square": 1}])
    );
    assert_eq!(run.state["items"], json!([3, 2, 1]), "the list stays");
}

#[test]
fn an_item_that_fails_leaves_the_others_and_is_noted() {
    let run = squares(FanIn::append("squares"), json!([3, 13, 1]));
    assert_eq!(route(&run), "partial");
    assert_eq!(run.state["squares"], json!([{"square": 9}, {"square": 1}]));
    assert_eq!(run.notes.errors[0].code, "BAD_LUCK");
    let run = squares(FanIn::append("squares"), json!([13]));
    assert_eq!(route(&run), "all-error");
    assert_eq!(run.state["squares"], json!([]));
}

#[test]
fn a_list_that_is_empty_missing_or_no_list_takes_empty() {
    for items in [json!([]), json!(null), json!("text")] {
        let run = squares(FanIn::append("squares"), items);
        assert_eq!(route(&run), "empty");
        assert_eq!(run.state.get("squares"), None);
    }
}

#[test]
fn appending_goes_on_behind_what_is_there() {
    let nodes = Nodes::new().function("work", Contract::open(), |call| {
        assert_eq!(call.state.get("squares"), None);
        Ok(Output::default().set("currentItem", 7))
    });
    let run = run_native(
        each(FanIn::append("deep.squares")),
        nodes,
        json!({"items": [1, 2], "deep": {"squares": [0], "other": 1}}),
        RunOptions::default(),
    );
    assert_eq!(
        run.state["deep"],
        json!({"squares": [0, 7, 7], "other": 1}),
        "an item that its node answers with is the result"
    );
}

#[test]
fn a_target_that_is_no_list_loses_nothing_and_is_told() {
    let run = {
        let nodes = Nodes::new().function("work", Contract::open(), always(succeed("x")));
        run_native(
            each(FanIn::append("taken.here")),
            nodes,
            json!({"items": [1], "taken": "text"}),
            RunOptions::default(),
        )
    };
    assert_eq!(route(&run), "all-error");
    assert_eq!(run.state["taken"], json!("text"));
    assert_eq!(
        run.notes.errors[0].message,
        "placement `each`: `taken.here` cannot be written: `taken` is no object"
    );
}

#[test]
fn results_can_be_parted_by_route() {
    let parts = FanIn::partition([("even", "evens"), ("odd", "odds")]);
    let run = squares(parts, json!([1, 2, 3]));
    assert_eq!(route(&run), "all-success");
    assert_eq!(run.state["evens"], json!([{"square": 4}]));
    assert_eq!(run.state["odds"], json!([{"square": 1}, {"square": 9}]));
}

#[test]
fn a_node_can_gather_and_the_route_is_that_of_the_items() {
    let run = squares(FanIn::custom("sum"), json!([1, 13, 2]));
    assert_eq!(route(&run), "partial");
    assert_eq!(
        run.state["gathered"],
        json!({"even": [{"square": 4}], "odd": [{"square": 1}]})
    );
}

#[test]
fn no_more_items_run_at_a_time_than_are_asked_for() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use soma::{
        engram::BoxFuture,
        flow::{Call, NativeNode},
    };

    #[derive(Default)]
    struct Counting {
        now: AtomicUsize,
        most: Arc<AtomicUsize>,
    }

    impl NativeNode for Counting {
        fn run<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Result<Output, Failure>> {
            Box::pin(async move {
                let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
                self.most.fetch_max(now, Ordering::Relaxed);
                // The first of each is the slowest: the others are not held up.
                let at = call.state["metadata"]["itemIndex"].as_u64().unwrap();
                let span = if at == 0 { 100 } else { 1 };
                call.clock.sleep(Duration::from_secs(span)).await;
                self.now.fetch_sub(1, Ordering::Relaxed);
                Ok(Output::default())
            })
        }
    }

    let most = Arc::new(AtomicUsize::new(0));
    let node = Counting {
        most: Arc::clone(&most),
        ..Counting::default()
    };
    let nodes = Nodes::new().native("work", Contract::open(), node);
    let fan = ending(FanOut::new("each", "work", "items", FanIn::append("out")).concurrency(3));
    let dag = Dag::builder("each", "1").place(fan).build();
    let items: Vec<_> = (0..31).collect();
    let run = run_native(dag, nodes, json!({"items": items}), RunOptions::default());
    assert_eq!(run.error, None);
    assert_eq!(most.load(Ordering::Relaxed), 3);
    let took = run
        .life
        .finished_at
        .unwrap()
        .since(run.life.started_at.unwrap());
    assert_eq!(took, Duration::from_secs(100), "a slow item is no barrier");
}

#[test]
fn neurons_of_a_group_run_in_sandboxes_of_their_own_and_one_that_traps_is_an_error_of_its_own() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let fan =
            ending(FanOut::new("each", "puppet", "items", FanIn::append("said")).item_key("do"));
        let flow = flow(Dag::builder("each", "1").place(fan).build());
        let said = |n: u64| json!([{"output": {"value": {"n": n}}}]);
        let items = json!({"items": [said(1), ["trap"], said(3)]});
        let run = flow
            .run(&stage.tenant, object(items), RunOptions::default())
            .await;
        assert_eq!(run.error, None);
        assert_eq!(route(&run), "partial");
        assert_eq!(run.state["said"], json!([{"n": 1}, {"n": 3}]));
        assert_eq!(run.notes.errors[0].code, "NEURON_TRAP");
    });
}
