//! A run as it goes, on a terminal or as lines of JSON.

use std::{
    io::{self, IsTerminal, Write},
    sync::Arc,
};

use crate::{
    cli::out::Plain,
    flow::{Event, EventKind, Observer},
};

/// Who is shown what happens.
pub(super) fn observers(events: bool) -> Vec<Arc<dyn Observer>> {
    if events {
        return vec![Arc::new(lines)];
    }
    if io::stderr().is_terminal() {
        return vec![Arc::new(progress)];
    }
    Vec::new()
}

/// One event, one line of JSON on standard output.
fn lines(event: &Event) {
    // A reader that has gone away has seen what it wanted.
    let _ = writeln!(io::stdout().lock(), "{}", event.to_json());
}

/// What ends, as a person follows it.
fn progress(event: &Event) {
    if let Some(line) = told(&event.kind) {
        let _ = writeln!(io::stderr().lock(), "{}", Plain(&line));
    }
}

fn told(kind: &EventKind) -> Option<String> {
    match kind {
        EventKind::Group {
            placement,
            of,
            ended,
        } => Some(match ended {
            0 => format!("{placement}: {of} side by side"),
            ended => format!("{placement}: {} of {of} left", of - ended),
        }),
        EventKind::Retrying { node, cause, after } => Some(format!(
            "{}: attempt {} ended with {}: {}; again in {after:?}",
            node.placement, node.attempt, cause.code, cause.message
        )),
        EventKind::NodeEnded { step, .. } => {
            let item = step.item.map(|item| format!("[{item}]"));
            let at = format!("{}{}", step.placement, item.unwrap_or_default());
            Some(match (&step.failed, &step.route) {
                (Some(failed), _) => format!("{at}: {}: {}", failed.code, failed.message),
                (None, route) => format!("{at} -> {}", route.as_deref().unwrap_or_default()),
            })
        }
        EventKind::Passed {
            placement, route, ..
        } => Some(format!("{placement} -> {route}")),
        EventKind::Asked(question) => Some(format!("{} asks", question.id())),
        EventKind::Began { .. }
        | EventKind::Entered { .. }
        | EventKind::NodeBegan(_)
        | EventKind::Ended { .. } => None,
    }
}
