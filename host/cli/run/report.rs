//! What `soma run` shows: the reply, what it cost, what the engrams hold.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;

use crate::{
    cli::{
        Exit, Failed,
        args::{Bytes, Grouped, Span},
        out,
    },
    engram::{Engram, Entry, Hit, Query},
    neuron::{End, Plugin, Usage},
    orchestration::Answer,
    signal::{ErrorReport, Payload},
};

/// A task that has ended.
pub(super) struct Report {
    answer: Answer,
    timeout: Duration,
}

/// What an engram holds.
#[derive(Serialize)]
pub(super) struct Contents {
    name: String,
    kind: String,
    entries: Vec<Shown>,
}

/// An entry as `--show-engrams` shows it.
#[derive(Serialize)]
struct Shown {
    id: String,
    content: Value,
    tags: Vec<String>,
    merge_key: Option<String>,
    version: u64,
}

impl From<&Entry> for Shown {
    fn from(entry: &Entry) -> Self {
        Self {
            id: entry.id.to_string(),
            content: entry.content.clone(),
            tags: entry.tags.clone(),
            merge_key: entry.merge_key.clone(),
            version: entry.version,
        }
    }
}

/// The keys of `--json`, in this order.
#[derive(Serialize)]
struct Keys<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    route: Option<&'a str>,
    payload: Value,
    trace_id: String,
    fuel: u64,
    peak_memory_bytes: usize,
    cpu_us: u64,
    wall_us: u64,
    host_calls: u64,
    digest: String,
    imports: &'a [String],
    #[serde(skip_serializing_if = "<[Contents]>::is_empty")]
    engrams: &'a [Contents],
}

/// Reads what the engrams hold, oldest entry first.
pub(super) async fn contents(engrams: &[Arc<dyn Engram>]) -> Result<Vec<Contents>, Failed> {
    let mut all = Vec::new();
    for engram in engrams {
        let query = Query {
            top_k: Some(engram.len()),
            ..Query::default()
        };
        let found = engram.recall(&query).await;
        let found = found
            .map_err(|error| Failed::new(Exit::Host, format!("engram {}: {error}", engram.id())))?;
        let shown = |hit: &Hit| Shown::from(&*hit.entry);
        all.push(Contents {
            name: engram.id().to_string(),
            kind: engram.kind().to_owned(),
            entries: found.hits.iter().map(shown).collect(),
        });
    }
    Ok(all)
}

impl Report {
    pub(super) fn new(answer: Answer, timeout: Duration) -> Self {
        Self { answer, timeout }
    }

    fn error(&self) -> Option<&ErrorReport> {
        match &self.answer.signal.payload {
            Payload::Error(error) => Some(error),
            _ => None,
        }
    }

    /// A neuron's own failure may carry any code; only one that came when the
    /// time was over is a timeout.
    fn exit(&self) -> Exit {
        let Some(error) = self.error() else {
            return Exit::Ok;
        };
        let over = self.answer.usage.wall >= self.timeout;
        if over && error.code == End::Deadline(self.timeout).code() {
            Exit::Timeout
        } else {
            Exit::Failed
        }
    }

    /// Writes the report to standard output, an ERROR's words to standard
    /// error.
    pub(super) fn print(
        &self,
        plugin: &Plugin,
        engrams: &[Contents],
        json: bool,
    ) -> Result<Exit, Failed> {
        let exit = self.exit();
        if json {
            out::write_json(&self.keys(plugin, engrams))?;
            return Ok(exit);
        }
        let mut text = String::new();
        if self.error().is_none() {
            let _ = writeln!(text, "{}\n", Reply(&self.answer));
        }
        let _ = write!(text, "{}", Costs(&self.answer.usage));
        for engram in engrams {
            let _ = write!(text, "\n{engram}");
        }
        out::write(&text)?;
        match self.error() {
            None => Ok(exit),
            Some(error) => Err(told(exit, error)),
        }
    }

    fn keys<'a>(&'a self, plugin: &'a Plugin, engrams: &'a [Contents]) -> Keys<'a> {
        let Answer {
            signal,
            route,
            usage,
        } = &self.answer;
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        Keys {
            kind: signal.signal_type().as_str(),
            route: route.as_deref(),
            payload: Value::Object(signal.payload.to_object()),
            trace_id: signal.trace_id.to_string(),
            fuel: usage.fuel,
            peak_memory_bytes: usage.peak_memory_bytes,
            cpu_us: micros(usage.cpu),
            wall_us: micros(usage.wall),
            host_calls: usage.host_calls,
            digest: plugin.digest().to_string(),
            imports: plugin.imports(),
            engrams,
        }
    }
}

fn told(exit: Exit, error: &ErrorReport) -> Failed {
    let failed = Failed::new(exit, format!("{}: {}", error.code, error.message));
    let code = error.code.as_str();
    if exit == Exit::Timeout {
        failed.advise("allow more with `--timeout`")
    } else if code == End::OutOfFuel(0).code() {
        failed.advise("allow more with `--fuel`")
    } else if code == End::OutOfMemory(0).code() {
        failed.advise("allow more with `--memory`")
    } else if code == End::TooManyHostCalls(0).code() {
        failed.advise("allow more with `--host-calls`")
    } else if error.recoverable {
        failed.advise("the same task may succeed when it is tried again")
    } else {
        failed
    }
}

/// Type, route and what was said.
struct Reply<'a>(&'a Answer);

impl fmt::Display for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = &self.0.signal;
        f.write_str(signal.signal_type().as_str())?;
        if let Some(route) = &self.0.route {
            write!(f, ", route {route}")?;
        }
        let said = match self.0.output() {
            Some(output) => output.clone(),
            None => signal.payload.to_object(),
        };
        write!(f, "\n{:#}", Value::Object(said))
    }
}

/// What a task used, a line each.
struct Costs<'a>(&'a Usage);

impl fmt::Display for Costs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usage = self.0;
        let memory = u64::try_from(usage.peak_memory_bytes).unwrap_or(u64::MAX);
        writeln!(f, "fuel         {} units", Grouped(usage.fuel))?;
        writeln!(f, "peak memory  {}", Bytes(memory))?;
        writeln!(f, "wall time    {}", Span(usage.wall))?;
        writeln!(f, "CPU time     {}", Span(usage.cpu))?;
        writeln!(f, "host calls   {}", Grouped(usage.host_calls))
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            kind,
            entries,
        } = self;
        let count = entries.len();
        let noun = if count == 1 { "entry" } else { "entries" };
        writeln!(f, "engram {name} ({kind}): {count} {noun}")?;
        for entry in entries {
            write!(f, "  {} v{}", entry.id, entry.version)?;
            if let Some(key) = &entry.merge_key {
                write!(f, " key={key}")?;
            }
            if !entry.tags.is_empty() {
                write!(f, " tags={}", entry.tags.join(","))?;
            }
            writeln!(f, " {}", entry.content)?;
        }
        Ok(())
    }
}
