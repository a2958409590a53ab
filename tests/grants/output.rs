//! Standard output and error go to the trace's log.

use serde_json::{Value, json};

use crate::{answer, bare, common, lines, probe, to_do};

/// Level, text and fields of what was logged while these steps were done.
fn logged(steps: Value) -> Vec<(String, String, String)> {
    lines::collect();
    let host = common::host();
    let tenant = probe(&host, "wasi_probe", &bare());
    let answer = answer(&host, &tenant, to_do(steps));
    assert!(answer.is_output(), "{answer:?}");
    let lines = lines::of(&answer.signal.trace_id).into_iter();
    lines
        .map(|line| (line.level, line.message, line.fields))
        .collect()
}

fn out(text: &str) -> (String, String, String) {
    line("INFO", text, "stdout")
}

fn line(level: &str, text: &str, stream: &str) -> (String, String, String) {
    let fields = format!("{{\"stream\":\"{stream}\"}}");
    (level.to_owned(), text.to_owned(), fields)
}

#[test]
fn output_is_logged_line_by_line_on_the_tasks_trace() {
    let steps = json!([
        {"print": "one\ntwo\r\n\nthr"},
        {"print": "ee\nfour"},
        {"print_error": "oh no\n"},
    ]);
    assert_eq!(
        logged(steps),
        [
            out("one"),
            out("two"),
            out("three"),
            line("WARN", "oh no", "stderr"),
            // What has no end is logged with the end of the task.
            out("four"),
        ]
    );
}

#[test]
fn a_long_line_is_cut_and_the_next_one_is_whole() {
    let long = "ä".repeat(10_000);
    assert_eq!(
        logged(json!([{"print": format!("{long}\nnext\n")}])),
        [out(&"ä".repeat(4_096)), out("next")]
    );
}

#[test]
fn the_last_line_of_a_neuron_that_traps_is_logged_too() {
    lines::collect();
    let host = common::host();
    let tenant = probe(&host, "wasi_probe", &bare());
    let answer = answer(
        &host,
        &tenant,
        to_do(json!([{"print_error": "last words"}, "exit"])),
    );
    let error = common::error(&answer);
    assert_eq!(error.code, "NEURON_TRAP");
    assert_eq!(
        error.message,
        "the neuron trapped: it called exit(0) instead of replying"
    );
    let lines = lines::of(&answer.signal.trace_id);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].message, "last words");
}

#[test]
fn each_line_counts_as_a_host_call_however_many_are_written_at_once() {
    let host = common::host();
    let tenant = probe(&host, "wasi_probe", &bare());
    let calls = |text: String| {
        let answer = answer(&host, &tenant, to_do(json!([{"print": text}])));
        answer.usage.host_calls
    };
    let one = calls("x\n".to_owned());
    // One call takes 4096 bytes.
    assert_eq!(calls("x\n".repeat(2_000)), one + 1_999);
}
