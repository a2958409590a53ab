//! Telling a person what is going on.

/// Says it on stderr: stdout belongs to the step that runs.
pub(crate) fn say(text: &str) {
    for line in text.lines() {
        eprintln!("xtask: {line}");
    }
}
