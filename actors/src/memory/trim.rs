//! Gives memory back that the allocator keeps.

/// Lets the allocator return the whole pages that it keeps free. Takes the allocator's locks one after
/// the other, for some ms per GiB; does nothing where the C library has no such call.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "glibc has no safe door to it")]
pub(super) fn trim() {
    // SAFETY: it takes no pointer, and may be called at any time from any thread (malloc_trim(3): MT-Safe).
    // That the allocator is glibc's is not needed: another one leaves glibc's with nothing to give back.
    unsafe { libc::malloc_trim(0) };
}

/// See the other.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn trim() {}
