//! An engram that never answers a recall: what a guest waits on when it is to
//! be caught inside a host call. Also an example of a backend that an embedder
//! brings.

use std::sync::Arc;

use crate::{
    engram::{
        BoxFuture, Engram, EngramError, Imprint, Query, Recalled, Receipt, Rollback, WriteScope,
    },
    signal::TraceId,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Silent {
    id: Arc<str>,
}

impl Silent {
    pub(super) fn new(id: impl Into<Arc<str>>) -> Self {
        Self { id: id.into() }
    }
}

impl Engram for Silent {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn kind(&self) -> &str {
        "silent"
    }

    fn capabilities(&self) -> &[&str] {
        &[]
    }

    fn recall<'a>(&'a self, _query: &'a Query) -> BoxFuture<'a, Result<Recalled, EngramError>> {
        Box::pin(std::future::pending())
    }

    fn imprint<'a>(
        &'a self,
        _imprint: Imprint,
        _scope: Option<&'a WriteScope>,
    ) -> BoxFuture<'a, Result<Receipt, EngramError>> {
        let refused = EngramError::Backend("this engram keeps nothing".to_owned());
        Box::pin(std::future::ready(Err(refused)))
    }

    fn commit<'a>(&'a self, _trace: &'a TraceId) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    fn rollback<'a>(&'a self, _trace: &'a TraceId) -> BoxFuture<'a, Rollback> {
        Box::pin(std::future::ready(Rollback::default()))
    }

    fn journaled(&self, _trace: &TraceId) -> usize {
        0
    }

    fn len(&self) -> usize {
        0
    }
}
