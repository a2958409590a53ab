//! What a flow must be as a whole: each placement can be reached and left, and
//! no flow holds itself.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    super::{Kind, Next, Place, Placed, Planned, Problem},
    Flow, Part,
};
use crate::flow::document::{Dag, Placement};

/// Members of groups that no route leads to: their own routes are not used.
pub(in crate::flow) fn only_members(dag: &Dag) -> HashSet<&str> {
    let groups = dag.nodes.iter().filter_map(|placement| match placement {
        Placement::Parallel(group) => Some(&group.nodes),
        _ => None,
    });
    let mut members: HashSet<&str> = groups.flatten().map(String::as_str).collect();
    members.remove(dag.entrypoint.as_str());
    // A member that a route leads to has routes of its own, which may lead to
    // further members.
    let places: HashMap<&str, &Placement> = dag
        .nodes
        .iter()
        .map(|placement| (placement.name(), placement))
        .collect();
    let is_routed = |placement: &&Placement| !members.contains(placement.name());
    let mut routed: Vec<&Placement> = dag.nodes.iter().filter(is_routed).collect();
    while let Some(placement) = routed.pop() {
        let outputs = placement.outputs().into_iter();
        for to in outputs.flat_map(|outputs| outputs.values().flatten()) {
            if members.remove(to.as_str()) {
                routed.extend(places.get(to.as_str()));
            }
        }
    }
    members
}

pub(super) fn unreachable(entry: Place, placements: &[Placed], report: &mut Part<'_>) {
    let onward: Vec<Vec<Place>> = placements.iter().map(onward).collect();
    let reached = reach([entry], &onward);
    for (at, placed) in others(placements, &reached) {
        let message = format!(
            "`{}` is unreachable: no route leads to it from the entrypoint",
            placed.name
        );
        report.tell(&["nodes", &at.to_string(), "name"], message);
    }
}

/// Placements from which no end can be reached.
pub(super) fn no_way_out(placements: &[Placed], report: &mut Part<'_>) {
    let mut back = vec![Vec::new(); placements.len()];
    let mut ends = Vec::new();
    for (place, placed) in placements.iter().enumerate() {
        let ends_here = placed
            .routes()
            .is_none_or(|routes| routes.nexts().any(|next| next == Next::End));
        // A member is left with its group.
        let is_member = placed.routes().is_some_and(|routes| routes.0.is_empty());
        if ends_here || is_member {
            ends.push(place);
        }
        for next in onward(placed) {
            if let Some(back) = back.get_mut(next) {
                back.push(place);
            }
        }
    }
    let ending = reach(ends, &back);
    for (at, placed) in others(placements, &ending) {
        let message = format!(
            "`{}` has no way out: none of its routes leads to an end, however far it is followed",
            placed.name
        );
        report.tell(&["nodes", &at.to_string(), "outputs"], message);
    }
}

/// The placements that a run may go to from one.
fn onward(placed: &Placed) -> Vec<Place> {
    let routes = placed
        .routes()
        .into_iter()
        .flat_map(|routes| routes.nexts());
    let mut places: Vec<_> = routes
        .filter_map(|next| match next {
            Next::To(place) => Some(place),
            Next::End => None,
        })
        .collect();
    if let Kind::Parallel { members, .. } = &placed.kind {
        places.extend(members);
    }
    places
}

/// What can be reached from `starts`, those included.
fn reach(starts: impl IntoIterator<Item = Place>, edges: &[Vec<Place>]) -> HashSet<Place> {
    let mut waiting: Vec<Place> = starts.into_iter().collect();
    let mut reached: HashSet<Place> = waiting.iter().copied().collect();
    while let Some(place) = waiting.pop() {
        for next in edges.get(place).into_iter().flatten() {
            if reached.insert(*next) {
                waiting.push(*next);
            }
        }
    }
    reached
}

fn others<'a>(
    placements: &'a [Placed],
    fine: &'a HashSet<Place>,
) -> impl Iterator<Item = (Place, &'a Placed)> {
    placements
        .iter()
        .enumerate()
        .filter(|(place, _)| !fine.contains(place))
}

/// Flows that hold themselves, each circle told once.
pub(super) fn cycles(documents: &[Dag], dags: &HashMap<&str, usize>) -> Vec<Problem> {
    let holds: Vec<Vec<(usize, usize)>> = documents
        .iter()
        .map(|dag| {
            let deep = dag.nodes.iter().enumerate();
            deep.filter_map(|(at, placement)| match placement {
                Placement::Deep(deep) => Some((at, *dags.get(deep.dag.as_str())?)),
                _ => None,
            })
            .collect()
        })
        .collect();
    let mut walk = Walk {
        documents,
        holds: &holds,
        colour: vec![Colour::New; documents.len()],
        problems: Vec::new(),
    };
    for start in 0..documents.len() {
        walk.from(start);
    }
    walk.problems
}

/// Flows of a circle that are told.
const SHOWN: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    New,
    OnTheWay,
    Done,
}

struct Walk<'a> {
    documents: &'a [Dag],
    /// For each flow: a placement, and the flow that it holds.
    holds: &'a [Vec<(usize, usize)>],
    colour: Vec<Colour>,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    /// Depth first, without recursion: a document decides the depth.
    fn from(&mut self, start: usize) {
        if self.colour.get(start) != Some(&Colour::New) {
            return;
        }
        let mut way = vec![(start, 0)];
        self.paint(start, Colour::OnTheWay);
        while let Some((dag, next)) = way.last_mut() {
            let dag = *dag;
            let held = self.holds.get(dag).and_then(|holds| holds.get(*next));
            *next += 1;
            let Some(&(placement, inner)) = held else {
                self.paint(dag, Colour::Done);
                way.pop();
                continue;
            };
            match self.colour.get(inner) {
                Some(Colour::New) => {
                    self.paint(inner, Colour::OnTheWay);
                    way.push((inner, 0));
                }
                Some(Colour::OnTheWay) => {
                    let way: Vec<_> = way.iter().map(|(dag, _)| *dag).collect();
                    self.circle(&way, placement, inner);
                }
                _ => {}
            }
        }
    }

    fn paint(&mut self, dag: usize, colour: Colour) {
        if let Some(painted) = self.colour.get_mut(dag) {
            *painted = colour;
        }
    }

    fn circle(&mut self, way: &[usize], placement: usize, inner: usize) {
        let name = |at: &usize| self.documents.get(*at).map_or("", |dag| dag.name.as_str());
        let begin = way.iter().position(|dag| *dag == inner).unwrap_or(0);
        let round = way.get(begin..).unwrap_or_default();
        let mut names: Vec<_> = round.iter().take(SHOWN).map(name).collect();
        if round.len() > SHOWN {
            names.push("…");
        }
        names.push(name(&inner));
        let holder = way.last().map_or("", name);
        self.problems.push(Problem {
            dag: holder.into(),
            keys: vec!["nodes".into(), placement.to_string(), "dag".into()],
            at_key: false,
            message: format!("a flow must not hold itself: {}", names.join(" -> ")),
            help: None,
        });
    }
}

/// Flows that hold flows deeper than a run goes.
pub(super) fn too_deep(planned: &[Planned]) -> Option<Problem> {
    // Depth below each flow, from those that hold nothing on up: there are no
    // circles here.
    let mut depth: Vec<Option<usize>> = vec![None; planned.len()];
    let held = |dag: &Planned| -> Vec<usize> {
        let deep = dag
            .placements
            .iter()
            .filter_map(|placed| match &placed.kind {
                Kind::Deep(deep) => Some(deep.dag),
                _ => None,
            });
        deep.collect()
    };
    let mut waiting: Vec<usize> = (0..planned.len()).collect();
    while let Some(at) = waiting.pop() {
        let inner = planned.get(at).map(held).unwrap_or_default();
        let unknown: Vec<_> = inner
            .iter()
            .filter(|inner| depth.get(**inner).copied().flatten().is_none())
            .copied()
            .collect();
        if unknown.is_empty() {
            let deepest = inner.iter().filter_map(|inner| *depth.get(*inner)?).max();
            if let Some(depth) = depth.get_mut(at) {
                *depth = Some(deepest.map_or(1, |below| below + 1));
            }
        } else {
            waiting.push(at);
            waiting.extend(unknown);
        }
    }
    let root = (*depth.first()?)?;
    (root > Flow::MAX_DEPTH).then(|| Problem {
        dag: planned
            .first()
            .map_or_else(|| Arc::from(""), |root| Arc::clone(&root.name)),
        keys: Vec::new(),
        at_key: false,
        message: format!(
            "it holds flows {root} levels deep; at most {} are run",
            Flow::MAX_DEPTH
        ),
        help: None,
    })
}
