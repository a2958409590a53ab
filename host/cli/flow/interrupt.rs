//! A run that a person, or a service manager, wants to end.

use std::{io, pin::pin};

use tokio::{
    select,
    signal::unix::{SignalKind, signal},
};

use crate::{
    cli::out,
    flow::{Execution, Run},
};

/// A run and whether it was interrupted before it had ended.
pub(super) struct Ended {
    pub(super) run: Run,
    pub(super) interrupted: bool,
}

/// Runs it to its end. The first interrupt pauses a run that can go on later,
/// the next one stops it.
///
/// # Errors
/// When interrupts cannot be listened to.
pub(super) async fn until_ended(execution: Execution, can_go_on: bool) -> io::Result<Ended> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let control = execution.control();
    let mut run = pin!(execution.finish());
    let (mut paused, mut interrupted) = (!can_go_on, false);
    loop {
        select! {
            run = &mut run => return Ok(Ended { run, interrupted }),
            _ = interrupts.recv() => {}
            _ = terminations.recv() => {}
        }
        interrupted = true;
        if paused {
            control.abort("interrupted");
        } else {
            out::say("pausing when what runs has ended; interrupt once more to stop that");
            control.pause();
            paused = true;
        }
    }
}
