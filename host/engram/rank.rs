//! The best hits of a scan: a heap of at most `top_k`, whose worst is on top.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::entry::Entry;
use super::layers::State;
use super::query::{Hit, Recalled};

/// Collects the best hits and counts the rest.
pub(super) struct Best {
    limit: usize,
    worst_first: BinaryHeap<Ranked>,
    more: bool,
}

impl Best {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            worst_first: BinaryHeap::new(),
            more: false,
        }
    }

    /// Takes one match, in whose favour a worse one may fall out.
    pub(super) fn offer(&mut self, score: f32, state: &State) {
        let place = state.place;
        if self.worst_first.len() < self.limit {
            let entry = Arc::clone(&state.entry);
            self.worst_first.push(Ranked {
                score,
                place,
                entry,
            });
            return;
        }
        self.more = true;
        if let Some(mut worst) = self.worst_first.peek_mut()
            && badness(score, place, worst.score, worst.place) == Ordering::Less
        {
            let entry = Arc::clone(&state.entry);
            *worst = Ranked {
                score,
                place,
                entry,
            };
        }
    }

    /// Whether a match was left out: where all score alike, the scan can end.
    pub(super) fn is_truncated(&self) -> bool {
        self.more
    }

    pub(super) fn into_recalled(self) -> Recalled {
        let best_first = self.worst_first.into_sorted_vec();
        let hits = best_first.into_iter().map(|ranked| Hit {
            entry: ranked.entry,
            score: ranked.score,
        });
        Recalled {
            hits: hits.collect(),
            truncated: self.more,
        }
    }
}

struct Ranked {
    score: f32,
    place: u64,
    entry: Arc<Entry>,
}

/// Greater is worse: a lower score, else a later place.
fn badness(score: f32, place: u64, other_score: f32, other_place: u64) -> Ordering {
    other_score.total_cmp(&score).then(place.cmp(&other_place))
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        badness(self.score, self.place, other.score, other.place)
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}
