//! What an entry is charged for: an estimate from lengths, made by walking the
//! entry once, without serialising it.
//!
//! It counts the entry's own memory (texts, numbers, containers), the text
//! that a text query keeps beside it, its vector twice (as given and as the
//! row that is scanned) and the share of the indexes. It leaves open what the
//! allocator adds and the capacity that containers hold in reserve.

use std::mem::size_of;

use super::entry::Entry;
use super::layers::{Layer, Stack};
use crate::signal::{size_of_object, size_of_value};

/// Fixed part of an entry: itself, its stack and its rows in three indexes.
const ENTRY: usize = size_of::<Entry>() + size_of::<Stack>() + 160;

/// Fixed part of a journaled write: the layer and the record that names it.
pub(super) const RECORD: usize = size_of::<Layer>() + 96;

/// Fixed part of a remembered idempotency key.
pub(super) const KEY: usize = 160;

/// Bytes of an id that the host made: `eng_` and a ULID.
pub(super) const MADE_ID: usize = 30;

/// Bytes that a stored entry with an id of so many bytes is charged for.
pub(super) fn entry_bytes(entry: &Entry, id: usize) -> u64 {
    let tags: usize = entry
        .tags
        .iter()
        .map(|tag| size_of::<String>() + tag.len())
        .sum();
    let key = entry.merge_key.as_ref().map_or(0, String::len);
    let vector = entry
        .embedding
        .as_ref()
        .map_or(0, |numbers| 2 * size_of_val::<[f32]>(numbers));
    let content = size_of_value(&entry.content);
    let meta = size_of_object(&entry.meta).memory;
    to_u64(ENTRY + tags + id + key + vector + content.memory + content.text + meta)
}

/// A length as the ledger counts it.
pub(super) fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
