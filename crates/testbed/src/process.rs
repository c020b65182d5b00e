//! Processes: which user-mode addresses a thread sees.
//!
//! Every thread runs in a process: system threads, work items and the plug and play manager in System, clients in that
//! of the audio engine, and what has interrupted some thread in [`Process::Arbitrary`]. What is mapped into the user
//! space of a process is there only while a thread of it runs, below DISPATCH_LEVEL: the machine protects and unprotects the
//! pages at every change of thread and of IRQL, so that an access from elsewhere faults and is reported.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::ptr;

use crate::machine::machine;
use crate::memory;
use crate::nt::PAGE_SIZE;
use crate::schedule::{self, DISPATCH_LEVEL, Irql};
use crate::verifier::{self, Rule};

/// What a view's last page holds behind the end of its memory.
const FENCE: u8 = 0xFD;

/// A process of the simulated Windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// Where system threads run.
    System,
    /// Where the clients of a sound card run: `audiodg.exe`.
    AudioEngine,
    /// Whichever it was: deferred procedures and completions run in the thread that they have interrupted.
    Arbitrary,
}

impl Process {
    /// Its name, as a violation shows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::AudioEngine => "audiodg.exe",
            Self::Arbitrary => "whichever process was interrupted",
        }
    }
}

/// The process of the running thread; System when none runs.
pub fn current() -> Process {
    schedule::try_current().map_or(Process::System, |thread| thread.process.get())
}

/// Runs something in a process: Windows' own threads attach to it so.
pub fn within<T>(process: Process, body: impl FnOnce() -> T) -> T {
    let thread = schedule::current();
    let before = thread.process.replace(process);
    show(thread.irql.get());
    let value = body();
    thread.process.set(before);
    show(thread.irql.get());
    value
}

/// Memory of a file at an address of the machine.
struct View {
    label: &'static str,
    bytes: usize,
    /// Whose user space it is in. `None`: in the kernel's.
    process: Option<Process>,
    /// What unmapped it.
    unmapped_by: Option<&'static str>,
    /// The physical address of its memory.
    physical: u64,
}

/// The views of a machine, by address.
#[derive(Default)]
pub(crate) struct Views {
    views: RefCell<BTreeMap<usize, View>>,
    /// How many are in the user space of a process now.
    in_user_space: Cell<usize>,
    /// Whose can be accessed now.
    shown: Cell<Option<Process>>,
}

/// Maps `bytes` of a device's memory, which is a file, at a new address of the kernel's; without a file, nothing is there.
pub(crate) fn map_device(file: Option<RawFd>, physical: u64, bytes: usize) -> usize {
    let address = map(file.unwrap_or(-1), physical, bytes, None, "device memory");
    if file.is_none() {
        lose(address, bytes);
    }
    address
}

/// What is at an address from now on goes nowhere, though it stays mapped.
pub(crate) fn lose(address: usize, bytes: usize) {
    place(address, bytes, -1);
}

/// The physical address of what is mapped at an address, and can be seen there now.
pub(crate) fn physical(address: usize) -> Option<u64> {
    let all = machine().views.views.borrow();
    let (start, view) = all.range(..=address).next_back()?;
    let offset = address - start;
    let seen = view.unmapped_by.is_none() && view.process.is_none_or(|process| process == current());
    (seen && offset < view.bytes).then(|| view.physical + offset as u64)
}

/// Puts memory of a file, or none of any, to a range of addresses.
fn place(address: usize, bytes: usize, file: RawFd) {
    let anonymous = if file < 0 { libc::MAP_ANONYMOUS } else { 0 };
    let target = ptr::with_exposed_provenance_mut(address);
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_FIXED | anonymous);
    // SAFETY: callers have reserved the range.
    let mapped = unsafe { libc::mmap(target, bytes, protection, flags, file, 0) };
    assert!(mapped != libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
    let end = mapped.cast::<u8>().wrapping_add(bytes);
    // SAFETY: from the end of the memory to the end of its last page, which is mapped with it.
    unsafe { end.write_bytes(FENCE, behind(bytes)) };
}

/// Maps `bytes` of a file, which is the memory at a physical address, at a new address: into the user space of a process,
/// or into the kernel's.
pub(crate) fn map(
    file: RawFd,
    physical: u64,
    bytes: usize,
    process: Option<Process>,
    label: &'static str,
) -> usize {
    let whose = process.map_or("the kernel", Process::name);
    let address = memory::reserve(bytes, format!("{label}, mapped into {whose}"));
    place(address, bytes, file);
    let views = &machine().views;
    views.views.borrow_mut().insert(address, View { label, bytes, process, unmapped_by: None, physical });
    if process.is_some() {
        memory::protect(address, bytes, libc::PROT_NONE);
        views.in_user_space.set(views.in_user_space.get() + 1);
        // Nothing is shown, so that the view is, if it is to be.
        hide_all();
        show(schedule::current().irql.get());
    }
    address
}

/// Bytes of a view's last page that are behind its end.
fn behind(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE_SIZE) - bytes
}

/// Takes away what [`map`] made; `by` says what did it.
pub(crate) fn unmap(address: usize, by: &'static str) {
    let views = &machine().views;
    let (bytes, process) = {
        let mut all = views.views.borrow_mut();
        let view = all.get_mut(&address).expect("a view of this machine");
        view.unmapped_by = Some(by);
        (view.bytes, view.process)
    };
    if let Some(process) = process {
        views.in_user_space.set(views.in_user_space.get() - 1);
        if process != current() {
            let (owner, other) = (process.name(), current().name());
            let text = format!("{by} unmaps in {other} what was mapped into the user space of {owner}");
            verifier::record(Rule::Mdl, text);
        }
        memory::protect(address, bytes, libc::PROT_READ);
    }
    let end = ptr::with_exposed_provenance::<u8>(address + bytes);
    // SAFETY: the view's last page is readable, and this is what is behind the view's end in it.
    let fence = unsafe { std::slice::from_raw_parts(end, behind(bytes)) };
    if let Some(at) = fence.iter().position(|byte| *byte != FENCE) {
        let text =
            format!("bytes behind the end of a mapping of {bytes} bytes were written, first {at} behind it");
        verifier::record(Rule::Access, text);
    }
    memory::retire(address);
}

fn protect_all(of: impl Fn(Process) -> bool, protection: i32) {
    for (address, view) in machine().views.views.borrow().iter() {
        if view.unmapped_by.is_none() && view.process.is_some_and(&of) {
            memory::protect(*address, view.bytes, protection);
        }
    }
}

fn hide_all() {
    if let Some(process) = machine().views.shown.take() {
        protect_all(|of| of == process, libc::PROT_NONE);
    }
}

/// Shows the running thread what is in the user space of its process, and nothing of the others; at DISPATCH_LEVEL and
/// above nothing at all, as the tables of those pages may be paged out.
pub(crate) fn show(irql: Irql) {
    let views = &machine().views;
    if views.in_user_space.get() == 0 {
        return;
    }
    let Some(thread) = machine().scheduler.try_running() else { return };
    let seen = Some(thread.process.get()).filter(|_| irql < DISPATCH_LEVEL);
    if views.shown.get() == seen {
        return;
    }
    hide_all();
    views.shown.set(seen);
    protect_all(|of| Some(of) == seen, libc::PROT_READ | libc::PROT_WRITE);
}

/// Why an address of a view cannot be accessed, as part of a sentence. `None`: it is in none, nor beside one.
pub(crate) fn explain(address: usize) -> Option<String> {
    let all = machine().views.views.try_borrow().ok()?;
    let inside = all
        .range(..=address)
        .next_back()
        .filter(|(start, view)| address < **start + view.bytes.next_multiple_of(PAGE_SIZE));
    let Some((_, view)) = inside else {
        let near = all.iter().find(|(start, view)| {
            let pages = view.bytes.next_multiple_of(PAGE_SIZE);
            (**start - PAGE_SIZE..**start + pages + PAGE_SIZE).contains(&address)
        });
        return near.map(|(_, view)| format!(", outside of the {},", view.label));
    };
    if let Some(by) = view.unmapped_by {
        return Some(format!(", which {by} has unmapped,"));
    }
    let process = view.process?;
    let thread = schedule::current();
    if thread.irql.get() >= DISPATCH_LEVEL {
        return Some(", a user-mode address, at DISPATCH_LEVEL,".to_owned());
    }
    let (owner, other) = (process.name(), thread.process.get().name());
    Some(format!(", a user-mode address of {owner}, in a thread of {other},"))
}
