//! The heap of the process, where the allocator is mimalloc.

/// Gives memory that this thread has freed back to the system, as far as whole pages are free. It costs some 100 µs with many
/// pages, so it is for moments after much was freed.
pub fn give_back() {
    // SAFETY: it takes no pointers, and touches the heaps of this thread only. Where another allocator is in use, they are empty.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
