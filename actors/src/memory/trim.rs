//! When the allocator gives memory back.

/// What is freed at the end of the heap stays there up to so many bytes: a batch of requests takes and
/// frees some hundred KiB a thousand times a second, and each time to give them to the kernel and take
/// them again, page by page, cost a twentieth of the core's time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: i32 = 8 << 20;
/// An allocation of so many bytes is the kernel's own: above what a batch takes at once.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: i32 = 4 << 20;

/// Lets the allocator keep what batches take and free. To be called once, before there are other threads.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "glibc has no safe door to it")]
pub fn keep() {
    // SAFETY: it takes no pointer. It is safe beside other threads, too, but for the order in which they see
    // the new limits (mallopt(3): "init", it writes aligned words that they only compare with). A refusal,
    // and an allocator that is not glibc's, leave things as they are.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}

/// See the other.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep() {}

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
