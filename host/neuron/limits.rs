//! What one task may use, and the limiter that holds it to that.

use std::{sync::Arc, time::Duration};

use super::{engine::MAX_MEMORY_BYTES, environment::Governor};
use crate::package::Extent;
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

/// Bounds of one task that come on top of its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// See [`Limits::fuel`].
    pub fuel: Option<u64>,
    /// See [`Limits::memory_bytes`].
    pub memory_bytes: Option<usize>,
    /// See [`Limits::wall`].
    pub wall: Option<Duration>,
    /// See [`Limits::host_calls`].
    pub host_calls: Option<u64>,
}

impl Caps {
    /// Whether they bound nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A wish that is above a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it wishes for {wished} of `{limit}`, more than {most}")]
pub struct Excess {
    /// The manifest's key.
    pub limit: &'static str,
    wished: String,
    most: String,
}

impl Limits {
    /// The most that a neuron can get because it wishes so: 10¹² fuel, 256 MiB,
    /// an hour, 10⁹ host calls. Not a bound of the engine's but of what a
    /// stranger decides: an operator may allow more.
    pub fn ceiling() -> Self {
        Self {
            fuel: 1_000_000_000_000,
            memory_bytes: MAX_MEMORY_BYTES,
            wall: Duration::from_secs(3_600),
            host_calls: 1_000_000_000,
            ..Self::default()
        }
    }

    /// The default limits, with those that a neuron wishes instead, up to the
    /// ceiling.
    pub fn wished(wishes: &Wishes) -> Self {
        let (usual, most) = (Self::default(), Self::ceiling());
        let memory = wishes.memory.as_ref().map(|size| size.bytes);
        let wall = wishes.timeout.as_ref().map(|span| span.duration);
        let calls = wishes.host_calls;
        Self {
            fuel: wishes.fuel.unwrap_or(usual.fuel).min(most.fuel),
            memory_bytes: memory.unwrap_or(usual.memory_bytes).min(most.memory_bytes),
            wall: wall.unwrap_or(usual.wall).min(most.wall),
            host_calls: calls.unwrap_or(usual.host_calls).min(most.host_calls),
            ..usual
        }
    }

    /// These limits, or the caps where they are lower.
    #[must_use]
    pub fn at_most(&self, caps: &Caps) -> Self {
        Self {
            fuel: self.fuel.min(caps.fuel.unwrap_or(u64::MAX)),
            memory_bytes: self
                .memory_bytes
                .min(caps.memory_bytes.unwrap_or(usize::MAX)),
            wall: self.wall.min(caps.wall.unwrap_or(Duration::MAX)),
            host_calls: self.host_calls.min(caps.host_calls.unwrap_or(u64::MAX)),
            ..self.clone()
        }
    }

    /// The wishes that are above these limits.
    pub fn exceeded_by(&self, wishes: &Wishes) -> Vec<Excess> {
        let memory = wishes.memory.as_ref();
        let timeout = wishes.timeout.as_ref();
        let fuel = wishes.fuel.filter(|fuel| *fuel > self.fuel);
        let memory = memory.filter(|size| size.bytes > self.memory_bytes);
        let timeout = timeout.filter(|span| span.duration > self.wall);
        let calls = wishes.host_calls.filter(|calls| *calls > self.host_calls);
        let excess = |limit, wished: String, most: String| Excess {
            limit,
            wished,
            most,
        };
        let mib = self.memory_bytes >> 20;
        let all = [
            fuel.map(|fuel| excess("fuel", fuel.to_string(), self.fuel.to_string())),
            memory.map(|size| excess("memory", size.to_string(), format!("{mib}MiB"))),
            timeout.map(|span| excess("timeout", span.to_string(), format!("{:?}", self.wall))),
            calls.map(|calls| excess("host-calls", calls.to_string(), self.host_calls.to_string())),
        ];
        all.into_iter().flatten().collect()
    }
}

// What a component may consist of, a slot of the pool has room for.
const _: () = assert!(
    Limits::CORE_INSTANCES as u64 == Extent::MOST.core_instances
        && Limits::MEMORIES as u64 == Extent::MOST.memories
        && Limits::TABLES as u64 == Extent::MOST.tables
);

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
        assert_eq!(Limits::default().exceeded_by(&Wishes::default()), []);
    }

    #[test]
    fn a_wish_is_granted_up_to_the_most_and_what_is_above_is_told() {
        let most = Limits::ceiling();
        let modest = wishes(r#"{"fuel": 5, "memory": "256MiB", "timeout": "1h", "host-calls": 7}"#);
        let limits = Limits::wished(&modest);
        assert_eq!((limits.fuel, limits.host_calls), (5, 7));
        assert_eq!(limits.memory_bytes, 256 << 20);
        assert_eq!(most.exceeded_by(&modest), []);
        let greedy = wishes(
            r#"{"fuel": 9000000000000, "memory": "1GiB", "timeout": "2h", "host-calls": 9000000000}"#,
        );
        assert_eq!(Limits::wished(&greedy), most);
        let told = most.exceeded_by(&greedy);
        let told: Vec<_> = told.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "it wishes for 9000000000000 of `fuel`, more than 1000000000000",
                "it wishes for 1GiB of `memory`, more than 256MiB",
                "it wishes for 2h of `timeout`, more than 3600s",
                "it wishes for 9000000000 of `host-calls`, more than 1000000000",
            ]
        );
    }
}
