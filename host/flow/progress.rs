//! Where a run is: a stack of flows, each at a placement with a state.
//!
//! **Invariant**: a progress changes by [`Record`]s and by what follows from
//! them, and by nothing else: the same records on the same start lead to the
//! same place. That is what makes a checkpoint exact. Nothing here waits, reads
//! a clock or draws a number.

mod group;
mod record;

use std::sync::Arc;

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
    plan::{DagAt, DeepPlan, Kind, Next, Place, Placed, Plan, Wired},
};
use crate::signal::{Object, size_of_object, size_of_value};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) frames: Vec<Frame>,
    /// Nodes that have run, items and members included.
    pub(super) steps: u64,
    pub(super) ended: Option<Ended>,
    /// Most items of one fan-out.
    pub(super) most_items: usize,
    /// What has happened beside nodes, for whoever tells of it.
    pub(super) trail: Vec<Trail>,
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

/// What has to be done for a run to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Run the node at this placement.
    Node(Place),
    /// Run members or items of the group at this placement.
    Group(Place),
    /// Run the node that gathers at this placement.
    Custom(Place),
    /// Nothing: it has ended.
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
            self.bytes += size_of_value(&value).memory + key.len();
            if let Some(before) = self.values.insert(key, value) {
                self.bytes = self.bytes.saturating_sub(size_of_value(&before).memory);
            }
        }
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
    pub(super) fn new(plan: &Plan, values: Object, most_items: usize) -> Self {
        Self {
            frames: vec![Frame::new(plan, 0, values, "".into())],
            steps: 0,
            ended: None,
            most_items,
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
    pub(super) fn advance(&mut self, plan: &Plan) -> Need {
        loop {
            if self.ended.is_some() {
                return Need::Nothing;
            }
            let Some(frame) = self.frames.last_mut() else {
                return Need::Nothing;
            };
            let Some(placed) = plan.placed(frame.dag, frame.at) else {
                return Need::Nothing;
            };
            frame.begin();
            match &placed.kind {
                Kind::Single { .. } => return Need::Node(frame.at),
                Kind::Parallel { .. } | Kind::FanOut(_) => {
                    if let Some(need) = self.advance_group(plan, placed) {
                        return need;
                    }
                }
                Kind::Deep(deep) => self.enter(plan, placed, deep),
                Kind::Terminal(Outcome::Completed) => self.complete(plan),
                Kind::Terminal(Outcome::Failed) => {
                    let cause = Cause::Terminal(frame.path(placed));
                    self.fail(plan, cause);
                }
            }
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
                if let Some(slot) = frame.slot_of(item) {
                    slot.tried = tried;
                }
                Ok(())
            }
            Record::Asked { item, ask } => {
                if let Some(slot) = frame.slot_of(item) {
                    slot.asked = Some(ask);
                }
                Ok(())
            }
            Record::Answered { item, answer } => {
                if let Some(slot) = frame.slot_of(item) {
                    slot.asked = None;
                    slot.answer = Some(answer);
                }
                Ok(())
            }
            Record::Done {
                item: Some(item),
                done,
            } => {
                self.steps += 1;
                if let Some(group) = &mut frame.group {
                    group.end(item, done);
                }
                Ok(())
            }
            Record::Done { item: None, done } => match &placed.kind {
                Kind::FanOut(fan) => {
                    self.steps += 1;
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
                    self.steps += 1;
                    self.fail(plan, cause);
                    return Ok(());
                }
                frame.notes.errors.push(cause.note(&path));
                ERROR.into()
            }
        };
        let Some(next) = routes.next(&route) else {
            let cause = Cause::Unwired {
                placement: path,
                route,
                wired: routes.names(),
            };
            // Its output counts all the same.
            frame.merge(values);
            if is_root {
                return Err(cause);
            }
            self.steps += 1;
            self.fail(plan, cause);
            return Ok(());
        };
        self.steps += 1;
        notes.stamp(&path);
        frame.notes.append(notes);
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

    /// Begins a flow within the innermost one.
    fn enter(&mut self, plan: &Plan, placed: &Placed, deep: &DeepPlan) {
        let Some(outer) = self.frames.last_mut() else {
            return;
        };
        let mut values = outer.values.clone();
        let path = outer.path(placed);
        for (inner, from) in &deep.input {
            let Some(value) = from.get(&outer.values) else {
                continue;
            };
            if let Err(blocked) = inner.set(&mut values, value.clone()) {
                let cause = Cause::State {
                    placement: Arc::clone(&path),
                    reason: blocked.to_string(),
                };
                outer.notes.errors.push(cause.note(&path));
                self.take_fixed(plan, &deep.routes, ERROR);
                return;
            }
        }
        let prefix = format!("{path}/").into();
        let flow = plan.dags.get(deep.dag).map(|dag| Arc::clone(&dag.name));
        self.trail.push(Trail::Entered {
            placement: path,
            flow: flow.unwrap_or_default(),
        });
        self.frames.push(Frame::new(plan, deep.dag, values, prefix));
    }

    /// Ends the innermost flow well.
    fn complete(&mut self, plan: &Plan) {
        if self.frames.len() == 1 {
            self.ended = Some(Ended::Completed);
            return;
        }
        let failed = |inner: &Frame| inner.notes.errors.iter().any(|note| !note.recoverable);
        let route = match self.frames.last() {
            Some(inner) if failed(inner) => ERROR,
            _ => SUCCESS,
        };
        self.leave(plan, route);
    }

    /// Ends the innermost flow as failed.
    fn fail(&mut self, plan: &Plan, cause: Cause) {
        let is_root = self.frames.len() == 1;
        if let Some(frame) = self.frames.last_mut() {
            let placement = match plan.placed(frame.dag, frame.at) {
                Some(placed) => frame.path(placed),
                None => Arc::default(),
            };
            let note = cause.note(&placement).unrecoverable();
            frame.notes.errors.push(note);
        }
        if is_root {
            self.ended = Some(Ended::Failed(cause));
        } else {
            self.leave(plan, ERROR);
        }
    }

    /// Goes on around the innermost flow, with what it leaves behind.
    fn leave(&mut self, plan: &Plan, route: &str) {
        let Some(mut inner) = self.frames.pop() else {
            return;
        };
        let Some(outer) = self.frames.last_mut() else {
            return;
        };
        let Some(placed) = plan.placed(outer.dag, outer.at) else {
            return;
        };
        let Kind::Deep(deep) = &placed.kind else {
            return;
        };
        let path = outer.path(placed);
        let mut route = route;
        // What failed the inner flow has been dealt with when this one goes on.
        for note in &mut inner.notes.errors {
            note.recoverable = true;
        }
        outer.notes.append(inner.notes);
        for (to, from) in &deep.output {
            let Some(value) = from.get(&inner.values) else {
                continue;
            };
            if let Err(blocked) = to.set(&mut outer.values, value.clone()) {
                let cause = Cause::State {
                    placement: Arc::clone(&path),
                    reason: blocked.to_string(),
                };
                outer.notes.errors.push(cause.note(&path));
                route = ERROR;
            }
        }
        if !deep.output.is_empty() {
            outer.remeasure();
        }
        self.take_fixed(plan, &deep.routes, route);
    }

    /// What all states of the run take in memory.
    pub(super) fn bytes(&self) -> usize {
        self.frames.iter().map(|frame| frame.bytes).sum()
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
