//! Tries what the steps in its input say, through WASI, one after the other: a
//! test learns what a neuron reaches.
//!
//! Input: `{"do": [step, ..]}`, see [`Step`]. Output: `{"said": [result, ..]}`;
//! what is refused is said as `{"error": code}`, with WASI's own code.

mod files;

use serde::Deserialize;
use serde_json::{Value, json};
use soma_neuron::{Failure, Task};
use wasip2::cli::{environment, exit, stderr, stdin, stdout};
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::io::poll::{self, Pollable};
use wasip2::io::streams::{OutputStream, StreamError};
use wasip2::random::{insecure, insecure_seed, random};
use wasip2::sockets::network::IpAddressFamily;
use wasip2::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

#[derive(Deserialize)]
struct Script {
    #[serde(rename = "do")]
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    /// Says name and value of each variable.
    Environment,
    Arguments,
    /// Reads standard input until it gives nothing.
    Stdin,
    /// Writes a text as it is, in pieces.
    Print(String),
    PrintError(String),
    /// The wall clock in microseconds since 1970.
    Now,
    /// The monotonic clock in microseconds.
    Monotonic,
    /// Waits for one timer by `block`.
    Sleep(u64),
    /// Waits for several timers by `poll`; says which were ready.
    SleepUntilFirst(Vec<u64>),
    /// Whether a timer is ready at once.
    IsOver(u64),
    /// A timer together with standard input, which is always ready.
    SleepOrRead(u64),
    /// As many random bytes, from each interface in turn.
    Random(u64),
    Seed,
    CreateTcp,
    CreateUdp,
    Resolve(String),
    /// Makes so many pollables and keeps them.
    Hold(u64),
    /// Polls one pollable so many times at once.
    PollMany(usize),
    /// Reads the clock so many times.
    Repeat(u64),
    Exit,
    #[serde(untagged)]
    File(files::Step),
}

fn handle(task: Task<Script>) -> Result<Value, Failure> {
    let mut files = files::Files::default();
    let mut held = Vec::new();
    let mut said = Vec::new();
    for step in task.input.steps {
        said.push(take(step, &mut files, &mut held));
    }
    Ok(json!({"said": said}))
}

fn take(step: Step, files: &mut files::Files, held: &mut Vec<Pollable>) -> Value {
    match step {
        Step::Environment => json!(environment::get_environment()),
        Step::Arguments => json!(environment::get_arguments()),
        Step::Stdin => match stdin::get_stdin().blocking_read(100) {
            Ok(bytes) => json!(bytes),
            Err(error) => stream_error(&error),
        },
        Step::Print(text) => print(&stdout::get_stdout(), &text),
        Step::PrintError(text) => print(&stderr::get_stderr(), &text),
        Step::Now => {
            let now = wall_clock::now();
            json!(now.seconds * 1_000_000 + u64::from(now.nanoseconds / 1_000))
        }
        Step::Monotonic => json!(monotonic_clock::now() / 1_000),
        Step::Sleep(ms) => {
            timer(ms).block();
            Value::Null
        }
        Step::SleepUntilFirst(all) => {
            let timers: Vec<_> = all.into_iter().map(timer).collect();
            json!(poll::poll(&timers.iter().collect::<Vec<_>>()))
        }
        Step::IsOver(ms) => json!(timer(ms).ready()),
        Step::SleepOrRead(ms) => {
            let input = stdin::get_stdin();
            json!(poll::poll(&[&timer(ms), &input.subscribe()]))
        }
        Step::Random(count) => json!([
            hex(&random::get_random_bytes(count)),
            hex(&insecure::get_insecure_random_bytes(count)),
            hex(&random::get_random_u64().to_be_bytes()),
            hex(&insecure::get_insecure_random_u64().to_be_bytes()),
        ]),
        Step::Seed => json!(insecure_seed::insecure_seed()),
        Step::CreateTcp => {
            let made = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4);
            said(made.map(|_| "made"), |code| code.name())
        }
        Step::CreateUdp => {
            let made = udp_create_socket::create_udp_socket(IpAddressFamily::Ipv4);
            said(made.map(|_| "made"), |code| code.name())
        }
        Step::Resolve(name) => resolve(&name),
        Step::Hold(count) => {
            held.extend((0..count).map(|_| timer(0)));
            json!(held.len())
        }
        Step::PollMany(count) => {
            let one = timer(0);
            json!(poll::poll(&vec![&one; count]).len())
        }
        Step::Repeat(count) => {
            let mut last = 0;
            for _ in 0..count {
                last = environment::get_arguments().len();
            }
            json!(last)
        }
        Step::Exit => {
            exit::exit(Ok(()));
            Value::Null
        }
        Step::File(step) => files.take(step),
    }
}

fn timer(ms: u64) -> Pollable {
    monotonic_clock::subscribe_duration(ms.saturating_mul(1_000_000))
}

/// What blocking-write-and-flush takes at a time.
const PIECE: usize = 4096;

fn print(stream: &OutputStream, text: &str) -> Value {
    for piece in text.as_bytes().chunks(PIECE) {
        if let Err(error) = stream.blocking_write_and_flush(piece) {
            return stream_error(&error);
        }
    }
    Value::Null
}

fn resolve(name: &str) -> Value {
    let network = instance_network::instance_network();
    let found = ip_name_lookup::resolve_addresses(&network, name).and_then(|addresses| {
        addresses.subscribe().block();
        addresses.resolve_next_address()
    });
    said(found.map(|_| "found"), |code| code.name())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn refused(code: &str) -> Value {
    json!({"error": code})
}

fn said<T: Into<Value>, E>(result: Result<T, E>, code: impl FnOnce(E) -> &'static str) -> Value {
    match result {
        Ok(value) => value.into(),
        Err(error) => refused(code(error)),
    }
}

fn stream_error(error: &StreamError) -> Value {
    match error {
        StreamError::Closed => refused("closed"),
        StreamError::LastOperationFailed(error) => {
            let code = wasip2::filesystem::types::filesystem_error_code(error);
            refused(code.map_or("failed", |code| code.name()))
        }
    }
}

soma_neuron::neuron!(handle);
