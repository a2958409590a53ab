//! The one clock, the one source of randomness, and the ids made from both.
//!
//! A [`Clock`] is the system's or a virtual one that a test moves by hand; a [`Random`] is the
//! system's or a seeded one. Under a virtual clock and a seeded random source a run is
//! repeatable. Every other room takes its time, randomness and ids from here and never asks the
//! system itself. This room never knows what the time is used for.

mod ids;
mod random;
mod timer;
mod watch;

pub use ids::Ids;
pub use random::Random;
pub use timer::{Clock, Sleep, Stopwatch, VirtualClock, yield_now};
