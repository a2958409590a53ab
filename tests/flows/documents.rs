//! DAG documents: what is taken, and what is told of what is not.

use expect_test::expect_file;
use soma::flow::document::{Caps, Combine, DagFile, Deep, FanIn, Parallel, Terminal, schema};
use soma::package::FlowTerms;

use super::{native::always, *};
use soma::flow::Output;

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/flows")
        .join(name)
}

/// Nodes that say which routes they take, for the documents of the fixtures.
fn known() -> Nodes {
    let node = || always(Output::default());
    Nodes::new()
        .function("draft", Contract::routes(["drafted"]), node())
        .function(
            "judge",
            Contract::routes(["approved", "retry", "exhausted"]),
            node(),
        )
        .function("parity", Contract::routes(["even", "odd"]), node())
        .function("work", Contract::routes(["success"]), node())
        .function("open", Contract::open(), node())
        .neuron(
            "capability:draft+polite",
            Target::capabilities(["draft", "polite"]),
            Contract::open(),
        )
}

/// All that is wrong with a file, as `soma flow check` tells it.
fn report(path: &Path) -> String {
    let name = path.file_name().unwrap();
    let text = fs::read_to_string(path).unwrap();
    let file = match DagFile::parse(Path::new(name), text) {
        Ok(file) => file,
        Err(problems) => return format!("{problems}\n"),
    };
    match Flow::new(file.dags(), &known()) {
        Ok(_) => "nothing is wrong with it\n".to_owned(),
        Err(invalid) => {
            let located = invalid.problems.iter().map(|problem| {
                let located = file.locate(problem).unwrap();
                format!("{located}\n")
            });
            located.collect()
        }
    }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "json"));
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn every_invalid_document_is_told_all_that_is_wrong_with_it_and_where() {
    for file in files(&folder("invalid")) {
        expect_file![file.with_extension("txt")].assert_eq(&report(&file));
    }
}

#[test]
fn documents_of_every_kind_of_placement_are_taken() {
    let mut kinds = std::collections::BTreeSet::new();
    for file in files(&folder("valid")) {
        assert_eq!(report(&file), "nothing is wrong with it\n", "{file:?}");
        let read = DagFile::read(&file).unwrap();
        for dag in read.dags() {
            for placement in dag.to_json()["nodes"].as_array().unwrap() {
                kinds.insert(placement["@type"].as_str().unwrap().to_owned());
            }
        }
    }
    let kinds: Vec<_> = kinds.iter().map(String::as_str).collect();
    assert_eq!(
        kinds,
        [
            "DeepDAGNode",
            "FanOutNode",
            "ParallelNode",
            "SingleNode",
            "TerminalNode"
        ]
    );
}

#[test]
fn the_builder_gives_the_same_value_as_the_document() {
    let text = fs::read_to_string(folder("valid/everything.json")).unwrap();
    let read = DagFile::parse(Path::new("everything.json"), text).unwrap();
    let [root, inner] = read.dags() else {
        panic!("{:?}", read.dags());
    };
    let policy = soma_retry::RetryPolicy {
        max_attempts: 2,
        base_delay: Duration::from_millis(400),
        retry_on: Some(vec!["any".to_owned()]),
        ..soma_retry::RetryPolicy::default()
    };
    let built = Dag::builder("everything", "1.0")
        .place(
            Single::new("begin", "open")
                .route("success", "both")
                .route("error", "lost")
                .retry(policy)
                .timeout_ms(60_000)
                .limits(Caps {
                    fuel: Some(1_000_000_000),
                    memory_bytes: Some(16 << 20),
                    host_calls: Some(100),
                }),
        )
        .place(Single::new("one", "work"))
        .place(Single::new("two", "work"))
        .place(
            Parallel::new("both", ["one", "two"], Combine::AllSuccess)
                .route("success", "each")
                .route("error", "lost"),
        )
        .place(
            FanOut::new(
                "each",
                "parity",
                "found.numbers",
                FanIn::partition([("even", "evens"), ("odd", "odds")]),
            )
            .item_key("number")
            .concurrency(4)
            .route("all-success", "inside")
            .route("partial", "inside")
            .route("all-error", "lost")
            .route("empty", "inside"),
        )
        .place(
            Deep::new("inside", "inner")
                .input("question", "query.text")
                .output("answer", "draft")
                .end("success")
                .route("error", "lost"),
        )
        .place(Terminal::failed("lost"))
        .build();
    assert_eq!(&built, root);
    assert_eq!(built.hash(), root.hash());
    assert_eq!(inner.name, "inner");
}

#[test]
fn the_committed_schema_is_that_of_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/dag.schema.json");
    let text = format!("{:#}\n", schema());
    expect_file![file].assert_eq(&text);
}

#[test]
fn a_thousand_placements_and_a_chain_of_flows_are_checked_and_too_many_are_refused() {
    let long = |count: usize| {
        let mut dag = Dag::builder("long", "1");
        for at in 0..count {
            let single = Single::new(format!("n{at}"), "work");
            dag = dag.place(if at + 1 < count {
                single.route("success", format!("n{}", at + 1))
            } else {
                single.end("success")
            });
        }
        dag.build()
    };
    Flow::new(&[long(1_000)], &known()).unwrap();
    let told = Flow::new(&[long(10_001)], &known())
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("a flow has at most 10000 placements, not 10001"),
        "{told}"
    );
    let nested = |count: usize| -> Vec<Dag> {
        let dag = |at: usize| {
            let dag = Dag::builder(format!("d{at}"), "1");
            if at + 1 < count {
                dag.place(
                    Deep::new("in", format!("d{}", at + 1))
                        .end("success")
                        .end("error"),
                )
                .build()
            } else {
                dag.place(Single::new("work", "work").end("success"))
                    .build()
            }
        };
        (0..count).map(dag).collect()
    };
    Flow::new(&nested(32), &known()).unwrap();
    let told = Flow::new(&nested(33), &known()).unwrap_err().to_string();
    assert!(
        told.contains("it holds flows 33 levels deep; at most 32 are run"),
        "{told}"
    );
}

#[test]
fn routes_that_a_neurons_manifest_declares_must_be_wired() {
    let host = host();
    let tenant = tenant(&host, "t");
    let manifest = "id = \"judge\"\nversion = \"1.0.0\"\n\n[grants]\nlog = true\n\n\
                    [flow]\nroutes = [\"approved\", \"retry\"]\nrequires = [\"draft\"]\n";
    let project = common::command::scratch_folder("flow-manifest");
    fs::write(project.join("neuron.toml"), manifest).unwrap();
    let (manifest, _) = soma::package::Manifest::read(&project).unwrap();
    let wasm = fs::read(common::component("echo")).unwrap();
    let wasm = soma::package::embed(&wasm, &manifest, &Default::default()).unwrap();
    let package = soma::package::Package::read(&wasm).unwrap();
    let grants = common::all_grants();
    let plugin = host
        .load(&wasm, &grants, soma::neuron::Metering::Fuel)
        .unwrap();
    tenant.register(Neuron::of_package(plugin, &package).unwrap());
    let nodes = Nodes::of(&tenant);
    let refused = |single: Single| {
        let dag = Dag::builder("d", "1").place(single).build();
        Flow::new(&[dag], &nodes)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        refused(Single::new("one", "judge").end("approved").end("sideways")).unwrap_err(),
        "flow `d` is invalid:\n  \
         - nodes.0.outputs: `one` does not say where `retry` leads\n    \
         `null` is the end of the flow\n  \
         - nodes.0.outputs.sideways: `one` never takes `sideways`; it takes `approved`, `retry`"
    );
    refused(Single::new("one", "judge").end("approved").end("retry")).unwrap();
    assert!(refused(Single::new("one", "nobody").end("success")).is_err());
}

#[test]
fn a_node_named_by_capabilities_is_checked_against_every_neuron_that_has_them() {
    let host = host();
    let tenant = tenant(&host, "t");
    let echo = plugin(&host, "echo");
    let register = |id: &str, capabilities: &[&str], routes: Option<&[&str]>| {
        let terms = FlowTerms {
            routes: routes.map(|routes| routes.iter().map(ToString::to_string).collect()),
            ..FlowTerms::default()
        };
        let neuron = Neuron::new(id, Arc::clone(&echo))
            .capabilities(capabilities.iter().copied())
            .flow_terms(terms);
        tenant.register(neuron);
    };
    let refused = |node: &str, routes: &[&str]| {
        let one = routes
            .iter()
            .fold(Single::new("one", node), |one, route| one.end(*route));
        let dag = Dag::builder("d", "1").place(one).build();
        Flow::new(&[dag], &Nodes::of(&tenant))
            .map(drop)
            .map_err(|error| error.to_string())
    };
    register("critic", &["judge", "quick"], Some(&["approved", "retry"]));
    register("referee", &["judge"], Some(&["approved", "exhausted"]));
    assert_eq!(
        refused("capability:judge+fly", &["approved"]).unwrap_err(),
        "flow `d` is invalid:\n  \
         - nodes.0.node: no neuron can do `judge` and `fly`; there are `judge`, `quick`"
    );
    assert_eq!(
        refused("capability:judge", &["approved", "retry"]).unwrap_err(),
        "flow `d` is invalid:\n  \
         - nodes.0.outputs: `one` does not say where `exhausted` leads\n    \
         `null` is the end of the flow"
    );
    refused("capability:judge+quick", &["approved", "retry"]).unwrap();
    refused("capability:judge", &["approved", "retry", "exhausted"]).unwrap();
    // One of which nothing is known: any route may come.
    register("oracle", &["judge"], None);
    refused("capability:judge", &["sideways"]).unwrap();
    assert_eq!(
        refused("capability:judge+", &["success"]).unwrap_err(),
        "flow `d` is invalid:\n  \
         - nodes.0.node: `capability:judge+` leaves a capability out; write `capability:a+b`"
    );
    // Who lists nodes has listed these: a document reaches no other.
    let listed = Nodes::new().neuron("critic", Target::neuron("critic"), Contract::open());
    let judge = Single::new("one", "capability:judge").end("success");
    let told = Flow::new(&[Dag::builder("d", "1").place(judge).build()], &listed);
    assert_eq!(
        told.unwrap_err().to_string(),
        "flow `d` is invalid:\n  \
         - nodes.0.node: there is no node `capability:judge`; there are `critic`"
    );
    let open = Nodes::of(&tenant).or_any_neuron();
    let fly = Single::new("one", "capability:fly").end("sideways");
    Flow::new(&[Dag::builder("d", "1").place(fly).build()], &open).unwrap();
}

#[test]
fn what_a_builder_cannot_keep_one_from_is_refused_too() {
    let fan = ending(
        FanOut::new("each", "work", "items", FanIn::append("out"))
            .concurrency(0)
            .timeout_ms(0),
    );
    let told = |dag: Dag| Flow::new(&[dag], &known()).unwrap_err().to_string();
    assert_eq!(
        told(Dag::builder("zero", "1").place(fan).build()),
        "flow `zero` is invalid:\n  \
         - nodes.0.timeoutMs: 0 ms leave a node no time\n  \
         - nodes.0.concurrency: 0 items at a time come to no end"
    );
    let odd = Single::new("a/b", "work").end("success");
    assert_eq!(
        told(Dag::builder("odd", "1").place(odd).build()),
        "flow `odd` is invalid:\n  \
         - nodes.0.name: `a/b` is no name of a placement: it has no `/`, `[` or `=` in it"
    );
}

#[test]
fn a_member_that_another_member_leads_to_keeps_its_routes() {
    let dag = Dag::builder("chained", "1")
        .place(Parallel::new("both", ["a", "b"], Combine::Collect).route("success", "x"))
        .place(Single::new("x", "work").route("success", "a"))
        .place(Single::new("a", "work").route("success", "b"))
        .place(Single::new("b", "work"))
        .build();
    assert_eq!(
        Flow::new(&[dag], &known()).unwrap_err().to_string(),
        "flow `chained` is invalid:\n  \
         - nodes.3.outputs: `b` does not say where `success` leads\n    \
         `null` is the end of the flow"
    );
}
