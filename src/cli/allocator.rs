//! What the system's allocator is told before anything else runs.
//!
//! glibc raises the size from which a buffer is a mapping of its own each time such a buffer is freed, up to 32 MiB.
//! After the first photograph all pixels come from heaps, one for each thread, and a heap gives back only what lies at
//! its end: an appliance that had restored four pictures kept 150 MiB for ever. With a fixed size it keeps 10.

#![cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "mallopt is the only way to say this from inside")
)]

/// From here on a buffer is its own mapping, which goes back to the system when it is freed. Smaller ones are worth
/// keeping: a mapping costs a system call and a fault for every page of it.
#[cfg(target_env = "gnu")]
const LARGE_BYTES: i32 = 256 << 10;

/// Makes freed large buffers go back to the system. To be called before there is a second thread.
#[cfg(target_env = "gnu")]
pub(super) fn return_large_buffers() {
    // SAFETY: no pointers are passed, and no other thread can be inside the allocator yet. A refusal changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
    }
}

/// Other C libraries have a fixed size of their own.
#[cfg(not(target_env = "gnu"))]
pub(super) const fn return_large_buffers() {}
