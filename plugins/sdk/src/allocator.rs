//! The heap of a neuron: first a region that every instance starts with, then
//! memory that is grown.
//!
//! A growth costs the host two changes of page protection, one when it is made
//! and one when the instance is dropped: more than all else that starting an
//! instance takes. The standard allocator grows for its first byte already;
//! with this one most tasks never do.

#![allow(unsafe_code, reason = "an allocator is made of nothing else")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::UnsafeCell;
use core::ptr;

use dlmalloc::{Allocator, Dlmalloc};

/// Bytes that are there from the start. Untouched pages of it cost nothing.
const FIRST_BYTES: usize = 256 << 10;

const PAGE_BYTES: usize = 64 << 10;

#[repr(C, align(16))]
struct Region(UnsafeCell<[u8; FIRST_BYTES]>);

// SAFETY: a neuron has one thread.
unsafe impl Sync for Region {}

static FIRST: Region = Region(UnsafeCell::new([0; FIRST_BYTES]));

/// Where the heap's memory comes from.
struct Memory {
    first_taken: UnsafeCell<bool>,
}

// SAFETY: a neuron has one thread.
unsafe impl Send for Memory {}

// SAFETY: every region is handed out once, is as long as it says, zeroed, and
// never taken back.
unsafe impl Allocator for Memory {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        // SAFETY: a neuron has one thread, and no reference outlives this line.
        let first_taken = unsafe { ptr::replace(self.first_taken.get(), true) };
        if !first_taken && size <= FIRST_BYTES {
            return (FIRST.0.get().cast(), FIRST_BYTES, 0);
        }
        let pages = size.div_ceil(PAGE_BYTES);
        let before = wasm32::memory_grow(0, pages);
        if before == usize::MAX {
            return (ptr::null_mut(), 0, 0);
        }
        (
            ptr::with_exposed_provenance_mut(before * PAGE_BYTES),
            pages * PAGE_BYTES,
            0,
        )
    }

    fn remap(&self, _ptr: *mut u8, _old: usize, _new: usize, _can_move: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, _ptr: *mut u8, _old: usize, _new: usize) -> bool {
        false
    }

    fn free(&self, _ptr: *mut u8, _size: usize) -> bool {
        false
    }

    fn can_release_part(&self, _flags: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE_BYTES
    }
}

struct Heap(UnsafeCell<Dlmalloc<Memory>>);

// SAFETY: a neuron has one thread.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap(UnsafeCell::new(Dlmalloc::new_with_allocator(Memory {
    first_taken: UnsafeCell::new(false),
})));

// SAFETY: each call goes to the heap under the caller's own contract; a neuron
// has one thread, and the heap calls no allocator, so no two borrows overlap.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as said above.
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as said above.
        unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as said above.
        unsafe { (*self.0.get()).free(ptr, layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as said above.
        unsafe { (*self.0.get()).realloc(ptr, layout.size(), layout.align(), new_size) }
    }
}
