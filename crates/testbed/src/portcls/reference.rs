//! References that Windows holds on objects of a driver, and the rules of COM that the driver must keep.
//!
//! A [`Reference`] is one reference on one interface. It calls methods, asks for other interfaces, and releases itself
//! when it is dropped. All references on one object share a [`Tracked`], found by the object's identity (the pointer
//! that its `QueryInterface` gives for IUnknown), so that counts can be compared:
//!
//! * AddRef and Release return at least the number of references that Windows holds;
//! * all interfaces of an object give the same pointer for IUnknown;
//! * an interface that was asked for is not null, one that was refused is;
//! * every object that Windows was given is gone when its device is ([`check_gone`]).
//!
//! A call after the object's memory was freed is an access violation of the driver's, found by its own page.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;

use super::abi::guid;
use super::interfaces::{Table, Unknown};
use super::served;
use crate::crossing::call_driver;
use crate::machine::{machine, try_machine};
use crate::memory;
use crate::nt::{Guid, NtStatus, Pvoid};
use crate::schedule;
use crate::verifier::{Rule, fatal, record};

/// An interface that no driver has: `QueryInterface` must refuse it.
const UNHEARD_OF: Guid = Guid::from_u128(0x5ca1ab1e_0000_4000_8000_7e57bed00001);

/// An object of the driver.
struct Tracked {
    identity: usize,
    name: String,
    /// References that Windows holds.
    held: Cell<u32>,
}

/// Every object that Windows was given and that has not been seen to go.
#[derive(Default)]
struct Objects {
    tracked: RefCell<Vec<Rc<Tracked>>>,
}

/// One reference on an interface of a driver's object.
pub struct Reference<T: Table> {
    raw: Pvoid,
    tracked: Rc<Tracked>,
    interface: PhantomData<T>,
}

impl<T: Table> Reference<T> {
    /// Takes over a reference that the driver has counted for Windows, as an output of a successful call.
    ///
    /// # Errors
    /// STATUS_UNSUCCESSFUL, after a violation was recorded: there is no object there.
    pub(super) fn adopt(raw: Pvoid, name: &str) -> Result<Self, NtStatus> {
        if raw.is_null() || memory::block_at(raw.addr()).is_none() {
            record(Rule::Com, format!("{name}: {} is {}", T::NAME, memory::describe(raw.addr())));
            return Err(NtStatus::UNSUCCESSFUL);
        }
        let identity = identify(raw, name)?;
        let objects = machine().part::<Objects>();
        let found = objects.tracked.borrow().iter().find(|tracked| tracked.identity == identity).cloned();
        let tracked = found.unwrap_or_else(|| {
            let tracked = Rc::new(Tracked { identity, name: name.to_owned(), held: Cell::new(0) });
            objects.tracked.borrow_mut().push(Rc::clone(&tracked));
            tracked
        });
        let new = tracked.held.get() == 0;
        tracked.held.set(tracked.held.get() + 1);
        let reference = Self { raw, tracked, interface: PhantomData };
        // Objects of PortCls come back through drivers, and have no manners to show.
        if new && served::owner(raw).is_none() {
            reference.check_manners();
        }
        Ok(reference)
    }

    /// Takes a reference of its own on an object that the driver passed as an argument.
    ///
    /// # Errors
    /// What `QueryInterface` returned.
    pub(super) fn take(raw: Pvoid, name: &str) -> Result<Self, NtStatus> {
        if raw.is_null() || memory::block_at(raw.addr()).is_none() {
            record(Rule::Com, format!("{name}: the object passed is {}", memory::describe(raw.addr())));
            return Err(NtStatus::INVALID_PARAMETER);
        }
        let out = query_interface(raw, &T::IID, T::NAME)?;
        Self::adopt(out, name)
    }

    /// The pointer, as the driver knows it.
    pub fn raw(&self) -> Pvoid {
        self.raw
    }

    /// Asks for another interface of the object.
    ///
    /// # Errors
    /// What `QueryInterface` returned.
    pub(super) fn query<U: Table>(&self) -> Result<Reference<U>, NtStatus> {
        let out = query_interface(self.raw, &U::IID, U::NAME)?;
        let other = Reference::adopt(out, &self.tracked.name)?;
        if !Rc::ptr_eq(&other.tracked, &self.tracked) {
            record(Rule::Com, format!("{}: {} belongs to another object", self.tracked.name, U::NAME));
        }
        Ok(other)
    }

    /// Calls a method; `name` is the one that violations show.
    pub(super) fn call<R: 'static>(&self, name: &'static str, method: impl FnOnce(Pvoid, &T) -> R) -> R {
        let table = self.table();
        call_driver(name, || method(self.raw, table))
    }

    /// What there is to say when the driver has freed an object on which Windows has references.
    fn is_gone(&self) -> Option<String> {
        let Tracked { name, held, .. } = &*self.tracked;
        let gone = memory::block_at(self.raw.addr()).is_none();
        gone.then(|| format!("{name} was freed while Windows holds {} references on it", held.get()))
    }

    fn table(&self) -> &T {
        if let Some(text) = self.is_gone() {
            fatal(Rule::Com, text);
        }
        // SAFETY: an object begins with the address of the table of the interface it was asked for; it is alive,
        // because this reference is counted. A driver that breaks either faults at its own address.
        unsafe { &**self.raw.cast::<*const T>() }
    }

    /// What a first meeting can show: identity, refusals, counts.
    fn check_manners(&self) {
        let name = &self.tracked.name;
        let table = self.raw.cast::<usize>();
        // SAFETY: as in `table`.
        let table = unsafe { *table };
        if memory::block_at(table).is_none_or(|(start, bytes)| table + size_of::<T>() > start + bytes) {
            record(Rule::Com, format!("{name}: the table of {} is {}", T::NAME, memory::describe(table)));
        }
        if query_interface(self.raw, &UNHEARD_OF, "an interface that does not exist").is_ok() {
            record(Rule::Com, format!("{name}: QueryInterface gives an interface that does not exist"));
        }
        let unknown = self.raw.cast::<*const Unknown>();
        // SAFETY: as in `table`; every table begins with IUnknown's.
        let (add_ref, release) = unsafe { ((**unknown).add_ref, (**unknown).release) };
        // SAFETY: the object is alive.
        let up = call_driver("IUnknown::AddRef", || unsafe { add_ref(self.raw) });
        self.tracked.held.set(self.tracked.held.get() + 1);
        self.check_count("AddRef", up, self.tracked.held.get());
        self.tracked.held.set(self.tracked.held.get() - 1);
        // SAFETY: undoes the call above.
        let down = call_driver("IUnknown::Release", || unsafe { release(self.raw) });
        self.check_count("Release", down, self.tracked.held.get());
        if down + 1 != up {
            record(Rule::Com, format!("{name}: AddRef returned {up} and the Release after it {down}"));
        }
    }

    fn check_count(&self, method: &str, returned: u32, held: u32) {
        if returned < held {
            let name = &self.tracked.name;
            record(
                Rule::Com,
                format!("{name}: {method} returned {returned}, but Windows holds {held} references"),
            );
        }
    }
}

impl<T: Table> Drop for Reference<T> {
    fn drop(&mut self) {
        // A machine that stops, or a failed assertion, takes its objects with it: no driver code runs any more.
        if !drivers_may_run() {
            return;
        }
        if let Some(text) = self.is_gone() {
            self.tracked.held.set(0);
            return record(Rule::Com, text);
        }
        self.tracked.held.set(self.tracked.held.get() - 1);
        let unknown = self.raw.cast::<*const Unknown>();
        // SAFETY: the object is alive until this call; every table begins with IUnknown's.
        let release = unsafe { (**unknown).release };
        // SAFETY: this reference is counted, and given back once.
        let returned = call_driver("IUnknown::Release", || unsafe { release(self.raw) });
        self.check_count("Release", returned, self.tracked.held.get());
    }
}

/// Whether driver code may be called: not when the machine has stopped, nor while a failed assertion unwinds.
pub(crate) fn drivers_may_run() -> bool {
    try_machine().is_some() && schedule::try_current().is_some() && !std::thread::panicking()
}

/// Asks an object for an interface; a counted pointer.
fn query_interface(raw: Pvoid, iid: &Guid, name: &str) -> Result<Pvoid, NtStatus> {
    let unknown = raw.cast::<*const Unknown>();
    // SAFETY: the caller has an object of the driver; every table begins with IUnknown's.
    let query = unsafe { (**unknown).query_interface };
    // Not null, so that a driver that forgets to clear it shows.
    let mut out = ptr::without_provenance_mut(0xBAD0_BAD0);
    // SAFETY: the arguments live as long as the call.
    let status = call_driver("IUnknown::QueryInterface", || unsafe { query(raw, iid, &raw mut out) });
    match status.ok() {
        Ok(()) if out.is_null() => {
            record(Rule::Com, format!("QueryInterface({name}) succeeded without an interface"));
            Err(NtStatus::UNSUCCESSFUL)
        }
        Ok(()) => Ok(out),
        Err(status) => {
            if !out.is_null() {
                record(
                    Rule::Com,
                    format!("QueryInterface({name}) failed with {status} and did not clear its output"),
                );
            }
            Err(status)
        }
    }
}

/// The identity of an object: what it gives for IUnknown.
fn identify(raw: Pvoid, name: &str) -> Result<usize, NtStatus> {
    let out = query_interface(raw, &guid::IID_IUNKNOWN, "IUnknown").inspect_err(|status| {
        record(Rule::Com, format!("{name}: QueryInterface refuses IUnknown with {status}"));
    })?;
    let unknown = out.cast::<*const Unknown>();
    // SAFETY: `QueryInterface` has just given this interface.
    let release = unsafe { (**unknown).release };
    // SAFETY: gives back what `QueryInterface` counted; the caller's own reference keeps the object alive.
    let returned = call_driver("IUnknown::Release", || unsafe { release(out) });
    if returned == 0 {
        record(Rule::Com, format!("{name}: Release returned 0 while a reference is held"));
    }
    Ok(out.addr())
}

/// Records every object that Windows was given and that is still there, when nothing may be left.
pub(super) fn check_gone(when: &str) {
    let objects = machine().part::<Objects>().tracked.take();
    for object in objects {
        let alive = memory::block_at(object.identity).is_some();
        match (object.held.get(), alive) {
            (0, true) => record(Rule::Com, format!("{} is still alive {when}", object.name)),
            (0, false) => {}
            (held, _) => {
                record(Rule::Com, format!("{}: Windows still holds {held} references {when}", object.name))
            }
        }
    }
}
