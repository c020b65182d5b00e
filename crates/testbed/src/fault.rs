//! Turns a processor fault of the driver into a violation.
//!
//! A fault inside driver code, or inside the testbed on behalf of a bad pointer that the driver passed, must not end
//! the process. The signal handler notes what happened and lets the simulated thread go on in [`landing`], which
//! records the violation and halts the machine. Faults of anything else go to whoever handled them before.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

use libc::{c_int, c_void, siginfo_t};

#[cfg(target_arch = "x86_64")]
use crate::emulate;
use crate::forgiven;
use crate::image::load::describe_address;
use crate::machine::{Machine, try_machine};
use crate::memory;
#[cfg(target_arch = "x86_64")]
use crate::nt::PAGE_SIZE;
use crate::schedule;
use crate::verifier::{self, Rule};

const SIGNALS: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGTRAP, libc::SIGFPE];
/// Bytes of stack for the signal handler.
const HANDLER_STACK: usize = 64 * 1024;
/// Bytes of stack for [`landing`] when the thread's own is used up.
const RESCUE_STACK: usize = 256 * 1024;

/// What a fault was.
#[derive(Clone, Copy)]
struct Fault {
    signal: c_int,
    address: usize,
    instruction: usize,
    access: Access,
    /// The first argument register of `__fastfail`.
    fail_code: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
    Execute,
    Unknown,
}

thread_local! {
    static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
    static RESCUE: Cell<usize> = const { Cell::new(0) };
}

static PREVIOUS: OnceLock<Vec<(c_int, libc::sigaction)>> = OnceLock::new();

/// The handlers and the stack they run on, for one Linux thread.
pub(crate) struct Handlers {
    stack: Vec<u8>,
    _rescue: Vec<u8>,
    previous: libc::stack_t,
}

impl Handlers {
    pub(crate) fn install() -> Self {
        PREVIOUS.get_or_init(|| SIGNALS.iter().map(|signal| (*signal, take_signal(*signal))).collect());
        let mut stack = vec![0u8; HANDLER_STACK];
        let rescue = vec![0u8; RESCUE_STACK];
        RESCUE.set(rescue.as_ptr().addr() + RESCUE_STACK);
        let new = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: HANDLER_STACK };
        let mut previous = MaybeUninit::uninit();
        // SAFETY: the new stack lives until `drop` puts the previous one back.
        let result = unsafe { libc::sigaltstack(&raw const new, previous.as_mut_ptr()) };
        assert_eq!(result, 0, "sigaltstack: {}", std::io::Error::last_os_error());
        // SAFETY: the call succeeded, so it wrote the value.
        let previous = unsafe { previous.assume_init() };
        Self { stack, _rescue: rescue, previous }
    }
}

impl Drop for Handlers {
    fn drop(&mut self) {
        RESCUE.set(0);
        debug_assert!(!self.stack.is_empty());
        // SAFETY: the value came from the system for this thread.
        unsafe { libc::sigaltstack(&raw const self.previous, ptr::null_mut()) };
    }
}

fn take_signal(signal: c_int) -> libc::sigaction {
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_signal;
    let mut mask = MaybeUninit::uninit();
    // SAFETY: the call writes the set.
    unsafe { libc::sigemptyset(mask.as_mut_ptr()) };
    let new = libc::sigaction {
        sa_sigaction: handler as usize,
        // SAFETY: written above.
        sa_mask: unsafe { mask.assume_init() },
        sa_flags: libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER,
        sa_restorer: None,
    };
    let mut previous = MaybeUninit::uninit();
    // SAFETY: the handler only reads thread-locals and the machine of its own thread, and passes on what is not its own.
    let result = unsafe { libc::sigaction(signal, &raw const new, previous.as_mut_ptr()) };
    assert_eq!(result, 0, "sigaction: {}", std::io::Error::last_os_error());
    // SAFETY: the call succeeded, so it wrote the value.
    unsafe { previous.assume_init() }
}

extern "C" fn on_signal(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes a valid context of the thread that was interrupted.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    // SAFETY: the system passes a valid description.
    let code = unsafe { (*info).si_code };
    if let Some(machine) = tracing_machine().filter(|_| signal == libc::SIGTRAP && code == libc::TRAP_TRACE) {
        let mut registers = Registers(context);
        if !machine.counter.on_trap(registers.instruction()) {
            registers.stop_tracing();
        }
        return;
    }
    let Some(thread_stack) = stack_in_driver() else { return pass_on(signal, info, context) };
    let mut registers = Registers(context);
    if registers.access(signal) != Access::Execute && registers.emulate() {
        return;
    }
    // SAFETY: the system passes a valid description, and these signals carry an address.
    let address = unsafe { (*info).si_addr() }.addr();
    if registers.access(signal) == Access::Read && forgiven::grant(address) {
        return;
    }
    let fault = Fault {
        signal,
        address,
        instruction: registers.instruction(),
        access: registers.access(signal),
        fail_code: registers.fail_code(),
    };
    FAULT.set(Some(fault));
    registers.stop_tracing();
    let stack = registers.stack();
    let (lowest, highest) = thread_stack;
    // `landing` needs room of its own: formatting, the verifier, the switch to the scheduler.
    let has_room = (lowest + 64 * 1024..=highest).contains(&stack);
    let top = if has_room { stack - 256 } else { RESCUE.get() };
    registers.go_on_at(landing as *const () as usize, top & !15);
}

/// The machine of this Linux thread, if it counts instructions.
fn tracing_machine() -> Option<&'static Machine> {
    try_machine().filter(|machine| machine.counter.is_on())
}

/// The stack limits of the running simulated thread, if a call into or out of the driver is under way in it.
fn stack_in_driver() -> Option<(usize, usize)> {
    if FAULT.get().is_some() {
        return None;
    }
    let thread = try_machine()?.scheduler.try_running()?;
    let in_driver = thread.frames.try_borrow().is_ok_and(|frames| !frames.is_empty());
    in_driver.then_some(thread.stack)
}

/// Lets the handler that was there before have the signal.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut libc::ucontext_t) {
    let previous = PREVIOUS.get().and_then(|all| all.iter().find(|(number, _)| *number == signal));
    let Some((_, action)) = previous else { return };
    match action.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {
            // The instruction faults again, and the default action ends the process.
            // SAFETY: puts back what the system gave.
            unsafe { libc::sigaction(signal, &raw const *action, ptr::null_mut()) };
        }
        handler if action.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: the flag says that the value is a function with these arguments.
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(handler) };
            handler(signal, info, context.cast());
        }
        handler => {
            // SAFETY: without the flag it is a function of the signal's number.
            let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(handler) };
            handler(signal);
        }
    }
}

/// Where a simulated thread goes on after a fault: on its own stack, above the frame that faulted.
extern "C" fn landing() -> ! {
    let fault = FAULT.take().expect("a fault leads here");
    verifier::record(Rule::Access, describe(&fault));
    schedule::halt()
}

fn describe(fault: &Fault) -> String {
    let place = describe_address(fault.instruction)
        .unwrap_or_else(|| "a function of the testbed, on the driver's behalf".to_owned());
    let Fault { address, .. } = *fault;
    match (fault.signal, fault.access) {
        (libc::SIGILL, _) => {
            format!("an instruction that no processor has, or a compiler's trap, at {place}")
        }
        (libc::SIGTRAP, _) => format!("a breakpoint at {place}"),
        (libc::SIGFPE, _) => format!("a division by zero or overflow at {place}"),
        (_, Access::Unknown) if fault.fail_code != u64::MAX => {
            format!("fast fail with code {} at {place}", fault.fail_code)
        }
        (_, Access::Unknown) => {
            format!("a privileged instruction or an address that is not canonical, at {place}")
        }
        (_, access) => {
            let verb = match access {
                Access::Write => "writes to",
                Access::Execute => "executes",
                _ => "reads from",
            };
            let target = describe_address(address).unwrap_or_else(|| memory::describe(address));
            let pageable =
                memory::is_pageable(address) && schedule::current().irql.get() >= schedule::DISPATCH_LEVEL;
            let reason = if pageable { ", which may be paged out at DISPATCH_LEVEL," } else { "" };
            format!("{verb} {address:#x} ({target}){reason} at {place}")
        }
    }
}

/// The general registers in the order of their encoding.
#[cfg(target_arch = "x86_64")]
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
struct Registers<'a>(&'a mut libc::ucontext_t);

#[cfg(target_arch = "x86_64")]
impl Registers<'_> {
    fn get(&self, register: c_int) -> u64 {
        self.0.uc_mcontext.gregs[register as usize] as u64
    }

    fn set(&mut self, register: c_int, value: u64) {
        self.0.uc_mcontext.gregs[register as usize] = value as i64;
    }

    fn instruction(&self) -> usize {
        self.get(libc::REG_RIP) as usize
    }

    fn stack(&self) -> usize {
        self.get(libc::REG_RSP) as usize
    }

    fn access(&self, signal: c_int) -> Access {
        const PAGE_FAULT: u64 = 14;
        if signal != libc::SIGBUS && self.get(libc::REG_TRAPNO) != PAGE_FAULT {
            return Access::Unknown;
        }
        match self.get(libc::REG_ERR) {
            error if error & 0x10 != 0 => Access::Execute,
            error if error & 2 != 0 => Access::Write,
            _ => Access::Read,
        }
    }

    /// The code of `int 0x29`, which a process sees as a protection fault with this selector; else all ones.
    fn fail_code(&self) -> u64 {
        const INT_29: u64 = 0x29 * 8 + 2;
        if self.get(libc::REG_ERR) == INT_29 { self.get(libc::REG_RCX) } else { u64::MAX }
    }

    /// Does what a kernel's instruction would have done, if it is one that drivers may use.
    fn emulate(&mut self) -> bool {
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

    /// Goes on without a trap after every instruction.
    fn stop_tracing(&mut self) {
        let flags = self.get(libc::REG_EFL) as i64 & !crate::instructions::TRAP_FLAG;
        self.set(libc::REG_EFL, flags as u64);
    }

    /// As if `function` had been called with the stack at `top` (a multiple of 16).
    fn go_on_at(&mut self, function: usize, top: usize) {
        self.set(libc::REG_RIP, function as u64);
        self.set(libc::REG_RSP, top as u64 - 8);
    }
}

#[cfg(target_arch = "aarch64")]
impl Registers<'_> {
    /// No instruction of a kernel is emulated on this processor.
    fn emulate(&mut self) -> bool {
        false
    }

    fn instruction(&self) -> usize {
        self.0.uc_mcontext.pc as usize
    }

    fn stack(&self) -> usize {
        self.0.uc_mcontext.sp as usize
    }

    fn access(&self, signal: c_int) -> Access {
        if signal != libc::SIGSEGV && signal != libc::SIGBUS {
            return Access::Unknown;
        }
        if self.0.uc_mcontext.fault_address == self.0.uc_mcontext.pc { Access::Execute } else { Access::Read }
    }

    /// `brk #0xF003` is the fast fail; Linux reports it as a trap.
    fn fail_code(&self) -> u64 {
        u64::MAX
    }

    /// Nothing is traced on this processor.
    fn stop_tracing(&mut self) {}

    fn go_on_at(&mut self, function: usize, top: usize) {
        self.0.uc_mcontext.pc = function as u64;
        self.0.uc_mcontext.sp = top as u64;
    }
}
