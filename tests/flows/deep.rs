//! Flows within flows.

use soma::flow::{
    Note, Output,
    document::{Deep, Terminal},
};

use super::{
    native::{always, down, run_flow},
    *,
};

fn outer(deep: Deep) -> Dag {
    let deep = deep.route("success", "after").route("error", "mend");
    Dag::builder("outer", "1")
        .place(deep)
        .place(Single::new("after", "after").end("success"))
        .place(Single::new("mend", "mend").end("success"))
        .build()
}

fn inner(node: &str) -> Dag {
    Dag::builder("inner", "1")
        .place(Single::new("work", node).end("success"))
        .build()
}

fn nodes() -> Nodes {
    Nodes::new()
        .function(
            "after",
            Contract::open(),
            always(Output::default().set("after", true)),
        )
        .function(
            "mend",
            Contract::open(),
            always(Output::default().set("mended", true)),
        )
        .function("down", Contract::open(), down("DOWN"))
        .function("write", Contract::open(), |call| {
            let given = call.state.get("given").cloned().unwrap_or_default();
            Ok(Output::default().set("made", given).set("own", 1))
        })
        .function(
            "doubt",
            Contract::open(),
            always(Output::default().error(Note::new("DOUBT", "may be wrong"))),
        )
        .function(
            "despair",
            Contract::open(),
            always(Output::default().error(Note::new("DESPAIR", "is wrong").unrecoverable())),
        )
}

fn run_deep(dags: &[Dag], state: Value) -> Run {
    run_flow(
        Flow::new(dags, &nodes()).unwrap(),
        state,
        RunOptions::default(),
    )
}

#[test]
fn a_flow_within_another_works_on_a_copy_and_gives_back_what_is_mapped() {
    let deep = Deep::new("deep", "inner")
        .input("given", "question.text")
        .output("answer.made", "made");
    let run = run_deep(
        &[outer(deep), inner("write")],
        json!({"question": {"text": "why?"}}),
    );
    assert_eq!(run.error, None);
    assert_eq!(
        Value::Object(run.state.clone()),
        json!({"question": {"text": "why?"}, "answer": {"made": "why?"}, "after": true})
    );
    assert_eq!(
        steps(&run),
        [
            ("deep/work", Some("success"), 1),
            ("deep", Some("success"), 1),
            ("after", Some("success"), 1)
        ]
    );
}

#[test]
fn a_flow_within_another_that_fails_takes_error_with_its_cause_noted() {
    let run = run_deep(
        &[outer(Deep::new("deep", "inner")), inner("down")],
        json!({}),
    );
    assert_eq!(run.lifecycle(), Lifecycle::Completed);
    assert_eq!(run.state["mended"], json!(true));
    assert_eq!(run.notes.errors[0].code, "DOWN");
    assert_eq!(run.notes.errors[0].placement, "deep/work");
}

#[test]
fn a_trap_in_the_innermost_sandbox_reaches_the_outermost_flow() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let middle = Dag::builder("middle", "1")
            .place(
                Deep::new("deeper", "inner")
                    .end("success")
                    .route("error", "lost"),
            )
            .place(Terminal::failed("lost"))
            .build();
        let root = Dag::builder("root", "1")
            .place(
                Deep::new("deep", "middle")
                    .end("success")
                    .route("error", "lost"),
            )
            .place(Terminal::failed("lost"))
            .build();
        let dags = [root, middle, inner("puppet")];
        let flow = Flow::new(&dags, &Nodes::new().or_any_neuron()).unwrap();
        let script = json!([append("x"), "trap"]);
        let run = flow
            .run(&stage.tenant, state(script), RunOptions::default())
            .await;
        assert_eq!(run.error, Some(Cause::Terminal("lost".into())));
        assert_eq!(run.notes.errors[0].code, "NEURON_TRAP");
        assert_eq!(run.notes.errors[0].placement, "deep/deeper/work");
        assert_eq!(contents(&stage.memory).await, [] as [Value; 0]);
    });
}

#[test]
fn an_error_that_the_inner_flow_can_live_with_changes_no_route() {
    let run = run_deep(
        &[outer(Deep::new("deep", "inner")), inner("doubt")],
        json!({}),
    );
    assert_eq!(run.state["after"], json!(true));
    assert_eq!(run.notes.errors[0].code, "DOUBT");
    let run = run_deep(
        &[outer(Deep::new("deep", "inner")), inner("despair")],
        json!({}),
    );
    assert_eq!(run.state["mended"], json!(true));
    assert_eq!(run.notes.errors[0].code, "DESPAIR");
}

#[test]
fn a_failed_terminal_makes_the_flow_around_it_take_error() {
    let empty = Dag::builder("inner", "1")
        .place(Single::new("work", "write").route("success", "nothing"))
        .place(Terminal::failed("nothing"))
        .build();
    let run = run_deep(&[outer(Deep::new("deep", "inner")), empty], json!({}));
    assert_eq!(run.state["mended"], json!(true));
    assert_eq!(run.notes.errors[0].code, "FLOW_FAILED");
}

#[test]
fn a_route_that_is_not_wired_within_a_flow_is_that_flows_failure() {
    let lost = Dag::builder("inner", "1")
        .place(Single::new("work", "write").end("other"))
        .build();
    let run = run_deep(&[outer(Deep::new("deep", "inner")), lost], json!({}));
    assert_eq!(run.state["mended"], json!(true));
    assert_eq!(run.notes.errors[0].code, "FLOW_UNWIRED");
}

#[test]
fn a_mapping_onto_what_is_no_object_takes_error_and_overwrites_nothing() {
    let deep = Deep::new("deep", "inner").output("text.made", "made");
    let run = run_deep(&[outer(deep), inner("write")], json!({"text": "kept"}));
    assert_eq!(run.state["text"], json!("kept"));
    assert_eq!(run.state["mended"], json!(true));
    assert_eq!(run.notes.errors[0].code, "FLOW_STATE");
}

#[test]
fn a_flow_without_a_node_that_runs_meets_the_step_limit() {
    let nothing = Dag::builder("nothing", "1")
        .place(Terminal::completed("done"))
        .build();
    let turns = Dag::builder("turns", "1")
        .place(
            Deep::new("round", "nothing")
                .route("success", "round")
                .end("error"),
        )
        .build();
    let run = run_deep(&[turns, nothing], json!({}));
    assert_eq!(run.error, Some(Cause::StepLimit(100_000)));
    let empty = Dag::builder("empty", "1")
        .place(
            FanOut::new(
                "each",
                "write",
                "no.list",
                soma::flow::document::FanIn::append("out"),
            )
            .end("all-success")
            .end("partial")
            .end("all-error")
            .route("empty", "each"),
        )
        .build();
    let run = run_deep(&[empty], json!({}));
    assert_eq!(run.error, Some(Cause::StepLimit(100_000)));
}

#[test]
fn mappings_do_not_multiply_or_deepen_a_state_beyond_its_bounds() {
    let mut deep = Deep::new("deep", "inner");
    for at in 0..1_000 {
        deep = deep.output(format!("copies.k{at}"), "text");
    }
    let flow = Flow::new(&[outer(deep), inner("write")], &nodes()).unwrap();
    let options = RunOptions {
        max_state_bytes: 1 << 20,
        ..RunOptions::default()
    };
    let run = run_flow(flow, json!({"text": "x".repeat(10_000)}), options);
    assert_eq!(run.state["mended"], json!(true));
    let told = &run.notes.errors[0].message;
    assert!(
        told.ends_with("cannot be written: the state would be too large"),
        "{told}"
    );
    let path = ["x"; 20].join(".");
    let spiral = Dag::builder("spiral", "1")
        .place(
            Deep::new("deep", "inner")
                .output(path, "x")
                .route("success", "deep")
                .end("error"),
        )
        .build();
    let run = run_deep(&[spiral, inner("write")], json!({"x": {}}));
    assert_eq!(run.error, None);
    assert!(
        run.notes.errors[0]
            .message
            .ends_with("it would be nested deeper than 96"),
        "{:?}",
        run.notes
    );
}
