//! A run as it goes, on a terminal or as lines of JSON.

use std::{
    io::{self, IsTerminal, Write},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{
    cli::out::Plain,
    flow::{Event, EventKind, Observer, Step},
};

/// Who is shown what happens.
pub(super) fn observers(events: bool) -> Vec<Arc<dyn Observer>> {
    if events {
        return vec![Arc::new(lines)];
    }
    if io::stderr().is_terminal() {
        let items = Mutex::<Items>::default();
        return vec![Arc::new(move |event: &Event| progress(event, &items))];
    }
    Vec::new()
}

/// One event, one line of JSON on standard output.
fn lines(event: &Event) {
    // A reader that has gone away has seen what it wanted.
    let _ = writeln!(io::stdout().lock(), "{}", event.to_json());
}

/// What ends, as a person follows it.
fn progress(event: &Event, items: &Mutex<Items>) {
    for line in told(&event.kind, &mut items.lock()) {
        let _ = writeln!(io::stderr().lock(), "{}", Plain(&line));
    }
}

/// The items of the fan-out that runs; one runs at a time.
#[derive(Default)]
struct Items {
    of: usize,
    ended: usize,
    failed: usize,
}

/// So many items are told one by one; of longer lists so many failures, and so
/// often how far it is.
const ONE_BY_ONE: usize = 20;

impl Items {
    /// An item has ended: how far it is, where that is worth a line.
    fn end(&mut self, failed: bool) -> Option<String> {
        let before = self.parts();
        self.ended += 1;
        self.failed += usize::from(failed);
        if self.parts() == before {
            return None;
        }
        let mut line = format!("{} of {} have ended", self.ended, self.of);
        if self.failed > 0 {
            line.push_str(&format!(", {} of them failed", self.failed));
        }
        Some(line)
    }

    fn parts(&self) -> usize {
        self.ended * ONE_BY_ONE / self.of.max(1)
    }

    fn are_many(&self) -> bool {
        self.of > ONE_BY_ONE
    }
}

fn told(kind: &EventKind, items: &mut Items) -> Vec<String> {
    let line = match kind {
        EventKind::Group {
            placement,
            of,
            ended,
        } => {
            *items = Items {
                of: *of,
                ended: *ended,
                failed: 0,
            };
            match ended {
                0 => format!("{placement}: {of} side by side"),
                ended => format!("{placement}: {} of {of} left", of - ended),
            }
        }
        EventKind::Retrying { node, cause, after } => format!(
            "{}: attempt {} ended with {}: {}; again in {after:?}",
            place(&node.placement, node.item),
            node.attempt,
            cause.code,
            cause.message
        ),
        EventKind::NodeEnded { step, .. } => return ended(step, items),
        EventKind::Passed {
            placement, route, ..
        } => format!("{placement} -> {route}"),
        EventKind::Asked(question) => format!("{} asks", question.id()),
        EventKind::Began { .. }
        | EventKind::Entered { .. }
        | EventKind::NodeBegan(_)
        | EventKind::Ended { .. } => return Vec::new(),
    };
    vec![line]
}

fn ended(step: &Step, items: &mut Items) -> Vec<String> {
    let line = match (&step.failed, &step.route) {
        (Some(failed), _) => format!(": {}: {}", failed.code, failed.message),
        (None, route) => format!(" -> {}", route.as_deref().unwrap_or_default()),
    };
    let line = format!("{}{line}", place(&step.placement, step.item));
    if step.item.is_none() || !items.are_many() {
        return vec![line];
    }
    let far = items.end(step.failed.is_some());
    let far = far.map(|far| format!("{}: {far}", step.placement));
    let is_told = step.failed.is_some() && items.failed <= ONE_BY_ONE;
    is_told.then_some(line).into_iter().chain(far).collect()
}

fn place(placement: &str, item: Option<usize>) -> String {
    match item {
        Some(item) => format!("{placement}[{item}]"),
        None => placement.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::time::Duration;

    use super::*;
    use crate::flow::Note;

    fn lines(of: usize, fails: impl Fn(usize) -> bool) -> Vec<String> {
        let mut items = Items::default();
        let begun = EventKind::Group {
            placement: "each".into(),
            of,
            ended: 0,
        };
        let ends = (0..of).map(|item| EventKind::NodeEnded {
            step: Step {
                placement: "each".into(),
                item: Some(item),
                pass: 1,
                attempts: 1,
                route: (!fails(item)).then(|| "success".into()),
                took: Duration::ZERO,
                usage: None,
                failed: fails(item).then(|| Note::new("DOWN", "no reply")),
            },
            output: Default::default(),
        });
        let events: Vec<_> = [begun].into_iter().chain(ends).collect();
        let told = events.iter().flat_map(|kind| told(kind, &mut items));
        told.collect()
    }

    #[test]
    fn the_items_of_a_short_list_are_told_one_by_one() {
        let told = lines(3, |item| item == 1);
        let expected = [
            "each: 3 side by side",
            "each[0] -> success",
            "each[1]: DOWN: no reply",
            "each[2] -> success",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn of_a_long_list_it_is_told_how_far_it_is_and_what_fails_first() {
        let told = lines(10_000, |item| item < 1_000);
        assert_eq!(told.len(), 1 + 20 + 20);
        assert_eq!(told.get(1).unwrap(), "each[0]: DOWN: no reply");
        let last = "each: 10000 of 10000 have ended, 1000 of them failed";
        assert_eq!(told.last().unwrap(), last);
    }
}
