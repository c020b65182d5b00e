//! COM objects that Windows gives to a driver: ports, port streams, resource lists.
//!
//! An object ([`Served`]) has one or more faces, each an address that holds the address of a table. The driver holds
//! faces; every call names the face, which is looked up, so that a face that is gone is a violation and not a crash of
//! the testbed. When the last reference goes, the object's content is dropped and its faces become inaccessible.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::abi::guid;
use super::interfaces::Unknown;
use super::reference::drivers_may_run;
use crate::import;
use crate::machine::machine;
use crate::memory;
use crate::nt::{Guid, NtStatus, Pvoid};
use crate::schedule::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::verifier::{Rule, record};

/// The first three slots of every table here.
pub(super) const UNKNOWN: Unknown =
    Unknown { query_interface: IUnknown_QueryInterface, add_ref: IUnknown_AddRef, release: IUnknown_Release };

/// One object.
pub(super) struct Served {
    name: &'static str,
    /// References that the driver and PortCls hold.
    count: Cell<u32>,
    faces: RefCell<Vec<(Guid, Pvoid)>>,
    content: RefCell<Option<Rc<dyn Any>>>,
}

/// All faces of live objects.
#[derive(Default)]
struct Faces {
    by_address: RefCell<BTreeMap<usize, Rc<Served>>>,
}

fn find(face: Pvoid, what: &str) -> Option<Rc<Served>> {
    let found = machine().part::<Faces>().by_address.borrow().get(&face.addr()).cloned();
    if found.is_none() {
        record(Rule::Com, format!("{what} was called on {}", memory::describe(face.addr())));
    }
    found
}

/// The content of the object that a driver calls.
pub(super) fn content<T: 'static>(face: Pvoid, what: &str) -> Option<Rc<T>> {
    let content = find(face, what)?.content.borrow().clone()?;
    content.downcast().ok()
}

/// The object that a face belongs to, if any: for interfaces that a driver passes as arguments.
pub(super) fn owner(face: Pvoid) -> Option<Rc<Served>> {
    machine().part::<Faces>().by_address.borrow().get(&face.addr()).cloned()
}

impl Served {
    /// Makes an object with one reference. The first face answers for IUnknown; tables may answer for several
    /// interfaces.
    pub(super) fn create(
        name: &'static str,
        faces: &[(&[Guid], *const Unknown)],
        content: Rc<dyn Any>,
    ) -> Rc<Self> {
        let served = Rc::new(Self {
            name,
            count: Cell::new(1),
            faces: RefCell::default(),
            content: RefCell::new(Some(content)),
        });
        for (index, (iids, table)) in faces.iter().enumerate() {
            let face = memory::allocate(size_of::<usize>(), name).cast::<*const Unknown>();
            // SAFETY: just allocated, for one pointer.
            unsafe { face.write(*table) };
            let mut known = served.faces.borrow_mut();
            if index == 0 {
                known.push((guid::IID_IUNKNOWN, face.cast()));
            }
            known.extend(iids.iter().map(|iid| (*iid, face.cast())));
            drop(known);
            machine().part::<Faces>().by_address.borrow_mut().insert(face.addr(), Rc::clone(&served));
        }
        served
    }

    /// The address of its first face.
    pub(super) fn primary(&self) -> Pvoid {
        self.faces.borrow().first().map_or(std::ptr::null_mut(), |(_, face)| *face)
    }

    pub(super) fn content<T: 'static>(&self) -> Option<Rc<T>> {
        self.content.borrow().clone()?.downcast().ok()
    }

    pub(super) fn count(&self) -> u32 {
        self.count.get()
    }

    fn add_ref(&self) -> u32 {
        self.count.set(self.count.get() + 1);
        self.count.get()
    }

    fn release(&self) -> u32 {
        let count = self.count.get() - 1;
        self.count.set(count);
        if count == 0 {
            self.destroy();
        }
        count
    }

    fn destroy(&self) {
        let part = machine().part::<Faces>();
        let mut addresses: Vec<Pvoid> = self.faces.take().into_iter().map(|(_, face)| face).collect();
        addresses.dedup();
        // First, so that a destructor that calls back finds no object.
        part.by_address
            .borrow_mut()
            .retain(|address, _| !addresses.iter().any(|face| face.addr() == *address));
        let content = self.content.take();
        drop(content);
        for face in addresses {
            memory::free(face.cast());
        }
    }
}

/// A reference that PortCls itself holds on one of its objects.
pub(super) struct Held(Rc<Served>);

impl Held {
    /// Adds a reference.
    pub(super) fn new(served: &Rc<Served>) -> Self {
        served.add_ref();
        Self(Rc::clone(served))
    }

    /// Takes over the reference that [`Served::create`] counted.
    pub(super) fn adopt(served: Rc<Served>) -> Self {
        Self(served)
    }

    pub(super) fn served(&self) -> &Rc<Served> {
        &self.0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if drivers_may_run() {
            self.0.release();
        }
    }
}

import! {
    /// IUnknown::QueryInterface of every object of Windows here.
    pub(super) fn IUnknown_QueryInterface(this: Pvoid, iid: *const Guid, out: *mut Pvoid) -> NtStatus, irql <= PASSIVE_LEVEL; {
        match find(this, "QueryInterface") {
            Some(served) => {
                // SAFETY: the driver's GUID.
                let iid = unsafe { iid.read_unaligned() };
                let face = served.faces.borrow().iter().find(|(known, _)| *known == iid).map(|(_, face)| *face);
                if face.is_some() {
                    served.add_ref();
                }
                // SAFETY: the driver's variable, which the call fills.
                unsafe { out.write(face.unwrap_or(std::ptr::null_mut())) };
                face.map_or(NtStatus::INVALID_PARAMETER, |_| NtStatus::SUCCESS)
            }
            None => NtStatus::INVALID_PARAMETER,
        }
    }

    /// IUnknown::AddRef of every object of Windows here.
    pub(super) fn IUnknown_AddRef(this: Pvoid) -> u32, irql <= DISPATCH_LEVEL; {
        find(this, "AddRef").map_or(0, |served| served.add_ref())
    }

    /// IUnknown::Release of every object of Windows here.
    pub(super) fn IUnknown_Release(this: Pvoid) -> u32, irql <= DISPATCH_LEVEL; {
        find(this, "Release").map_or(0, |served| served.release())
    }
}

/// Records objects that the driver still holds, when nothing may be left.
pub(super) fn check_gone(when: &str) {
    let objects = machine().part::<Faces>().by_address.take();
    let mut seen: Vec<*const Served> = Vec::new();
    for served in objects.into_values() {
        if !seen.contains(&Rc::as_ptr(&served)) {
            seen.push(Rc::as_ptr(&served));
            record(Rule::Com, format!("{} references on {} are left {when}", served.count(), served.name));
        }
    }
}
