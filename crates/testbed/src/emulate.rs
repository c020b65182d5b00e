//! Instructions that only a kernel can execute, and that Microsoft's headers put inline into drivers.
//!
//! * `mov reg, cr8` and `mov cr8, reg`: KeGetCurrentIrql, KeRaiseIrql, KeLowerIrql.
//! * `mov reg, gs:[188h]` and `gs:[1A4h]`: KeGetCurrentThread and KeGetCurrentProcessorNumber.
//!
//! They fault in a process. [`instruction`] says what one means, [`perform`] does it; both run in the signal handler,
//! which has interrupted driver code, so that nothing of the testbed is half done.

use crate::kernel::{spin_lock, thread};
use crate::schedule;

/// KPCR.Prcb.CurrentThread, seen through GS.
const CURRENT_THREAD: u32 = 0x188;
/// KPCR.Prcb.Number, seen through GS.
const PROCESSOR_NUMBER: u32 = 0x1A4;
/// The longest instruction here, in bytes.
pub(crate) const LONGEST: usize = 9;

/// What an instruction does. Registers have the numbers of their encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The IRQL goes to a register.
    ReadIrql(u8),
    /// A register's value becomes the IRQL.
    WriteIrql(u8),
    /// The thread's object goes to a register.
    ReadThread(u8),
    /// The number of the processor goes to a register.
    ReadProcessor(u8),
}

/// What the instruction at the beginning of these bytes means, and its length.
pub(crate) fn instruction(bytes: &[u8; LONGEST]) -> Option<(Meaning, usize)> {
    match *bytes {
        // REX with R selects the higher control registers, with B the higher general ones.
        [rex @ 0x44..=0x47, 0x0F, code @ (0x20 | 0x22), modrm, ..] if modrm & 0xF8 == 0xC0 => {
            let register = (modrm & 7) | (rex & 1) << 3;
            Some((if code == 0x20 { Meaning::ReadIrql(register) } else { Meaning::WriteIrql(register) }, 4))
        }
        [0x65, rex @ 0x48..=0x4F, 0x8B, modrm, 0x25, a, b, c, d] if modrm & 0xC7 == 0x04 => {
            let register = modrm >> 3 & 7 | (rex & 4) << 1;
            let thread = u32::from_le_bytes([a, b, c, d]) == CURRENT_THREAD;
            thread.then_some((Meaning::ReadThread(register), 9))
        }
        [0x65, 0x8B, modrm, 0x25, a, b, c, d, _] if modrm & 0xC7 == 0x04 => {
            let processor = u32::from_le_bytes([a, b, c, d]) == PROCESSOR_NUMBER;
            processor.then_some((Meaning::ReadProcessor(modrm >> 3 & 7), 8))
        }
        _ => None,
    }
}

/// Does it: `register` gives the value of a register. What a register becomes.
pub(crate) fn perform(meaning: Meaning, register: impl Fn(u8) -> u64) -> Option<(u8, u64)> {
    match meaning {
        Meaning::ReadIrql(target) => Some((target, u64::from(schedule::current().irql.get()))),
        Meaning::WriteIrql(source) => {
            spin_lock::set_irql(register(source));
            None
        }
        Meaning::ReadThread(target) => Some((target, thread::current_object().addr() as u64)),
        Meaning::ReadProcessor(target) => Some((target, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(code: &[u8]) -> Option<(Meaning, usize)> {
        let mut bytes = [0x90; LONGEST];
        bytes[..code.len()].copy_from_slice(code);
        instruction(&bytes)
    }

    #[test]
    fn moves_of_cr8_are_understood_with_every_register() {
        assert_eq!(meaning(&[0x44, 0x0F, 0x20, 0xC0]), Some((Meaning::ReadIrql(0), 4)));
        assert_eq!(meaning(&[0x45, 0x0F, 0x20, 0xC1]), Some((Meaning::ReadIrql(9), 4)));
        assert_eq!(meaning(&[0x44, 0x0F, 0x22, 0xC3]), Some((Meaning::WriteIrql(3), 4)));
    }

    #[test]
    fn other_control_registers_are_not_touched() {
        assert_eq!(meaning(&[0x0F, 0x20, 0xC0]), None);
        assert_eq!(meaning(&[0x44, 0x0F, 0x20, 0xC8]), None);
    }

    #[test]
    fn the_thread_and_the_processor_are_read_through_gs() {
        let thread = [0x65, 0x48, 0x8B, 0x04, 0x25, 0x88, 1, 0, 0];
        assert_eq!(meaning(&thread), Some((Meaning::ReadThread(0), 9)));
        let high = [0x65, 0x4C, 0x8B, 0x1C, 0x25, 0x88, 1, 0, 0];
        assert_eq!(meaning(&high), Some((Meaning::ReadThread(11), 9)));
        let processor = [0x65, 0x8B, 0x0C, 0x25, 0xA4, 1, 0, 0];
        assert_eq!(meaning(&processor), Some((Meaning::ReadProcessor(1), 8)));
        assert_eq!(meaning(&[0x65, 0x48, 0x8B, 0x04, 0x25, 0x20, 0, 0, 0]), None);
    }
}
