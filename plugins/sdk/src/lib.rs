//! Write a Soma neuron as one function.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use soma_neuron::{Failure, Task};
//!
//! #[derive(Deserialize)]
//! struct Input {
//!     name: String,
//! }
//!
//! #[derive(Serialize)]
//! struct Output {
//!     greeting: String,
//! }
//!
//! fn handle(task: Task<Input>) -> Result<Output, Failure> {
//!     Ok(Output { greeting: format!("hello, {}", task.input.name) })
//! }
//!
//! soma_neuron::neuron!(handle);
//! ```
//!
//! Every task gets a fresh instance: nothing in statics or memory outlives it.
//! What must last goes into an [`engram`]. Whatever waits (a recall, a sleep)
//! is where STOP and deadlines get in; the neuron then simply never resumes,
//! so nothing has to be cleaned up.
//!
//! The target `wasm32-unknown-unknown` has no clock, no randomness and no
//! standard output of its own: [`clock`], [`random`] and [`log`] come from the
//! host. `std::time::Instant::now()` panics there.

// Where there is a libc, what the one allocates the other may free: both must
// have the same heap, and have it by themselves.
#[cfg(all(target_arch = "wasm32", target_os = "unknown", feature = "allocator"))]
mod allocator;
#[doc(hidden)]
pub mod bindings;
pub mod clock;
pub mod engram;
#[doc(hidden)]
pub mod guest;
pub mod log;
pub mod orchestration;
pub mod random;
mod reply;
mod retry;
pub mod synapse;
mod task;

pub use reply::{Failure, IntoReply, Reply};
pub use retry::retry;
#[doc(inline)]
pub use soma_retry::{Failed, InvalidPolicy, RetryPolicy, Strategy};
pub use task::Task;

/// Makes a function the neuron of this component.
///
/// The function takes a [`Task`] of any type that serde can read and returns
/// `Result` of a [`Reply`], or of anything that serde can write, and of
/// anything that turns into a [`Failure`].
///
/// Away from WebAssembly it only checks the function's type, so that a neuron's
/// unit tests run on the machine that builds it.
#[macro_export]
macro_rules! neuron {
    ($handle:path) => {
        const _: () = {
            use $crate::bindings::exports::soma::neuron::handler;

            struct Neuron;

            impl handler::Guest for Neuron {
                fn handle(task: handler::Task) -> Result<handler::Reply, handler::Failure> {
                    $crate::guest::run(task, $handle)
                }
            }

            $crate::export_neuron!(Neuron);
        };
    };
}

/// Exports a type that implements the contract's `Guest` by hand.
#[doc(hidden)]
#[macro_export]
macro_rules! export_neuron {
    ($neuron:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::export!($neuron with_types_in $crate::bindings);

        // Elsewhere this is the type's only use.
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = {
            use $crate::bindings::exports::soma::neuron::handler;

            #[used]
            static HANDLE: fn(handler::Task) -> Result<handler::Reply, handler::Failure> =
                <$neuron as handler::Guest>::handle;
        };
    };
}
