//! Groups: members side by side, and the items of a fan-out.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{
    super::{
        cause::Cause,
        document::Combine,
        node::{ERROR, Note, SUCCESS},
        plan::{FanOutPlan, Gather, Kind, Place, Placed, Plan, Wired, aggregate},
    },
    Done, Frame, Need, Progress, Slot, append, blocked, set_metadata,
};
use crate::signal::Object;

/// A group under way. Until it has ended it changes nothing in the state.
#[derive(Clone, Debug, Default)]
pub(in crate::flow) struct Group {
    pub(in crate::flow) items: Vec<Item>,
    pub(in crate::flow) ended: usize,
    /// What is known of all of them takes in memory.
    pub(in crate::flow) bytes: usize,
    /// What every item's node sees beside its item; made when it is needed.
    base: Option<Arc<Object>>,
    /// Once all have ended and a node gathers: the route behind it.
    pub(in crate::flow) gathering: Option<Arc<str>>,
}

/// A member or an item.
#[derive(Clone, Debug, Default)]
pub(in crate::flow) struct Item {
    pub(in crate::flow) slot: Slot,
    pub(in crate::flow) done: Option<Done>,
}

impl Group {
    pub(in crate::flow) fn new(len: usize) -> Self {
        Self {
            items: vec![Item::default(); len],
            ..Self::default()
        }
    }

    pub(super) fn end(&mut self, at: usize, done: Done) {
        let bytes = done.bytes();
        if let Some(item) = self.items.get_mut(at)
            && item.done.replace(done).is_none()
        {
            self.ended += 1;
            self.bytes += bytes;
        }
    }

    fn change_slot(&mut self, at: usize, change: impl FnOnce(&mut Slot)) {
        if let Some(Item { slot, .. }) = self.items.get_mut(at) {
            let before = slot.bytes();
            change(slot);
            self.bytes = self.bytes.saturating_sub(before) + slot.bytes();
        }
    }

    pub(in crate::flow) fn has_ended(&self) -> bool {
        self.ended == self.items.len()
    }
}

impl Frame {
    pub(super) fn change_slot(&mut self, item: Option<usize>, change: impl FnOnce(&mut Slot)) {
        match (item, &mut self.group) {
            (None, _) => change(&mut self.slot),
            (Some(at), Some(group)) => group.change_slot(at, change),
            (Some(_), None) => {}
        }
    }

    /// The state as the node of an item sees it: without the list that it is
    /// of and without what is gathered, so that a fan-out is linear.
    pub(in crate::flow) fn item_values(&mut self, fan: &FanOutPlan, at: usize) -> Object {
        let item = fan.source.get(&self.values);
        let item = item.and_then(|list| list.get(at)).cloned();
        let base = match self.group.as_mut() {
            Some(group) => Arc::clone(
                group
                    .base
                    .get_or_insert_with(|| Arc::new(base(&self.values, fan))),
            ),
            None => Arc::default(),
        };
        let mut values = Object::clone(&base);
        values.insert(fan.item_key.as_ref().to_owned(), item.unwrap_or_default());
        set_metadata(&mut values, "itemIndex", json!(at));
        values
    }
}

/// A state without what grows with the items.
fn base(values: &Object, fan: &FanOutPlan) -> Object {
    let mut base = values.clone();
    fan.source.remove(&mut base);
    match &fan.gather {
        Gather::Append(target) => drop(target.remove(&mut base)),
        Gather::Partition(targets) => {
            for (_, target) in targets {
                target.remove(&mut base);
            }
        }
        Gather::Custom(_) => {}
    }
    base
}

impl Progress {
    /// Begins, goes on with or ends the group that the innermost flow is at;
    /// what it needs, or `None` when it has ended.
    pub(super) fn advance_group(&mut self, plan: &Plan, placed: &Placed) -> Option<Need> {
        let most = self.bounds.items;
        let frame = self.frames.last_mut()?;
        let place = frame.at;
        let Some(group) = &mut frame.group else {
            return self.begin_group(plan, placed, most);
        };
        if group.gathering.is_some() {
            return Some(Need::Custom(place));
        }
        if !group.has_ended() {
            return Some(Need::Group(place));
        }
        match &placed.kind {
            Kind::Parallel {
                members,
                combine,
                routes,
            } => {
                self.combine(plan, members, *combine, routes);
                None
            }
            Kind::FanOut(fan) => self.gather(plan, placed, fan),
            _ => None,
        }
    }

    fn begin_group(&mut self, plan: &Plan, placed: &Placed, most: usize) -> Option<Need> {
        let frame = self.frames.last_mut()?;
        let place = frame.at;
        let len = match &placed.kind {
            Kind::Parallel { members, .. } => members.len(),
            Kind::FanOut(fan) => {
                let source = fan.source.get(&frame.values);
                let len = source.and_then(|list| list.as_array()).map_or(0, Vec::len);
                if len > most {
                    let placement = frame.path(placed);
                    let cause = Cause::TooManyItems {
                        placement,
                        items: len,
                        most,
                    };
                    // Under other bounds the root can go on from here.
                    match self.frames.len() {
                        1 => self.halted = Some(cause),
                        _ => self.fail(plan, cause),
                    }
                    return None;
                }
                if len == 0 {
                    self.steps = self.steps.saturating_add(1);
                    self.take_fixed(plan, &fan.routes, aggregate::EMPTY);
                    return Some(Need::Again);
                }
                len
            }
            _ => 0,
        };
        frame.group = Some(Group::new(len));
        Some(Need::Group(place))
    }

    /// Ends a group of members: their outputs into the state, in the order in
    /// which they are declared.
    fn combine(&mut self, plan: &Plan, members: &[Place], combine: Combine, routes: &Wired) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let items = frame.group.take().map(|group| group.items);
        let dones: Vec<_> = items
            .into_iter()
            .flatten()
            .filter_map(|item| item.done)
            .collect();
        let mut written: BTreeMap<String, (Arc<str>, Value)> = BTreeMap::new();
        let mut taken = Object::new();
        let (mut succeeded, mut failed) = (0, 0);
        for (place, mut done) in members.iter().zip(dones) {
            let Some(placed) = plan.placed(frame.dag, *place) else {
                continue;
            };
            let path = frame.path(placed);
            let route = settle(frame, &path, &mut done);
            succeeded += usize::from(&*route == SUCCESS);
            failed += usize::from(&*route != SUCCESS);
            taken.insert(placed.name.as_ref().to_owned(), Value::from(&*route));
            for (key, value) in done.values {
                // A neuron that answers with all that it was given has written
                // what has changed.
                if frame.values.get(&key) == Some(&value) {
                    continue;
                }
                if let Some((other, before)) = written.get(&key)
                    && *before != value
                {
                    let told = format!("`{key}` was written by `{other}` too; `{path}` comes last");
                    let mut note = Note::new("PARALLEL_OVERWRITE", told);
                    path.as_ref().clone_into(&mut note.placement);
                    frame.note_warning(note);
                }
                written.insert(key, (Arc::clone(&path), value));
            }
        }
        let values = written.into_iter().map(|(key, (_, value))| (key, value));
        frame.merge(values.collect());
        let route = match combine {
            Combine::AllSuccess if failed == 0 => SUCCESS,
            Combine::AnySuccess if succeeded > 0 => SUCCESS,
            Combine::AllSuccess | Combine::AnySuccess => ERROR,
            Combine::Collect => {
                frame.set_metadata("parallelOutputs", Value::Object(taken));
                SUCCESS
            }
        };
        self.take_fixed(plan, routes, route);
    }

    /// Ends the items of a fan-out: their results into the state, in the order
    /// of the source.
    fn gather(&mut self, plan: &Plan, placed: &Placed, fan: &FanOutPlan) -> Option<Need> {
        let frame = self.frames.last_mut()?;
        let place = frame.at;
        let path = frame.path(placed);
        let items = match &mut frame.group {
            Some(group) => {
                group.bytes = 0;
                std::mem::take(&mut group.items)
            }
            None => Vec::new(),
        };
        let len = items.len();
        let mut errors = 0;
        let mut buckets: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
        let mut in_order = Vec::new();
        for mut done in items.into_iter().filter_map(|item| item.done) {
            let route = settle(frame, &path, &mut done);
            let is_error = &*route == ERROR;
            errors += usize::from(is_error);
            if done.failed.is_some() {
                continue;
            }
            let result = result(done.values, &fan.item_key);
            match &fan.gather {
                Gather::Append(_) if is_error => {}
                Gather::Append(_) => in_order.push(result),
                _ => buckets.entry(route).or_default().push(result),
            }
        }
        let route = match errors {
            0 => aggregate::ALL_SUCCESS,
            errors if errors == len => aggregate::ALL_ERROR,
            _ => aggregate::PARTIAL,
        };
        let mut blockings = Vec::new();
        match &fan.gather {
            Gather::Append(target) => {
                blockings.extend(append(&mut frame.values, target, in_order).err());
            }
            Gather::Partition(targets) => {
                for (route, target) in targets {
                    let results = buckets.remove(route).unwrap_or_default();
                    blockings.extend(append(&mut frame.values, target, results).err());
                }
                for (route, results) in buckets.iter().filter(|(route, _)| ***route != *ERROR) {
                    let told = format!("{} results of `{route}` go nowhere", results.len());
                    let mut note = Note::new("FAN_IN_LOST", told);
                    path.as_ref().clone_into(&mut note.placement);
                    frame.note_warning(note);
                }
            }
            Gather::Custom(_) => {
                let results = buckets
                    .into_iter()
                    .map(|(route, results)| (route.as_ref().to_owned(), results.into()));
                frame.set_metadata("fanInResults", Value::Object(results.collect()));
                frame.slot = Slot::default();
                if let Some(group) = &mut frame.group {
                    group.gathering = Some(route.into());
                }
                return Some(Need::Custom(place));
            }
        }
        frame.remeasure();
        for reason in &blockings {
            frame.note_error(blocked(&path, reason));
        }
        let route = if blockings.is_empty() {
            route
        } else {
            aggregate::ALL_ERROR
        };
        self.take_fixed(plan, &fan.routes, route);
        None
    }

    /// Ends a fan-out whose results a node has gathered.
    pub(super) fn gathered(&mut self, plan: &Plan, routes: &Wired, mut done: Done) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let path = match plan.placed(frame.dag, frame.at) {
            Some(placed) => frame.path(placed),
            None => Arc::default(),
        };
        let group = frame.group.take();
        let route = group.and_then(|group| group.gathering).unwrap_or_default();
        let gathered = settle(frame, &path, &mut done);
        frame.merge(done.values);
        let route = match &*gathered {
            ERROR => aggregate::ALL_ERROR,
            _ => &route,
        };
        self.take_fixed(plan, routes, route);
    }
}

/// Takes over what a node noted, or why it failed; the route that counts.
fn settle(frame: &mut Frame, path: &Arc<str>, done: &mut Done) -> Arc<str> {
    let mut own = std::mem::take(&mut done.notes);
    own.stamp(path);
    frame.note(own);
    if let Some(cause) = &done.failed {
        frame.note_error(cause.note(path));
        return ERROR.into();
    }
    done.route.clone().unwrap_or_else(|| SUCCESS.into())
}

/// What has become of an item: the item itself, where its node answers with it,
/// else all that it answers.
fn result(mut values: Object, item_key: &str) -> Value {
    values
        .shift_remove(item_key)
        .unwrap_or_else(|| Value::Object(values))
}
