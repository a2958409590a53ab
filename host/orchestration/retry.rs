//! Retry: attempts that never overlap.
//!
//! What is tried again and how long to wait is a [`RetryPolicy`]'s to say; this
//! file makes the attempts: of a task, in the manner of Cosmonapse's
//! `RetryStrategy` (reference, section 3.3), and of any call of an embedder's,
//! in that of Dagonizer's `RetryPolicy.run` (reference, section 1.3).

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use soma_retry::{Decision, Failed, GiveUp, InvalidPolicy, RetryPolicy};

use super::{
    Answer, DispatchError, WaitError,
    dispatch::{Dispatch, Parent},
    stop::StopOptions,
    tenant::TenantHandle,
};
use crate::{
    clock::{Clock, Random},
    signal::{ErrorReport, Payload},
};

/// How a task is tried again.
#[derive(Clone)]
pub struct RetryStrategy {
    /// How often, after which wait, and after which failures. Default
    /// [`RetryPolicy::immediate`]: three attempts without a wait, of what is
    /// recoverable; timeouts (code `TIMEOUT`) and closed pathways (`CLOSED`)
    /// are.
    pub policy: RetryPolicy,
    /// Of one attempt. Default 30 s.
    pub timeout: Duration,
    /// Each attempt on a fresh trace (the default), or all on the one the
    /// dispatch names.
    pub new_trace: bool,
    /// Undo a failed attempt's writes before the next. Default false: they are
    /// committed, as the peer does.
    pub rollback_on_retry: bool,
    /// Decides in place of the policy's `retry_on`, and on replies that are no
    /// failures too; `abort_on` still wins. Default none.
    pub retry_if: Option<RetryIf>,
    /// Called between attempts with the attempt that failed, counted from 0.
    pub on_retry: Option<OnRetry>,
    /// Reason on the STOP. Default `retry`.
    pub reason: Arc<str>,
}

/// See [`RetryStrategy::retry_if`].
pub type RetryIf = Arc<dyn Fn(&Outcome) -> bool + Send + Sync>;

/// See [`RetryStrategy::on_retry`].
pub type OnRetry = Arc<dyn Fn(u32, &Outcome) + Send + Sync>;

/// How an attempt ended.
pub type Outcome = Result<Answer, WaitError>;

impl std::fmt::Debug for RetryStrategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetryStrategy")
            .field("policy", &self.policy)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Default for RetryStrategy {
    fn default() -> Self {
        Self {
            policy: RetryPolicy::immediate(),
            timeout: Duration::from_secs(30),
            new_trace: true,
            rollback_on_retry: false,
            retry_if: None,
            on_retry: None,
            reason: "retry".into(),
        }
    }
}

impl Failed for WaitError {
    fn code(&self) -> &str {
        match self {
            Self::Timeout { .. } => "TIMEOUT",
            Self::Closed(_) => "CLOSED",
        }
    }

    fn recoverable(&self) -> bool {
        true
    }
}

impl Failed for ErrorReport {
    fn code(&self) -> &str {
        &self.code
    }

    fn recoverable(&self) -> bool {
        self.recoverable
    }
}

/// Why an attempt's end is a failure; `None` for a result and a question back.
pub fn failure_of(outcome: &Outcome) -> Option<&dyn Failed> {
    match outcome {
        Err(error) => Some(error),
        Ok(answer) => match &answer.signal.payload {
            Payload::Error(error) => Some(error),
            _ => None,
        },
    }
}

impl RetryStrategy {
    /// What to do after attempt `attempt`, counted from 1, has ended so.
    fn decide(&self, attempt: u32, outcome: &Outcome, random: &Random) -> Decision {
        let unit = || random.unit();
        let failure = failure_of(outcome);
        match (&self.retry_if, failure) {
            (None, Some(failure)) => self.policy.decide(attempt, failure, unit),
            (None, None) => Decision::GiveUp(GiveUp::NotRetried),
            (Some(_), Some(failure)) if self.policy.aborts(failure) => {
                Decision::GiveUp(GiveUp::AbortOn)
            }
            (Some(retry_if), _) if retry_if(outcome) => self.policy.again(attempt, unit),
            (Some(_), _) => Decision::GiveUp(GiveUp::NotRetried),
        }
    }
}

/// Why a retried task has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetryError {
    /// An attempt could not even start.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    /// The last attempt's own end.
    #[error("gave up after {attempts} attempts: {last}")]
    Exhausted {
        /// How many ran.
        attempts: u32,
        /// How the last one ended.
        last: WaitError,
    },
    /// An end that the strategy does not retry.
    #[error(transparent)]
    NotRetried(WaitError),
    /// The policy makes no sense; nothing was started.
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
}

impl TenantHandle {
    /// Runs a task under a retry strategy. A failed attempt is STOPped, the
    /// last one too, and the next is dispatched only when it has really
    /// stopped. A recoverable ERROR of the last attempt is the answer.
    ///
    /// # Errors
    /// When the attempts are used up without a signal, one could not start, or
    /// the policy is invalid.
    pub async fn run_with_retry(
        &self,
        dispatch: Dispatch,
        strategy: &RetryStrategy,
    ) -> Result<Answer, RetryError> {
        self.retry(dispatch, strategy, None).await
    }

    /// As [`TenantHandle::run_with_retry`], on behalf of a task or of nobody.
    pub(super) async fn retry(
        &self,
        mut dispatch: Dispatch,
        strategy: &RetryStrategy,
        parent: Option<Parent<'_>>,
    ) -> Result<Answer, RetryError> {
        strategy.policy.validate()?;
        if strategy.new_trace {
            dispatch = dispatch.on_fresh_trace();
        }
        // One trace for all attempts, where none is named and none is made for
        // each.
        let shared = (!strategy.new_trace && dispatch.trace.is_none()).then(|| self.open_trace());
        if let Some(shared) = &shared {
            dispatch = dispatch.on_trace(shared.id().clone());
        }
        let answer = self.attempts(&dispatch, strategy, parent).await?;
        if let Some(shared) = shared
            && answer.is_output()
        {
            shared.commit().await;
        }
        Ok(answer)
    }

    async fn attempts(
        &self,
        dispatch: &Dispatch,
        strategy: &RetryStrategy,
        parent: Option<Parent<'_>>,
    ) -> Result<Answer, RetryError> {
        let mut attempt = 0;
        loop {
            let (outcome, decision) = self.attempt(dispatch, strategy, attempt, parent).await?;
            let after = match decision {
                Decision::Retry { after } => after,
                Decision::GiveUp(GiveUp::Exhausted) => {
                    return outcome.map_err(|last| RetryError::Exhausted {
                        attempts: attempt + 1,
                        last,
                    });
                }
                Decision::GiveUp(GiveUp::AbortOn | GiveUp::NotRetried) => {
                    return outcome.map_err(RetryError::NotRetried);
                }
            };
            // Its clock stops with the host: there is no waiting on it.
            if self.core().closed.load(Ordering::Acquire) {
                return Err(DispatchError::ShutDown.into());
            }
            if let Some(on_retry) = &strategy.on_retry {
                on_retry(attempt, &outcome);
            }
            attempt += 1;
            if !after.is_zero() {
                self.clock().sleep(after).await;
            }
        }
    }

    /// One attempt, counted from 0; unless its end is taken as it is, nothing
    /// of it runs any more on return.
    async fn attempt(
        &self,
        dispatch: &Dispatch,
        strategy: &RetryStrategy,
        attempt: u32,
        parent: Option<Parent<'_>>,
    ) -> Result<(Outcome, Decision), DispatchError> {
        let dispatch = dispatch.clone().attempt(attempt);
        let mut pathway = match parent {
            // A neuron's own stack is no place to run another on.
            Some(parent) => self.core().dispatch(self.state(), dispatch, Some(parent))?,
            None => self.core().dispatch_here(self.state(), dispatch)?,
        };
        let outcome = pathway.wait(strategy.timeout).await;
        let decision = strategy.decide(attempt + 1, &outcome, self.random());
        if let Decision::GiveUp(GiveUp::AbortOn | GiveUp::NotRetried) = decision {
            if let Ok(answer) = &outcome {
                self.settle(pathway, answer).await;
            }
        } else if strategy.new_trace {
            let options = StopOptions {
                rollback: strategy.rollback_on_retry,
                reason: Some(Arc::clone(&strategy.reason)),
            };
            self.stop_trace(pathway.trace_id(), options).await;
        } else {
            // The trace goes on; only this attempt's task ends.
            pathway.control().stop();
            self.core().sandbox.interrupt();
            pathway.trace().task_ended(pathway.control()).await;
        }
        Ok((outcome, decision))
    }
}

/// Why a retried call of an embedder's has no value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Abandoned<E> {
    /// The policy says that this is the end.
    #[error("gave up at attempt {attempts}, {reason}: {last}")]
    GaveUp {
        /// How many were made.
        attempts: u32,
        /// Why there is no further one.
        reason: GiveUp,
        /// How the last one failed.
        last: E,
    },
    /// It was cancelled before it succeeded.
    #[error("cancelled after {attempts} attempts")]
    Cancelled {
        /// How many were made.
        attempts: u32,
        /// How the last one failed, if there was one.
        last: Option<E>,
    },
    /// The policy makes no sense; no call was made.
    #[error(transparent)]
    Policy(#[from] InvalidPolicy),
}

impl<E> Abandoned<E> {
    /// How the last attempt failed, if there was one.
    pub fn into_last(self) -> Option<E> {
        match self {
            Self::GaveUp { last, .. } => Some(last),
            Self::Cancelled { last, .. } => last,
            Self::Policy(_) => None,
        }
    }
}

/// Makes a call of one's own until it succeeds, as the policy says. The call
/// gets the number of the attempt, counted from 1. Waits are slept on `clock`,
/// and their jitter is drawn from `random`; with a virtual clock an hour's
/// backoff takes no time, with a seeded random source each is the same.
///
/// `cancel` ends it: a future such as a token's, or [`std::future::pending`].
/// Once that has ended no call is made, and a wait ends at once. A call that is
/// under way is not cut off: it may listen to the same token, and when it
/// succeeds all the same its value is returned. To cut off all, drop the future.
///
/// There is no wait after the last failure, none where the policy says zero,
/// and nothing is left running when this returns.
///
/// ```
/// use std::{future::pending, time::Duration};
///
/// use soma::{
///     clock::{Clock, Random},
///     orchestration::{Abandoned, Failed, RetryPolicy, retry},
/// };
///
/// #[derive(Debug)]
/// struct Busy;
///
/// impl Failed for Busy {
///     fn code(&self) -> &str {
///         "BUSY"
///     }
///
///     fn recoverable(&self) -> bool {
///         true
///     }
/// }
///
/// async fn ask(clock: &Clock, random: &Random) -> Result<u32, Abandoned<Busy>> {
///     let policy = RetryPolicy {
///         base_delay: Duration::from_millis(200),
///         ..RetryPolicy::default()
///     };
///     retry(&policy, clock, random, pending(), |attempt| async move {
///         if attempt < 3 { Err(Busy) } else { Ok(attempt) }
///     })
///     .await
/// }
/// ```
///
/// # Errors
/// [`Abandoned`] tells why there is no value.
pub async fn retry<T, E, F>(
    policy: &RetryPolicy,
    clock: &Clock,
    random: &Random,
    cancel: impl Future<Output = ()>,
    mut call: impl FnMut(u32) -> F,
) -> Result<T, Abandoned<E>>
where
    F: Future<Output = Result<T, E>>,
    E: Failed,
{
    policy.validate()?;
    let mut cancel = pin!(cancel);
    let mut wait = Duration::ZERO;
    let mut attempts = 0;
    let mut last = None;
    loop {
        if ends_within(cancel.as_mut(), wait, clock).await {
            return Err(Abandoned::Cancelled { attempts, last });
        }
        attempts += 1;
        let failure = match call(attempts).await {
            Ok(value) => return Ok(value),
            Err(failure) => failure,
        };
        match policy.decide(attempts, &failure, || random.unit()) {
            Decision::Retry { after } => wait = after,
            Decision::GiveUp(reason) => {
                return Err(Abandoned::GaveUp {
                    attempts,
                    reason,
                    last: failure,
                });
            }
        }
        last = Some(failure);
    }
}

/// Waits, unless `cancel` ends before; whether it does. It is polled at least
/// once, and never after its end.
async fn ends_within(
    mut cancel: Pin<&mut impl Future<Output = ()>>,
    wait: Duration,
    clock: &Clock,
) -> bool {
    let mut sleep = (!wait.is_zero()).then(|| clock.sleep(wait));
    poll_fn(|context| {
        if cancel.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        match &mut sleep {
            Some(sleep) => Pin::new(sleep).poll(context).map(|()| false),
            None => Poll::Ready(false),
        }
    })
    .await
}
