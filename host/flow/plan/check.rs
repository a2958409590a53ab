//! From documents to a plan, with everything that is wrong on the way.

mod placement;
mod shape;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use self::placement::Resolver;
pub(in crate::flow) use self::{placement::aggregate, shape::only_members};
use super::{Flow, InvalidFlow, Planned, Problem};
use crate::flow::{
    document::{Dag, Placement},
    known::Nodes,
    listed::list,
};

/// Resolves all names.
pub(super) fn plan(documents: &[Dag], nodes: &Nodes) -> Result<Vec<Planned>, InvalidFlow> {
    let flow = documents.first().map_or("", |root| root.name.as_str());
    let mut report = Report::default();
    if documents.len() > Flow::MAX_DOCUMENTS {
        let told = format!(
            "a flow has at most {} documents, not {}",
            Flow::MAX_DOCUMENTS,
            documents.len()
        );
        report.tell(&[], told);
        return Err(InvalidFlow {
            flow: flow.into(),
            problems: report.problems,
        });
    }
    let dags = by_name(documents, &mut report);
    let mut planned = Vec::new();
    for dag in documents {
        let mut report = report.of(dag);
        planned.push(one(dag, &dags, nodes, &mut report));
    }
    report.problems.extend(shape::cycles(documents, &dags));
    if report.problems.is_empty() {
        report.problems.extend(shape::too_deep(&planned));
    }
    if documents.is_empty() {
        report.tell(&[], "there is no document");
    }
    if report.problems.is_empty() {
        return Ok(planned);
    }
    Err(InvalidFlow {
        flow: flow.into(),
        problems: report.problems,
    })
}

/// Problems of one document or several.
#[derive(Default)]
struct Report {
    dag: Arc<str>,
    problems: Vec<Problem>,
}

/// Problems of one document, which go to all the others' in the end.
struct Part<'a> {
    dag: Arc<str>,
    problems: &'a mut Vec<Problem>,
}

impl Report {
    fn of(&mut self, dag: &Dag) -> Part<'_> {
        Part {
            dag: dag.name.as_str().into(),
            problems: &mut self.problems,
        }
    }

    fn tell(&mut self, keys: &[&str], message: impl Into<String>) {
        let dag = Arc::clone(&self.dag);
        Part {
            dag,
            problems: &mut self.problems,
        }
        .tell(keys, message);
    }
}

impl Part<'_> {
    fn tell(&mut self, keys: &[&str], message: impl Into<String>) {
        self.push(keys, false, message.into(), None);
    }

    /// At the key rather than at its value.
    fn tell_key(&mut self, keys: &[&str], message: impl Into<String>) {
        self.push(keys, true, message.into(), None);
    }

    fn advise(&mut self, keys: &[&str], message: impl Into<String>, help: impl Into<String>) {
        self.push(keys, false, message.into(), Some(help.into()));
    }

    fn push(&mut self, keys: &[&str], at_key: bool, message: String, help: Option<String>) {
        self.problems.push(Problem {
            dag: Arc::clone(&self.dag),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            at_key,
            message,
            help,
        });
    }
}

/// Each name with the first document that has it.
fn by_name<'a>(documents: &'a [Dag], report: &mut Report) -> HashMap<&'a str, usize> {
    let mut names = HashMap::new();
    for (at, dag) in documents.iter().enumerate() {
        if names.contains_key(dag.name.as_str()) {
            let told = format!(
                "two documents are named `{}`; names must be unique",
                dag.name
            );
            report.of(dag).tell(&["name"], told);
        } else {
            names.insert(dag.name.as_str(), at);
        }
    }
    names
}

/// Resolves the names of one document.
fn one(dag: &Dag, dags: &HashMap<&str, usize>, nodes: &Nodes, report: &mut Part<'_>) -> Planned {
    let places = places(dag, report);
    let entry = places.get(dag.entrypoint.as_str()).copied();
    if entry.is_none() && !dag.nodes.is_empty() {
        let known = list(dag.nodes.iter().map(Placement::name));
        let told = format!("`{}` is no placement; there are {known}", dag.entrypoint);
        report.tell(&["entrypoint"], told);
    }
    let before = report.problems.len();
    let mut resolver = Resolver {
        dag,
        dags,
        nodes,
        places: &places,
        only_members: shape::only_members(dag),
        report,
    };
    let placements = resolver.placements();
    // What follows from a problem above is not told again.
    if let Some(entry) = entry
        && report.problems.len() == before
    {
        shape::unreachable(entry, &placements, report);
        shape::no_way_out(&placements, report);
    }
    Planned {
        name: dag.name.as_str().into(),
        entry: entry.unwrap_or(0),
        placements,
    }
}

/// Each name with the first placement that has it.
fn places<'a>(dag: &'a Dag, report: &mut Part<'_>) -> HashMap<&'a str, usize> {
    if dag.nodes.is_empty() {
        report.tell(&["nodes"], "a flow has at least one placement");
    }
    if dag.nodes.len() > Flow::MAX_PLACEMENTS {
        let most = Flow::MAX_PLACEMENTS;
        report.tell(
            &["nodes"],
            format!(
                "a flow has at most {most} placements, not {}",
                dag.nodes.len()
            ),
        );
    }
    let mut places = HashMap::new();
    let mut told = HashSet::new();
    for (at, placement) in dag.nodes.iter().enumerate() {
        let name = placement.name();
        if name.is_empty() || name.contains(['/', '[', '=']) {
            let told =
                format!("`{name}` is no name of a placement: it has no `/`, `[` or `=` in it");
            report.tell(&["nodes", &at.to_string(), "name"], told);
        }
        if places.contains_key(name) {
            if told.insert(name) {
                let message = format!("two placements are named `{name}`; names must be unique");
                report.tell(&["nodes", &at.to_string(), "name"], message);
            }
        } else {
            places.insert(name, at);
        }
    }
    places
}
