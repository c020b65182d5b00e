//! The registers of an x86-64 thread that was interrupted, and what they say about a fault.

use std::ptr;

use libc::c_int;

use super::{Kind, tracing_machine};
use crate::nt::PAGE_SIZE;
use crate::{emulate, memory};

/// The general registers in the order of their encoding.
const GENERAL: [c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// The registers of the interrupted thread.
pub(super) struct Registers<'a>(pub(super) &'a mut libc::ucontext_t);

impl Registers<'_> {
    fn get(&self, register: c_int) -> u64 {
        self.0.uc_mcontext.gregs[register as usize] as u64
    }

    fn set(&mut self, register: c_int, value: u64) {
        self.0.uc_mcontext.gregs[register as usize] = value as i64;
    }

    pub(super) fn instruction(&self) -> usize {
        self.get(libc::REG_RIP) as usize
    }

    pub(super) fn stack(&self) -> usize {
        self.get(libc::REG_RSP) as usize
    }

    /// What the processor refused when it raised `signal`.
    pub(super) fn refused(&self, signal: c_int, _address: usize) -> Kind {
        const PAGE_FAULT: u64 = 14;
        /// The selector in the protection fault that `int 0x29` is in a process.
        const INT_29: u64 = 0x29 * 8 + 2;
        let error = self.get(libc::REG_ERR);
        match signal {
            libc::SIGILL => Kind::Trap,
            libc::SIGTRAP => Kind::Breakpoint,
            libc::SIGFPE => Kind::Division,
            libc::SIGSEGV if self.get(libc::REG_TRAPNO) != PAGE_FAULT => match error {
                INT_29 => Kind::FastFail(self.get(libc::REG_RCX)),
                _ => Kind::Privileged,
            },
            _ if error & 0x10 != 0 => Kind::Execute,
            _ if error & 2 != 0 => Kind::Write,
            _ => Kind::Read,
        }
    }

    /// Does what a kernel's instruction would have done, if it is one that drivers may use.
    pub(super) fn emulate(&mut self) -> bool {
        let at = self.instruction();
        if !memory::is_own(at..at + emulate::LONGEST) {
            return false;
        }
        let mut bytes = [0; emulate::LONGEST];
        // The next page may not be there.
        let count = emulate::LONGEST.min(PAGE_SIZE - at % PAGE_SIZE);
        // SAFETY: the instruction faulted and was not hard to fetch, so its own page can be read.
        unsafe { ptr::copy_nonoverlapping(ptr::with_exposed_provenance(at), bytes.as_mut_ptr(), count) };
        let Some((meaning, length)) = emulate::instruction(&bytes) else { return false };
        if let Some((register, value)) =
            emulate::perform(meaning, |register| self.get(GENERAL[usize::from(register)]))
        {
            self.set(GENERAL[usize::from(register)], value);
        }
        self.set(libc::REG_RIP, (at + length) as u64);
        if let Some(machine) = tracing_machine() {
            machine.counter.on_trap(at + length);
        }
        true
    }

    /// Whether a trap comes after every instruction.
    pub(super) fn is_tracing(&self) -> bool {
        self.get(libc::REG_EFL) as i64 & crate::instructions::TRAP_FLAG != 0
    }

    /// Goes on with a trap after every instruction.
    pub(super) fn trace(&mut self) {
        let flags = self.get(libc::REG_EFL) as i64 | crate::instructions::TRAP_FLAG;
        self.set(libc::REG_EFL, flags as u64);
    }

    /// Goes on without a trap after every instruction.
    pub(super) fn stop_tracing(&mut self) {
        let flags = self.get(libc::REG_EFL) as i64 & !crate::instructions::TRAP_FLAG;
        self.set(libc::REG_EFL, flags as u64);
    }

    /// As if `function` had been called with the stack at `top` (a multiple of 16).
    pub(super) fn go_on_at(&mut self, function: usize, top: usize) {
        self.set(libc::REG_RIP, function as u64);
        self.set(libc::REG_RSP, top as u64 - 8);
    }
}
