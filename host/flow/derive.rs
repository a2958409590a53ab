//! Flows from what nodes say that they need and make: nobody draws an arrow.
//!
//! The reference's contract-derived flows (dagonizer, section 1.4): a node comes
//! after all that make what it requires; what stands on one level runs side by
//! side.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    document::{Combine, Dag, Deep, FanOut, Parallel, Placement, Single, Terminal},
    known::Nodes,
    node::{Contract, ERROR, SUCCESS},
    plan::{InvalidFlow, Problem},
};

/// Nodes to be put in an order.
#[derive(Clone, Debug)]
#[must_use]
pub struct Derivation {
    name: String,
    version: String,
    given: BTreeSet<String>,
    wanted: BTreeSet<String>,
    ends: BTreeSet<(String, String)>,
    placements: Vec<Derived>,
}

/// A placement without routes.
#[derive(Clone, Debug)]
struct Derived {
    placement: Placement,
    /// Beside those of its node.
    own: Contract,
}

/// A flow that was derived.
#[derive(Clone, Debug, PartialEq)]
pub struct DerivedFlow {
    /// Its document.
    pub dag: Dag,
    /// What is strange about it and stops nothing.
    pub warnings: Vec<Problem>,
}

impl Derivation {
    /// Of no nodes yet.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            given: BTreeSet::new(),
            wanted: BTreeSet::new(),
            ends: BTreeSet::new(),
            placements: Vec::new(),
        }
    }

    /// Keys that the state has from the beginning.
    pub fn given<T: Into<String>>(mut self, keys: impl IntoIterator<Item = T>) -> Self {
        self.given.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Keys that are read when the flow has ended.
    pub fn wanted<T: Into<String>>(mut self, keys: impl IntoIterator<Item = T>) -> Self {
        self.wanted.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Adds a node, under its own name.
    pub fn node(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.single(Single::new(name.clone(), name))
    }

    /// Adds a node under a name, with the terms that it runs on.
    pub fn single(self, single: Single) -> Self {
        self.add(single.into(), Contract::open())
    }

    /// Adds a fan-out. It requires its source beside what its node requires.
    pub fn fan_out(self, fan: FanOut) -> Self {
        let source = first_key(&fan.source);
        let mut contract = Contract::open().requires([source.as_str()]);
        let targets = fan.fan_in.target.iter();
        let partitions = fan.fan_in.partitions.iter().flat_map(BTreeMap::values);
        let targets: Vec<_> = targets
            .chain(partitions)
            .map(|path| first_key(path))
            .collect();
        contract = contract.produces(targets.iter().map(String::as_str));
        self.add(fan.into(), contract)
    }

    /// Adds a flow, with what it requires and makes.
    pub fn deep(self, deep: Deep, contract: Contract) -> Self {
        self.add(deep.into(), contract)
    }

    /// The route of a placement ends the flow instead of going on.
    pub fn ends(mut self, placement: impl Into<String>, route: impl Into<String>) -> Self {
        self.ends.insert((placement.into(), route.into()));
        self
    }

    fn add(mut self, placement: Placement, own: Contract) -> Self {
        self.placements.push(Derived { placement, own });
        self
    }

    /// Puts the nodes in their order.
    ///
    /// # Errors
    /// When a node is not known, requires what no other makes and is not given,
    /// or requires in a circle what it makes itself; all of these at once.
    pub fn derive(self, nodes: &Nodes) -> Result<DerivedFlow, InvalidFlow> {
        let mut problems = Vec::new();
        let contracts: Vec<Contract> = self
            .placements
            .iter()
            .map(|derived| self.contract(derived, nodes, &mut problems))
            .collect();
        let makers = self.makers(&contracts);
        for (derived, contract) in self.placements.iter().zip(&contracts) {
            self.dangling(derived, contract, &makers, &mut problems);
        }
        for (placement, route) in &self.ends {
            let known = self.placements.iter().zip(&contracts);
            let mut known = known.filter(|(one, _)| one.placement.name() == placement);
            let routes = known.next().map(|(_, contract)| &contract.routes);
            let takes = routes.is_some_and(|routes| {
                routes
                    .as_ref()
                    .is_none_or(|routes| routes.contains(route.as_str()))
            });
            if !takes {
                let told = format!("it never takes `{route}`, which was to end the flow");
                problems.push(self.problem(placement, told));
            }
        }
        let levels = self.levels(&contracts, &makers, &mut problems);
        if !problems.is_empty() {
            return Err(InvalidFlow {
                flow: self.name.as_str().into(),
                problems,
            });
        }
        let mut warnings = self.warnings(&contracts, &makers);
        warnings.sort_by(|one, other| one.keys.cmp(&other.keys));
        let dag = self.wire(&contracts, &levels);
        Ok(DerivedFlow { dag, warnings })
    }

    fn problem(&self, name: &str, message: String) -> Problem {
        Problem {
            dag: self.name.as_str().into(),
            keys: vec![name.to_owned()],
            at_key: false,
            message,
            help: None,
        }
    }

    /// What a placement takes and makes: its node's contract and its own.
    fn contract(&self, derived: &Derived, nodes: &Nodes, problems: &mut Vec<Problem>) -> Contract {
        let (name, node) = match &derived.placement {
            Placement::Single(single) => (&single.name, Some((&single.node, None))),
            Placement::FanOut(fan) => (
                &fan.name,
                Some((
                    &fan.node,
                    Some(fan.item_key.as_deref().unwrap_or("currentItem")),
                )),
            ),
            _ => return derived.own.clone(),
        };
        let Some((node, item_key)) = node else {
            return derived.own.clone();
        };
        let known = match nodes.find(node) {
            Ok(known) => known,
            Err(unknown) => {
                problems.push(self.problem(name, unknown.to_string()));
                return derived.own.clone();
            }
        };
        let mut contract = derived.own.clone();
        match item_key {
            None => {
                contract.routes = known.contract.routes;
                contract.requires.extend(known.contract.requires);
                contract.produces.extend(known.contract.produces);
            }
            // What the node of an item makes is gathered elsewhere.
            Some(item_key) => {
                let needed = known.contract.requires.into_iter();
                let engine = [item_key, "metadata"];
                contract
                    .requires
                    .extend(needed.filter(|key| !engine.contains(&&**key)));
            }
        }
        contract
    }

    /// For each key who makes it.
    fn makers(&self, contracts: &[Contract]) -> BTreeMap<String, Vec<usize>> {
        let mut makers = BTreeMap::<String, Vec<usize>>::new();
        for (at, contract) in contracts.iter().enumerate() {
            for key in &contract.produces {
                makers.entry(key.to_string()).or_default().push(at);
            }
        }
        makers
    }

    fn dangling(
        &self,
        derived: &Derived,
        contract: &Contract,
        makers: &BTreeMap<String, Vec<usize>>,
        problems: &mut Vec<Problem>,
    ) {
        let name = derived.placement.name();
        for key in &contract.requires {
            let others = makers.get(&**key).into_iter().flatten();
            let is_made = others
                .filter_map(|at| self.placements.get(*at))
                .any(|maker| maker.placement.name() != name);
            if !is_made && !self.given.contains(&**key) {
                let told =
                    format!("it requires `{key}`, which no other node makes and is not given");
                problems.push(self.problem(name, told));
            }
        }
    }

    /// How many nodes must come before each one.
    fn levels(
        &self,
        contracts: &[Contract],
        makers: &BTreeMap<String, Vec<usize>>,
        problems: &mut Vec<Problem>,
    ) -> Vec<usize> {
        let before: Vec<BTreeSet<usize>> = contracts
            .iter()
            .enumerate()
            .map(|(at, contract)| {
                let needed = contract.requires.iter();
                let makers = needed.filter_map(|key| makers.get(&**key)).flatten();
                makers.copied().filter(|maker| *maker != at).collect()
            })
            .collect();
        let mut levels: Vec<Option<usize>> = vec![None; contracts.len()];
        loop {
            let mut changed = false;
            for (at, before) in before.iter().enumerate() {
                let known = |maker: &usize| levels.get(*maker).copied().flatten();
                if known(&at).is_some() || !before.iter().all(|maker| known(maker).is_some()) {
                    continue;
                }
                let deepest = before.iter().filter_map(known).max();
                if let Some(level) = levels.get_mut(at) {
                    *level = Some(deepest.map_or(0, |deepest| deepest + 1));
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        let stuck: Vec<_> = self
            .placements
            .iter()
            .zip(&levels)
            .filter(|(_, level)| level.is_none())
            .map(|(derived, _)| derived.placement.name())
            .collect();
        if let Some(first) = stuck.first() {
            let told = format!(
                "each of `{}` waits for what another of them makes",
                stuck.join("`, `")
            );
            problems.push(self.problem(first, told));
        }
        levels.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// Keys that are made and read by nobody.
    fn warnings(
        &self,
        contracts: &[Contract],
        makers: &BTreeMap<String, Vec<usize>>,
    ) -> Vec<Problem> {
        let mut warnings = Vec::new();
        for (key, by) in makers {
            let is_read = contracts
                .iter()
                .enumerate()
                .any(|(at, contract)| contract.requires.contains(&**key) && by.as_slice() != [at]);
            if is_read || self.wanted.contains(key) {
                continue;
            }
            for maker in by.iter().filter_map(|at| self.placements.get(*at)) {
                let told = format!("it makes `{key}`, which no other node requires");
                warnings.push(self.problem(maker.placement.name(), told));
            }
        }
        warnings
    }

    /// Routes from level to level. Only single nodes can be members of a group:
    /// whatever else stands on their level comes before them.
    fn wire(mut self, contracts: &[Contract], levels: &[usize]) -> Dag {
        let deepest = levels.iter().copied().max().unwrap_or(0);
        // Each stage: the placements of a group, or one.
        let mut stages: Vec<Vec<usize>> = Vec::new();
        for level in 0..=deepest {
            let here: Vec<_> = levels
                .iter()
                .enumerate()
                .filter(|(_, of)| **of == level)
                .map(|(at, _)| at)
                .collect();
            let is_single = |at: &usize| {
                let derived = self.placements.get(*at);
                derived.is_some_and(|derived| matches!(derived.placement, Placement::Single(_)))
                    && !self.has_end(*at)
            };
            let (singles, others): (Vec<_>, Vec<_>) = here.into_iter().partition(is_single);
            stages.extend(others.into_iter().map(|other| vec![other]));
            if !singles.is_empty() {
                stages.push(singles);
            }
        }
        let names: Vec<_> = stages
            .iter()
            .enumerate()
            .map(|(nth, stage)| self.stage_name(nth, stage))
            .collect();
        let failed = self.free_name("failed".to_owned());
        let mut fails = false;
        let mut builder = Dag::builder(self.name.clone(), self.version.clone());
        if let Some(first) = names.first() {
            builder = builder.entrypoint(first);
        }
        for (nth, stage) in stages.iter().enumerate() {
            let next = names.get(nth + 1).cloned();
            let is_group = stage.len() > 1;
            for at in stage {
                let Some((contract, ends)) = contracts.get(*at).zip(Some(self.ends.clone())) else {
                    continue;
                };
                let Some(derived) = self.placements.get_mut(*at) else {
                    continue;
                };
                if !is_group {
                    fails |= !matches!(derived.placement, Placement::Single(_));
                    let to = (next.as_ref(), failed.as_str());
                    route(&mut derived.placement, contract, to, &ends);
                }
                builder = builder.place(derived.placement.clone());
            }
            if is_group {
                let members = stage.iter().filter_map(|at| self.placements.get(*at));
                let members: Vec<_> = members.map(|one| one.placement.name().to_owned()).collect();
                let name = names.get(nth).cloned().unwrap_or_default();
                // A node that fails beside others fails the flow as it would
                // alone, as far as `success` tells.
                let tells = |at: &usize| {
                    let routes = contracts.get(*at).and_then(|one| one.routes.as_ref());
                    routes.is_none_or(|routes| routes.len() == 1 && routes.contains(SUCCESS))
                };
                let combine = if stage.iter().all(tells) {
                    Combine::AllSuccess
                } else {
                    Combine::Collect
                };
                let mut group = Parallel::new(name, members, combine);
                group.outputs.insert(SUCCESS.to_owned(), next);
                if combine == Combine::AllSuccess {
                    group.outputs.insert(ERROR.to_owned(), Some(failed.clone()));
                    fails = true;
                }
                builder = builder.place(group);
            }
        }
        if fails {
            builder = builder.place(Terminal::failed(failed));
        }
        builder.build()
    }

    /// A name that no placement has.
    fn free_name(&self, wanted: String) -> String {
        let mut name = wanted;
        while self
            .placements
            .iter()
            .any(|one| one.placement.name() == name)
        {
            name.push('_');
        }
        name
    }

    fn has_end(&self, at: usize) -> bool {
        let name = self.placements.get(at).map(|one| one.placement.name());
        self.ends.iter().any(|(of, _)| Some(of.as_str()) == name)
    }

    fn stage_name(&self, nth: usize, stage: &[usize]) -> String {
        match stage {
            [only] => self
                .placements
                .get(*only)
                .map_or_else(String::new, |one| one.placement.name().to_owned()),
            _ => self.free_name(format!("depth_{nth}")),
        }
    }
}

/// Wires all routes of a placement to what comes next.
fn route(
    placement: &mut Placement,
    contract: &Contract,
    (next, failed): (Option<&String>, &str),
    ends: &BTreeSet<(String, String)>,
) {
    let name = placement.name().to_owned();
    let routes: Vec<String> = match placement {
        Placement::FanOut(_) => ["all-success", "partial", "all-error", "empty"]
            .map(str::to_owned)
            .into(),
        Placement::Deep(_) => vec![SUCCESS.to_owned(), ERROR.to_owned()],
        _ => match &contract.routes {
            Some(routes) => routes.iter().map(ToString::to_string).collect(),
            None => vec![SUCCESS.to_owned()],
        },
    };
    let outputs = match placement {
        Placement::Single(one) => &mut one.outputs,
        Placement::FanOut(one) => &mut one.outputs,
        Placement::Deep(one) => &mut one.outputs,
        Placement::Parallel(_) | Placement::Terminal(_) => return,
    };
    for route in routes {
        let is_end = ends.contains(&(name.clone(), route.clone()));
        let to = match route.as_str() {
            _ if is_end => None,
            ERROR | "all-error" => Some(failed.to_owned()),
            _ => next.cloned(),
        };
        outputs.entry(route).or_insert(to);
    }
}

/// The key at the top of a state that a path leads through.
fn first_key(path: &str) -> String {
    path.split('.').next().unwrap_or(path).to_owned()
}
