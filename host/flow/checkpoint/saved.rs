//! The forms in which a progress and its records are written.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::super::{
    cause::Cause,
    event::Ask,
    node::{Note, Notes},
    plan::{Gather, Kind, Plan, aggregate},
    progress::{Done, Frame, Group, Item, Record, Slot},
};
use crate::signal::{Object, size_of_object};

/// A flow under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SavedFrame {
    /// Name of the flow.
    flow: String,
    /// The placement that it is at.
    at: String,
    state: Object,
    #[serde(default, skip_serializing_if = "is_default")]
    notes: Notes,
    /// How often each placement was begun.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    passes: BTreeMap<String, u32>,
    #[serde(default, skip_serializing_if = "is_default")]
    begun: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    node: SavedSlot,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<SavedGroup>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SavedSlot {
    #[serde(default, skip_serializing_if = "is_default")]
    tried: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked: Option<Ask>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Object>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SavedGroup {
    /// How many members or items there are.
    of: usize,
    /// What is known of those of which something is.
    items: Vec<SavedItem>,
    /// The route behind a node that gathers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gathering: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SavedItem {
    at: usize,
    #[serde(default, skip_serializing_if = "is_default")]
    node: SavedSlot,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    done: Option<SavedDone>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SavedDone {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    output: Object,
    #[serde(default, skip_serializing_if = "is_default")]
    notes: Notes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<SavedCause>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SavedCause {
    placement: String,
    code: String,
    message: String,
    recoverable: bool,
}

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) enum SavedRecord {
    Done {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<usize>,
        #[serde(rename = "as")]
        done: SavedDone,
    },
    Asked {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<usize>,
        ask: Ask,
    },
    Tried {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<usize>,
        attempts: u32,
    },
    Answered {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        item: Option<usize>,
        answer: Object,
    },
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl SavedFrame {
    pub(super) fn of(plan: &Plan, frame: &Frame) -> Self {
        let planned = plan.dags.get(frame.dag);
        let placements = planned.map(|planned| planned.placements.as_slice());
        let placements = placements.unwrap_or_default();
        let passes = placements.iter().zip(&frame.passes);
        Self {
            flow: planned.map_or_else(String::new, |planned| planned.name.to_string()),
            at: placements
                .get(frame.at)
                .map_or_else(String::new, |placed| placed.name.to_string()),
            state: frame.values.clone(),
            notes: frame.notes.clone(),
            passes: passes
                .filter(|(_, passes)| **passes > 0)
                .map(|(placed, passes)| (placed.name.to_string(), *passes))
                .collect(),
            begun: frame.begun,
            node: SavedSlot::of(&frame.slot),
            group: frame.group.as_ref().map(SavedGroup::of),
        }
    }

    /// The frame within `outer`.
    pub(super) fn frame(self, plan: &Plan, outer: Option<&Frame>) -> Result<Frame, String> {
        let find = |name: &str| plan.dags.iter().position(|dag| *dag.name == *name);
        let (dag, prefix) = match outer {
            None => (0, Arc::from("")),
            Some(outer) => {
                let placed = plan.placed(outer.dag, outer.at);
                match placed.map(|placed| (placed, &placed.kind)) {
                    Some((placed, Kind::Deep(deep))) => {
                        (deep.dag, format!("{}/", outer.path(placed)).into())
                    }
                    _ => return Err(format!("`{}` is within no placement", self.flow)),
                }
            }
        };
        if find(&self.flow) != Some(dag) {
            return Err(format!("`{}` is not the flow that runs there", self.flow));
        }
        let placements = plan.dags.get(dag).map(|dag| dag.placements.as_slice());
        let placements = placements.unwrap_or_default();
        let place = |name: &str| {
            let found = placements.iter().position(|placed| *placed.name == *name);
            found.ok_or_else(|| format!("`{}` has no placement `{name}`", self.flow))
        };
        let at = place(&self.at)?;
        let mut passes = vec![0; placements.len()];
        for (name, count) in &self.passes {
            let place = place(name)?;
            if let Some(pass) = passes.get_mut(place) {
                *pass = *count;
            }
        }
        let group = match self.group {
            None => None,
            Some(saved) => {
                let len = match placements.get(at).map(|placed| &placed.kind) {
                    Some(Kind::Parallel { members, .. }) => members.len(),
                    Some(Kind::FanOut(fan)) => fan
                        .source
                        .get(&self.state)
                        .and_then(|list| list.as_array())
                        .map_or(0, Vec::len),
                    _ => return Err(format!("`{}` is no group", self.at)),
                };
                let kind = placements.get(at).map(|placed| &placed.kind);
                let gathers = matches!(
                    kind,
                    Some(Kind::FanOut(fan)) if matches!(fan.gather, Gather::Custom(_))
                );
                Some(saved.group(len, gathers)?)
            }
        };
        Ok(Frame {
            dag,
            at,
            bytes: size_of_object(&self.state).memory,
            values: self.state,
            notes_bytes: self.notes.bytes(),
            notes: self.notes,
            passes,
            begun: self.begun,
            slot: self.node.slot(),
            group,
            prefix,
        })
    }
}

impl SavedSlot {
    fn of(slot: &Slot) -> Self {
        Self {
            tried: slot.tried,
            asked: slot.asked.clone(),
            answer: slot.answer.clone(),
        }
    }

    fn slot(self) -> Slot {
        Slot {
            tried: self.tried,
            asked: self.asked,
            answer: self.answer,
        }
    }
}

impl SavedGroup {
    fn of(group: &Group) -> Self {
        let items = group.items.iter().enumerate().map(|(at, item)| SavedItem {
            at,
            node: SavedSlot::of(&item.slot),
            done: item.done.as_ref().map(SavedDone::of),
        });
        let known = |item: &SavedItem| !is_default(&item.node) || item.done.is_some();
        Self {
            of: group.items.len(),
            items: items.filter(known).collect(),
            gathering: group.gathering.as_deref().map(str::to_owned),
        }
    }

    fn group(self, len: usize, gathers: bool) -> Result<Group, String> {
        if let Some(route) = &self.gathering
            && !(gathers && aggregate::ALL.contains(&route.as_str()))
        {
            return Err(format!("no node gathers for `{route}` there"));
        }
        // Once results are gathered the items themselves are gone.
        if self.of != len && self.gathering.is_none() {
            return Err(format!("there are {len} items, not {}", self.of));
        }
        let mut group = Group::new(self.of.min(len));
        group.gathering = self.gathering.map(Arc::from);
        for saved in self.items {
            let Some(item) = group.items.get_mut(saved.at) else {
                return Err(format!("there is no item {}", saved.at));
            };
            *item = Item {
                slot: saved.node.slot(),
                done: saved.done.map(SavedDone::done),
            };
        }
        let items = group.items.iter();
        group.ended = items.clone().filter(|item| item.done.is_some()).count();
        let sizes =
            items.map(|Item { slot, done }| slot.bytes() + done.as_ref().map_or(0, Done::bytes));
        group.bytes = sizes.sum();
        Ok(group)
    }
}

impl SavedDone {
    fn of(done: &Done) -> Self {
        Self {
            route: done.route.as_deref().map(str::to_owned),
            output: done.values.clone(),
            notes: done.notes.clone(),
            failed: done.failed.as_ref().map(|cause| {
                let Note {
                    code,
                    message,
                    placement,
                    ..
                } = cause.note("");
                SavedCause {
                    placement: cause.placement().map_or(placement, str::to_owned),
                    code,
                    message,
                    recoverable: cause.is_recoverable(),
                }
            }),
        }
    }

    fn done(self) -> Done {
        Done {
            route: self.route.map(Arc::from),
            values: self.output,
            notes: self.notes,
            failed: self.failed.map(|cause| Cause::Error {
                placement: cause.placement.into(),
                code: cause.code,
                message: cause.message,
                recoverable: cause.recoverable,
            }),
        }
    }
}

impl SavedRecord {
    pub(super) fn of(record: &Record) -> Self {
        match record {
            Record::Done { item, done } => Self::Done {
                item: *item,
                done: SavedDone::of(done),
            },
            Record::Asked { item, ask } => Self::Asked {
                item: *item,
                ask: ask.clone(),
            },
            Record::Tried { item, tried } => Self::Tried {
                item: *item,
                attempts: *tried,
            },
            Record::Answered { item, answer } => Self::Answered {
                item: *item,
                answer: answer.clone(),
            },
        }
    }

    pub(super) fn record(self) -> Record {
        match self {
            Self::Done { item, done } => Record::Done {
                item,
                done: done.done(),
            },
            Self::Asked { item, ask } => Record::Asked { item, ask },
            Self::Tried { item, attempts } => Record::Tried {
                item,
                tried: attempts,
            },
            Self::Answered { item, answer } => Record::Answered { item, answer },
        }
    }
}
