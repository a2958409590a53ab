//! Pausing and aborting a run from elsewhere.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Pauses or aborts a run. Clones control the same run; with it the run has no
/// effect any more once it has ended.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    asked: Mutex<Asked>,
    told: Notify,
}

#[derive(Clone, Debug, Default)]
enum Asked {
    #[default]
    Nothing,
    Pause,
    Abort(Arc<str>),
}

impl Control {
    /// Starts nothing more, lets what runs end, and ends the run as paused.
    pub fn pause(&self) {
        let mut asked = self.0.asked.lock();
        if matches!(*asked, Asked::Nothing) {
            *asked = Asked::Pause;
            self.0.told.notify_waiters();
        }
    }

    /// Ends the run as cancelled: what runs is stopped.
    pub fn abort(&self, reason: impl Into<Arc<str>>) {
        let mut asked = self.0.asked.lock();
        if !matches!(*asked, Asked::Abort(_)) {
            *asked = Asked::Abort(reason.into());
            self.0.told.notify_waiters();
        }
    }

    pub(super) fn is_paused(&self) -> bool {
        matches!(*self.0.asked.lock(), Asked::Pause)
    }

    /// Why it is to be aborted.
    pub(super) fn abort_reason(&self) -> Option<Arc<str>> {
        match &*self.0.asked.lock() {
            Asked::Abort(reason) => Some(Arc::clone(reason)),
            _ => None,
        }
    }

    /// Ends when it is to be aborted.
    pub(super) async fn aborted(&self) -> Arc<str> {
        self.when(|control| control.abort_reason()).await
    }

    /// Ends when it is to be paused.
    pub(super) async fn paused(&self) {
        self.when(|control| control.is_paused().then_some(())).await;
    }

    async fn when<T>(&self, found: impl Fn(&Self) -> Option<T>) -> T {
        loop {
            let mut notified = std::pin::pin!(self.0.told.notified());
            notified.as_mut().enable();
            if let Some(found) = found(self) {
                return found;
            }
            notified.await;
        }
    }
}
