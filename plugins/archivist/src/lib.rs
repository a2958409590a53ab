//! The stages of the Archivist: a visitor asks, scouts search the shelves, the
//! finds are ranked and merged, a writer and a critic work on an answer until
//! it can be given, and whatever goes wrong on the way the visitor gets one.
//!
//! Every stage is a pure function of the [`State`] that a flow hands from node
//! to node, after the demonstration of the same name in Dagonizer 0.9; where
//! that asks a language model, there are rules here. The components in
//! `examples/` put stages behind ids and fetch what they need from engrams:
//!
//! | Component | Registered as | Bindings |
//! |---|---|---|
//! | `scout` | `scout-<shelf>`: `scout-folio`, `scout-athenaeum`, `scout-stacks` | `books` (read) |
//! | `librarian` | one id a stage, see [`librarian::STAGES`] | none |
//! | `writer` | `compose-response` | none |
//! | `critic` | `validate-response` | `books` (read) |
//! | `historian` | one id a stage, see [`historian::STAGES`] | `visits` (read; write for `respond-to-visitor`) |
//! | `shelver` | `shelve-book` | `books` (write) |
//!
//! A component of several stages knows by its registered id which one it is.
//! The shelver's only route is `success`. Flow documents, catalogue and
//! scripted situations are in `examples/archivist` of the repository.

pub mod books;
pub mod critic;
pub mod fault;
pub mod historian;
pub mod librarian;
pub mod scout;
mod stage;
pub mod state;
pub mod text;
pub mod writer;

pub use stage::{Done, Stage, unknown_stage};
pub use state::{Attempts, Candidate, Complaint, Intent, Request, State};
