//! Who may start a task now: first the tenant's own limit, then the host's
//! instance slots, tenants taking turns.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::{Quotas, Tenant};

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
    live_limit: usize,
    waiting_limit: usize,
}

#[derive(Debug, Default)]
struct QueueState {
    /// Tasks that run and do not wait for a task of their own.
    running: usize,
    /// Slots held, lent places included.
    live: usize,
    /// Tasks of tasks, served first: those that they belong to hold a slot.
    nested: VecDeque<oneshot::Sender<Permit>>,
    waiting: VecDeque<oneshot::Sender<Permit>>,
    in_turn: bool,
}

impl Queue {
    pub(super) fn new(quotas: &Quotas) -> Self {
        Self {
            state: Mutex::default(),
            running_limit: quotas.concurrent_tasks.max(1),
            live_limit: quotas.live_instances.max(1),
            waiting_limit: quotas.queued_tasks,
        }
    }

    fn has_room(&self, state: &QueueState) -> bool {
        state.running < self.running_limit && state.live < self.live_limit
    }
}

impl QueueState {
    fn queued(&self) -> usize {
        self.nested.len() + self.waiting.len()
    }

    /// The next place in the queue that was not given up.
    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        loop {
            let next = self
                .nested
                .pop_front()
                .or_else(|| self.waiting.pop_front())?;
            if !next.is_closed() {
                return Some(next);
            }
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
    /// The inputs of the tenant's tasks fill its quota.
    #[error(
        "tenant `{tenant}` holds {held} of its {limit} bytes of task inputs and {bytes} more do \
         not fit; try again when tasks have ended, or raise `input_bytes`"
    )]
    Inputs {
        /// Name of the tenant.
        tenant: Arc<str>,
        /// Bytes of the tasks that wait or run.
        held: u64,
        /// The quota.
        limit: u64,
        /// Bytes of the task that was refused.
        bytes: u64,
    },
    /// A task of a task must not wait for a slot: the task it belongs to holds
    /// one, and if all did so none would ever be free.
    #[error(
        "all instance slots of this host, or of the tenant (`live_instances`), are in use, and \
         a task started by a neuron does not wait for one"
    )]
    Slots,
}

/// Leave to run one task; given back when dropped.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    tenant: Arc<Tenant>,
    /// Whether the permit counts as a running task now.
    counted: bool,
    /// Whether it is still to be given back.
    held: bool,
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
        let ahead = if nested {
            state.nested.len()
        } else {
            state.queued()
        };
        if slots.free > 0 && ahead == 0 && queue.has_room(&state) {
            let permit = self.grant(&mut slots, &mut state, tenant);
            return Ok(Waiting(Place::Admitted(Some(permit))));
        }
        if nested && (slots.free == 0 || state.live >= queue.live_limit) {
            return Err(Overloaded::Slots);
        }
        if state.queued() >= queue.waiting_limit {
            state.nested.retain(|waiting| !waiting.is_closed());
            state.waiting.retain(|waiting| !waiting.is_closed());
        }
        if state.queued() >= queue.waiting_limit {
            return Err(Overloaded::Tenant {
                tenant: Arc::clone(tenant.name()),
                running: state.running,
                waiting: state.queued(),
            });
        }
        let (sender, receiver) = oneshot::channel();
        if nested {
            state.nested.push_back(sender);
        } else {
            state.waiting.push_back(sender);
        }
        if !state.in_turn {
            state.in_turn = true;
            slots.turns.push_back(Arc::clone(tenant));
        }
        Ok(Waiting(Place::Queued(receiver)))
    }

    fn grant(
        self: &Arc<Self>,
        slots: &mut Slots,
        state: &mut QueueState,
        tenant: &Arc<Tenant>,
    ) -> Permit {
        slots.free -= 1;
        state.running += 1;
        state.live += 1;
        Permit {
            admission: Arc::clone(self),
            tenant: Arc::clone(tenant),
            counted: true,
            held: true,
        }
    }

    /// Hands free slots to those whose turn it is.
    ///
    /// Permits are sent after the lock is released. One whose receiver has gone
    /// in between comes back and is handed out again, in a loop: any number of
    /// places may be given up at once.
    fn hand_out<'a>(self: &'a Arc<Self>, mut slots: MutexGuard<'a, Slots>) {
        loop {
            let granted = self.pick(&mut slots);
            drop(slots);
            let sent = granted
                .into_iter()
                .filter_map(|(waiting, permit)| waiting.send(permit).err());
            let returned: Vec<Permit> = sent.collect();
            if returned.is_empty() {
                return;
            }
            slots = self.slots.lock();
            for mut permit in returned {
                permit.give_back(&mut slots);
            }
        }
    }

    /// Takes the next waiting tasks, a tenant each in turn, while there are
    /// slots.
    fn pick(self: &Arc<Self>, slots: &mut Slots) -> Vec<(oneshot::Sender<Permit>, Permit)> {
        let mut granted = Vec::new();
        let mut passed_over = 0;
        while slots.free > 0 && passed_over < slots.turns.len() {
            let Some(tenant) = slots.turns.pop_front() else {
                break;
            };
            let mut state = tenant.queue().state.lock();
            if !tenant.queue().has_room(&state) {
                drop(state);
                slots.turns.push_back(tenant);
                passed_over += 1;
                continue;
            }
            if let Some(next) = state.next() {
                let permit = self.grant(slots, &mut state, &tenant);
                granted.push((next, permit));
            }
            state.in_turn = state.queued() > 0;
            let again = state.in_turn;
            drop(state);
            if again {
                slots.turns.push_back(tenant);
            }
            passed_over = 0;
        }
        granted
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

    /// Takes the lent place back at once, even above the tenant's limit of
    /// running tasks: a task that has begun is not kept waiting by one that has
    /// not. The limit of live instances holds all the same.
    pub fn take_back(&mut self) {
        if !self.counted {
            self.counted = true;
            let _slots = self.admission.slots.lock();
            self.tenant.queue().state.lock().running += 1;
        }
    }

    fn give_back(&mut self, slots: &mut Slots) {
        self.held = false;
        slots.free += 1;
        let mut state = self.tenant.queue().state.lock();
        state.live -= 1;
        state.running -= usize::from(self.counted);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.held {
            return;
        }
        let admission = Arc::clone(&self.admission);
        let mut slots = admission.slots.lock();
        self.give_back(&mut slots);
        if !slots.turns.is_empty() {
            admission.hand_out(slots);
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
        let second = admitted(flood.first_mut().unwrap()).unwrap();
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
    fn any_number_of_places_can_be_given_up_at_once() {
        let admission = Admission::new(1);
        let tenant = tenant("acme", 1, 200_000);
        let running = admitted(&mut admission.ask(&tenant, false).unwrap()).unwrap();
        let queued: Vec<_> = (0..100_000)
            .map(|_| admission.ask(&tenant, false).unwrap())
            .collect();
        let mut last = admission.ask(&tenant, false).unwrap();
        drop(queued);
        drop(running);
        assert!(admitted(&mut last).is_some());
    }

    #[test]
    fn a_task_of_a_task_goes_before_its_tenants_other_tasks() {
        let admission = Admission::new(2);
        let tenant = tenant("acme", 1, 100);
        let mut parent = admitted(&mut admission.ask(&tenant, false).unwrap()).unwrap();
        let mut roots: Vec<_> = (0..10)
            .map(|_| admission.ask(&tenant, false).unwrap())
            .collect();
        let mut child = admission.ask(&tenant, true).unwrap();
        parent.lend();
        let _child = admitted(&mut child).unwrap();
        assert!(roots.iter_mut().all(|root| admitted(root).is_none()));
    }

    #[test]
    fn lent_places_still_count_as_live_instances() {
        let admission = Admission::new(10);
        let (clock, _) = Clock::virtual_at(Timestamp::from_millis(0));
        let quotas = Quotas {
            concurrent_tasks: 1,
            live_instances: 2,
            ..Quotas::default()
        };
        let tenant = Tenant::new("acme", quotas, clock).unwrap();
        let mut parent = admitted(&mut admission.ask(&tenant, false).unwrap()).unwrap();
        parent.lend();
        let mut child = admitted(&mut admission.ask(&tenant, true).unwrap()).unwrap();
        child.lend();
        assert_eq!(admission.ask(&tenant, true).unwrap_err(), Overloaded::Slots);
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
