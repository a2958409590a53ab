//! Who may start a task now: first the tenant's own limit, then the host's
//! instance slots, tenants taking turns.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Tenant;

/// The host's slots, shared fairly: each freed slot goes to the next tenant in
/// turn that has a waiting task and is below its own limit, however many tasks
/// the others have waiting.
#[derive(Debug)]
pub struct Admission {
    slots: Mutex<Slots>,
}

#[derive(Debug)]
struct Slots {
    free: usize,
    /// Tenants with waiting tasks, each once, in turn.
    turns: VecDeque<Arc<Tenant>>,
}

/// A tenant's side of admission. Changed only under the lock of [`Slots`];
/// its own lock exists for the type system and is never contended.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    running_limit: usize,
    waiting_limit: usize,
}

#[derive(Debug, Default)]
struct QueueState {
    running: usize,
    waiting: VecDeque<oneshot::Sender<Permit>>,
    in_turn: bool,
}

impl Queue {
    pub(super) fn new(running_limit: usize, waiting_limit: usize) -> Self {
        Self {
            state: Mutex::default(),
            running_limit: running_limit.max(1),
            waiting_limit,
        }
    }
}

/// The host or the tenant has no room for another task, not even to wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overloaded {
    /// The tenant's own queue is full.
    #[error(
        "tenant `{tenant}` already has {running} tasks running and {waiting} waiting, its limits; \
         try again later or raise `concurrent_tasks` or `queued_tasks`"
    )]
    Tenant {
        /// Name of the tenant.
        tenant: Arc<str>,
        /// Running tasks.
        running: usize,
        /// Waiting tasks.
        waiting: usize,
    },
    /// A task of a task must not wait for a slot: the task it belongs to holds
    /// one, and if all did so none would ever be free.
    #[error(
        "all instance slots of this host are in use, and a task started by a neuron does not wait for one"
    )]
    Slots,
}

/// Leave to run one task; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    tenant: Arc<Tenant>,
    /// Whether the permit counts against the tenant's limit now.
    counted: bool,
}

/// A task's place in the queue. Resolves to its permit; dropping it leaves the
/// queue.
#[derive(Debug)]
pub struct Waiting(Place);

#[derive(Debug)]
enum Place {
    Admitted(Option<Permit>),
    Queued(oneshot::Receiver<Permit>),
}

impl Future for Waiting {
    type Output = Option<Permit>;

    /// `None` only when the host shuts down.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Place::Admitted(permit) => Poll::Ready(permit.take()),
            Place::Queued(receiver) => Pin::new(receiver).poll(context).map(Result::ok),
        }
    }
}

impl Admission {
    /// With as many slots as there can be live instances.
    pub fn new(slots: usize) -> Arc<Self> {
        Arc::new(Self {
            slots: Mutex::new(Slots {
                free: slots,
                turns: VecDeque::new(),
            }),
        })
    }

    /// Asks for a task's turn. `nested` is a task that another task started.
    ///
    /// # Errors
    /// When not even waiting is possible.
    pub fn ask(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        nested: bool,
    ) -> Result<Waiting, Overloaded> {
        let mut slots = self.slots.lock();
        let queue = tenant.queue();
        let mut state = queue.state.lock();
        if slots.free > 0 && state.waiting.is_empty() && state.running < queue.running_limit {
            slots.free -= 1;
            state.running += 1;
            return Ok(Waiting(Place::Admitted(Some(self.permit(tenant)))));
        }
        if nested && slots.free == 0 {
            return Err(Overloaded::Slots);
        }
        state.waiting.retain(|waiting| !waiting.is_closed());
        if state.waiting.len() >= queue.waiting_limit {
            return Err(Overloaded::Tenant {
                tenant: Arc::clone(tenant.name()),
                running: state.running,
                waiting: state.waiting.len(),
            });
        }
        let (sender, receiver) = oneshot::channel();
        state.waiting.push_back(sender);
        if !state.in_turn {
            state.in_turn = true;
            slots.turns.push_back(Arc::clone(tenant));
        }
        Ok(Waiting(Place::Queued(receiver)))
    }

    fn permit(self: &Arc<Self>, tenant: &Arc<Tenant>) -> Permit {
        Permit {
            admission: Arc::clone(self),
            tenant: Arc::clone(tenant),
            counted: true,
        }
    }

    /// Hands free slots to those whose turn it is.
    ///
    /// Permits are sent after the lock is released: a receiver that is gone
    /// drops its permit, which comes back here.
    fn hand_out(self: &Arc<Self>, mut slots: parking_lot::MutexGuard<'_, Slots>) {
        let mut granted = Vec::new();
        let mut looked_at = 0;
        while slots.free > 0 && looked_at < slots.turns.len() {
            let Some(tenant) = slots.turns.pop_front() else {
                break;
            };
            let queue = tenant.queue();
            let mut state = queue.state.lock();
            if state.running >= queue.running_limit {
                drop(state);
                slots.turns.push_back(tenant);
                looked_at += 1;
                continue;
            }
            let next = state.waiting.pop_front();
            state.in_turn = !state.waiting.is_empty();
            if let Some(next) = next {
                state.running += 1;
                slots.free -= 1;
                granted.push((next, self.permit(&tenant)));
            }
            let again = state.in_turn;
            drop(state);
            if again {
                slots.turns.push_back(tenant);
            }
            looked_at = 0;
        }
        drop(slots);
        for (waiting, permit) in granted {
            drop(waiting.send(permit));
        }
    }
}

impl Permit {
    /// Lets the tenant run another task while this one waits for a task of its
    /// own. The slot itself stays taken: the instance is still there.
    pub fn lend(&mut self) {
        if self.counted {
            self.counted = false;
            let slots = self.admission.slots.lock();
            self.tenant.queue().state.lock().running -= 1;
            self.admission.hand_out(slots);
        }
    }

    /// Takes the lent place back at once, even above the tenant's limit: a
    /// task that has begun is not kept waiting by one that has not.
    pub fn take_back(&mut self) {
        if !self.counted {
            self.counted = true;
            let _slots = self.admission.slots.lock();
            self.tenant.queue().state.lock().running += 1;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut slots = self.admission.slots.lock();
        slots.free += 1;
        if self.counted {
            self.tenant.queue().state.lock().running -= 1;
        }
        if !slots.turns.is_empty() {
            self.admission.hand_out(slots);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

    use futures_util::FutureExt;

    use super::*;
    use crate::{clock::Clock, signal::Timestamp, tenant::Quotas};

    fn tenant(name: &str, concurrent_tasks: usize, queued_tasks: usize) -> Arc<Tenant> {
        let (clock, _) = Clock::virtual_at(Timestamp::from_millis(0));
        let quotas = Quotas {
            concurrent_tasks,
            queued_tasks,
            ..Quotas::default()
        };
        Tenant::new(name, quotas, clock).unwrap()
    }

    fn admitted(waiting: &mut Waiting) -> Option<Permit> {
        waiting.now_or_never().flatten()
    }

    #[test]
    fn a_freed_slot_goes_to_the_next_tenant_in_turn_not_to_the_longest_queue() {
        let admission = Admission::new(1);
        let (loud, quiet) = (tenant("loud", 10, 100), tenant("quiet", 10, 100));
        let first = admitted(&mut admission.ask(&loud, false).unwrap()).unwrap();
        let mut flood: Vec<_> = (0..50)
            .map(|_| admission.ask(&loud, false).unwrap())
            .collect();
        let mut single = admission.ask(&quiet, false).unwrap();
        drop(first);
        let second = admitted(&mut flood[0]).unwrap();
        assert!(admitted(&mut single).is_none());
        drop(second);
        assert!(admitted(&mut single).is_some());
    }

    #[test]
    fn a_tenant_above_its_limit_waits_while_others_go_on() {
        let admission = Admission::new(10);
        let (small, other) = (tenant("small", 1, 100), tenant("other", 10, 100));
        let running = admitted(&mut admission.ask(&small, false).unwrap()).unwrap();
        let mut waiting = admission.ask(&small, false).unwrap();
        assert!(admitted(&mut waiting).is_none());
        assert!(admitted(&mut admission.ask(&other, false).unwrap()).is_some());
        drop(running);
        assert!(admitted(&mut waiting).is_some());
    }

    #[test]
    fn a_full_queue_refuses_in_words() {
        let admission = Admission::new(1);
        let tenant = tenant("acme", 1, 1);
        let _running = admitted(&mut admission.ask(&tenant, false).unwrap()).unwrap();
        let _waiting = admission.ask(&tenant, false).unwrap();
        let refused = admission.ask(&tenant, false).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "tenant `acme` already has 1 tasks running and 1 waiting, its limits; try again \
             later or raise `concurrent_tasks` or `queued_tasks`"
        );
    }

    #[test]
    fn a_place_in_the_queue_that_was_given_up_costs_nobody_a_slot() {
        let admission = Admission::new(1);
        let tenant = tenant("acme", 5, 5);
        let running = admitted(&mut admission.ask(&tenant, false).unwrap()).unwrap();
        drop(admission.ask(&tenant, false).unwrap());
        let mut waiting = admission.ask(&tenant, false).unwrap();
        drop(running);
        assert!(admitted(&mut waiting).is_some());
    }

    #[test]
    fn a_task_that_waits_for_its_own_task_lends_its_place() {
        let admission = Admission::new(2);
        let tenant = tenant("acme", 1, 5);
        let mut parent = admitted(&mut admission.ask(&tenant, false).unwrap()).unwrap();
        let mut child = admission.ask(&tenant, true).unwrap();
        assert!(admitted(&mut child).is_none());
        parent.lend();
        let child = admitted(&mut child).unwrap();
        parent.take_back();
        drop(child);
        drop(parent);
        assert!(admitted(&mut admission.ask(&tenant, false).unwrap()).is_some());
    }

    #[test]
    fn a_nested_task_does_not_wait_for_a_slot_that_its_parent_may_hold() {
        let admission = Admission::new(1);
        let tenant = tenant("acme", 5, 5);
        let _parent = admitted(&mut admission.ask(&tenant, false).unwrap()).unwrap();
        assert_eq!(admission.ask(&tenant, true).unwrap_err(), Overloaded::Slots);
    }
}
