//! Flows from what nodes require and make.

use expect_test::expect;
use soma::flow::{
    Derivation, Output,
    document::{Deep, FanIn},
};

use super::{
    native::{always, run_flow},
    *,
};

fn nodes() -> Nodes {
    let node = |key: &'static str| always(Output::default().set(key, json!(key)));
    let contract = || Contract::routes(["success"]);
    Nodes::new()
        .function(
            "query",
            contract().requires(["text"]).produces(["terms"]),
            node("terms"),
        )
        .function(
            "folio",
            contract().requires(["terms"]).produces(["folios"]),
            node("folios"),
        )
        .function(
            "stacks",
            contract().requires(["terms"]).produces(["stacked"]),
            node("stacked"),
        )
        .function(
            "merge",
            contract()
                .requires(["folios", "stacked"])
                .produces(["found", "spare"]),
            |_| {
                Ok(Output::default()
                    .set("found", json!([1, 2]))
                    .set("spare", 1))
            },
        )
        .function(
            "score",
            contract().requires(["currentItem"]),
            always(Output::default().set("n", 1)),
        )
        .function(
            "answer",
            contract().requires(["scored"]).produces(["reply"]),
            node("reply"),
        )
}

fn derivation() -> Derivation {
    let score = FanOut::new("score", "score", "found", FanIn::append("scored"));
    Derivation::new("derived", "1")
        .given(["text"])
        .wanted(["reply"])
        .node("answer")
        .fan_out(score)
        .node("merge")
        .node("folio")
        .node("stacks")
        .node("query")
}

#[test]
fn nodes_come_after_all_that_they_require_and_those_of_one_level_run_side_by_side() {
    let derived = derivation().derive(&nodes()).unwrap();
    let arrows: Vec<_> = derived
        .dag
        .nodes
        .iter()
        .filter_map(|placement| {
            let outputs = placement.outputs()?;
            Some(format!("{} {outputs:?}", placement.name()))
        })
        .collect();
    expect![[r#"
        query {"success": Some("depth_1")}
        folio {}
        stacks {}
        depth_1 {"error": Some("failed"), "success": Some("merge")}
        merge {"success": Some("score")}
        score {"all-error": Some("failed"), "all-success": Some("answer"), "empty": Some("answer"), "partial": Some("answer")}
        answer {"success": None}"#]]
    .assert_eq(&arrows.join("\n"));
    assert_eq!(derived.dag.entrypoint, "query");
    let flow = Flow::new(&[derived.dag], &nodes()).unwrap();
    let run = run_flow(flow, json!({"text": "why?"}), RunOptions::default());
    assert_eq!(run.error, None);
    assert_eq!(run.state["scored"], json!([{"n": 1}, {"n": 1}]));
    assert_eq!(run.state["reply"], json!("reply"));
}

#[test]
fn what_is_made_and_read_by_nobody_is_warned_of() {
    let derived = derivation().derive(&nodes()).unwrap();
    let warnings: Vec<_> = derived.warnings.iter().map(ToString::to_string).collect();
    expect!["merge: it makes `spare`, which no other node requires"]
        .assert_eq(&warnings.join("\n"));
}

#[test]
fn what_is_required_and_made_by_nobody_is_refused_with_all_else_that_is_wrong() {
    let told = Derivation::new("derived", "1")
        .node("answer")
        .node("query")
        .node("nobody")
        .derive(&nodes())
        .unwrap_err()
        .to_string();
    expect![[r#"
        flow `derived` is invalid:
          - nobody: there is no node `nobody`; there are `answer`, `folio`, `merge`, `query`, `score`, `stacks`
          - answer: it requires `scored`, which no other node makes and is not given
          - query: it requires `text`, which no other node makes and is not given"#]]
    .assert_eq(&told);
}

#[test]
fn nodes_that_wait_for_each_other_are_refused() {
    let node = || always(Output::default());
    let nodes = Nodes::new()
        .function(
            "hen",
            Contract::open().requires(["egg"]).produces(["hen"]),
            node(),
        )
        .function(
            "egg",
            Contract::open().requires(["hen"]).produces(["egg"]),
            node(),
        );
    let told = Derivation::new("circle", "1")
        .node("hen")
        .node("egg")
        .derive(&nodes);
    expect![[r#"
        flow `circle` is invalid:
          - hen: each of `hen`, `egg` waits for what another of them makes"#]]
    .assert_eq(&told.unwrap_err().to_string());
}

#[test]
fn a_route_can_end_the_flow_and_a_flow_can_be_a_node() {
    let node = || always(Output::default());
    let nodes = Nodes::new()
        .function(
            "classify",
            Contract::routes(["on", "off"]).produces(["intent"]),
            node(),
        )
        .function(
            "reply",
            Contract::routes(["success"]).requires(["found"]),
            node(),
        );
    let derived = Derivation::new("ends", "1")
        .node("reply")
        .node("classify")
        .ends("classify", "off")
        .deep(
            Deep::new("search", "search").output("found", "found"),
            Contract::open().requires(["intent"]).produces(["found"]),
        )
        .derive(&nodes)
        .unwrap();
    let outputs: Vec<_> = derived
        .dag
        .nodes
        .iter()
        .filter_map(|placement| Some(format!("{} {:?}", placement.name(), placement.outputs()?)))
        .collect();
    expect![[r#"
        classify {"off": None, "on": Some("search")}
        search {"error": Some("failed"), "success": Some("reply")}
        reply {"success": None}"#]]
    .assert_eq(&outputs.join("\n"));
}
