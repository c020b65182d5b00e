//! The IRQL in a register, and addresses that are no address: on x64 only.

use crate::rules;

rules! {
    access_not_canonical: Access, "an address that is not canonical", "DriverEntry";
    irql_written_absurd: Irql, "16 is written to CR8", "DriverEntry";
    spin_lowered_by_hand: SpinLock, "the IRQL is lowered to 0 while a spin lock is held", "DriverEntry";
}
