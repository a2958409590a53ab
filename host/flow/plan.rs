//! The plan of a flow, and everything that can be wrong with it.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use crate::orchestration::Target;

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next<P> {
    To(P),
    End,
}

/// A neuron's place in a flow, and where each of its routes leads.
#[derive(Clone, Debug)]
pub struct Placement {
    name: Arc<str>,
    target: Target,
    outputs: Vec<(Arc<str>, Next<Arc<str>>)>,
}

impl Placement {
    /// A place of that name for the neuron that `target` finds. Without routes
    /// no reply of it leads on.
    pub fn new(name: impl Into<Arc<str>>, target: Target) -> Self {
        Self {
            name: name.into(),
            target,
            outputs: Vec::new(),
        }
    }

    /// The route `output` leads to the placement `next`. A neuron that names
    /// no route takes `success`.
    #[must_use]
    pub fn route(mut self, output: impl Into<Arc<str>>, next: impl Into<Arc<str>>) -> Self {
        self.outputs.push((output.into(), Next::To(next.into())));
        self
    }

    /// The route `output` completes the flow.
    #[must_use]
    pub fn end(mut self, output: impl Into<Arc<str>>) -> Self {
        self.outputs.push((output.into(), Next::End));
        self
    }
}

/// A flow that passed all checks. Cheap to clone; any number of runs may use it
/// at a time.
#[derive(Clone, Debug)]
pub struct Flow(Arc<Plan>);

#[derive(Debug)]
struct Plan {
    name: Arc<str>,
    entry: Place,
    placements: Vec<Placed>,
}

/// A placement whose routes are resolved.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) name: Arc<str>,
    pub(super) target: Target,
    outputs: Vec<(Arc<str>, Next<Place>)>,
}

/// Position of a placement in its flow.
pub(super) type Place = usize;

impl Flow {
    /// Starts a plan. Its first placement is the entry unless another is named.
    pub fn builder(name: impl Into<Arc<str>>) -> FlowBuilder {
        FlowBuilder {
            name: name.into(),
            entry: None,
            placements: Vec::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// The names of its placements, in the order in which they were given.
    pub fn placements(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.placements.iter().map(|placed| &placed.name)
    }

    pub(super) fn entry(&self) -> Place {
        self.0.entry
    }

    pub(super) fn placed(&self, place: Place) -> Option<&Placed> {
        self.0.placements.get(place)
    }
}

impl Placed {
    pub(super) fn next(&self, route: &str) -> Option<Next<Place>> {
        let wired = self.outputs.iter().find(|(output, _)| **output == *route)?;
        Some(wired.1)
    }

    /// The placements that its routes lead to.
    fn onward(&self) -> Vec<Place> {
        let places = self.outputs.iter().filter_map(|(_, next)| match next {
            Next::To(place) => Some(*place),
            Next::End => None,
        });
        places.collect()
    }

    pub(super) fn routes(&self) -> Vec<Arc<str>> {
        let names = self.outputs.iter().map(|(output, _)| Arc::clone(output));
        names.collect()
    }
}

/// A flow in the making.
#[derive(Clone, Debug)]
#[must_use]
pub struct FlowBuilder {
    name: Arc<str>,
    entry: Option<Arc<str>>,
    placements: Vec<Placement>,
}

/// One thing that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// There is nothing to run.
    #[error("it has no placements")]
    Empty,
    /// Two placements share a name.
    #[error("two placements are named `{0}`; names must be unique")]
    DuplicatePlacement(Arc<str>),
    /// The entry does not exist.
    #[error("its entry `{entry}` is no placement; there are {}", list(.placements))]
    UnknownEntry {
        /// As named.
        entry: Arc<str>,
        /// What there is.
        placements: Vec<Arc<str>>,
    },
    /// A route leads nowhere.
    #[error("`{placement}` routes `{route}` to `{to}`, which is no placement; there are {}",
        list(.placements))]
    UnknownPlacement {
        /// Where the route begins.
        placement: Arc<str>,
        /// The route.
        route: Arc<str>,
        /// As named.
        to: Arc<str>,
        /// What there is.
        placements: Vec<Arc<str>>,
    },
    /// A route leads to two places.
    #[error("`{placement}` routes `{route}` twice; a route leads to one place")]
    DuplicateRoute {
        /// Where the route begins.
        placement: Arc<str>,
        /// The route.
        route: Arc<str>,
    },
    /// Every reply of the placement would end the run as failed.
    #[error("`{0}` has no routes: each reply of it would fail the run")]
    NoRoutes(Arc<str>),
    /// No route leads to the placement.
    #[error("`{0}` is unreachable: no route leads to it from the entry")]
    Unreachable(Arc<str>),
    /// A run that gets there can only fail.
    #[error("`{0}` has no way out: none of its routes leads to an end, however far it is followed")]
    NoWayOut(Arc<str>),
}

/// A plan that cannot be run, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidFlow {
    /// The flow's name.
    pub flow: Arc<str>,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for InvalidFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flow `{}` is invalid:", self.flow)?;
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidFlow {}

fn list(names: &[Arc<str>]) -> String {
    format!("`{}`", names.join("`, `"))
}

impl FlowBuilder {
    /// Names the placement that every run begins with.
    pub fn entry(mut self, placement: impl Into<Arc<str>>) -> Self {
        self.entry = Some(placement.into());
        self
    }

    /// Adds a placement.
    pub fn place(mut self, placement: Placement) -> Self {
        self.placements.push(placement);
        self
    }

    /// Checks the plan.
    ///
    /// # Errors
    /// Names every problem at once.
    pub fn build(self) -> Result<Flow, InvalidFlow> {
        let mut problems = Vec::new();
        let places = self.places(&mut problems);
        let entry = self.find_entry(&places, &mut problems);
        let placements: Vec<_> = self
            .placements
            .iter()
            .map(|placement| self.resolve(placement, &places, &mut problems))
            .collect();
        match entry {
            // What follows from a problem above is not told again.
            Some(entry) if problems.is_empty() => {
                problems.extend(unreachable(entry, &placements));
                problems.extend(no_way_out(&placements));
                if problems.is_empty() {
                    let name = self.name;
                    return Ok(Flow(Arc::new(Plan {
                        name,
                        entry,
                        placements,
                    })));
                }
            }
            _ => {}
        }
        Err(InvalidFlow {
            flow: self.name,
            problems,
        })
    }

    /// Each name with the first placement that has it.
    fn places(&self, problems: &mut Vec<Problem>) -> HashMap<Arc<str>, Place> {
        if self.placements.is_empty() {
            problems.push(Problem::Empty);
        }
        let mut places = HashMap::new();
        let mut told = HashSet::new();
        for (place, Placement { name, .. }) in self.placements.iter().enumerate() {
            if places.contains_key(name) {
                if told.insert(name) {
                    problems.push(Problem::DuplicatePlacement(Arc::clone(name)));
                }
            } else {
                places.insert(Arc::clone(name), place);
            }
        }
        places
    }

    fn find_entry(
        &self,
        places: &HashMap<Arc<str>, Place>,
        problems: &mut Vec<Problem>,
    ) -> Option<Place> {
        let Some(entry) = &self.entry else {
            return Some(0);
        };
        let found = places.get(entry).copied();
        if found.is_none() && !places.is_empty() {
            problems.push(Problem::UnknownEntry {
                entry: Arc::clone(entry),
                placements: self.names(),
            });
        }
        found
    }

    fn resolve(
        &self,
        placement: &Placement,
        places: &HashMap<Arc<str>, Place>,
        problems: &mut Vec<Problem>,
    ) -> Placed {
        let Placement {
            name,
            target,
            outputs,
        } = placement;
        if outputs.is_empty() {
            problems.push(Problem::NoRoutes(Arc::clone(name)));
        }
        let mut resolved: Vec<(Arc<str>, Next<Place>)> = Vec::new();
        for (route, next) in outputs {
            if resolved.iter().any(|(known, _)| known == route) {
                problems.push(Problem::DuplicateRoute {
                    placement: Arc::clone(name),
                    route: Arc::clone(route),
                });
            }
            let next = match next {
                Next::End => Next::End,
                Next::To(to) => match places.get(to) {
                    Some(place) => Next::To(*place),
                    None => {
                        problems.push(Problem::UnknownPlacement {
                            placement: Arc::clone(name),
                            route: Arc::clone(route),
                            to: Arc::clone(to),
                            placements: self.names(),
                        });
                        Next::End
                    }
                },
            };
            resolved.push((Arc::clone(route), next));
        }
        Placed {
            name: Arc::clone(name),
            target: target.clone(),
            outputs: resolved,
        }
    }

    fn names(&self) -> Vec<Arc<str>> {
        let names = self.placements.iter().map(|place| Arc::clone(&place.name));
        names.collect()
    }
}

fn unreachable(entry: Place, placements: &[Placed]) -> Vec<Problem> {
    let onward: Vec<Vec<Place>> = placements.iter().map(Placed::onward).collect();
    let reached = reach([entry], &onward);
    name_others(placements, &reached, Problem::Unreachable)
}

/// Placements from which no end can be reached.
fn no_way_out(placements: &[Placed]) -> Vec<Problem> {
    let mut back = vec![Vec::new(); placements.len()];
    let mut ends = Vec::new();
    for (place, placed) in placements.iter().enumerate() {
        if placed.outputs.iter().any(|(_, next)| *next == Next::End) {
            ends.push(place);
        }
        for next in placed.onward() {
            if let Some(back) = back.get_mut(next) {
                back.push(place);
            }
        }
    }
    let ending = reach(ends, &back);
    name_others(placements, &ending, Problem::NoWayOut)
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

fn name_others(
    placements: &[Placed],
    fine: &HashSet<Place>,
    problem: impl Fn(Arc<str>) -> Problem,
) -> Vec<Problem> {
    let others = placements
        .iter()
        .enumerate()
        .filter(|(place, _)| !fine.contains(place));
    others
        .map(|(_, placed)| problem(Arc::clone(&placed.name)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use expect_test::expect;

    use super::*;

    fn placement(name: &str) -> Placement {
        Placement::new(name, Target::neuron("echo"))
    }

    fn refusal(builder: FlowBuilder) -> String {
        builder.build().unwrap_err().to_string()
    }

    #[test]
    fn a_loop_with_a_way_out_is_a_valid_flow() {
        let flow = Flow::builder("loop")
            .place(placement("compose").route("drafted", "validate"))
            .place(
                placement("validate")
                    .end("approved")
                    .route("retry", "compose")
                    .end("exhausted"),
            )
            .build()
            .unwrap();
        let compose = flow.placed(flow.entry()).unwrap();
        assert_eq!(&*compose.name, "compose");
        assert_eq!(compose.next("drafted"), Some(Next::To(1)));
        let validate = flow.placed(1).unwrap();
        assert_eq!(validate.next("retry"), Some(Next::To(0)));
        assert_eq!(validate.next("approved"), Some(Next::End));
        assert_eq!(validate.next("other"), None);
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let flow = Flow::builder("broken")
            .entry("start")
            .place(placement("a").route("success", "b").route("success", "c"))
            .place(placement("a").end("success"))
            .place(placement("b"));
        expect![[r#"
            flow `broken` is invalid:
              - two placements are named `a`; names must be unique
              - its entry `start` is no placement; there are `a`, `a`, `b`
              - `a` routes `success` twice; a route leads to one place
              - `a` routes `success` to `c`, which is no placement; there are `a`, `a`, `b`
              - `b` has no routes: each reply of it would fail the run"#]]
        .assert_eq(&refusal(flow));
    }

    #[test]
    fn a_flow_without_placements_is_refused() {
        expect![[r#"
            flow `nothing` is invalid:
              - it has no placements"#]]
        .assert_eq(&refusal(Flow::builder("nothing").entry("a")));
    }

    #[test]
    fn placements_that_no_run_gets_to_or_out_of_are_refused() {
        let flow = Flow::builder("trap")
            .place(placement("a").end("done").route("on", "b"))
            .place(placement("b").route("success", "c"))
            .place(placement("c").route("success", "b"))
            .place(placement("d").end("success"));
        expect![[r#"
            flow `trap` is invalid:
              - `d` is unreachable: no route leads to it from the entry
              - `b` has no way out: none of its routes leads to an end, however far it is followed
              - `c` has no way out: none of its routes leads to an end, however far it is followed"#]]
        .assert_eq(&refusal(flow));
    }

    #[test]
    fn a_named_entry_replaces_the_first_placement() {
        let flow = Flow::builder("entry")
            .place(placement("b").end("success"))
            .place(placement("a").route("success", "b"))
            .entry("a")
            .build()
            .unwrap();
        assert_eq!(flow.entry(), 1);
        let names: Vec<_> = flow.placements().map(|name| &**name).collect();
        assert_eq!(names, ["b", "a"]);
    }
}
