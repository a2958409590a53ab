//! What goes wrong, and when.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;

use super::case::{Ending, Failing, Fault};
use crate::{
    engram::EngramError,
    neuron::{contract::orchestration::OrchestrationError, environment::EmitError},
};

/// The words of a failure that has none of its own.
const WORDS: &str = "as the case says";

impl Failing {
    /// How a call to an engram can fail.
    pub(super) const OF_ENGRAMS: [Self; 8] = [
        Self::NotBound,
        Self::Denied,
        Self::Timeout,
        Self::Cancelled,
        Self::Overloaded,
        Self::Quota,
        Self::Invalid,
        Self::Backend,
    ];
    /// How an emission can fail, other than by what is emitted.
    const OF_SYNAPSE: [Self; 2] = [Self::Denied, Self::Cancelled];
    /// How a call to the orchestrator can fail.
    pub(super) const OF_ORCHESTRATION: [Self; 6] = [
        Self::Unroutable,
        Self::Timeout,
        Self::Closed,
        Self::Denied,
        Self::Overloaded,
        Self::Invalid,
    ];
}

impl fmt::Display for Failing {
    /// As a case file writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotBound => "`not-bound`",
            Self::Denied => "`denied`",
            Self::Timeout => "`timeout`",
            Self::Cancelled => "`cancelled`",
            Self::Overloaded => "`overloaded`",
            Self::Quota => "`quota`",
            Self::Invalid => "`invalid`",
            Self::Backend => "`backend`",
            Self::Unroutable => "`unroutable`",
            Self::Closed => "`closed`",
        })
    }
}

/// A failure with its words.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) kind: Failing,
    words: Option<String>,
}

impl Failed {
    pub(super) fn new(kind: Failing, words: Option<&String>) -> Self {
        Self {
            kind,
            words: words.cloned(),
        }
    }

    fn words(self) -> String {
        self.words.unwrap_or_else(|| WORDS.to_owned())
    }

    /// Whether the host's own words are to be used.
    pub(super) fn is_wordless(&self) -> bool {
        self.words.is_none()
    }

    pub(super) fn of_engram(self) -> EngramError {
        match self.kind {
            Failing::NotBound => EngramError::NotBound(self.words()),
            Failing::Denied => EngramError::Denied(self.words()),
            Failing::Timeout => EngramError::Timeout,
            Failing::Cancelled => EngramError::Cancelled,
            Failing::Overloaded => EngramError::Overloaded(self.words()),
            Failing::Quota => EngramError::Quota(self.words()),
            Failing::Invalid => EngramError::Invalid(self.words()),
            // The others are not let through to an engram.
            Failing::Backend | Failing::Unroutable | Failing::Closed => {
                EngramError::Backend(self.words())
            }
        }
    }

    pub(super) fn of_synapse(self) -> EmitError {
        match self.kind {
            Failing::Cancelled => EmitError::Cancelled,
            _ => EmitError::Denied(self.words()),
        }
    }

    pub(super) fn of_orchestration(self) -> OrchestrationError {
        match self.kind {
            Failing::Unroutable => OrchestrationError::Unroutable(self.words()),
            Failing::Timeout => OrchestrationError::Timeout(self.words()),
            Failing::Closed => OrchestrationError::Closed(self.words()),
            Failing::Denied => OrchestrationError::Denied(self.words()),
            Failing::Overloaded => OrchestrationError::Overloaded(self.words()),
            // The others are not let through to the orchestrator.
            _ => OrchestrationError::Invalid(self.words()),
        }
    }
}

/// The faults of a case, and which of them have struck.
pub(super) struct Faults {
    faults: Vec<(Fault, AtomicBool)>,
    /// Of each binding that a fault is about.
    uses: Mutex<BTreeMap<String, u64>>,
}

/// What an engram does instead of answering at once.
#[derive(Default)]
pub(super) struct Struck {
    pub(super) delay: Duration,
    pub(super) fails: Option<Failed>,
}

impl Faults {
    pub(super) fn new(faults: &[Fault]) -> Self {
        let faults = faults.iter().cloned();
        Self {
            faults: faults
                .map(|fault| (fault, AtomicBool::new(false)))
                .collect(),
            uses: Mutex::default(),
        }
    }

    /// The faults that `is_meant`, which strike herewith.
    fn strike(&self, is_meant: impl Fn(&Fault) -> bool) -> impl Iterator<Item = &Fault> {
        let meant = self.faults.iter().filter(move |(fault, _)| is_meant(fault));
        meant.map(|(fault, struck)| {
            struck.store(true, Ordering::Relaxed);
            fault
        })
    }

    /// How the task ends at this call, if it does.
    pub(super) fn ending(&self, number: u64) -> Option<Ending> {
        self.strike(move |fault| fault.call == Some(number))
            .find_map(|fault| fault.ends)
    }

    /// Whether the case says that the task is ended and rolled back, and it
    /// was.
    pub(super) fn rolls_back(&self) -> bool {
        let rollback = |(fault, struck): &(Fault, AtomicBool)| {
            fault.ends == Some(Ending::Rollback) && struck.load(Ordering::Relaxed)
        };
        self.faults.iter().any(rollback)
    }

    /// What a fault says of this call that cannot be.
    pub(super) fn misfits(&self, number: u64, name: &str) -> Vec<String> {
        let (is_engram, known): (bool, &[Failing]) = if name.starts_with("engram.") {
            (true, &Failing::OF_ENGRAMS)
        } else if name == "synapse.emit" {
            (false, &Failing::OF_SYNAPSE)
        } else if name.starts_with("orchestration.pathway.") && !name.ends_with(".wait") {
            (false, &[])
        } else if name.starts_with("orchestration.") {
            (false, &Failing::OF_ORCHESTRATION)
        } else {
            (false, &[])
        };
        let misfit = |(index, (fault, _)): (usize, &(Fault, AtomicBool))| {
            if fault.call != Some(number) {
                return None;
            }
            match fault.fails {
                Some(_) if known.is_empty() => Some(format!(
                    "faults.{index}: call {number} is {name}, which cannot fail"
                )),
                Some(fails) if !known.contains(&fails) => Some(format!(
                    "faults.{index}: call {number} is {name}, which cannot fail with {fails}"
                )),
                None if fault.delay.is_some() && !is_engram => Some(format!(
                    "faults.{index}: call {number} is {name}; only an engram's answer has a delay"
                )),
                _ => None,
            }
        };
        self.faults.iter().enumerate().filter_map(misfit).collect()
    }

    /// How this call fails, if it does.
    pub(super) fn failure(&self, number: u64) -> Option<Failed> {
        let mut fails = self.strike(move |fault| fault.call == Some(number));
        fails.find_map(|fault| Some(Failed::new(fault.fails?, fault.message.as_ref())))
    }

    /// What one use of an engram meets.
    pub(super) fn at_engram(&self, number: u64, binding: &str) -> Struck {
        let uses = {
            let mut uses = self.uses.lock();
            let count = uses.entry(binding.to_owned()).or_default();
            *count += 1;
            *count
        };
        let mut all = Struck::default();
        let is_meant = move |fault: &Fault| {
            let by_binding = fault.binding.as_deref() == Some(binding)
                && fault.nth.is_none_or(|nth| nth == uses);
            by_binding || fault.call == Some(number)
        };
        for fault in self.strike(is_meant) {
            if let Some(delay) = &fault.delay {
                all.delay = all.delay.saturating_add(delay.duration);
            }
            if let Some(kind) = fault.fails {
                let failed = Failed::new(kind, fault.message.as_ref());
                all.fails.get_or_insert(failed);
            }
        }
        all
    }

    /// The numbers of those that have not struck. `fuel` is a limit.
    pub(super) fn unused(&self) -> impl Iterator<Item = usize> {
        let unused = |(fault, struck): &(Fault, AtomicBool)| {
            fault.fuel.is_none() && !struck.load(Ordering::Relaxed)
        };
        let faults = self.faults.iter().enumerate();
        faults.filter_map(move |(index, fault)| unused(fault).then_some(index))
    }
}
