//! The log lines of neurons, as a subscriber of the host's log gets them.

use std::{fmt, sync::LazyLock};

use parking_lot::Mutex;
use soma::signal::TraceId;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    util::SubscriberInitExt,
};

/// One line of a neuron.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) level: String,
    pub(crate) message: String,
    pub(crate) fields: String,
    trace: String,
}

/// All lines of this process; tests run beside each other.
static LINES: LazyLock<&'static Mutex<Vec<Line>>> = LazyLock::new(|| {
    let lines: &'static Mutex<Vec<Line>> = Box::leak(Box::default());
    tracing_subscriber::registry().with(Collect(lines)).init();
    lines
});

/// Collects from here on.
pub(crate) fn collect() {
    LazyLock::force(&LINES);
}

/// What was logged on a trace so far.
pub(crate) fn of(trace: &TraceId) -> Vec<Line> {
    let trace = trace.to_string();
    let lines = LINES.lock();
    lines
        .iter()
        .filter(|line| line.trace == trace)
        .cloned()
        .collect()
}

struct Collect(&'static Mutex<Vec<Line>>);

impl<S: Subscriber> Layer<S> for Collect {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "neuron" {
            let mut line = Line {
                level: event.metadata().level().to_string(),
                ..Line::default()
            };
            event.record(&mut line);
            self.0.lock().push(line);
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            "trace" => self.trace = text,
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "fields" {
            value.clone_into(&mut self.fields);
        }
    }
}
