//! The ways of not answering.

use std::hint::black_box;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use soma_neuron::clock;
use soma_neuron::engram::{Binding, Error, Query};

const BLOCK_BYTES: usize = 1 << 20;
const HELD_BLOCKS: usize = 8;
const PAGE_BYTES: usize = 4096;

/// How a call fails to answer.
#[derive(Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stall {
    /// Waits for the clock.
    #[default]
    Sleep,
    /// Computes and calls nothing.
    Spin,
    /// Waits for an engram that never answers.
    Wait,
    /// Allocates, touches and frees some MiB, again and again.
    Allocate,
}

impl Stall {
    /// Does not return, unless the engram named `never` answers after all.
    pub(crate) fn forever(self) -> Result<(), Error> {
        match self {
            Self::Sleep => loop {
                clock::sleep(Duration::from_secs(3600));
            },
            Self::Spin => spin(),
            Self::Wait => Binding::new("never").recall(Query::new()).map(drop),
            Self::Allocate => allocate(),
        }
    }
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn allocate() -> ! {
    loop {
        let mut held: Vec<Vec<u8>> = Vec::new();
        while held.len() < HELD_BLOCKS {
            let mut block = Vec::new();
            if block.try_reserve_exact(BLOCK_BYTES).is_err() {
                break;
            }
            block.resize(BLOCK_BYTES, 0_u8);
            for byte in block.iter_mut().step_by(PAGE_BYTES) {
                *byte = byte.wrapping_add(1);
            }
            held.push(block);
        }
        black_box(&held);
    }
}
