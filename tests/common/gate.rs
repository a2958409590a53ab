//! An engram that a test opens and closes: while it is closed every recall
//! waits inside the host call, and the test knows how many do.

use std::sync::Arc;

use soma::engram::{
    BoxFuture, Engram, EngramError, Imprint, Query, Recalled, Receipt, Rollback, WriteScope,
};
use soma::signal::TraceId;
use tokio::sync::{Semaphore, watch};

/// What may pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Open {
    recalls: bool,
    /// The tag whose recalls pass all the same.
    only: Option<&'static str>,
    imprints: bool,
    rollbacks: bool,
}

/// How many calls came, and how many of them are still waiting.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    pub arrived: usize,
    pub inside: usize,
}

/// See the module. Imprints and rollbacks pass unless they are shut out too.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    engram: Arc<dyn Engram>,
    open: watch::Sender<Open>,
    traffic: watch::Sender<Traffic>,
    /// Each lets one recall through; fair.
    passes: Semaphore,
    /// The same for imprints.
    imprint_passes: Semaphore,
}

/// Leaves also when the waiting call is dropped.
struct Visit<'a>(&'a Inner);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.traffic.send_modify(|traffic| traffic.inside -= 1);
    }
}

impl Gate {
    pub fn new(engram: impl Engram) -> Self {
        Self(Arc::new(Inner {
            engram: Arc::new(engram),
            open: watch::channel(Open {
                recalls: false,
                only: None,
                imprints: true,
                rollbacks: true,
            })
            .0,
            traffic: watch::Sender::default(),
            passes: Semaphore::new(0),
            imprint_passes: Semaphore::new(0),
        }))
    }

    /// Lets every recall through from now on.
    pub fn open(&self) {
        self.0.open.send_modify(|open| open.recalls = true);
    }

    /// Lets so many waiting recalls through, those that came first.
    pub fn let_through(&self, count: usize) {
        self.0.passes.add_permits(count);
    }

    /// Lets the recalls that ask for this tag through, and no others.
    pub fn open_for(&self, tag: &'static str) {
        self.0.open.send_modify(|open| open.only = Some(tag));
    }

    /// Keeps imprints waiting, before they are written.
    pub fn shut_imprints(&self) {
        self.0.open.send_modify(|open| open.imprints = false);
    }

    /// Lets so many imprints through all the same, those that come first.
    pub fn let_imprints_through(&self, count: usize) {
        self.0.imprint_passes.add_permits(count);
    }

    /// Keeps rollbacks waiting.
    pub fn shut_rollbacks(&self) {
        self.0.open.send_modify(|open| open.rollbacks = false);
    }

    /// Lets everything through from now on.
    pub fn open_all(&self) {
        self.0.open.send_replace(Open {
            recalls: true,
            only: None,
            imprints: true,
            rollbacks: true,
        });
    }

    /// Resolves when so many calls have come since the gate was made.
    pub async fn arrived(&self, count: usize) {
        let mut traffic = self.0.traffic.subscribe();
        let reached = traffic.wait_for(|traffic| traffic.arrived >= count).await;
        drop(reached.unwrap());
    }

    /// Calls that wait now.
    pub fn inside(&self) -> usize {
        self.0.traffic.borrow().inside
    }

    /// Calls that came so far.
    pub fn arrivals(&self) -> usize {
        self.0.traffic.borrow().arrived
    }

    async fn wait(&self, pass: Option<&Semaphore>, may: impl Fn(&Open) -> bool) {
        self.0.traffic.send_modify(|traffic| {
            traffic.arrived += 1;
            traffic.inside += 1;
        });
        let _visit = Visit(&self.0);
        let mut open = self.0.open.subscribe();
        let opened = async { drop(open.wait_for(|open| may(open)).await.unwrap()) };
        match pass {
            None => opened.await,
            Some(pass) => tokio::select! {
                () = opened => {}
                pass = pass.acquire() => pass.unwrap().forget(),
            },
        }
    }
}

impl Engram for Gate {
    fn id(&self) -> &Arc<str> {
        self.0.engram.id()
    }

    fn kind(&self) -> &str {
        self.0.engram.kind()
    }

    fn capabilities(&self) -> &[&str] {
        self.0.engram.capabilities()
    }

    fn recall<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Recalled, EngramError>> {
        Box::pin(async move {
            let tag = query.tag.as_deref();
            self.wait(Some(&self.0.passes), |open| {
                open.recalls || open.only.is_some_and(|only| tag == Some(only))
            })
            .await;
            self.0.engram.recall(query).await
        })
    }

    fn imprint<'a>(
        &'a self,
        imprint: Imprint,
        scope: Option<&'a WriteScope>,
    ) -> BoxFuture<'a, Result<Receipt, EngramError>> {
        Box::pin(async move {
            let passes = Some(&self.0.imprint_passes);
            self.wait(passes, |open| open.imprints).await;
            self.0.engram.imprint(imprint, scope).await
        })
    }

    fn commit<'a>(&'a self, trace: &'a TraceId) -> BoxFuture<'a, ()> {
        self.0.engram.commit(trace)
    }

    fn rollback<'a>(&'a self, trace: &'a TraceId) -> BoxFuture<'a, Rollback> {
        Box::pin(async move {
            self.wait(None, |open| open.rollbacks).await;
            self.0.engram.rollback(trace).await
        })
    }

    fn journaled(&self, trace: &TraceId) -> usize {
        self.0.engram.journaled(trace)
    }

    fn len(&self) -> usize {
        self.0.engram.len()
    }
}
