//! Counts the instructions that run in driver code: exact, and the same in every run.
//!
//! While driver code runs the processor's trap flag is set, so that the system sends SIGTRAP after every instruction.
//! [`crossing`](crate::crossing) calls [`Counter::arm`] where driver code runs next and [`Counter::disarm`] where it does
//! no more; the signal handler of `fault` passes each trap to [`Counter::on_trap`]. The steps between `arm` and the first
//! instruction of an image are the testbed's and do not count; the first step out of an image ends the tracing, so the
//! testbed runs at its own speed.
//!
//! An instruction counts once, also one with a repeat prefix. What the driver imports is not driver code: a copy by
//! `memcpy` is the one instruction that calls it. The price is a signal for each instruction (about a microsecond), so a
//! run that counts tells nothing about time.
//!
//! Only x86-64 processors have this flag for user mode; on others there is no count.

use std::cell::{Cell, RefCell};
use std::ops::Range;

/// Whether this processor can do it.
const SUPPORTED: bool = cfg!(target_arch = "x86_64");

/// The counter of a machine.
pub(crate) struct Counter {
    on: bool,
    /// The addresses of driver code.
    images: RefCell<Vec<Range<usize>>>,
    executed: Cell<u64>,
    /// The last trap was in driver code.
    inside: Cell<bool>,
    /// Where the last counted instruction was.
    last: Cell<usize>,
    /// Nothing counts for now.
    paused: Cell<bool>,
    /// One bit for each byte of the first image: an instruction begins there that ran.
    reached: RefCell<Vec<u64>>,
}

impl Counter {
    pub(crate) fn new(on: bool) -> Self {
        Self {
            on: on && SUPPORTED,
            images: RefCell::default(),
            executed: Cell::new(0),
            inside: Cell::new(false),
            last: Cell::new(0),
            paused: Cell::new(false),
            reached: RefCell::default(),
        }
    }

    /// Stops counting, or goes on. To be called by the testbed, not by what a driver calls.
    pub(crate) fn pause(&self, paused: bool) {
        self.paused.set(paused);
    }

    /// Where in the first image instructions ran: bit `n % 64` of number `n / 64` stands for the one at RVA `n`.
    pub(crate) fn take_reached(&self) -> Vec<u64> {
        self.reached.take()
    }

    /// Whether instructions are counted.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Declares an image whose instructions count.
    pub(crate) fn add_image(&self, base: usize, bytes: usize) {
        if self.on {
            let mut images = self.images.borrow_mut();
            if images.is_empty() {
                *self.reached.borrow_mut() = vec![0; bytes.div_ceil(64)];
            }
            images.push(base..base + bytes);
        }
    }

    /// The instructions so far; `None` when they are not counted.
    pub(crate) fn executed(&self) -> Option<u64> {
        self.on.then(|| self.executed.get())
    }

    /// Driver code runs next.
    #[inline(always)]
    pub(crate) fn arm(&self) {
        if self.on && !self.paused.get() {
            self.inside.set(false);
            trap_flag::set();
        }
    }

    /// No driver code runs until [`arm`](Self::arm).
    #[inline(always)]
    pub(crate) fn disarm(&self) {
        if self.on {
            trap_flag::clear();
        }
    }

    /// Called in the signal handler: the instruction at `address` is about to run. False when tracing is to end.
    pub(crate) fn on_trap(&self, address: usize) -> bool {
        // Images are added in testbed code that is not traced, so nothing has borrowed the list for writing.
        let image = self.images.try_borrow().ok().and_then(|images| {
            let index = images.iter().position(|image| image.contains(&address))?;
            Some((index, images[index].start))
        });
        let was_inside = self.inside.replace(image.is_some());
        let Some((index, start)) = image else { return !was_inside };
        if index == 0
            && let Ok(mut reached) = self.reached.try_borrow_mut()
            && let Some(word) = reached.get_mut((address - start) / 64)
        {
            *word |= 1 << ((address - start) % 64);
        }
        // An instruction with a repeat prefix traps after every repetition.
        if !(was_inside && self.last.get() == address && repeats(address)) {
            self.executed.set(self.executed.get() + 1);
        }
        self.last.set(address);
        true
    }
}

/// Whether the instruction at an address of driver code, which is about to run, is a string instruction with a repeat
/// prefix.
fn repeats(address: usize) -> bool {
    const LONGEST: usize = 15;
    let mut repeated = false;
    for offset in 0..LONGEST {
        let byte = std::ptr::with_exposed_provenance::<u8>(address + offset);
        // SAFETY: all bytes before this one were prefixes, so this one is still part of the instruction, which was
        // fetched from here already.
        match unsafe { byte.read() } {
            0xF2 | 0xF3 => repeated = true,
            // Operand size, address size, segments and REX.
            0x66 | 0x67 | 0x26 | 0x2E | 0x36 | 0x3E | 0x64 | 0x65 | 0x40..=0x4F => {}
            0x6C..=0x6F | 0xA4..=0xA7 | 0xAA..=0xAF => return repeated,
            _ => return false,
        }
    }
    false
}

#[cfg(target_arch = "x86_64")]
mod trap_flag {
    //! The trap flag of the running thread. System calls and signal handlers run without it, and put it back.

    use std::arch::asm;

    /// TF in RFLAGS.
    pub(crate) const TRAP_FLAG: i64 = 0x100;

    #[inline(always)]
    pub(super) fn set() {
        // SAFETY: changes one flag that compiled code does not depend on; the handler of SIGTRAP is installed as long as
        // a machine runs. Without `nostack` the compiler leaves room for the push.
        unsafe { asm!("pushfq", "or qword ptr [rsp], {flag}", "popfq", flag = const TRAP_FLAG) };
    }

    #[inline(always)]
    pub(super) fn clear() {
        // SAFETY: as above.
        unsafe { asm!("pushfq", "and qword ptr [rsp], {mask}", "popfq", mask = const !TRAP_FLAG) };
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use trap_flag::TRAP_FLAG;

#[cfg(not(target_arch = "x86_64"))]
mod trap_flag {
    //! There is none: [`SUPPORTED`](super::SUPPORTED) is false, so nothing calls this.

    pub(super) fn set() {}

    pub(super) fn clear() {}
}
