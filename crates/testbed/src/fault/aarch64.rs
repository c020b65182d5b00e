//! The registers of an AArch64 thread that was interrupted, and what they say about a fault.
//!
//! The system does not say whether an access was a read or a write in a place that emulators fill too, so the
//! instruction itself is asked. Encodings: Arm Architecture Reference Manual, C4.1.

use std::ptr;

use libc::c_int;

use super::Kind;

/// The immediates of `brk` that mean something on Windows; LLVM's trap is 1.
const BRK_LLVM_TRAP: u32 = 1;
const BRK_FAST_FAIL: u32 = 0xF003;
const BRK_DIVISION: u32 = 0xF004;

/// The registers of the interrupted thread.
pub(super) struct Registers<'a>(pub(super) &'a mut libc::ucontext_t);

impl Registers<'_> {
    pub(super) fn instruction(&self) -> usize {
        self.0.uc_mcontext.pc as usize
    }

    pub(super) fn stack(&self) -> usize {
        self.0.uc_mcontext.sp as usize
    }

    /// What the processor refused when it raised `signal` for an access to `address`.
    pub(super) fn refused(&self, signal: c_int, address: usize) -> Kind {
        let at = self.instruction();
        if matches!(signal, libc::SIGSEGV | libc::SIGBUS) && address == at {
            return Kind::Execute;
        }
        // SAFETY: the instruction faulted after it was fetched, so it can be read.
        let code = unsafe { ptr::with_exposed_provenance::<u32>(at).read_unaligned() };
        match signal {
            libc::SIGILL if is_system(code) => Kind::Privileged,
            libc::SIGILL => Kind::Trap,
            libc::SIGTRAP => match code >> 5 & 0xFFFF {
                BRK_LLVM_TRAP => Kind::Trap,
                BRK_FAST_FAIL => Kind::FastFail(self.0.uc_mcontext.regs[0]),
                BRK_DIVISION => Kind::Division,
                _ => Kind::Breakpoint,
            },
            _ if writes(code) => Kind::Write,
            _ => Kind::Read,
        }
    }

    /// Functions that are inline on x64 are imports on arm64: no instruction of a kernel is emulated.
    pub(super) fn emulate(&mut self) -> bool {
        false
    }

    /// Nothing is traced on this processor, and nothing watched.
    pub(super) fn is_tracing(&self) -> bool {
        false
    }

    /// Nothing is.
    pub(super) fn trace(&mut self) {}

    /// Nothing is traced on this processor.
    pub(super) fn stop_tracing(&mut self) {}

    /// As if `function` had been called with the stack at `top` (a multiple of 16).
    pub(super) fn go_on_at(&mut self, function: usize, top: usize) {
        self.0.uc_mcontext.pc = function as u64;
        self.0.uc_mcontext.sp = top as u64;
    }
}

/// Whether this is an instruction of the system class, of which most are for kernels.
fn is_system(code: u32) -> bool {
    code >> 22 == 0b11_0101_0100
}

/// Whether this instruction, which accesses memory, writes it. One that reads and writes does.
fn writes(code: u32) -> bool {
    let bit = |number: u32| code >> number & 1 != 0;
    let vector = bit(26);
    if is_system(code) {
        // Of those that user mode may have, `dc zva` is the one that accesses memory for its contents.
        return true;
    }
    match code >> 28 & 3 {
        // Vectors of structures; exclusive and ordered accesses, with compare-and-swap (also of pairs) among them.
        0 if vector => !bit(22),
        0 => !bit(22) || (bit(21) && (bit(23) || !bit(31))),
        // Literals are only read; ordered accesses with an offset have a bit more.
        1 => bit(24) && !bit(21) && code >> 22 & 3 == 0,
        // Pairs.
        2 => !bit(22),
        // Atomic operations, of which one only loads in order.
        _ if !vector && !bit(24) && bit(21) && code >> 10 & 3 == 0 => code >> 12 & 0xF != 0b1100,
        _ if vector => !bit(22),
        _ => code >> 22 & 3 == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_system, writes};

    #[test]
    fn stores_write() {
        let stores = [
            ("str x0, [x1]", 0xF900_0020),
            ("strb w0, [x1], #1", 0x3800_1420),
            ("sturh w0, [x1, #-2]", 0x781F_E020),
            ("str x0, [x1, x2]", 0xF822_6820),
            ("str q0, [x1]", 0x3D80_0020),
            ("str d0, [x1]", 0xFD00_0020),
            ("stp x29, x30, [sp, #-16]!", 0xA9BF_7BFD),
            ("stp q0, q1, [x0]", 0xAD00_0400),
            ("stlr w0, [x1]", 0x889F_FC20),
            ("stlxr w2, w0, [x1]", 0x8802_FC20),
            ("st1 {v0.16b}, [x0]", 0x4C00_7000),
            ("cas w0, w1, [x2]", 0x88A0_7C41),
            ("casp x0, x1, x2, x3, [x4]", 0x4820_7C82),
            ("ldadd w0, w1, [x2]", 0xB820_0041),
            ("swp x0, x1, [x2]", 0xF820_8041),
            ("stlur x0, [x1]", 0xD900_0020),
            ("dc zva, x0", 0xD50B_7420),
        ];
        for (text, code) in stores {
            assert!(writes(code), "{text}");
        }
    }

    #[test]
    fn loads_do_not() {
        let loads = [
            ("ldr x0, [x1]", 0xF940_0020),
            ("ldrb w0, [x1], #1", 0x3840_1420),
            ("ldrsw x0, [x1]", 0xB980_0020),
            ("ldrsb w0, [x1]", 0x39C0_0020),
            ("ldr x0, [x1, x2]", 0xF862_6820),
            ("ldr q0, [x1]", 0x3DC0_0020),
            ("ldp x29, x30, [sp], #16", 0xA8C1_7BFD),
            ("ldpsw x0, x1, [x2]", 0x6940_0440),
            ("ldar w0, [x1]", 0x88DF_FC20),
            ("ldaxr w0, [x1]", 0x885F_FC20),
            ("ldxp x0, x1, [x2]", 0xC87F_0440),
            ("ld1 {v0.16b}, [x0]", 0x4C40_7000),
            ("ldapr x0, [x1]", 0xF8BF_C020),
            ("ldapur x0, [x1]", 0xD940_0020),
            ("ldr x0, literal", 0x5800_0040),
            ("ldr q0, literal", 0x9C00_0040),
        ];
        for (text, code) in loads {
            assert!(!writes(code), "{text}");
        }
    }

    #[test]
    fn registers_of_the_system_are_known_from_other_instructions() {
        assert!(is_system(0xD538_D080), "mrs x0, tpidr_el1");
        assert!(!is_system(0x0000_0000), "udf #0");
    }
}
