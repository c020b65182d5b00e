//! Makes code visible to the processor that was written as data.
//!
//! An x86 processor sees it by itself. An ARM processor fetches instructions through a cache of its own: what was written
//! has to leave the data cache, and the instruction cache has to forget what it had (Arm Architecture Reference Manual,
//! B2.4.4).

/// Lets the processor see the instructions in these bytes, before they are executed for the first time.
#[cfg(not(target_arch = "aarch64"))]
pub(super) fn publish(_start: usize, _bytes: usize) {}

/// Lets the processor see the instructions in these bytes, before they are executed for the first time.
///
/// The bytes are mapped and can be read.
#[cfg(target_arch = "aarch64")]
pub(super) fn publish(start: usize, bytes: usize) {
    use std::arch::asm;

    let sizes: u64;
    // SAFETY: Linux lets user mode read the register; nothing else changes.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) sizes, options(nomem, nostack, preserves_flags)) };
    // Lines have so many words of four bytes, as a power of two.
    let data = 4_usize << (sizes >> 16 & 0xF);
    let instructions = 4_usize << (sizes & 0xF);
    for line in (start & !(data - 1)..start + bytes).step_by(data) {
        // SAFETY: writes a line back that the caller has mapped.
        unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    // SAFETY: waits until the lines are written.
    unsafe { asm!("dsb ish", options(nostack, preserves_flags)) };
    for line in (start & !(instructions - 1)..start + bytes).step_by(instructions) {
        // SAFETY: forgets a line that is fetched again when it is needed.
        unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags)) };
    }
    // SAFETY: waits until the lines are forgotten, and forgets what was fetched ahead.
    unsafe { asm!("dsb ish", "isb", options(nostack, preserves_flags)) };
}
