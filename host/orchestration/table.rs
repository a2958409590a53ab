//! The table of a tenant's traces, and the tombstones of those that were
//! stopped.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::trace::{Refused, Settlement, Trace};
use crate::signal::TraceId;

/// Ids of stopped traces that are remembered; the oldest go first.
const TOMBSTONES: usize = 65_536;

/// All traces of a tenant that are not forgotten, and the tombstones of those
/// that were stopped.
pub(super) struct TraceTable {
    /// Where commits of traces that nobody waits for are done.
    control: Handle,
    entries: Mutex<Entries>,
    /// Set under the lock of the entries; then no trace is opened.
    closed: AtomicBool,
}

#[derive(Default)]
struct Entries {
    live: HashMap<TraceId, Arc<Trace>>,
    stopped: HashSet<TraceId>,
    stopped_order: VecDeque<TraceId>,
}

impl TraceTable {
    pub(super) fn new(control: Handle) -> Arc<Self> {
        Arc::new(Self {
            control,
            entries: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// Where commits of traces that nobody waits for are done.
    pub(super) fn control(&self) -> &Handle {
        &self.control
    }

    /// The trace of that id, opened if it is new.
    ///
    /// # Errors
    /// It was stopped, or the table is closed.
    pub(super) fn open(
        self: &Arc<Self>,
        id: TraceId,
        settlement: Settlement,
        parent: Option<&Arc<Trace>>,
    ) -> Result<Arc<Trace>, Refused> {
        let mut entries = self.entries.lock();
        if self.is_closed() {
            return Err(Refused::Removed);
        }
        if entries.stopped.contains(&id) {
            return Err(Refused::Stopped);
        }
        let trace = entries.live.entry(id).or_insert_with_key(|id| {
            Arc::new(Trace::new(
                id.clone(),
                settlement,
                parent,
                Arc::downgrade(self),
            ))
        });
        Ok(Arc::clone(trace))
    }

    /// Opens no further trace; returns those that are live, to be stopped.
    pub(super) fn close(&self) -> Vec<Arc<Trace>> {
        let entries = self.entries.lock();
        self.closed.store(true, Ordering::Release);
        entries.live.values().cloned().collect()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The live trace of that id.
    pub(super) fn get(&self, id: &TraceId) -> Option<Arc<Trace>> {
        self.entries.lock().live.get(id).cloned()
    }

    /// Marks an id as stopped: no task of it runs from here on. Returns the
    /// trace if it is live, to be stopped.
    pub(super) fn bury(&self, id: &TraceId) -> Option<Arc<Trace>> {
        let mut entries = self.entries.lock();
        if entries.stopped.insert(id.clone()) {
            entries.stopped_order.push_back(id.clone());
            if entries.stopped_order.len() > TOMBSTONES
                && let Some(oldest) = entries.stopped_order.pop_front()
            {
                entries.stopped.remove(&oldest);
            }
        }
        entries.live.get(id).cloned()
    }

    /// Takes a trace out; one of the same id that came after it stays.
    pub(super) fn remove(&self, trace: &Trace) {
        let mut entries = self.entries.lock();
        if let Some(known) = entries.live.get(trace.id())
            && std::ptr::eq(Arc::as_ptr(known), trace)
        {
            entries.live.remove(trace.id());
        }
    }

    /// Ids of the live traces.
    pub(super) fn ids(&self) -> Vec<TraceId> {
        self.entries.lock().live.keys().cloned().collect()
    }
}
