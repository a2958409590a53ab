//! What stands between the contract's `handle` and the author's function.

use std::panic::{self, PanicHookInfo};

use serde::de::DeserializeOwned;
use serde_json::json;

use crate::bindings::soma::neuron::{log, types};
use crate::{Failure, IntoReply, Task};

/// `soma neuron build` says so for a neuron whose manifest does not ask for
/// the log, and which may not import it.
const WITHOUT_LOG: bool = match option_env!("SOMA_NEURON_LOG") {
    Some(value) => matches!(value.as_bytes(), b"off"),
    None => false,
};

/// Runs the author's function on one task.
pub fn run<I, R, E>(
    task: types::Task,
    handle: impl FnOnce(Task<I>) -> Result<R, E>,
) -> Result<types::Reply, types::Failure>
where
    I: DeserializeOwned,
    R: IntoReply,
    E: Into<Failure>,
{
    // A constant, so that the linker drops the log where it is not asked for.
    if !WITHOUT_LOG {
        panic::set_hook(Box::new(tell));
    }
    Task::from_wire(task)
        .and_then(|task| handle(task).map_err(Into::into))
        .and_then(IntoReply::into_reply)
        .map(crate::Reply::into_wire)
        .map_err(Failure::into_wire)
}

/// A panic ends the instance with a bare trap. Its text goes to the log before
/// that, in the form by which the host knows it as the reason of the trap:
/// level error, field `panic` true. Without the log only the trap is left.
fn tell(panic: &PanicHookInfo<'_>) {
    let message = panic
        .payload_as_str()
        .unwrap_or("a panic without a message");
    let location = panic
        .location()
        .map_or_else(String::new, ToString::to_string);
    let (text, fields) = panic_line(message, &location);
    log::write(log::Level::Error, &text, &fields);
}

fn panic_line(message: &str, location: &str) -> (String, String) {
    let fields = json!({"panic": true, "message": message, "location": location});
    (format!("{message} ({location})"), fields.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    #[test]
    fn a_panic_line_names_the_text_and_the_place() {
        let (text, fields) = super::panic_line("no \"x\"", "src/lib.rs:1:2");
        assert_eq!(text, "no \"x\" (src/lib.rs:1:2)");
        let fields: serde_json::Value = serde_json::from_str(&fields).unwrap();
        assert_eq!(
            fields,
            serde_json::json!({"panic": true, "message": "no \"x\"", "location": "src/lib.rs:1:2"})
        );
    }
}
