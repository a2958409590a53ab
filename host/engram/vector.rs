//! The semantic memory: entries with embeddings, ranked by cosine similarity.

use std::sync::Arc;

use super::entry::{Imprint, Op, Receipt};
use super::error::EngramError;
use super::journal::Rollback;
use super::matrix::{Matrix, unit};
use super::query::{Query, Recalled};
use super::scope::{Ledger, WriteScope};
use super::shared::{ByMatch, Ranking, Shared};
use super::{BoxFuture, Engram};
use crate::clock::{Clock, Ids};
use crate::signal::TraceId;

/// Hits that a [`VectorEngram`] returns when the query names no `top_k`.
pub const VECTOR_TOP_K: usize = 4;

/// Numbers that a cosine gets through in one unit of recall work.
const NUMBERS_A_UNIT: usize = 512;

/// Entries in memory, each with a vector of one dimension. Ends with the
/// process.
///
/// A query with an embedding scans every entry that matches the query's other
/// parts (exact, no index) and scores it with the cosine of the two vectors,
/// clamped to 0 to 1: what points away scores 0. A query without embedding
/// answers as a [`super::MemoryEngram`] does.
pub struct VectorEngram {
    dimension: usize,
    shared: Shared<Matrix>,
}

impl VectorEngram {
    /// An empty engram for vectors of `dimension` numbers, which charges
    /// `ledger` for what it holds and gives all back when it is dropped.
    pub fn new(
        id: impl Into<Arc<str>>,
        dimension: usize,
        clock: Clock,
        ids: Ids,
        ledger: Arc<dyn Ledger>,
    ) -> Self {
        Self {
            dimension,
            shared: Shared::new(id.into(), Matrix::new(dimension), clock, ids, ledger),
        }
    }

    /// Numbers in each vector.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    fn check(&self, vector: &[f32]) -> Result<(), EngramError> {
        let dimension = self.dimension;
        let problem = if vector.len() != dimension {
            let given = vector.len();
            format!("embedding has dimension {given}, this engram holds dimension {dimension}")
        } else if !vector.iter().all(|number| number.is_finite()) {
            "embedding holds a number that is not finite".to_owned()
        } else if vector.iter().all(|number| *number == 0.0) {
            "embedding is a zero vector".to_owned()
        } else {
            return Ok(());
        };
        Err(EngramError::Invalid(problem))
    }

    /// `merge` keeps the entry's vector where it is given none.
    fn check_write(&self, imprint: &Imprint) -> Result<(), EngramError> {
        match (imprint.op, &imprint.entry.embedding) {
            (Op::Delete, _) | (Op::Merge, None) => Ok(()),
            (_, Some(vector)) => self.check(vector),
            (_, None) => Err(EngramError::Invalid(format!(
                "entry has no embedding, this engram holds dimension {}",
                self.dimension
            ))),
        }
    }
}

impl Engram for VectorEngram {
    fn id(&self) -> &Arc<str> {
        self.shared.id()
    }

    fn kind(&self) -> &str {
        "semantic"
    }

    fn capabilities(&self) -> &[&str] {
        &["vector", "cosine", "merge_key", "tags"]
    }

    /// An embedding of another dimension, with a number that is not finite, or
    /// of zeros only is [`EngramError::Invalid`].
    fn recall<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Recalled, EngramError>> {
        Box::pin(async move {
            let Some(vector) = &query.embedding else {
                return self.shared.recall(query, &ByMatch, VECTOR_TOP_K).await;
            };
            self.check(vector)?;
            let ranking = ByCosine { unit: unit(vector) };
            self.shared.recall(query, &ranking, VECTOR_TOP_K).await
        })
    }

    /// An entry without embedding, or with one that a recall would refuse, is
    /// [`EngramError::Invalid`]; `merge` keeps the old one where none is given.
    fn imprint<'a>(
        &'a self,
        imprint: Imprint,
        scope: Option<&'a WriteScope>,
    ) -> BoxFuture<'a, Result<Receipt, EngramError>> {
        Box::pin(async move {
            self.check_write(&imprint)?;
            self.shared.imprint(imprint, scope)
        })
    }

    fn commit<'a>(&'a self, trace: &'a TraceId) -> BoxFuture<'a, ()> {
        Box::pin(self.shared.commit(trace))
    }

    fn rollback<'a>(&'a self, trace: &'a TraceId) -> BoxFuture<'a, Rollback> {
        Box::pin(self.shared.rollback(trace))
    }

    fn journaled(&self, trace: &TraceId) -> usize {
        self.shared.journaled(trace)
    }

    fn len(&self) -> usize {
        self.shared.len()
    }
}

/// Ranks by the cosine with one unit vector.
struct ByCosine {
    unit: Vec<f32>,
}

impl Ranking<Matrix> for ByCosine {
    fn score(&self, matrix: &Matrix, row: usize, _matched: f32) -> Option<f32> {
        let cosine = matrix.cosine(row, &self.unit)?;
        Some(cosine.clamp(0.0, 1.0))
    }

    fn ranks(&self) -> bool {
        true
    }

    fn work(&self) -> usize {
        self.unit.len() / NUMBERS_A_UNIT
    }
}
