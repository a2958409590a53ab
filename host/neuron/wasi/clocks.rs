//! `wasi:clocks` and `wasi:io/poll` on the guest's clock.
//!
//! On a clock of the task's own (`Time::Virtual`) a wait for timers alone moves
//! time to the earliest of them; a wait for anything else stands outside time.

use std::time::Duration;

use wasmtime::component::Resource;
use wasmtime_wasi::{
    async_trait,
    p2::{
        DynPollable, Pollable,
        bindings::{
            clocks::{monotonic_clock, wall_clock},
            io::poll,
        },
        subscribe,
    },
};

use super::HANDLES;
use crate::{
    clock::Clock,
    neuron::{
        guest::{Guest, Halt},
        outcome::End,
    },
};

/// The grain of a timestamp, and of what the guest is told of its clock.
const RESOLUTION: Duration = Duration::from_micros(1);

fn datetime(since_1970: Duration) -> wall_clock::Datetime {
    wall_clock::Datetime {
        seconds: since_1970.as_secs(),
        nanoseconds: since_1970.subsec_nanos(),
    }
}

impl wall_clock::Host for Guest {
    /// A time before 1970, which WASI cannot say, is 1970.
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.enter()?;
        let micros = u64::try_from(self.clock().now().micros()).unwrap_or(0);
        Ok(datetime(Duration::from_micros(micros)))
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.enter()?;
        Ok(datetime(RESOLUTION))
    }
}

/// A time of the guest's clock that something waits for.
struct Timer {
    clock: Clock,
    deadline: Duration,
}

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        self.clock.sleep_until(self.deadline).await;
    }
}

impl Guest {
    fn timer(&mut self, deadline: Duration) -> wasmtime::Result<Resource<DynPollable>> {
        let clock = self.clock().clone();
        let state = self.wasi();
        let timer = state.table.push(Timer { clock, deadline })?;
        let pollable = subscribe(&mut state.table, timer)?;
        state.timers.insert(pollable.rep(), deadline);
        Ok(pollable)
    }

    /// Moves a clock of the task's own when it waits for nothing but timers.
    async fn pass_time(&mut self, waited_for: &[Resource<DynPollable>]) {
        let Some(own) = self.own_time.clone() else {
            return;
        };
        let timers = &self.wasi().timers;
        let deadlines = waited_for.iter().map(|one| timers.get(&one.rep()).copied());
        let earliest = deadlines
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.into_iter().min());
        if let Some(earliest) = earliest {
            own.pass_until(earliest).await;
        }
    }
}

impl monotonic_clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.enter()?;
        let nanos = self.clock().monotonic().as_nanos();
        Ok(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        self.enter()?;
        Ok(u64::from(RESOLUTION.subsec_nanos()))
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.enter()?;
        self.timer(Duration::from_nanos(when))
    }

    fn subscribe_duration(&mut self, span: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.enter()?;
        let now = self.clock().monotonic();
        self.timer(now.saturating_add(Duration::from_nanos(span)))
    }
}

impl poll::Host for Guest {
    async fn poll(&mut self, waited_for: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.enter()?;
        // Looking through the list is not interrupted.
        if waited_for.len() > HANDLES {
            let count = waited_for.len();
            return Err(Halt(End::Trap(format!(
                "poll was given {count} pollables, at most {HANDLES} are taken"
            )))
            .into());
        }
        self.pass_time(&waited_for).await;
        poll::Host::poll(&mut self.wasi().table, waited_for).await
    }
}

impl poll::HostPollable for Guest {
    async fn ready(&mut self, one: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.enter()?;
        poll::HostPollable::ready(&mut self.wasi().table, one).await
    }

    async fn block(&mut self, one: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.enter()?;
        self.pass_time(std::slice::from_ref(&one)).await;
        poll::HostPollable::block(&mut self.wasi().table, one).await
    }

    fn drop(&mut self, one: Resource<DynPollable>) -> wasmtime::Result<()> {
        let state = self.wasi();
        state.timers.remove(&one.rep());
        poll::HostPollable::drop(&mut state.table, one)
    }
}
