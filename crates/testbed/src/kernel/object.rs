//! Reference-counted objects and handles.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::kernel::imports::Export;
use crate::kernel::{file, pool, thread, time};
use crate::machine::machine;
use crate::memory;
use crate::nt::{Handle, NtStatus, OBJ_KERNEL_HANDLE, ObjectAttributes, Pvoid};
use crate::schedule::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// Kernel handles have the highest bits set.
const FIRST_HANDLE: Handle = 0xFFFF_FFFF_8000_0004;
const KERNEL_MODE: i8 = 0;

/// The types of objects that drivers name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectType {
    /// `*PsThreadType`.
    Thread,
    /// `*ExEventObjectType`.
    Event,
    /// `*IoFileObjectType`.
    File,
    /// A registry key; drivers use its handle only.
    Key,
    /// A device; drivers reference it by pointer only.
    Device,
}

struct Object {
    kind: ObjectType,
    references: i64,
    /// Runs when the last reference is gone, before the memory goes.
    last: Option<Box<dyn FnOnce()>>,
}

/// The objects and handles of a machine.
#[derive(Default)]
struct Objects {
    objects: RefCell<BTreeMap<usize, Object>>,
    handles: RefCell<BTreeMap<Handle, (usize, String)>>,
    handles_opened: Cell<usize>,
}

fn objects() -> std::rc::Rc<Objects> {
    machine().part::<Objects>()
}

/// Allocates an object with one reference, which is the caller's. `last` runs when the last reference goes.
pub fn create(kind: ObjectType, bytes: usize, last: impl FnOnce() + 'static) -> *mut u8 {
    let address = memory::allocate(bytes, format!("{kind:?} object"));
    adopt(address, kind, last);
    address
}

/// As [`create`], for memory that the caller allocated with `memory::allocate`.
pub(crate) fn adopt(address: *mut u8, kind: ObjectType, last: impl FnOnce() + 'static) {
    let object = Object { kind, references: 1, last: Some(Box::new(last)) };
    objects().objects.borrow_mut().insert(address.addr(), object);
}

/// Whether an address is that of a live object.
pub fn is_live(object: *const u8) -> bool {
    objects().objects.borrow().contains_key(&object.addr())
}

/// The references of an object; zero when it is gone.
pub fn references(object: *const u8) -> i64 {
    objects().objects.borrow().get(&object.addr()).map_or(0, |object| object.references)
}

/// Adds a reference; returns how many there are.
pub fn reference(object: *mut u8) -> i64 {
    change(object, 1)
}

/// Takes a reference away, and the object with the last one; returns how many are left.
pub fn dereference(object: *mut u8) -> i64 {
    let left = change(object, -1);
    if left == 0 {
        let gone = objects().objects.borrow_mut().remove(&object.addr());
        if let Some(last) = gone.and_then(|object| object.last) {
            last();
        }
        pool::release_contents(object.addr(), 1);
        memory::free(object);
    }
    left
}

fn change(object: *mut u8, by: i64) -> i64 {
    let references = objects().objects.borrow_mut().get_mut(&object.addr()).map(|object| {
        object.references += by;
        object.references
    });
    references.unwrap_or_else(|| {
        let place = memory::describe(object.addr());
        verifier::fatal(
            Rule::Object,
            format!("{:#x} is no object that can be referenced: {place}", object.addr()),
        )
    })
}

/// Opens a handle to an object; it takes a reference of its own. `what` names it when it leaks.
pub fn open(object: *mut u8, what: impl Into<String>) -> Handle {
    reference(object);
    let objects = objects();
    let number = objects.handles_opened.get();
    objects.handles_opened.set(number + 1);
    let handle = FIRST_HANDLE + number * 4;
    objects.handles.borrow_mut().insert(handle, (object.addr(), what.into()));
    handle
}

/// The object behind a handle, if it has this type.
///
/// # Errors
/// STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH.
pub fn by_handle(handle: Handle, kind: ObjectType) -> Result<*mut u8, NtStatus> {
    let objects = objects();
    let (address, _) = objects.handles.borrow().get(&handle).cloned().ok_or(NtStatus::INVALID_HANDLE)?;
    let matches = objects.objects.borrow().get(&address).is_some_and(|object| object.kind == kind);
    if matches {
        Ok(std::ptr::with_exposed_provenance_mut(address))
    } else {
        Err(NtStatus::OBJECT_TYPE_MISMATCH)
    }
}

/// Closes a handle.
///
/// # Errors
/// STATUS_INVALID_HANDLE.
pub fn close(handle: Handle) -> Result<(), NtStatus> {
    let found = objects().handles.borrow_mut().remove(&handle);
    let (address, _) = found.ok_or(NtStatus::INVALID_HANDLE)?;
    end_handle(address);
    Ok(())
}

/// What is left to do for a handle that is no longer in the table.
fn end_handle(address: usize) {
    let objects = objects();
    let object: *mut u8 = std::ptr::with_exposed_provenance_mut(address);
    let is_last = objects.handles.borrow().values().all(|(other, _)| *other != address);
    let kind = objects.objects.borrow().get(&address).map(|object| object.kind);
    if is_last && kind == Some(ObjectType::File) {
        file::last_handle_closed(object.cast());
    }
    dereference(object);
}

/// The object attributes that a driver passes to a function that opens something.
///
/// # Safety
/// `attributes` is null or points to object attributes; a wrong pointer faults and is reported.
///
/// # Errors
/// STATUS_INVALID_PARAMETER: there are none, or of another size.
pub(crate) unsafe fn attributes<'a>(
    attributes: *const ObjectAttributes,
    function: &str,
) -> Result<&'a ObjectAttributes, NtStatus> {
    // SAFETY: by contract.
    let attributes = unsafe { attributes.as_ref() }.ok_or(NtStatus::INVALID_PARAMETER)?;
    if attributes.length as usize != size_of::<ObjectAttributes>() {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    if attributes.attributes & OBJ_KERNEL_HANDLE == 0 {
        let text =
            format!("{function} without OBJ_KERNEL_HANDLE: the handle belongs to whichever process runs");
        verifier::record(Rule::Argument, text);
    }
    Ok(attributes)
}

/// Reports every handle that is still open.
pub(crate) fn report_leaks() {
    let open = std::mem::take(&mut *objects().handles.borrow_mut());
    for (address, what) in open.into_values() {
        verifier::record(Rule::Unload, format!("the handle of {what} was never closed"));
        end_handle(address);
    }
    let kept: Vec<String> = (objects().objects.borrow().iter())
        .filter(|(_, object)| object.kind == ObjectType::Thread)
        .map(|(address, object)| object.references - thread::own_references(*address))
        .filter(|references| *references > 0)
        .map(|references| format!("{references} references to a thread were never given back"))
        .collect();
    for text in kept {
        verifier::record(Rule::Unload, text);
    }
    let files: Vec<i64> = (objects().objects.borrow().values())
        .filter(|object| object.kind == ObjectType::File)
        .map(|object| object.references)
        .collect();
    for references in files {
        verifier::record(Rule::Unload, format!("{references} references to a file were never given back"));
    }
}

/// What the exported type variables point to; only the addresses matter.
static TYPES: [usize; 3] = [0; 3];

struct TypeVariable(*const usize);

// SAFETY: the pointers are compared, and point to constants.
unsafe impl Sync for TypeVariable {}

static THREAD_TYPE: TypeVariable = TypeVariable(&raw const TYPES[0]);
static EVENT_TYPE: TypeVariable = TypeVariable(&raw const TYPES[1]);
static FILE_TYPE: TypeVariable = TypeVariable(&raw const TYPES[2]);

fn type_of(object_type: *const usize) -> Option<ObjectType> {
    let types = [
        (&THREAD_TYPE, ObjectType::Thread),
        (&EVENT_TYPE, ObjectType::Event),
        (&FILE_TYPE, ObjectType::File),
    ];
    types.into_iter().find(|(variable, _)| variable.0 == object_type).map(|(_, kind)| kind)
}

import! {
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-obreferenceobjectbyhandle>
    pub fn ObReferenceObjectByHandle(handle: Handle, access: u32, object_type: *const usize, mode: i8, object: *mut Pvoid,
        information: Pvoid) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (access, information);
        // SAFETY: the driver passes its variable.
        unsafe { time::put(object, std::ptr::null_mut()) };
        if mode != KERNEL_MODE && handle >= FIRST_HANDLE {
            return NtStatus::INVALID_HANDLE;
        }
        let objects = objects();
        let Some((address, _)) = objects.handles.borrow().get(&handle).cloned() else { return NtStatus::INVALID_HANDLE };
        let kind = objects.objects.borrow().get(&address).map(|object| object.kind);
        let expected = type_of(object_type);
        if object_type.is_null() && mode != KERNEL_MODE || !object_type.is_null() && expected != kind {
            return NtStatus::OBJECT_TYPE_MISMATCH;
        }
        reference(std::ptr::with_exposed_provenance_mut(address));
        // SAFETY: the driver passes its variable.
        unsafe { time::put(object, std::ptr::with_exposed_provenance_mut(address)) };
        NtStatus::SUCCESS
    }

    /// Returns the new count.
    pub fn ObfReferenceObject(object: *mut u8) -> isize, irql <= DISPATCH_LEVEL; {
        reference(object) as isize
    }

    /// The last reference may go at PASSIVE_LEVEL only.
    pub fn ObfDereferenceObject(object: *mut u8) -> isize, irql <= DISPATCH_LEVEL; {
        if references(object) == 1 && crate::schedule::current().irql.get() > PASSIVE_LEVEL {
            verifier::record(Rule::Irql, "the last reference of an object is given back above PASSIVE_LEVEL");
        }
        dereference(object) as isize
    }

    /// As ObDereferenceObject, from any level.
    pub fn ObDereferenceObjectDeferDelete(object: *mut u8), irql <= DISPATCH_LEVEL; {
        dereference(object);
    }

    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwclose>
    pub fn ZwClose(handle: Handle) -> NtStatus, irql <= PASSIVE_LEVEL; {
        match close(handle) {
            Ok(()) => NtStatus::SUCCESS,
            Err(status) => {
                verifier::record(Rule::Object, format!("{handle:#x} is closed, which is no open handle"));
                status
            }
        }
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    ObReferenceObjectByHandle, ObfReferenceObject, ObfDereferenceObject, ObDereferenceObjectDeferDelete, ZwClose];

/// The variables that hold the types.
pub(crate) const VARIABLES: &[Export] = &[
    Export { module: "ntoskrnl.exe", name: "PsThreadType", address: (&raw const THREAD_TYPE).cast() },
    Export { module: "ntoskrnl.exe", name: "ExEventObjectType", address: (&raw const EVENT_TYPE).cast() },
    Export { module: "ntoskrnl.exe", name: "IoFileObjectType", address: (&raw const FILE_TYPE).cast() },
];
