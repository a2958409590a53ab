//! The example's files against the stages that they are for: `examples/archivist`
//! of the repository.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use archivist::books::{Book, SHELVES};
use archivist::historian::Visit;
use archivist::text::slug;
use archivist::{Stage, State, critic, fault, historian, librarian, scout, writer};
use serde::Deserialize;
use serde_json::{Value, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/archivist")
}

fn read(name: &str) -> Value {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn catalogue() -> Vec<Book> {
    serde_json::from_value(read("catalogue.json")["catalogue"].clone()).unwrap()
}

/// All that there is to register, with its routes.
fn stages() -> BTreeMap<&'static str, &'static [&'static str]> {
    let others: [Stage; 6] = [
        ("scout-folio", scout::ROUTES),
        ("scout-athenaeum", scout::ROUTES),
        ("scout-stacks", scout::ROUTES),
        ("compose-response", writer::ROUTES),
        ("validate-response", critic::ROUTES),
        ("shelve-book", &["success"]),
    ];
    let stages = librarian::STAGES.into_iter().chain(historian::STAGES);
    stages.chain(others).collect()
}

fn dags() -> Vec<Value> {
    let mut dags = read("archivist.json").as_array().unwrap().clone();
    dags.push(read("stock-shelves.json"));
    dags
}

fn placements(dag: &Value) -> &[Value] {
    dag["nodes"].as_array().unwrap()
}

fn of_type<'a>(dag: &'a Value, kind: &str) -> Vec<&'a Value> {
    let placements = placements(dag).iter();
    placements
        .filter(|placement| placement["@type"] == kind)
        .collect()
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn the_catalogue_has_hundreds_of_books_each_complete() {
    let catalogue = catalogue();
    let works: BTreeSet<&str> = catalogue.iter().map(|book| book.id.as_str()).collect();
    assert!(works.len() >= 300, "{} works", works.len());
    for book in &catalogue {
        let author = slug(&book.authors[0]);
        let (title, known) = book
            .id
            .strip_prefix("urn:work:")
            .unwrap()
            .split_once("::")
            .unwrap();
        assert_eq!(
            (known, title),
            (author.as_str(), slug(title).as_str()),
            "{}",
            book.id
        );
        assert!((2..=5).contains(&book.subjects.len()), "{}", book.id);
        assert!(
            (20..=240).contains(&book.summary.chars().count()),
            "{}",
            book.id
        );
        assert!(
            (0.0..=5.0).contains(&book.rating) && book.ratings_count > 0,
            "{}",
            book.id
        );
        assert!(
            book.first_publish_year
                .is_none_or(|year| (-900..1929).contains(&year)),
            "{}",
            book.id
        );
        assert!((2..=3).contains(&book.language.len()), "{}", book.id);
        assert!(SHELVES.contains(&book.source.as_str()), "{}", book.id);
    }
}

#[test]
fn a_work_stands_once_on_a_shelf_under_one_of_its_titles_and_some_on_two() {
    let catalogue = catalogue();
    let mut copies: BTreeMap<&str, Vec<&Book>> = BTreeMap::new();
    for book in &catalogue {
        copies.entry(&book.id).or_default().push(book);
    }
    for (id, copies) in &copies {
        let shelves: BTreeSet<&str> = copies.iter().map(|copy| copy.source.as_str()).collect();
        assert_eq!(shelves.len(), copies.len(), "{id}");
        let named = |copy: &&Book| {
            *id == format!("urn:work:{}::{}", slug(&copy.title), slug(&copy.authors[0]))
        };
        assert!(copies.iter().any(named), "{id}");
    }
    let twice = copies.values().filter(|copies| copies.len() > 1).count();
    assert!(twice >= 30, "{twice} works on two shelves");
}

#[test]
fn a_draft_on_any_book_of_the_catalogue_passes_the_critic() {
    let catalogue = catalogue();
    for books in catalogue.chunks(3) {
        for intent in [
            "lookup-author",
            "find-reviews",
            "describe-book",
            "recommend-similar",
            "search",
        ] {
            for count in [1, books.len()] {
                let work = |book: &Book| json!({"book": book, "sources": [book.source]});
                let shortlist: Vec<Value> = books[..count].iter().map(work).collect();
                let state = json!({"intent": intent, "shortlist": shortlist});
                let mut state: State = serde_json::from_value(state).unwrap();
                let done = writer::compose(&state, None).unwrap();
                state.draft = done.get("draft").as_str().map(str::to_owned);
                assert_eq!(critic::of_text(&state), [], "{intent}: {:?}", state.draft);
            }
        }
    }
}

#[test]
fn every_route_of_every_stage_is_wired_and_so_is_its_failure() {
    let stages = stages();
    for dag in dags() {
        for placement in of_type(&dag, "SingleNode") {
            let node = placement["node"].as_str().unwrap();
            let mut expected: BTreeSet<&str> = stages[node].iter().copied().collect();
            expected.insert("error");
            assert_eq!(keys(&placement["outputs"]), expected, "{node}");
        }
        for placement in of_type(&dag, "FanOutNode") {
            assert!(stages.contains_key(placement["node"].as_str().unwrap()));
            let expected = ["all-success", "partial", "all-error", "empty"];
            assert_eq!(keys(&placement["outputs"]), expected.into());
        }
        for placement in of_type(&dag, "DeepDAGNode") {
            assert_eq!(keys(&placement["outputs"]), ["success", "error"].into());
        }
    }
}

#[test]
fn every_route_leads_to_a_placement_and_every_placement_is_reached() {
    let dags = dags();
    let names: Vec<&str> = dags
        .iter()
        .map(|dag| dag["name"].as_str().unwrap())
        .collect();
    for dag in &dags {
        let name = |placement: &Value| placement["name"].as_str().unwrap().to_owned();
        let known: BTreeSet<String> = placements(dag).iter().map(name).collect();
        let mut reached = BTreeSet::from([dag["entrypoint"].as_str().unwrap().to_owned()]);
        for placement in placements(dag) {
            let outputs = placement["outputs"].as_object().into_iter().flatten();
            reached.extend(outputs.filter_map(|(_, to)| to.as_str().map(str::to_owned)));
            let members = placement["nodes"].as_array().into_iter().flatten();
            reached.extend(members.map(|member| member.as_str().unwrap().to_owned()));
            if let Some(child) = placement["dag"].as_str() {
                assert!(names.contains(&child), "{child}");
            }
        }
        assert_eq!(reached, known, "{}", dag["name"]);
    }
}

#[test]
fn whatever_happens_the_visit_ends_with_the_one_response() {
    let root = &dags()[0];
    for placement in placements(root) {
        let name = placement["name"].as_str().unwrap();
        let outputs = placement["outputs"].as_object().into_iter().flatten();
        for (route, to) in outputs {
            let to = to
                .as_str()
                .unwrap_or_else(|| panic!("{name} ends the visit by {route}"));
            let ends = of_type(root, "TerminalNode")
                .iter()
                .any(|end| end["name"] == to);
            assert_eq!(
                ends,
                name == "respond-to-visitor",
                "{name} takes {route} to {to}"
            );
        }
    }
}

/// A scripted situation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    about: String,
    input: Input,
    #[serde(default)]
    visits: Vec<Visit>,
    #[serde(default)]
    answers: Vec<String>,
    #[serde(rename = "deadlineMs")]
    deadline_ms: Option<u64>,
    abort: Option<Abort>,
    expects: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    query: String,
    #[serde(default)]
    faults: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Abort {
    after: Vec<String>,
    pass: u32,
}

fn scenarios() -> Vec<(String, Scenario)> {
    let mut scenarios = Vec::new();
    for file in fs::read_dir(folder().join("scenarios")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let scenario =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        scenarios.push((name, scenario));
    }
    scenarios
}

#[test]
fn every_scenario_is_complete_and_its_faults_are_known_where_they_strike() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 14);
    let stages = stages();
    for (name, scenario) in scenarios {
        assert!(
            !scenario.about.is_empty() && !scenario.expects.is_empty(),
            "{name}"
        );
        assert!(
            !scenario.input.query.is_empty() || !scenario.answers.is_empty(),
            "{name}"
        );
        assert!(scenario.deadline_ms.is_none_or(|limit| limit > 0), "{name}");
        assert!(
            scenario.visits.iter().all(|visit| !visit.run_id.is_empty()),
            "{name}"
        );
        for (stage, word) in &scenario.input.faults {
            assert!(stages.contains_key(stage.as_str()), "{name}: {stage}");
            let own: &[&str] = match stage.as_str() {
                "compose-response" => writer::FAULTS,
                "validate-response" => critic::FAULTS,
                "respond-to-visitor" => &[historian::FORGETS],
                _ => &[],
            };
            let known = fault::FAULTS.iter().chain(own);
            assert!(
                known.into_iter().any(|known| known == word),
                "{name}: {word}"
            );
        }
    }
}

#[test]
fn a_scenario_aborts_after_a_placement_that_exists() {
    let dags = dags();
    for (name, scenario) in scenarios() {
        let Some(abort) = scenario.abort else {
            continue;
        };
        assert!(abort.pass > 0, "{name}");
        let mut dag = &dags[0];
        for step in &abort.after {
            let placement = placements(dag)
                .iter()
                .find(|placement| placement["name"] == *step);
            let placement = placement.unwrap_or_else(|| panic!("{name}: {step}"));
            dag = dags
                .iter()
                .find(|dag| dag["name"] == placement["dag"])
                .unwrap_or(dag);
        }
    }
}
