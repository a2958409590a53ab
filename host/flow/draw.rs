//! Pictures of flows, and of the way that a run took through them.
//!
//! Shapes and arrows are those of the reference's Mermaid pictures (dagonizer,
//! section 1.4); the same picture can be had for Graphviz.

mod dot;
mod mermaid;

use std::collections::{BTreeMap, HashMap};

use super::{
    document::{Dag, Outcome, Placement},
    event::Step,
    plan::only_members,
};

/// What a picture is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureFormat {
    /// Mermaid's flowcharts, which many readers of Markdown show.
    Mermaid,
    /// Graphviz: `dot -Tsvg` makes an image of it.
    Dot,
}

/// Draws documents: the first is the root, the others are drawn beside it with
/// an arrow from each placement that holds them. With the steps of a run the
/// way that it took stands out, with attempts and times.
pub fn draw(documents: &[Dag], steps: &[Step], format: PictureFormat) -> String {
    let picture = Picture::of(documents, steps);
    match format {
        PictureFormat::Mermaid => mermaid::write(&picture),
        PictureFormat::Dot => dot::write(&picture),
    }
}

/// A picture without its format.
struct Picture {
    charts: Vec<Chart>,
    /// From a placement to the beginning of the flow that it holds.
    holds: Vec<(String, String)>,
    /// Whether a run is drawn.
    is_run: bool,
}

/// One flow.
struct Chart {
    id: String,
    title: String,
    shapes: Vec<Shape>,
    groups: Vec<Frame>,
    arrows: Vec<Arrow>,
}

/// Members that run side by side.
struct Frame {
    id: String,
    name: String,
    members: Vec<Shape>,
    trace: Trace,
}

struct Shape {
    id: String,
    name: String,
    kind: ShapeKind,
    trace: Trace,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ShapeKind {
    Single,
    FanOut,
    Deep,
    Completed,
    Failed,
    End,
}

struct Arrow {
    from: String,
    to: String,
    route: String,
    /// How often a run went this way.
    taken: usize,
}

/// What a run did at a placement, over all its passes.
#[derive(Clone, Default)]
struct Trace {
    passes: u32,
    attempts: u32,
    micros: u128,
    failed: bool,
}

impl Trace {
    fn is_empty(&self) -> bool {
        self.passes == 0
    }

    /// `2 passes, 3 attempts, 1.5 ms`; `None` of what did not run.
    fn words(&self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let mut words = Vec::new();
        if self.passes > 1 {
            words.push(format!("{} passes", self.passes));
        }
        if self.attempts > self.passes {
            words.push(format!("{} attempts", self.attempts));
        }
        let (whole, part) = (self.micros / 1_000, self.micros % 1_000 / 100);
        words.push(format!("{whole}.{part} ms"));
        if self.failed {
            words.push("failed".to_owned());
        }
        Some(words.join(", "))
    }
}

/// What a run did, by the names of placements, whatever flows are around them.
#[derive(Default)]
struct Way {
    traces: HashMap<(String, String), Trace>,
    taken: HashMap<(String, String, String), usize>,
}

impl Way {
    /// Of steps whose placements are named with those around them.
    fn of(documents: &[Dag], steps: &[Step]) -> Self {
        let mut way = Self::default();
        let Some(root) = documents.first() else {
            return way;
        };
        for step in steps {
            let (around, name) = match step.placement.rsplit_once('/') {
                Some((around, name)) => (around, name),
                None => ("", &*step.placement),
            };
            let Some(flow) = flow_at(documents, root, around) else {
                continue;
            };
            let at = (flow.to_owned(), name.to_owned());
            let trace = way.traces.entry(at).or_default();
            trace.passes += 1;
            trace.attempts += step.attempts;
            trace.micros += step.took.as_micros();
            trace.failed |= step.failed.is_some();
            let route = step.route.as_deref().unwrap_or("error");
            let arrow = (flow.to_owned(), name.to_owned(), route.to_owned());
            *way.taken.entry(arrow).or_default() += 1;
        }
        way
    }
}

/// The flow that placements within one another lead to.
fn flow_at<'a>(documents: &'a [Dag], root: &'a Dag, around: &str) -> Option<&'a str> {
    let mut dag = root;
    for name in around.split('/').filter(|name| !name.is_empty()) {
        let placement = dag.nodes.iter().find(|one| one.name() == name)?;
        let Placement::Deep(deep) = placement else {
            return None;
        };
        dag = documents.iter().find(|dag| dag.name == deep.dag)?;
    }
    Some(&dag.name)
}

impl Picture {
    fn of(documents: &[Dag], steps: &[Step]) -> Self {
        let way = Way::of(documents, steps);
        let ids: BTreeMap<&str, String> = documents
            .iter()
            .enumerate()
            .map(|(at, dag)| (dag.name.as_str(), format!("f{at}")))
            .collect();
        let charts = documents.iter().zip(0..);
        let charts = charts.map(|(dag, at)| Chart::of(dag, at, &way)).collect();
        let mut holds = Vec::new();
        for (dag, flow) in documents.iter().zip(0_usize..) {
            for (placement, at) in dag.nodes.iter().zip(0_usize..) {
                let Placement::Deep(deep) = placement else {
                    continue;
                };
                let inner = documents.iter().position(|dag| dag.name == deep.dag);
                let Some(inner) = inner.filter(|_| ids.contains_key(deep.dag.as_str())) else {
                    continue;
                };
                let entry = documents.get(inner).and_then(|inner| {
                    let entry = inner.nodes.iter();
                    entry
                        .map(Placement::name)
                        .position(|name| name == inner.entrypoint)
                });
                if let Some(entry) = entry {
                    holds.push((format!("f{flow}n{at}"), format!("f{inner}n{entry}")));
                }
            }
        }
        Self {
            charts,
            holds,
            is_run: !steps.is_empty(),
        }
    }
}

impl Chart {
    fn of(dag: &Dag, flow: usize, way: &Way) -> Self {
        let id = format!("f{flow}");
        let place: HashMap<&str, usize> = dag.nodes.iter().map(Placement::name).zip(0..).collect();
        let trace = |name: &str| {
            let at = (dag.name.clone(), name.to_owned());
            way.traces.get(&at).cloned().unwrap_or_default()
        };
        let shape = |at: usize, placement: &Placement| {
            let kind = match placement {
                Placement::Single(_) | Placement::Parallel(_) => ShapeKind::Single,
                Placement::FanOut(_) => ShapeKind::FanOut,
                Placement::Deep(_) => ShapeKind::Deep,
                Placement::Terminal(terminal) => match terminal.outcome {
                    Outcome::Completed => ShapeKind::Completed,
                    Outcome::Failed => ShapeKind::Failed,
                },
            };
            Shape {
                id: format!("{id}n{at}"),
                name: placement.name().to_owned(),
                kind,
                trace: trace(placement.name()),
            }
        };
        let members = only_members(dag);
        let (mut shapes, mut groups, mut arrows) = (Vec::new(), Vec::new(), Vec::new());
        let mut ends = false;
        for (at, placement) in dag.nodes.iter().enumerate() {
            let from = format!("{id}n{at}");
            if let Placement::Parallel(group) = placement {
                let members = group.nodes.iter().filter_map(|name| {
                    let at = *place.get(name.as_str())?;
                    Some(shape(at, dag.nodes.get(at)?))
                });
                groups.push(Frame {
                    id: from.clone(),
                    name: group.name.clone(),
                    members: members.collect(),
                    trace: trace(&group.name),
                });
            } else if !members.contains(placement.name()) {
                shapes.push(shape(at, placement));
            } else {
                // A member's own routes are not used.
                continue;
            }
            for (route, to) in placement.outputs().into_iter().flatten() {
                let to = match to {
                    None => {
                        ends = true;
                        format!("{id}end")
                    }
                    Some(name) => match place.get(name.as_str()) {
                        Some(to) => format!("{id}n{to}"),
                        None => continue,
                    },
                };
                let arrow = (dag.name.clone(), placement.name().to_owned(), route.clone());
                arrows.push(Arrow {
                    from: from.clone(),
                    to,
                    route: route.clone(),
                    taken: way.taken.get(&arrow).copied().unwrap_or(0),
                });
            }
        }
        if ends {
            shapes.push(Shape {
                id: format!("{id}end"),
                name: "END".to_owned(),
                kind: ShapeKind::End,
                trace: Trace::default(),
            });
        }
        Self {
            id,
            title: format!("{} (v{})", dag.name, dag.version),
            shapes,
            groups,
            arrows,
        }
    }
}
