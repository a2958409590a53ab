//! Structured log lines on the task's trace.
//!
//! ```no_run
//! use soma_neuron::log;
//!
//! let chunks = 3;
//! log::info!("document read");
//! log::warn!("only {chunks} chunks"; document = "intro", chunks = chunks);
//! ```

use serde::Serialize;

use crate::bindings::soma::neuron::log as wire;

pub use crate::bindings::soma::neuron::log::Level;
#[doc(inline)]
pub use crate::{
    __log_debug as debug, __log_error as error, __log_info as info, __log_trace as trace,
    __log_warn as warn,
};

/// Writes one line. `fields` should be an object; anything else becomes the
/// field `fields`, and what cannot be written as JSON becomes none.
pub fn write(level: Level, message: &str, fields: &impl Serialize) {
    let fields = serde_json::to_string(fields).unwrap_or_else(|_| "{}".to_owned());
    wire::write(level, message, &fields);
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $text:literal $(, $argument:expr)* $(,)? $(; $($key:ident = $value:expr),+ $(,)?)?) => {
        $crate::log::write(
            $crate::log::Level::$level,
            &::std::format!($text $(, $argument)*),
            &$crate::guest_json!({ $($(::std::stringify!($key): $value),+)? }),
        )
    };
}

#[doc(hidden)]
pub use serde_json::json as __json;

#[doc(hidden)]
#[macro_export]
macro_rules! guest_json {
    ($($json:tt)+) => { $crate::log::__json!($($json)+) };
}

/// Writes a line of the level trace: `("text {}", arguments; key = value, ...)`.
/// The fields may be left out.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_trace {
    ($($line:tt)+) => { $crate::__log!(Trace, $($line)+) };
}

/// Writes a line of the level debug: `("text {}", arguments; key = value, ...)`.
/// The fields may be left out.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($line:tt)+) => { $crate::__log!(Debug, $($line)+) };
}

/// Writes a line of the level info: `("text {}", arguments; key = value, ...)`.
/// The fields may be left out.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($line:tt)+) => { $crate::__log!(Info, $($line)+) };
}

/// Writes a line of the level warn: `("text {}", arguments; key = value, ...)`.
/// The fields may be left out.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($line:tt)+) => { $crate::__log!(Warn, $($line)+) };
}

/// Writes a line of the level error: `("text {}", arguments; key = value, ...)`.
/// The fields may be left out.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($line:tt)+) => { $crate::__log!(Error, $($line)+) };
}
