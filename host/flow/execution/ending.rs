//! How a run ends: what becomes of its writes, of its journal and of it.

use std::sync::Arc;

use futures_util::FutureExt;

use super::{
    OnFailure, Run,
    driver::{Driver, End},
};
use crate::{
    flow::{
        cause::Cause,
        checkpoint::Checkpoint,
        event::{EventKind, Question},
        lifecycle::Lifecycle,
    },
    orchestration::StopOptions,
};

impl Driver {
    /// Settles what was written, and says how it ended.
    pub(super) async fn end(mut self, end: End) -> Run {
        let end = self.settle(end).await;
        let goes_on = self.goes_on(&end);
        // Whatever it ended for, it waits for these when it goes on.
        let questions = match goes_on {
            true => self.progress.questions(&self.flow.0),
            false => Vec::new(),
        };
        let (kind, why) = match &end {
            End::Completed => (Lifecycle::Completed, None),
            End::Paused => (Lifecycle::Paused, Some("as asked".to_owned())),
            End::Awaiting => {
                let ids: Vec<_> = questions.iter().map(Question::id).collect();
                let told = format!("an answer to {}", ids.join(", "));
                (Lifecycle::AwaitingInput, Some(told))
            }
            End::Failed(cause) => (cause.lifecycle(), Some(cause.to_string())),
        };
        let now = self.around.tenant.clock().now();
        self.life.end(kind, now, why.clone()).ok();
        self.emit(|_| EventKind::Ended {
            lifecycle: kind,
            why,
        })
        .await;
        let checkpoint = goes_on.then(|| Checkpoint::of(&self.flow, &self.progress));
        let root = self.progress.frames.first_mut();
        let (state, notes) = root
            .map(|root| {
                (
                    std::mem::take(&mut root.values),
                    std::mem::take(&mut root.notes),
                )
            })
            .unwrap_or_default();
        let mut state = state;
        state.extend(std::mem::take(&mut self.unkept));
        let error = match end {
            End::Failed(cause) => Some(cause),
            End::Awaiting | End::Completed | End::Paused => None,
        };
        Run {
            trace: self.trace_id().clone(),
            life: std::mem::take(&mut self.life),
            state,
            notes,
            executed: std::mem::take(&mut self.executed),
            steps: self.progress.steps,
            error,
            questions,
            stopped: Arc::clone(&self.stopped),
            checkpoint,
        }
    }

    /// Whether another run can go on from where this one ended: not from where
    /// what it has written is gone.
    fn goes_on(&self, end: &End) -> bool {
        let undone = self
            .stopped
            .iter()
            .any(|stopped| stopped.rolled_back || stopped.compensated > 0);
        match end {
            End::Completed => false,
            End::Paused | End::Awaiting => true,
            End::Failed(_) => self.keeps_writes() && self.progress.ended.is_none() && !undone,
        }
    }

    /// Whether a run that does not complete leaves what it has written.
    fn keeps_writes(&self) -> bool {
        let can_go_on = self.options.journal.is_some() && self.progress.ended.is_none();
        can_go_on || self.options.on_failure == OnFailure::Keep
    }

    /// Commits or stops the trace, once; a STOP from outside that came before
    /// is the end of a run that had come to another.
    async fn settle(&mut self, end: End) -> End {
        let Some(trace) = self.trace.take() else {
            return end;
        };
        let end = match end {
            End::Completed | End::Paused | End::Awaiting => {
                if self.around.tenant.commit_trace(trace.id()).await {
                    end
                } else {
                    let id = trace.id().clone();
                    // Its commit was cut short; a plain STOP commits the rest.
                    self.stopped = trace.stop(StopOptions::default()).await;
                    let plan = Arc::clone(&self.flow.0);
                    End::Failed(Cause::Stopped {
                        trace: id,
                        placement: self.progress.position(&plan),
                    })
                }
            }
            End::Failed(cause) => {
                let options = StopOptions {
                    rollback: !self.keeps_writes(),
                    reason: Some(cause.to_string().into()),
                };
                self.stopped = trace.stop(options).await;
                End::Failed(cause)
            }
        };
        let goes_on = self.goes_on(&end);
        if let Some(journal) = &mut self.options.journal
            && let Err(error) = journal.end(goes_on)
            && !matches!(end, End::Failed(_))
        {
            return End::Failed(Cause::Checkpoint(error.to_string()));
        }
        end
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(trace) = self.trace.take() {
            // STOP goes on by itself once it has begun.
            let options = StopOptions {
                rollback: !self.keeps_writes(),
                reason: Some("the run was dropped".into()),
            };
            drop(trace.stop(options).now_or_never());
        }
    }
}
