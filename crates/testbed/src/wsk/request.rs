//! Requests: an IRP that Winsock Kernel owns until it completes it, and what must stay alive as long.
//!
//! From "Using IRPs with Winsock Kernel Functions": an IRP of the driver's own needs one free stack location, a
//! completion routine for success, error and cancel, and that routine returns STATUS_MORE_PROCESSING_REQUIRED.
//!
//! From the page of WskSendTo: the MDL chain of the WSK_BUF and the control information must stay until completion,
//! and no data is buffered, so the bytes may be read until then. The remote address is not on that list: it is read
//! during the call only, as is the WSK_BUF structure itself.
//!
//! [Using IRPs]: https://learn.microsoft.com/windows-hardware/drivers/network/using-irps-with-winsock-kernel-functions

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::abi::WskBuf;
use super::{Completion, Fault};
use crate::kernel::{dispatch_at, irp as packets, mdl as lists};
use crate::memory;
use crate::nt::{Irp, Mdl, NtStatus, mdl_flags, stack_control};
use crate::schedule;
use crate::verifier::{Rule, fatal, record};

/// Bytes of the longest UDP datagram over IPv4.
const LONGEST_DATAGRAM: usize = 65_507;

/// What a request ends with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    pub(super) status: NtStatus,
    pub(super) information: usize,
}

impl From<NtStatus> for Ending {
    fn from(status: NtStatus) -> Self {
        Self { status, information: 0 }
    }
}

/// A request under way.
pub(super) struct Request {
    function: &'static str,
    irp: *mut Irp,
    completed: Cell<bool>,
    /// What it ends with when its socket is closed: sends have left already, the rest is cancelled.
    when_closed: Cell<Ending>,
    watched: RefCell<Option<Watched>>,
}

/// Memory that must not change before a request completes.
struct Watched {
    function: &'static str,
    parts: Vec<Part>,
}

struct Part {
    mdl: *mut Mdl,
    address: usize,
    bytes: Vec<u8>,
}

impl Request {
    /// Takes the IRP of a call, if it is fit for one.
    ///
    /// # Errors
    /// STATUS_INVALID_PARAMETER, after a violation was recorded.
    pub(super) fn accept(function: &'static str, irp: *mut Irp) -> Result<Rc<Self>, NtStatus> {
        if irp.is_null() {
            record(Rule::Argument, format!("{function} needs an IRP"));
            return Err(NtStatus::INVALID_PARAMETER);
        }
        packets::begin_async(irp, function);
        check_completion_routine(function, irp);
        Ok(Rc::new(Self {
            function,
            irp,
            completed: Cell::new(false),
            when_closed: Cell::new(NtStatus::CANCELLED.into()),
            watched: RefCell::default(),
        }))
    }

    /// Keeps an eye on a buffer until the request completes.
    pub(super) fn watch(&self, buffer: &Buffer) {
        for part in &buffer.parts {
            lists::begin_use(part.mdl, self.function);
        }
        let parts = buffer.parts.iter().map(|part| Part { bytes: part.bytes.clone(), ..*part }).collect();
        *self.watched.borrow_mut() = Some(Watched { function: self.function, parts });
    }

    /// Completes now, at the running thread's IRQL, unless it was completed before.
    pub(super) fn complete(&self, ending: Ending) {
        if self.completed.replace(true) {
            return;
        }
        if let Some(watched) = self.watched.take() {
            watched.check();
        }
        packets::complete_with(self.irp, ending.status, ending.information);
    }

    /// Ends the call: completes in the way that is asked for, and gives what the function returns.
    ///
    /// `ending` is computed when the request completes; `pending` is told of requests that complete later.
    pub(super) fn finish(
        self: &Rc<Self>,
        way: Completion,
        pending: impl FnOnce(&Rc<Self>),
        ending: impl FnOnce() -> Ending + 'static,
    ) -> NtStatus {
        match way.next() {
            Completion::After(delay, irql) => {
                self.mark_pending();
                pending(self);
                let request = Rc::clone(self);
                dispatch_at(schedule::now() + delay, irql, self.function, move || {
                    if !request.completed.get() {
                        request.complete(ending());
                    }
                });
                NtStatus::PENDING
            }
            Completion::Inline | Completion::Mixed => {
                let ending = ending();
                self.complete(ending);
                ending.status
            }
        }
    }

    /// Leaves the request pending: somebody else completes it.
    pub(super) fn hang(self: &Rc<Self>, pending: impl FnOnce(&Rc<Self>)) -> NtStatus {
        self.mark_pending();
        pending(self);
        NtStatus::PENDING
    }

    /// Says that the request's work is done, and only its completion is late.
    pub(super) fn is_done_but_for_completion(&self, ending: Ending) {
        self.when_closed.set(ending);
    }

    /// Completes because the socket is closed.
    pub(super) fn complete_closed(&self) {
        self.complete(self.when_closed.get());
    }

    pub(super) fn is_completed(&self) -> bool {
        self.completed.get()
    }

    /// What the driver gets of IoMarkIrpPending in the stack location that Winsock Kernel took.
    fn mark_pending(&self) {
        packets::mark_pending(self.irp);
    }
}

/// The way a request completes: as set up, or as the fault says; `None`: it hangs.
pub(super) fn way(setup: Completion, fault: Option<Fault>) -> Option<Completion> {
    match fault {
        Some(Fault::Completes(way)) => Some(way),
        Some(Fault::Hangs) => None,
        Some(Fault::Status(_)) | None => Some(setup),
    }
}

fn check_completion_routine(function: &'static str, irp: *mut Irp) {
    const ALL: u8 =
        stack_control::INVOKE_ON_SUCCESS | stack_control::INVOKE_ON_ERROR | stack_control::INVOKE_ON_CANCEL;
    // SAFETY: `begin_async` has found the IRP alive, with a current stack location.
    let location = unsafe { (*irp).current_stack_location };
    // SAFETY: as above.
    let (routine, control) = unsafe { ((*location).completion_routine, (*location).control) };
    if routine.is_none() {
        fatal(Rule::Irp, format!("{function}: an IRP of the driver's own needs a completion routine"));
    } else if control & ALL != ALL {
        record(
            Rule::Irp,
            format!("{function}: the completion routine must run on success, on error and on cancel"),
        );
    }
}

/// The bytes that a WSK_BUF describes, read when the call was made.
pub(super) struct Buffer {
    parts: Vec<Part>,
}

impl Buffer {
    /// Reads a WSK_BUF.
    ///
    /// # Errors
    /// STATUS_INVALID_PARAMETER: it describes more than its MDLs do, or MDLs that are not locked.
    pub(super) fn read(function: &'static str, buffer: *const WskBuf) -> Result<Self, NtStatus> {
        let refuse = |text: String| {
            record(Rule::Argument, format!("{function}: {text}"));
            NtStatus::INVALID_PARAMETER
        };
        if buffer.is_null() {
            return Err(refuse("no WSK_BUF".to_owned()));
        }
        // SAFETY: the driver's structure, which it has filled.
        let WskBuf { mut mdl, offset, length } = unsafe { *buffer };
        if length > LONGEST_DATAGRAM {
            return Err(NtStatus::INVALID_BUFFER_SIZE);
        }
        let mut offset = offset as usize;
        let mut left = length;
        let mut parts = Vec::new();
        while left > 0 {
            if mdl.is_null() {
                return Err(refuse(format!(
                    "the WSK_BUF's length {length} is {left} more than its MDLs describe"
                )));
            }
            // SAFETY: the driver says that this is an MDL; a freed one faults.
            let (next, flags, count) = unsafe { ((*mdl).next, (*mdl).flags, (*mdl).byte_count as usize) };
            if flags & (mdl_flags::PAGES_LOCKED | mdl_flags::SOURCE_IS_NONPAGED_POOL | mdl_flags::PARTIAL)
                == 0
            {
                return Err(refuse("the pages of an MDL are not locked".to_owned()));
            }
            if offset >= count && parts.is_empty() {
                return Err(refuse(format!(
                    "the WSK_BUF's offset {offset} lies outside of its first MDL ({count} bytes)"
                )));
            }
            let taken = left.min(count - offset);
            let address = bytes_of(mdl) + offset;
            if memory::block_at(address).is_none_or(|(start, bytes)| address + taken > start + bytes) {
                return Err(refuse(format!(
                    "an MDL describes {taken} bytes of {}",
                    memory::describe(address)
                )));
            }
            parts.push(Part { mdl, address, bytes: read_bytes(address, taken) });
            left -= taken;
            offset = 0;
            mdl = next;
        }
        Ok(Self { parts })
    }

    /// All bytes in a row.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.parts.iter().flat_map(|part| part.bytes.iter().copied()).collect()
    }
}

impl Watched {
    /// At completion: the MDLs and the bytes are still what they were. A list that was freed was reported then.
    fn check(&self) {
        let function = self.function;
        for part in &self.parts {
            lists::end_use(part.mdl, function);
            if memory::block_at(part.address).is_none() {
                record(Rule::Pool, format!("{function}: the buffer was freed before the request completed"));
            } else if read_bytes(part.address, part.bytes.len()) != part.bytes {
                record(
                    Rule::Argument,
                    format!("{function}: the buffer was changed before the request completed"),
                );
            }
        }
    }
}

/// Where the bytes of a list are: its mapping if it has one.
fn bytes_of(mdl: *mut Mdl) -> usize {
    // SAFETY: `Buffer::read` has read the list's header already.
    let (mapped, start, offset) = unsafe { ((*mdl).mapped_system_va, (*mdl).start_va, (*mdl).byte_offset) };
    if mapped.is_null() { start.addr() + offset as usize } else { mapped.addr() }
}

fn read_bytes(address: usize, count: usize) -> Vec<u8> {
    let first = std::ptr::with_exposed_provenance::<u8>(address);
    // SAFETY: callers found the bytes in a live block, or inside of an MDL's pages; a wrong address faults and is
    // reported as the driver's.
    unsafe { std::slice::from_raw_parts(first, count) }.to_vec()
}
