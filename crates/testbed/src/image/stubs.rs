//! Stubs: what stands for imports that the testbed does not have, when the user wants to see how far a driver comes.
//!
//! A stub counts its calls and returns STATUS_NOT_IMPLEMENTED. That is right for a function that returns a status, and
//! wrong for others; so stubs are asked for, and named.

use std::cell::{Cell, RefCell};

use super::instruction_cache;
use crate::crossing::serve_driver;
use crate::machine::machine;
use crate::memory;
use crate::nt::NtStatus;
use crate::schedule::Irql;

/// IRQL limit of what may be called at any level.
const HIGH_LEVEL: Irql = 15;

struct Stub {
    name: &'static str,
    calls: Cell<u64>,
}

#[derive(Default)]
struct Stubs {
    wanted: Cell<bool>,
    made: RefCell<Vec<Stub>>,
}

/// Whether drivers that are loaded from now on get stubs for what is missing.
pub fn stub_missing(wanted: bool) {
    machine().part::<Stubs>().wanted.set(wanted);
}

/// The stubs that were made, with how often each was called.
pub fn stubs() -> Vec<(String, u64)> {
    let stubs = machine().part::<Stubs>();
    let made = stubs.made.borrow();
    made.iter().map(|stub| (stub.name.to_owned(), stub.calls.get())).collect()
}

/// The address of a stub, if stubs are wanted.
pub(super) fn make(name: &str) -> Option<usize> {
    let stubs = machine().part::<Stubs>();
    if !stubs.wanted.get() {
        return None;
    }
    let index = stubs.made.borrow().len() as u32;
    let address = thunk(index, called as *const () as usize);
    // Once for each missing import of a run that asked for stubs: names of functions live as long as the process.
    let name: &'static str = String::leak(name.to_owned());
    stubs.made.borrow_mut().push(Stub { name, calls: Cell::new(0) });
    Some(address)
}

/// A function of its own that passes `index` to `target`.
fn thunk(index: u32, target: usize) -> usize {
    let code = code(index, target);
    let page = memory::reserve(code.len(), "a stub");
    memory::protect(page, code.len(), libc::PROT_READ | libc::PROT_WRITE);
    let start = std::ptr::with_exposed_provenance_mut::<u8>(page);
    // SAFETY: the page was just reserved and made writable.
    unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), start, code.len()) };
    instruction_cache::publish(page, code.len());
    memory::protect(page, code.len(), libc::PROT_READ | libc::PROT_EXEC);
    page
}

/// `mov ecx, index; mov rax, target; jmp rax`
#[cfg(target_arch = "x86_64")]
fn code(index: u32, target: usize) -> Vec<u8> {
    [&[0xB9][..], &index.to_le_bytes(), &[0x48, 0xB8], &target.to_le_bytes(), &[0xFF, 0xE0]].concat()
}

/// `movz w0, low half of index; movk w0, high half, lsl #16; ldr x16, target; br x16`, and the address of the target
#[cfg(target_arch = "aarch64")]
fn code(index: u32, target: usize) -> Vec<u8> {
    let instructions =
        [0x5280_0000 | (index & 0xFFFF) << 5, 0x72A0_0000 | (index >> 16) << 5, 0x5800_0050, 0xD61F_0200];
    instructions.into_iter().flat_map(u32::to_le_bytes).chain(target.to_le_bytes()).collect()
}

/// Where every stub ends. A status in all 64 bits, for functions that return more.
extern "efiapi" fn called(index: u32) -> u64 {
    let stubs = machine().part::<Stubs>();
    let name = stubs.made.borrow()[index as usize].name;
    let status = serve_driver(name, HIGH_LEVEL, || {
        let made = stubs.made.borrow();
        let calls = &made[index as usize].calls;
        calls.set(calls.get() + 1);
        NtStatus::NOT_IMPLEMENTED
    });
    i64::from(status.0) as u64
}
