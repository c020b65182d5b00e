//! What only a processor of the x64 kind has: the IRQL in a register that drivers may write, and addresses that are no
//! address.

use crate::Case;
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("access_not_canonical", not_canonical),
    ("irql_written_absurd", written_absurd),
    ("spin_lowered_by_hand", lowered_by_hand),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

unsafe fn not_canonical(well: bool) -> NtStatus {
    crate::access::read_at(well, 0xDEAD_0000_0000_0000)
}

/// What KeRaiseIrql and KeLowerIrql are in Microsoft's headers.
unsafe fn write_irql(value: u64) {
    core::arch::asm!("mov cr8, {}", in(reg) value);
}

unsafe fn written_absurd(well: bool) -> NtStatus {
    write_irql(if well { 2 } else { 16 });
    KeLowerIrql(PASSIVE);
    SUCCESS
}

unsafe fn lowered_by_hand(well: bool) -> NtStatus {
    let lock = slot(0);
    KeInitializeSpinLock(lock);
    let old = KeAcquireSpinLockRaiseToDpc(lock);
    write_irql(if well { 2 } else { 0 });
    KeRaiseIrqlToDpcLevel();
    KeReleaseSpinLock(lock, old);
    SUCCESS
}
