//! The host's side of the contract: what a guest's imports do.
//!
//! Every function here is async even where it answers at once, so that STOP
//! can cut it; every value from the guest is checked and never trusted.

mod engram;
mod lines;
mod orchestration;
mod own;
mod synapse;

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use wasmtime::component::ResourceTable;

pub(super) use self::{lines::Log, own::OwnTime};
use super::{
    contract::{clock, log, random, types},
    environment::{Environment, HostCall, LogLevel, LogRecord},
    invocation::TaskInput,
    limits::{Limiter, Limits},
    outcome::End,
    plugin::Plugin,
    wasi,
};
use crate::{
    clock::{Clock, Random},
    package::{Randomness, Time},
    signal::Object,
};

/// What one task's store holds.
pub(super) struct Guest {
    pub(super) environment: Arc<dyn Environment>,
    pub(super) limiter: Limiter,
    /// Fuel that the governor has been charged for.
    pub(super) fuel_charged: u64,
    /// Calls so far.
    pub(super) host_calls: u64,
    /// Whether the guest's own code could be called yet.
    pub(super) instantiated: bool,
    /// What the guest said when it panicked.
    pub(super) panic: Option<String>,
    /// In place of the host's clock.
    pub(super) own_time: Option<OwnTime>,
    /// In place of the host's randomness.
    own_random: Option<Random>,
    /// Made by the first call of WASI; a neuron without it never has one.
    pub(super) wasi: wasi::Slot,
    host_call_limit: u64,
    host_call_bytes: usize,
    json_bytes: usize,
    pub(super) log: Log,
    table: ResourceTable,
}

/// An [`End`] on its way through the engine, as an error of a host function.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Halt(pub(super) End);

impl Guest {
    pub(super) fn new(
        plugin: &Plugin,
        task: &TaskInput<'_>,
        environment: Arc<dyn Environment>,
        limiter: Limiter,
        limits: &Limits,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(Limits::HANDLES);
        Self {
            log: Log::new(Arc::clone(&environment), limits.log_bytes),
            environment,
            limiter,
            fuel_charged: 0,
            host_calls: 0,
            instantiated: false,
            panic: None,
            own_time: (plugin.time() == Time::Virtual).then(|| OwnTime::of(task.trace_id)),
            own_random: (plugin.randomness() == Randomness::Seeded).then(|| own::random_of(task)),
            wasi: wasi::Slot::new(plugin.wasi().cloned()),
            host_call_limit: limits.host_calls,
            host_call_bytes: limits.host_call_bytes,
            json_bytes: limits.json_bytes,
            table,
        }
    }

    /// Counts a host call; the first line of every host function.
    pub(super) fn enter(&mut self) -> wasmtime::Result<()> {
        self.enter_many(1)
    }

    /// Counts a call that stands for several.
    fn enter_many(&mut self, calls: usize) -> wasmtime::Result<()> {
        self.count(calls.max(1) as u64);
        self.check_count()
    }

    pub(super) fn count(&mut self, calls: u64) {
        self.host_calls = self.host_calls.saturating_add(calls);
    }

    /// Whether the guest may go on after so many calls.
    pub(super) fn check_count(&self) -> wasmtime::Result<()> {
        if self.host_calls > self.host_call_limit {
            return Err(Halt(End::TooManyHostCalls(self.host_call_limit)).into());
        }
        Ok(())
    }

    /// Tells the environment of a call, which may end the task here.
    fn admit(&self, call: HostCall<'_>) -> wasmtime::Result<()> {
        Ok(self.environment.admit(call).map_err(Halt)?)
    }

    /// Counts and tells of a call of the contract.
    fn begin(&mut self, call: HostCall<'_>) -> wasmtime::Result<()> {
        self.enter()?;
        self.admit(call)
    }

    /// The clock that the guest sees.
    pub(super) fn clock(&self) -> &Clock {
        match &self.own_time {
            Some(own) => own.clock(),
            None => self.environment.clock(),
        }
    }

    /// The randomness that the guest sees.
    pub(super) fn random(&self) -> &Random {
        match &self.own_random {
            Some(own) => own,
            None => self.environment.random(),
        }
    }

    /// Random bytes, as many as one call may have.
    pub(super) fn random_bytes(&self, call: &str, count: u64) -> wasmtime::Result<Vec<u8>> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > MAX_RANDOM_BYTES {
            return Err(Halt(End::Trap(format!(
                "{call} asked for {count} bytes, at most {MAX_RANDOM_BYTES} are given at once"
            )))
            .into());
        }
        let mut bytes = vec![0; count];
        self.random().fill(&mut bytes);
        Ok(bytes)
    }
}

/// A JSON text has at most one value in so many of the bytes that it may have:
/// a value costs the host some 100 bytes whatever its text is.
const BYTES_A_VALUE: usize = 16;

/// A text of a guest's that is no longer than `most` bytes.
pub(super) fn bounded(what: &str, text: &str, most: usize) -> Result<(), String> {
    match text.len() {
        bytes if bytes > most => Err(format!(
            "{what} has {bytes} bytes, at most {most} are taken"
        )),
        _ => Ok(()),
    }
}

/// The beginning of a text, at most so many bytes of it.
pub(super) fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}

/// Parses JSON that a guest sent; the error says which part it was. `limit` is
/// in bytes of text.
pub(super) fn parse(what: &str, text: &str, limit: usize) -> Result<Value, String> {
    bounded(what, text, limit)?;
    let values = count_values(text);
    let most = limit / BYTES_A_VALUE;
    if values > most {
        return Err(format!(
            "{what} has {values} values, at most {most} are taken"
        ));
    }
    serde_json::from_str(text).map_err(|error| format!("{what} is not JSON: {error}"))
}

/// At least as many values as the text has, for any text that is JSON: one,
/// and one more for each comma and bracket outside a string.
fn count_values(text: &str) -> usize {
    let mut values = 1;
    let mut bytes = text.bytes();
    let mut in_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => drop(bytes.next()),
            b',' | b'[' | b'{' if !in_string => values += 1,
            _ => {}
        }
    }
    values
}

/// As [`parse`], for an object.
pub(super) fn parse_object(what: &str, text: &str, limit: usize) -> Result<Object, String> {
    match parse(what, text, limit)? {
        Value::Object(object) => Ok(object),
        other => Err(format!(
            "{what} must be a JSON object, not {}",
            kind(&other)
        )),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl types::Host for Guest {}

impl clock::Host for Guest {
    async fn wall_ms(&mut self) -> wasmtime::Result<u64> {
        self.begin(HostCall::WallMs)?;
        Ok(self.clock().now().millis())
    }

    async fn monotonic_ns(&mut self) -> wasmtime::Result<u64> {
        self.begin(HostCall::MonotonicNs)?;
        let nanos = self.clock().monotonic().as_nanos();
        Ok(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    async fn sleep_ms(&mut self, ms: u64) -> wasmtime::Result<()> {
        self.begin(HostCall::SleepMs(ms))?;
        let span = Duration::from_millis(ms);
        match &self.own_time {
            Some(own) => own.pass(span).await,
            None => self.environment.clock().sleep(span).await,
        }
        Ok(())
    }
}

impl log::Host for Guest {
    async fn write(
        &mut self,
        level: log::Level,
        message: String,
        fields: String,
    ) -> wasmtime::Result<()> {
        self.enter()?;
        let message = cut(message, LogRecord::MAX_BYTES);
        let bytes = message.len() + fields.len().min(LogRecord::MAX_BYTES);
        let record = LogRecord {
            level: match level {
                log::Level::Trace => LogLevel::Trace,
                log::Level::Debug => LogLevel::Debug,
                log::Level::Info => LogLevel::Info,
                log::Level::Warn => LogLevel::Warn,
                log::Level::Error => LogLevel::Error,
            },
            message,
            fields: parse_object("fields", &fields, LogRecord::MAX_BYTES).unwrap_or_else(|_| {
                let fields = cut(fields, LogRecord::MAX_BYTES);
                Object::from_iter([("fields".to_owned(), Value::String(fields))])
            }),
        };
        if record.is_panic() {
            self.panic = Some(record.message.clone());
        }
        self.log.write(record, bytes);
        Ok(())
    }
}

/// Bytes of randomness that one call may ask for.
const MAX_RANDOM_BYTES: usize = 65_536;

impl random::Host for Guest {
    async fn bytes(&mut self, count: u32) -> wasmtime::Result<Vec<u8>> {
        self.begin(HostCall::RandomBytes(count))?;
        self.random_bytes("random.bytes", count.into())
    }

    async fn u64(&mut self) -> wasmtime::Result<u64> {
        self.begin(HostCall::RandomU64)?;
        Ok(self.random().u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_with_more_bytes_or_values_than_it_may_have_is_refused_in_words() {
        assert_eq!(
            parse("output.value", "[1,2,3]", 4),
            Err("output.value has 7 bytes, at most 4 are taken".to_owned())
        );
        assert_eq!(
            parse("output.value", "[[],[],[]]", 32),
            Err("output.value has 7 values, at most 2 are taken".to_owned())
        );
    }

    #[test]
    fn commas_and_brackets_inside_a_string_are_no_values() {
        assert!(parse("text", r#""a, [b], {c}, \", d, [e]""#, 64).is_ok());
    }
}
