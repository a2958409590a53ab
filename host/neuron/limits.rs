//! What one task may use, and the limiter that holds it to that.

use std::{sync::Arc, time::Duration};

use super::{engine::MAX_MEMORY_BYTES, environment::Governor};
use crate::package::Wishes;

/// The budget of one task.
///
/// What no limit here stops: a bulk memory operation (`memory.fill` over the
/// whole memory) runs to its end without a check, and dropping dirty memory
/// takes time too. The memory limit therefore is part of the STOP bound: about
/// 5 ms at 64 MiB on the machines measured (reference: wasmtime, section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// CPU budget in fuel units (about one unit a wasm instruction; 10⁹ units
    /// are 0.15–0.2 s). `u64::MAX` is no budget.
    pub fuel: u64,
    /// Bytes of all linear memories and tables of the task together. One memory
    /// holds at most 256 MiB whatever this says.
    pub memory_bytes: usize,
    /// Elements of all tables together.
    pub table_elements: usize,
    /// Time from the start of the instance to the reply, host waits included.
    pub wall: Duration,
    /// Calls to the host; each query of a `recall-many` and each entry of an
    /// `imprint-many` counts as one.
    pub host_calls: u64,
    /// Bytes that one host call, or the reply, may make the host allocate.
    pub host_call_bytes: usize,
    /// Bytes of one JSON text that the guest sends. Reading it is not
    /// interrupted: this too is part of the STOP bound (some 10 ms at 1 MiB).
    pub json_bytes: usize,
    /// Bytes of the task's log, each line with 128 beside its text. Further
    /// lines are dropped, and a warning says so. It bounds one task's log, not
    /// that of many tasks: how much of a log is kept is its subscriber's part.
    pub log_bytes: usize,
}

impl Limits {
    /// Core instances, memories and tables that one component may hold.
    /// Bounded by the pool, so that no component takes more than its slot.
    pub const CORE_INSTANCES: u32 = 50;
    /// See [`Limits::CORE_INSTANCES`].
    pub const MEMORIES: u32 = 4;
    /// See [`Limits::CORE_INSTANCES`].
    pub const TABLES: u32 = 16;
    /// Resource handles (pathways) that a task may hold at a time.
    pub const HANDLES: usize = 10_000;
}

/// The most that a neuron gets because it wishes so. An operator may allow
/// more: these are no bounds of the engine's, but of what a stranger decides.
mod ceiling {
    use std::time::Duration;

    pub(super) const FUEL: u64 = 1_000_000_000_000;
    pub(super) const MEMORY_BYTES: usize = super::MAX_MEMORY_BYTES;
    pub(super) const WALL: Duration = Duration::from_secs(3_600);
    pub(super) const HOST_CALLS: u64 = 1_000_000_000;
}

/// A wish that is above what a neuron gets because it wishes so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it wishes for {wished} of `{limit}`; this host grants a wish up to {most}")]
pub struct Excess {
    /// The manifest's key.
    pub limit: &'static str,
    wished: String,
    most: &'static str,
}

impl Limits {
    /// The default limits, with those that a neuron wishes instead: up to 10¹²
    /// fuel, 256 MiB, an hour, 10⁹ host calls.
    pub fn wished(wishes: &Wishes) -> Self {
        let Self {
            fuel,
            memory_bytes,
            wall,
            host_calls,
            ..
        } = Self::default();
        let memory = wishes.memory.as_ref().map(|size| size.bytes);
        let timeout = wishes.timeout.as_ref().map(|span| span.duration);
        Self {
            fuel: wishes.fuel.unwrap_or(fuel).min(ceiling::FUEL),
            memory_bytes: memory.unwrap_or(memory_bytes).min(ceiling::MEMORY_BYTES),
            wall: timeout.unwrap_or(wall).min(ceiling::WALL),
            host_calls: wishes
                .host_calls
                .unwrap_or(host_calls)
                .min(ceiling::HOST_CALLS),
            ..Self::default()
        }
    }

    /// The wishes that [`Limits::wished`] cuts down.
    pub fn excess(wishes: &Wishes) -> Vec<Excess> {
        let above = |limit, wished: Option<String>, most| {
            wished.map(|wished| Excess {
                limit,
                wished,
                most,
            })
        };
        let Wishes {
            fuel,
            memory,
            timeout,
            host_calls,
        } = wishes;
        let memory = memory
            .as_ref()
            .filter(|size| size.bytes > ceiling::MEMORY_BYTES);
        let timeout = timeout
            .as_ref()
            .filter(|span| span.duration > ceiling::WALL);
        let fuel = fuel.filter(|fuel| *fuel > ceiling::FUEL);
        let host_calls = host_calls.filter(|calls| *calls > ceiling::HOST_CALLS);
        let all = [
            above(
                "fuel",
                fuel.map(|fuel| fuel.to_string()),
                "1_000_000_000_000",
            ),
            above("memory", memory.map(ToString::to_string), "256MiB"),
            above("timeout", timeout.map(ToString::to_string), "1h"),
            above(
                "host-calls",
                host_calls.map(|calls| calls.to_string()),
                "1_000_000_000",
            ),
        ];
        all.into_iter().flatten().collect()
    }
}

impl Default for Limits {
    /// 10¹⁰ fuel (about 2 s), 64 MiB, 20 000 table elements, 30 s, 10⁶ host
    /// calls of at most 8 MiB each, JSON texts of at most 1 MiB, 4 MiB of log.
    fn default() -> Self {
        Self {
            fuel: 10_000_000_000,
            memory_bytes: 64 << 20,
            table_elements: 20_000,
            wall: Duration::from_secs(30),
            host_calls: 1_000_000,
            host_call_bytes: 8 << 20,
            json_bytes: 1 << 20,
            log_bytes: 4 << 20,
        }
    }
}

/// Whose limit a refused growth met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The task's own.
    Task,
    /// The task's own, of table elements.
    Table,
    /// Its tenant's.
    Tenant,
    /// The engine's, of one memory.
    Engine,
}

/// Bytes that the engine keeps for one table element.
const TABLE_ELEMENT_BYTES: usize = size_of::<usize>();

/// Sums all memories and tables of a task; the engine's own `StoreLimits`
/// checks each memory alone.
pub(super) struct Limiter {
    memory_limit: usize,
    table_limit: usize,
    memory_used: usize,
    table_used: usize,
    memory_peak: usize,
    refused: Option<Refusal>,
    governor: Arc<dyn Governor>,
}

impl Limiter {
    pub(super) fn new(limits: &Limits, governor: Arc<dyn Governor>) -> Self {
        Self {
            memory_limit: limits.memory_bytes,
            table_limit: limits.table_elements,
            memory_used: 0,
            table_used: 0,
            memory_peak: 0,
            refused: None,
            governor,
        }
    }

    /// Most bytes held at a time.
    pub(super) fn peak_bytes(&self) -> usize {
        self.memory_peak
    }

    /// Who refused a growth: a trap after that is a memory failure.
    pub(super) fn refused(&self) -> Option<Refusal> {
        self.refused
    }

    fn grow_bytes(&mut self, current: usize, desired: usize) -> bool {
        let delta = desired.saturating_sub(current);
        let total = self.memory_used.saturating_add(delta);
        if total > self.memory_limit {
            self.refused = Some(Refusal::Task);
            return false;
        }
        if !self.governor.reserve_memory(delta) {
            self.refused = Some(Refusal::Tenant);
            return false;
        }
        // The guest coped with an earlier refusal.
        self.refused = None;
        self.memory_used = total;
        self.memory_peak = self.memory_peak.max(total);
        true
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.governor.release_memory(self.memory_used);
    }
}

impl wasmtime::ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // A growth past the memory's own maximum, or the engine's, fails in the
        // engine anyway; it must not be counted.
        if desired > MAX_MEMORY_BYTES {
            self.refused = Some(Refusal::Engine);
            return Ok(false);
        }
        Ok(maximum.is_none_or(|maximum| desired <= maximum) && self.grow_bytes(current, desired))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let total = self
            .table_used
            .saturating_add(desired.saturating_sub(current));
        if total > self.table_limit {
            self.refused = Some(Refusal::Table);
            return Ok(false);
        }
        if !self.grow_bytes(
            current.saturating_mul(TABLE_ELEMENT_BYTES),
            desired.saturating_mul(TABLE_ELEMENT_BYTES),
        ) {
            return Ok(false);
        }
        self.table_used = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        Limits::CORE_INSTANCES as usize
    }

    fn memories(&self) -> usize {
        Limits::MEMORIES as usize
    }

    fn tables(&self) -> usize {
        Limits::TABLES as usize
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn wishes(text: &str) -> Wishes {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn without_wishes_a_neuron_gets_the_default_limits() {
        assert_eq!(Limits::wished(&Wishes::default()), Limits::default());
        assert_eq!(Limits::excess(&Wishes::default()), []);
    }

    #[test]
    fn a_wish_is_granted_up_to_the_most_and_what_is_above_is_told() {
        let modest = wishes(r#"{"fuel": 5, "memory": "256MiB", "timeout": "1h", "host-calls": 7}"#);
        let limits = Limits::wished(&modest);
        assert_eq!((limits.fuel, limits.host_calls), (5, 7));
        assert_eq!(limits.memory_bytes, 256 << 20);
        assert_eq!(Limits::excess(&modest), []);
        let greedy = wishes(
            r#"{"fuel": 9000000000000, "memory": "1GiB", "timeout": "2h", "host-calls": 9000000000}"#,
        );
        let limits = Limits::wished(&greedy);
        assert_eq!(
            (limits.fuel, limits.host_calls),
            (1_000_000_000_000, 1_000_000_000)
        );
        assert_eq!(
            (limits.memory_bytes, limits.wall.as_secs()),
            (256 << 20, 3_600)
        );
        let told = Limits::excess(&greedy)
            .into_iter()
            .map(|one| one.to_string());
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                "it wishes for 9000000000000 of `fuel`; this host grants a wish up to 1_000_000_000_000",
                "it wishes for 1GiB of `memory`; this host grants a wish up to 256MiB",
                "it wishes for 2h of `timeout`; this host grants a wish up to 1h",
                "it wishes for 9000000000 of `host-calls`; this host grants a wish up to 1_000_000_000",
            ]
        );
    }
}
