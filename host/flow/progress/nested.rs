//! Flows within flows: how one begins, how it ends, and what passes between its
//! state and that around it.

use std::sync::Arc;

use serde_json::Value;

use super::{
    super::{
        cause::Cause,
        node::{ERROR, SUCCESS},
        path::StatePath,
        plan::{DeepPlan, Kind, Placed, Plan},
    },
    Ended, Frame, MAX_NESTING, Progress, Trail, blocked,
};
use crate::signal::{Object, is_deeper, size_of_entry};

impl Progress {
    /// Begins a flow within the innermost one.
    pub(super) fn enter(&mut self, plan: &Plan, placed: &Placed, deep: &DeepPlan) {
        let bytes = self.bytes();
        let Some(outer) = self.frames.last_mut() else {
            return;
        };
        let mut values = outer.values.clone();
        let path = outer.path(placed);
        let mut room = self.bounds.bytes.saturating_sub(bytes);
        for (inner, from) in &deep.input {
            let Some(value) = from.get(&outer.values) else {
                continue;
            };
            if let Err(reason) = copy(value, inner, &mut values, &mut room) {
                outer.note_error(blocked(&path, reason));
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
    pub(super) fn complete(&mut self, plan: &Plan) {
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
    pub(super) fn fail(&mut self, plan: &Plan, cause: Cause) {
        let is_root = self.frames.len() == 1;
        if let Some(frame) = self.frames.last_mut() {
            let placement = match plan.placed(frame.dag, frame.at) {
                Some(placed) => frame.path(placed),
                None => Arc::default(),
            };
            frame.note_error(cause.note(&placement).unrecoverable());
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
        let bytes = self.bytes();
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
        outer.note(inner.notes);
        let mut room = self.bounds.bytes.saturating_sub(bytes);
        for (to, from) in &deep.output {
            let Some(value) = from.get(&inner.values) else {
                continue;
            };
            if let Err(reason) = copy(value, to, &mut outer.values, &mut room) {
                outer.note_error(blocked(&path, reason));
                route = ERROR;
                break;
            }
        }
        if !deep.output.is_empty() {
            outer.remeasure();
        }
        self.take_fixed(plan, &deep.routes, route);
    }
}

/// Copies a value to a path, as long as there is room.
fn copy(
    value: &Value,
    to: &StatePath,
    values: &mut Object,
    room: &mut usize,
) -> Result<(), String> {
    // With what is made around it, generously.
    let bytes = size_of_entry("", value) + 128 * to.len();
    *room = room
        .checked_sub(bytes)
        .ok_or_else(|| format!("`{to}` cannot be written: the state would be too large"))?;
    if is_deeper(value, MAX_NESTING.saturating_sub(to.len())) {
        return Err(format!(
            "`{to}` cannot be written: it would be nested deeper than {MAX_NESTING}"
        ));
    }
    to.set(values, value.clone())
        .map_err(|blocked| blocked.to_string())
}
