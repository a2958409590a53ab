//! The names within placements.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{
    super::{DeepPlan, FanOutPlan, Gather, Kind, Next, Place, Placed, Wired, Work},
    Part,
};
use crate::flow::{
    document::{Caps, Combine, Dag, Deep, FanOut, Parallel, Placement, Routes, Single, Strategy},
    known::{Known, Nodes},
    listed::list,
    node::{Contract, ERROR, SUCCESS},
    path::StatePath,
};
use crate::orchestration::Target;
use soma_retry::RetryPolicy;

/// The key of an item unless a placement says another (reference: dagonizer,
/// section 1.1).
const ITEM_KEY: &str = "currentItem";

/// Routes of a fan-out, all of which must be wired.
pub(in crate::flow) mod aggregate {
    pub(in crate::flow) const EMPTY: &str = "empty";
    pub(in crate::flow) const ALL_SUCCESS: &str = "all-success";
    pub(in crate::flow) const PARTIAL: &str = "partial";
    pub(in crate::flow) const ALL_ERROR: &str = "all-error";
    pub(in crate::flow) const ALL: [&str; 4] = [ALL_SUCCESS, PARTIAL, ALL_ERROR, EMPTY];
}

/// One document, while its names are resolved.
pub(super) struct Resolver<'a, 'r> {
    pub(super) dag: &'a Dag,
    pub(super) dags: &'a HashMap<&'a str, usize>,
    pub(super) nodes: &'a Nodes,
    pub(super) places: &'a HashMap<&'a str, usize>,
    /// Members of groups that no route leads to.
    pub(super) only_members: HashSet<&'a str>,
    pub(super) report: &'a mut Part<'r>,
}

/// Where a placement stands in its document.
#[derive(Clone, Copy)]
struct At<'a> {
    index: &'a str,
    name: &'a str,
}

impl At<'_> {
    fn keys<'k>(&'k self, within: &[&'k str]) -> Vec<&'k str> {
        [&["nodes", self.index], within].concat()
    }
}

/// Which routes a placement must and may wire.
enum Wiring<'a> {
    /// These, and `error` if it likes.
    Declared(&'a Contract),
    /// These.
    Fixed(&'a [&'a str]),
}

impl Resolver<'_, '_> {
    pub(super) fn placements(&mut self) -> Vec<Placed> {
        let dag = self.dag;
        let mut placed = Vec::with_capacity(dag.nodes.len());
        for (index, placement) in dag.nodes.iter().enumerate() {
            let index = index.to_string();
            let at = At {
                index: &index,
                name: placement.name(),
            };
            placed.push(Placed {
                name: at.name.into(),
                kind: self.kind(at, placement),
            });
        }
        placed
    }

    fn kind(&mut self, at: At<'_>, placement: &Placement) -> Kind {
        match placement {
            Placement::Single(single) => self.single(at, single),
            Placement::Parallel(group) => self.parallel(at, group),
            Placement::FanOut(fan) => Kind::FanOut(Box::new(self.fan_out(at, fan))),
            Placement::Deep(deep) => Kind::Deep(Box::new(self.deep(at, deep))),
            Placement::Terminal(terminal) => Kind::Terminal(terminal.outcome),
        }
    }

    fn single(&mut self, at: At<'_>, single: &Single) -> Kind {
        let (work, contract) = self.work(
            at,
            ("node", &single.node),
            single.retry.as_ref(),
            single.timeout_ms,
            single.limits,
        );
        // Where nothing leads to it but its group, its own routes lead nowhere.
        let routes = if self.only_members.contains(at.name) {
            Wired::default()
        } else {
            self.wired(at, &single.outputs, &Wiring::Declared(&contract))
        };
        Kind::Single { work, routes }
    }

    fn parallel(&mut self, at: At<'_>, group: &Parallel) -> Kind {
        let mut members: Vec<Place> = Vec::new();
        for (nth, name) in group.nodes.iter().enumerate() {
            let nth = nth.to_string();
            let keys = at.keys(&["nodes", &nth]);
            match self.places.get(name.as_str()) {
                None => {
                    let known = list(self.singles());
                    let told = format!("`{name}` is no placement; members can be {known}");
                    self.report.tell(&keys, told);
                }
                Some(place) if members.contains(place) => {
                    self.report
                        .tell(&keys, format!("`{name}` is a member already"));
                }
                Some(place) => match self.dag.nodes.get(*place) {
                    Some(Placement::Single(single)) => {
                        members.push(*place);
                        self.can_succeed(&keys, single, group.combine);
                    }
                    _ => self.report.tell(
                        &keys,
                        format!("`{name}` is no SingleNode, and only these are members of groups"),
                    ),
                },
            }
        }
        let fixed: &[&str] = match group.combine {
            Combine::Collect => &[SUCCESS],
            Combine::AllSuccess | Combine::AnySuccess => &[SUCCESS, ERROR],
        };
        Kind::Parallel {
            members,
            combine: group.combine,
            routes: self.wired(at, &group.outputs, &Wiring::Fixed(fixed)),
        }
    }

    /// A member that never takes `success` cannot make its group succeed.
    fn can_succeed(&mut self, keys: &[&str], member: &Single, combine: Combine) {
        let known = self.nodes.find(&member.node);
        let routes = known.ok().and_then(|known| known.contract.routes);
        if combine != Combine::Collect
            && let Some(routes) = routes
            && !routes.contains(SUCCESS)
        {
            let told = format!(
                "`{}` never takes `{SUCCESS}`, which `combine` looks for; its node takes {}",
                member.name,
                list(routes.iter().map(|route| &**route))
            );
            self.report
                .advise(keys, told, "`\"combine\": \"collect\"` takes any routes");
        }
    }

    fn singles(&self) -> impl Iterator<Item = &str> {
        let singles = self.dag.nodes.iter();
        singles.filter_map(|placement| match placement {
            Placement::Single(single) => Some(single.name.as_str()),
            _ => None,
        })
    }

    fn fan_out(&mut self, at: At<'_>, fan: &FanOut) -> FanOutPlan {
        let (work, contract) = self.work(
            at,
            ("node", &fan.node),
            fan.retry.as_ref(),
            fan.timeout_ms,
            fan.limits,
        );
        let item_key = fan.item_key.as_deref().unwrap_or(ITEM_KEY);
        if item_key.contains('.') {
            let told = format!("`{item_key}` is one key of the state and has no dots");
            self.report.tell(&at.keys(&["itemKey"]), told);
        }
        if fan.concurrency == Some(0) {
            let told = "0 items at a time come to no end";
            self.report.tell(&at.keys(&["concurrency"]), told);
        }
        let source = self.path(&at.keys(&["source"]), &fan.source);
        let gather = self.gather(at, fan, &contract);
        FanOutPlan {
            work,
            source,
            item_key: item_key.into(),
            concurrency: fan
                .concurrency
                .map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
            gather,
            routes: self.wired(at, &fan.outputs, &Wiring::Fixed(&aggregate::ALL)),
        }
    }

    fn gather(&mut self, at: At<'_>, fan: &FanOut, contract: &Contract) -> Gather {
        let fan_in = &fan.fan_in;
        let given = [
            ("target", fan_in.target.is_some(), Strategy::Append),
            (
                "partitions",
                fan_in.partitions.is_some(),
                Strategy::Partition,
            ),
            ("customNode", fan_in.custom_node.is_some(), Strategy::Custom),
        ];
        for (key, is_given, strategy) in given {
            let name = strategy_name(strategy);
            if fan_in.strategy == strategy && !is_given {
                let told = format!("the strategy `{name}` needs `{key}`");
                self.report.tell(&at.keys(&["fanIn"]), told);
            } else if fan_in.strategy != strategy && is_given {
                let told = format!("`{key}` belongs to the strategy `{name}`");
                self.report.tell_key(&at.keys(&["fanIn", key]), told);
            }
        }
        match fan_in.strategy {
            Strategy::Append => {
                let target = fan_in.target.as_deref().unwrap_or("results");
                Gather::Append(self.path(&at.keys(&["fanIn", "target"]), target))
            }
            Strategy::Partition => {
                let none = BTreeMap::new();
                let partitions = fan_in.partitions.as_ref().unwrap_or(&none);
                self.partitions(at, partitions, contract)
            }
            Strategy::Custom => {
                let node = fan_in.custom_node.as_deref().unwrap_or_default();
                let keys = at.keys(&["fanIn"]);
                let mut work = self.plain(&keys, ("customNode", node)).0;
                work.caps = Caps::default();
                Gather::Custom(work)
            }
        }
    }

    fn partitions(
        &mut self,
        at: At<'_>,
        partitions: &BTreeMap<String, String>,
        contract: &Contract,
    ) -> Gather {
        let mut paths = Vec::new();
        for (route, path) in partitions {
            let keys = at.keys(&["fanIn", "partitions", route]);
            paths.push((route.as_str().into(), self.path(&keys, path)));
            if let Some(routes) = &contract.routes
                && !routes.contains(route.as_str())
            {
                let known = list(routes.iter().map(|route| &**route));
                let told = format!("the node never takes `{route}`; it takes {known}");
                self.report.tell_key(&keys, told);
            }
        }
        for route in contract.routes.iter().flatten() {
            if !partitions.contains_key(&**route) && **route != *ERROR {
                let told = format!(
                    "the results of `{route}` go nowhere; wire it here, to a list that nobody \
                     reads if they are not needed"
                );
                self.report.tell(&at.keys(&["fanIn", "partitions"]), told);
            }
        }
        Gather::Partition(paths)
    }

    fn deep(&mut self, at: At<'_>, deep: &Deep) -> DeepPlan {
        let dag = self.dags.get(deep.dag.as_str()).copied();
        if dag.is_none() {
            let mut known: Vec<_> = self.dags.keys().copied().collect();
            known.sort_unstable();
            let told = format!("there is no flow `{}`; there are {}", deep.dag, list(known));
            self.report
                .advise(&at.keys(&["dag"]), told, "name the file that holds it, too");
        }
        let none = BTreeMap::new();
        let mapping = deep.state_mapping.as_ref();
        let input = mapping.map_or(&none, |mapping| &mapping.input);
        let output = mapping.map_or(&none, |mapping| &mapping.output);
        DeepPlan {
            dag: dag.unwrap_or(0),
            input: self.mapped(at, "input", input),
            output: self.mapped(at, "output", output),
            routes: self.wired(at, &deep.outputs, &Wiring::Fixed(&[SUCCESS, ERROR])),
        }
    }

    fn mapped(
        &mut self,
        at: At<'_>,
        way: &str,
        paths: &BTreeMap<String, String>,
    ) -> Vec<(StatePath, StatePath)> {
        let mut mapped = Vec::new();
        for (to, from) in paths {
            let keys = at.keys(&["stateMapping", way, to]);
            let to = self.path(&keys, to);
            let from = self.path(&keys, from);
            mapped.push((to, from));
        }
        mapped
    }

    fn path(&mut self, keys: &[&str], text: &str) -> StatePath {
        text.parse().unwrap_or_else(|error| {
            self.report.tell(keys, format!("{error}"));
            StatePath::placeholder()
        })
    }

    fn work(
        &mut self,
        at: At<'_>,
        node: (&str, &str),
        retry: Option<&RetryPolicy>,
        timeout_ms: Option<u64>,
        caps: Option<Caps>,
    ) -> (Work, Contract) {
        let keys = at.keys(&[]);
        let (mut work, contract) = self.plain(&keys, node);
        if let Some(Err(invalid)) = retry.map(RetryPolicy::validate) {
            for problem in invalid.problems {
                let keys = [&keys[..], &["retry"]].concat();
                self.report
                    .tell(&keys, format!("{}: {problem}", problem.path()));
            }
        }
        if timeout_ms == Some(0) {
            let told = "0 ms leave a node no time";
            self.report.tell(&at.keys(&["timeoutMs"]), told);
        }
        work.retry = retry.cloned();
        work.timeout = timeout_ms.map(Duration::from_millis);
        work.caps = caps.unwrap_or_default();
        (work, contract)
    }

    /// The node that a key names.
    fn plain(&mut self, around: &[&str], (key, name): (&str, &str)) -> (Work, Contract) {
        let known = self.nodes.find(name).unwrap_or_else(|unknown| {
            let keys = [around, &[key]].concat();
            self.report.tell(&keys, unknown.to_string());
            Known::neuron(Target::neuron(name))
        });
        let work = Work {
            node: known.node,
            retry: None,
            timeout: None,
            caps: Caps::default(),
        };
        (work, known.contract)
    }

    fn wired(&mut self, at: At<'_>, outputs: &Routes, wiring: &Wiring<'_>) -> Wired {
        let (must, may): (Vec<&str>, Option<Vec<&str>>) = match wiring {
            Wiring::Fixed(fixed) => (fixed.to_vec(), Some(fixed.to_vec())),
            Wiring::Declared(Contract {
                routes: Some(routes),
                ..
            }) => {
                let must: Vec<&str> = routes.iter().map(|route| &**route).collect();
                let may = must.iter().copied().chain([ERROR]).collect();
                (must, Some(may))
            }
            Wiring::Declared(_) => (Vec::new(), None),
        };
        let missing: Vec<&str> = must
            .iter()
            .filter(|route| !outputs.contains_key(**route))
            .copied()
            .collect();
        if !missing.is_empty() {
            let leads = if missing.len() == 1 { "leads" } else { "lead" };
            let told = format!("`{}` does not say where {} {leads}", at.name, list(missing));
            self.report.advise(
                &at.keys(&["outputs"]),
                told,
                "`null` is the end of the flow",
            );
        }
        if outputs.is_empty() && must.is_empty() {
            let told = format!("`{}` has no routes: each reply of it would fail", at.name);
            self.report.tell(&at.keys(&["outputs"]), told);
        }
        let mut wired = Vec::new();
        for (route, to) in outputs {
            let keys = at.keys(&["outputs", route]);
            if let Some(may) = &may
                && !may.contains(&route.as_str())
            {
                let told = format!(
                    "`{}` never takes `{route}`; it takes {}",
                    at.name,
                    list(must.iter().copied())
                );
                self.report.tell_key(&keys, told);
            }
            let next = match to {
                None => Next::End,
                Some(to) => match self.places.get(to.as_str()) {
                    Some(place) => Next::To(*place),
                    None => {
                        let known = list(self.dag.nodes.iter().map(Placement::name));
                        let told = format!("`{to}` is no placement; there are {known}");
                        self.report.tell(&keys, told);
                        Next::End
                    }
                },
            };
            wired.push((Arc::from(route.as_str()), next));
        }
        Wired(wired)
    }
}

fn strategy_name(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Append => "append",
        Strategy::Partition => "partition",
        Strategy::Custom => "custom",
    }
}
