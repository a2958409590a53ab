//! Log lines, the host's and the neurons', on standard error.

use std::{env, io, io::IsTerminal};

use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{Exit, Failed};
use crate::neuron::COMPILING;

/// Which lines are shown: a level, or `target=level` pairs with commas.
const FILTER: &str = "SOMA_LOG";

/// Shows log lines from here on: what `SOMA_LOG` asks for; without it warnings
/// and errors, and `verbose` information too. On a terminal it is also told
/// when something is compiled.
///
/// # Errors
/// When `SOMA_LOG` makes no sense.
pub(super) fn start(verbose: bool) -> Result<(), Failed> {
    let filter = match env::var(FILTER) {
        Ok(text) => text.parse::<Targets>().map_err(|error| {
            Failed::new(Exit::Usage, format!("{FILTER} is `{text}`: {error}")).advise(
                "write a level (off, error, warn, info, debug, trace) \
                 or targets with levels, for example `neuron=debug,warn`",
            )
        })?,
        Err(_) => {
            let level = |shown| match shown {
                true => LevelFilter::INFO,
                false => LevelFilter::WARN,
            };
            // A person waits for it, and may wait for a minute.
            Targets::new()
                .with_default(level(verbose))
                .with_target(COMPILING, level(io::stderr().is_terminal()))
        }
    };
    let colours = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(colours)
        .without_time();
    // A second start changes nothing: the first one's lines go on.
    drop(
        tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .try_init(),
    );
    Ok(())
}
