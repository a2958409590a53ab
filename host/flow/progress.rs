//! Where a run is: a stack of flows, each at a placement with a state.
//!
//! **Invariant**: a progress changes by [`Record`]s and by what follows from
//! them, and by nothing else: the same records on the same start lead to the
//! same place. That is what makes a checkpoint exact. Nothing here waits, reads
//! a clock or draws a number.

mod group;
mod nested;
mod record;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) use self::{
    group::{Group, Item},
    record::{Done, Record},
};
use super::{
    cause::Cause,
    document::Outcome,
    event::Ask,
    node::{ERROR, Note, Notes, SUCCESS},
    path::StatePath,
    plan::{DagAt, Kind, Next, Place, Placed, Plan, Wired},
};
use crate::signal::{Object, is_deeper, size_of_entry, size_of_object};

/// Lists and objects within one another at most, in a state: what holds states
/// in a checkpoint comes on top, and readers of JSON take 127.
pub(super) const MAX_NESTING: usize = 96;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) frames: Vec<Frame>,
    /// Nodes that have run, items and members included.
    pub(super) steps: u64,
    pub(super) ended: Option<Ended>,
    /// Most items of one fan-out, and bytes that a mapping may fill: what
    /// follows from a record depends on them.
    pub(super) bounds: Bounds,
    /// What it needed when it was last asked: only that can be recorded.
    need: Need,
    /// Why the root cannot go on from where it is, under these bounds.
    pub(super) halted: Option<Cause>,
    /// What has happened beside nodes, for whoever tells of it.
    pub(super) trail: Vec<Trail>,
}

/// Bounds on what follows from a record. They stay as they are as long as the
/// records count that were made under them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Bounds {
    /// Most items of one fan-out.
    pub(super) items: usize,
    /// Most bytes that the run takes in memory.
    pub(super) bytes: usize,
}

/// Something that happened to a placement without a node of its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trail {
    /// A flow within another has begun.
    Entered { placement: Arc<str>, flow: Arc<str> },
    /// A group, or a flow within another, has ended.
    Passed {
        placement: Arc<str>,
        pass: u32,
        route: Arc<str>,
    },
}

/// How the root has ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ended {
    Completed,
    Failed(Cause),
}

/// One flow under way.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) dag: DagAt,
    pub(super) at: Place,
    pub(super) values: Object,
    /// What `values` takes in memory, kept up to date.
    pub(super) bytes: usize,
    pub(super) notes: Notes,
    /// What `notes` takes, kept up to date.
    pub(super) notes_bytes: usize,
    /// How often each placement was begun.
    pub(super) passes: Vec<u32>,
    /// Whether the placement at `at` has begun.
    pub(super) begun: bool,
    pub(super) slot: Slot,
    /// Where the placement is a group: its members or items.
    pub(super) group: Option<Group>,
    /// Names of the placements around this flow, each with a `/` behind it.
    pub(super) prefix: Arc<str>,
}

/// What is known of a node that is to run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Slot {
    /// Attempts that have failed.
    pub(super) tried: u32,
    /// What it asked and nobody has answered.
    pub(super) asked: Option<Ask>,
    /// Keys that answer what it asked, for its next input.
    pub(super) answer: Option<Object>,
}

impl Slot {
    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        let asked = self.asked.as_ref().map_or(0, Ask::bytes);
        let answer = self.answer.as_ref();
        asked + answer.map_or(0, |answer| size_of_object(answer).memory)
    }
}

/// What has to be done for a run to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Run the node at this placement.
    Node(Place),
    /// Run members or items of the group at this placement.
    Group(Place),
    /// Run the node that gathers at this placement.
    Custom(Place),
    /// Nothing but to be asked again: a flow or a group has begun that may
    /// never come to a node.
    Again,
    /// Nothing: it has ended, or cannot go on.
    Nothing,
}

impl Frame {
    fn new(plan: &Plan, dag: DagAt, values: Object, prefix: Arc<str>) -> Self {
        let planned = plan.dags.get(dag);
        let bytes = size_of_object(&values).memory;
        Self {
            dag,
            at: planned.map_or(0, |planned| planned.entry),
            values,
            bytes,
            notes: Notes::default(),
            notes_bytes: 0,
            passes: vec![0; planned.map_or(0, |planned| planned.placements.len())],
            begun: false,
            slot: Slot::default(),
            group: None,
            prefix,
        }
    }

    /// The name of a placement with those around it.
    pub(super) fn path(&self, placed: &Placed) -> Arc<str> {
        if self.prefix.is_empty() {
            Arc::clone(&placed.name)
        } else {
            format!("{}{}", self.prefix, placed.name).into()
        }
    }

    /// How often the placement has begun.
    pub(super) fn pass(&self, place: Place) -> u32 {
        self.passes.get(place).copied().unwrap_or(0)
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            if let Some(pass) = self.passes.get_mut(self.at) {
                *pass = pass.saturating_add(1);
            }
        }
    }

    fn go(&mut self, place: Place) {
        self.at = place;
        self.begun = false;
        self.slot = Slot::default();
        self.group = None;
    }

    /// Puts keys in place of those before.
    fn merge(&mut self, values: Object) {
        for (key, value) in values {
            self.bytes += size_of_entry(&key, &value);
            if let Some(before) = self.values.get(&key) {
                self.bytes = self.bytes.saturating_sub(size_of_entry(&key, before));
            }
            self.values.insert(key, value);
        }
    }

    /// Takes notes over.
    fn note(&mut self, notes: Notes) {
        self.notes_bytes += notes.bytes();
        self.notes.append(notes);
    }

    fn note_error(&mut self, note: Note) {
        self.note(Notes {
            errors: vec![note],
            warnings: Vec::new(),
        });
    }

    fn note_warning(&mut self, note: Note) {
        self.note(Notes {
            errors: Vec::new(),
            warnings: vec![note],
        });
    }

    fn remeasure(&mut self) {
        self.bytes = size_of_object(&self.values).memory;
    }

    /// A key of `metadata`, which is the engine's.
    fn set_metadata(&mut self, key: &str, value: Value) {
        set_metadata(&mut self.values, key, value);
        self.remeasure();
    }
}

fn set_metadata(values: &mut Object, key: &str, value: Value) {
    let metadata = values.entry("metadata").or_insert_with(|| json!({}));
    if !metadata.is_object() {
        *metadata = json!({});
    }
    if let Value::Object(metadata) = metadata {
        metadata.insert(key.to_owned(), value);
    }
}

impl Progress {
    /// At the beginning.
    pub(super) fn new(plan: &Plan, values: Object, bounds: Bounds) -> Self {
        Self {
            frames: vec![Frame::new(plan, 0, values, "".into())],
            ..Self::nowhere(0, bounds)
        }
    }

    /// Nowhere yet, for a run that went so far.
    pub(super) fn nowhere(steps: u64, bounds: Bounds) -> Self {
        Self {
            frames: Vec::new(),
            steps,
            ended: None,
            bounds,
            need: Need::Again,
            halted: None,
            trail: Vec::new(),
        }
    }

    pub(super) fn top(&self) -> Option<&Frame> {
        self.frames.last()
    }

    pub(super) fn top_mut(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    /// The placement that is run, with those around it.
    pub(super) fn position(&self, plan: &Plan) -> Arc<str> {
        let placed = |frame: &Frame| {
            let placed = plan.placed(frame.dag, frame.at)?;
            Some(frame.path(placed))
        };
        self.top().and_then(placed).unwrap_or_default()
    }

    /// Does what follows from what has been done, and says what is needed next.
    /// It does little at a time: a flow without a node that ever runs does not
    /// keep it.
    pub(super) fn advance(&mut self, plan: &Plan) -> Need {
        self.halted = None;
        self.need = loop {
            if self.ended.is_some() || self.halted.is_some() {
                break Need::Nothing;
            }
            let Some(frame) = self.frames.last_mut() else {
                break Need::Nothing;
            };
            let Some(placed) = plan.placed(frame.dag, frame.at) else {
                break Need::Nothing;
            };
            frame.begin();
            match &placed.kind {
                Kind::Single { .. } => break Need::Node(frame.at),
                Kind::Parallel { .. } | Kind::FanOut(_) => {
                    if let Some(need) = self.advance_group(plan, placed) {
                        break need;
                    }
                }
                Kind::Deep(deep) => {
                    self.steps = self.steps.saturating_add(1);
                    self.enter(plan, placed, deep);
                    break Need::Again;
                }
                Kind::Terminal(Outcome::Completed) => self.complete(plan),
                Kind::Terminal(Outcome::Failed) => {
                    let cause = Cause::Terminal(frame.path(placed));
                    self.fail(plan, cause);
                }
            }
        };
        self.need
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_over(&self, plan: &Plan) -> bool {
        let at_end = self.frames.last().and_then(|frame| {
            let placed = plan.placed(frame.dag, frame.at)?;
            Some(self.frames.len() == 1 && matches!(placed.kind, Kind::Terminal(_)))
        });
        self.ended.is_some() || at_end == Some(true)
    }

    /// Whether a record is an answer to what is needed.
    pub(super) fn fits(&self, record: &Record) -> bool {
        let item = match record {
            Record::Done { item, .. }
            | Record::Asked { item, .. }
            | Record::Tried { item, .. }
            | Record::Answered { item, .. } => *item,
        };
        let group = self.frames.last().and_then(|frame| frame.group.as_ref());
        match (self.need, item, group) {
            (Need::Node(_) | Need::Custom(_), None, _) => true,
            (Need::Group(_), Some(at), Some(group)) => {
                let item = group.items.get(at);
                item.is_some_and(|item| item.done.is_none())
            }
            _ => false,
        }
    }

    /// Whether taking this up fails the root, which changes nothing.
    pub(super) fn is_fatal(&self, plan: &Plan, done: &Done) -> bool {
        let (1, Some(frame)) = (self.frames.len(), self.frames.last()) else {
            return false;
        };
        let Some(Kind::Single { routes, .. }) =
            plan.placed(frame.dag, frame.at).map(|placed| &placed.kind)
        else {
            return false;
        };
        let route = match &done.failed {
            Some(_) => ERROR,
            None => done.route.as_deref().unwrap_or(SUCCESS),
        };
        routes.next(route).is_none()
    }

    /// Takes up what was done. What fails the root changes nothing: the run can
    /// be tried again from there.
    pub(super) fn apply(&mut self, plan: &Plan, record: Record) -> Result<(), Cause> {
        let Some(frame) = self.frames.last_mut() else {
            return Ok(());
        };
        let Some(placed) = plan.placed(frame.dag, frame.at) else {
            return Ok(());
        };
        match record {
            Record::Tried { item, tried } => {
                frame.change_slot(item, |slot| slot.tried = tried);
                Ok(())
            }
            Record::Asked { item, ask } => {
                frame.change_slot(item, |slot| slot.asked = Some(ask));
                Ok(())
            }
            Record::Answered { item, answer } => {
                frame.change_slot(item, |slot| {
                    slot.asked = None;
                    // An earlier answer stands beside it: the node remembers
                    // nothing.
                    slot.answer.get_or_insert_default().extend(answer);
                });
                Ok(())
            }
            Record::Done {
                item: Some(item),
                done,
            } => {
                self.steps = self.steps.saturating_add(1);
                if let Some(group) = &mut frame.group {
                    group.end(item, done);
                }
                Ok(())
            }
            Record::Done { item: None, done } => match &placed.kind {
                Kind::FanOut(fan) => {
                    self.steps = self.steps.saturating_add(1);
                    self.gathered(plan, &fan.routes, done);
                    Ok(())
                }
                Kind::Single { routes, .. } => {
                    let path = frame.path(placed);
                    self.single(plan, path, routes, done)
                }
                _ => Ok(()),
            },
        }
    }

    fn single(
        &mut self,
        plan: &Plan,
        path: Arc<str>,
        routes: &Wired,
        done: Done,
    ) -> Result<(), Cause> {
        let is_root = self.frames.len() == 1;
        let Some(frame) = self.frames.last_mut() else {
            return Ok(());
        };
        let Done {
            route,
            values,
            mut notes,
            failed,
        } = done;
        let route = match failed {
            None => route.unwrap_or_else(|| SUCCESS.into()),
            Some(cause) => {
                if routes.next(ERROR).is_none() {
                    if is_root {
                        return Err(cause);
                    }
                    self.steps = self.steps.saturating_add(1);
                    self.fail(plan, cause);
                    return Ok(());
                }
                frame.note_error(cause.note(&path));
                ERROR.into()
            }
        };
        let Some(next) = routes.next(&route) else {
            let cause = Cause::Unwired {
                placement: path,
                route,
                wired: routes.names(),
            };
            if is_root {
                return Err(cause);
            }
            self.steps = self.steps.saturating_add(1);
            self.fail(plan, cause);
            return Ok(());
        };
        self.steps = self.steps.saturating_add(1);
        notes.stamp(&path);
        frame.note(notes);
        frame.merge(values);
        self.take(plan, next);
        Ok(())
    }

    /// Goes on from the placement at which the innermost flow is.
    fn take(&mut self, plan: &Plan, next: Next) {
        match (next, self.frames.last_mut()) {
            (Next::To(place), Some(frame)) => frame.go(place),
            _ => self.complete(plan),
        }
    }

    /// Goes on by a route that the checks of a plan have found to be wired.
    fn take_fixed(&mut self, plan: &Plan, routes: &Wired, route: &str) {
        if let Some(frame) = self.frames.last()
            && let Some(placed) = plan.placed(frame.dag, frame.at)
        {
            self.trail.push(Trail::Passed {
                placement: frame.path(placed),
                pass: frame.pass(frame.at),
                route: route.into(),
            });
        }
        let next = routes.next(route).unwrap_or(Next::End);
        self.take(plan, next);
    }

    /// What the run takes in memory: states, notes, questions and answers, and
    /// what has been done and not been gathered.
    pub(super) fn bytes(&self) -> usize {
        let frames = self.frames.iter().map(|frame| {
            let group = frame.group.as_ref().map_or(0, |group| group.bytes);
            frame.bytes + frame.notes_bytes + frame.slot.bytes() + group
        });
        frames.sum()
    }
}

/// A note of a value that could not be written.
fn blocked(placement: &Arc<str>, reason: impl ToString) -> Note {
    let cause = Cause::State {
        placement: Arc::clone(placement),
        reason: reason.to_string(),
    };
    cause.note(placement)
}

/// Appends values to the list at a path, which is made where it is missing.
fn append(values: &mut Object, path: &StatePath, more: Vec<Value>) -> Result<(), String> {
    let most = MAX_NESTING.saturating_sub(path.len());
    if more.iter().any(|value| is_deeper(value, most)) {
        return Err(format!(
            "`{path}` cannot be appended to: it would be nested deeper than {MAX_NESTING}"
        ));
    }
    let entry = path.entry(values).map_err(|blocked| blocked.to_string())?;
    match entry {
        Value::Null => {
            *entry = Value::Array(more);
            Ok(())
        }
        Value::Array(list) => {
            list.extend(more);
            Ok(())
        }
        _ => Err(format!("`{path}` cannot be appended to: it is no list")),
    }
}
