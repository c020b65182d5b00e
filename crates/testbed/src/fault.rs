//! Turns a processor fault of the driver into a violation.
//!
//! A fault inside driver code, or inside the testbed on behalf of a bad pointer that the driver passed, must not end
//! the process. The signal handler notes what happened and lets the simulated thread go on in [`landing`], which
//! records the violation and halts the machine. Faults of anything else go to whoever handled them before.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

use libc::{c_int, c_void, siginfo_t};

#[cfg(target_arch = "aarch64")]
use aarch64::Registers;
#[cfg(target_arch = "x86_64")]
use x86_64::Registers;

use crate::forgiven;
use crate::image::load::describe_address;
use crate::machine::{Machine, try_machine};
use crate::memory;
use crate::process;
use crate::schedule;
use crate::verifier::{self, Rule};
use crate::watch;

const SIGNALS: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGTRAP, libc::SIGFPE];
/// Bytes of stack for the signal handler.
const HANDLER_STACK: usize = 64 * 1024;
/// Bytes of stack for [`landing`] when the thread's own is used up.
const RESCUE_STACK: usize = 256 * 1024;

/// What a fault was.
#[derive(Clone, Copy)]
struct Fault {
    kind: Kind,
    address: usize,
    instruction: usize,
}

/// What the processor refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// To read from the address.
    Read,
    /// To write to it.
    Write,
    /// To execute what is there.
    Execute,
    /// What no processor does: an address that has a wrong form (x64), or an instruction for kernels.
    Privileged,
    /// An instruction that does not exist, by which compilers end a path that is never taken.
    Trap,
    /// A breakpoint.
    Breakpoint,
    /// A division by zero, or one whose result has no room.
    Division,
    /// `__fastfail` with this code.
    FastFail(u64),
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
    let is_step = signal == libc::SIGTRAP && code == libc::TRAP_TRACE;
    let mut registers = Registers(context);
    if is_step && watch::on_step() == Some(watch::Then::GoOn) {
        registers.stop_tracing();
        return;
    }
    if let Some(machine) = tracing_machine().filter(|_| is_step) {
        if !machine.counter.on_trap(registers.instruction()) {
            registers.stop_tracing();
        }
        return;
    }
    // SAFETY: the system passes a valid description, and these signals carry an address.
    let address = unsafe { (*info).si_addr() }.addr();
    let kind = registers.refused(signal, address);
    if matches!(kind, Kind::Read | Kind::Write) && watch::on_access(address, registers.is_tracing()) {
        registers.trace();
        return;
    }
    let Some(thread_stack) = stack_in_driver() else { return pass_on(signal, info, registers.0) };
    if kind != Kind::Execute && registers.emulate() {
        return;
    }
    if kind == Kind::Read && forgiven::grant(address) {
        return;
    }
    FAULT.set(Some(Fault { kind, address, instruction: registers.instruction() }));
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
    let verb = match fault.kind {
        Kind::Read => "reads from",
        Kind::Write => "writes to",
        Kind::Execute => "executes",
        Kind::Privileged => {
            return format!("a privileged instruction or an address that is not canonical, at {place}");
        }
        Kind::Trap => {
            return format!("an instruction that no processor has, or a compiler's trap, at {place}");
        }
        Kind::Breakpoint => return format!("a breakpoint at {place}"),
        Kind::Division => return format!("a division by zero or overflow at {place}"),
        Kind::FastFail(code) => return format!("fast fail with code {code} at {place}"),
    };
    let target = describe_address(address).unwrap_or_else(|| memory::describe(address));
    let pageable = memory::is_pageable(address) && schedule::current().irql.get() >= schedule::DISPATCH_LEVEL;
    let reason = if pageable {
        ", which may be paged out at DISPATCH_LEVEL,".to_owned()
    } else {
        process::explain(address).unwrap_or_default()
    };
    format!("{verb} {address:#x} ({target}){reason} at {place}")
}
