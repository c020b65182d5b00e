//! COM without macros: objects that the driver implements, and pointers to those of Windows.
//!
//! * [`ComObject`] is a reference-counted object in non-paged pool that implements one or more interfaces of a
//!   [`Class`]. It begins with one table pointer per interface; an interface pointer is the address of one of these, so
//!   the distance to the object is the interface's slot times the size of a pointer.
//! * [`ComPtr`] is a reference to an object of Windows.
//! * Each file below holds one interface: a safe trait for its methods and the table of thunks that call it.
#![expect(unsafe_code, reason = "interface pointers are turned into objects and back here, and nowhere else")]

use alloc::boxed::Box;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicU32, Ordering, fence};

use wdk_sys::{NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};

use crate::abi::portcls::{IID_IUnknown, IUnknownVtbl, PUNKNOWN};
use crate::abi::{GUID, same_guid};
use crate::kernel::{Result, Status, try_box};

pub mod adapter_power;
pub mod audio_signal_processing;
pub mod miniport;
pub mod miniport_topology;
pub mod miniport_wavert;
pub mod port;
pub mod property;
pub mod stream_resource;
pub mod wavert_output_stream;
pub mod wavert_stream;

/// A kind of object: which interfaces it has.
///
/// # Safety
/// `TABLES` is an array of pointers to tables, `INTERFACES` names for each identifier the index of a table that begins
/// with that interface, and the thunks in a table use the slot of its index.
pub unsafe trait Class: Sized + Send + Sync + 'static {
    /// `[Table; N]`.
    type Tables: Copy + Send + Sync + 'static;
    /// One table for each interface; the first is the object's identity.
    const TABLES: Self::Tables;
    /// Interface identifiers and the index of their table.
    const INTERFACES: &'static [(GUID, usize)];
}

/// A pointer to a static table.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Table(*const c_void);

// SAFETY: tables are immutable statics.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Table {
    /// A pointer to `table`.
    pub const fn new<V>(table: &'static V) -> Self {
        Self(core::ptr::from_ref(table).cast())
    }
}

/// An object of the driver with its reference count.
///
/// # Invariants
/// Lives in a box of its own from creation until the count reaches zero.
#[repr(C)]
pub struct ComObject<C: Class> {
    tables: C::Tables,
    references: AtomicU32,
    class: C,
}

impl<C: Class> ComObject<C> {
    /// An object with one reference, which the caller owns.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new(class: C) -> Result<ObjectRef<C>> {
        let object = try_box(Self { tables: C::TABLES, references: AtomicU32::new(1), class })?;
        Ok(ObjectRef { object: NonNull::from(Box::leak(object)) })
    }

    /// # Safety
    /// `object` is live.
    unsafe fn add_ref(object: NonNull<Self>) -> u32 {
        // SAFETY: by contract.
        unsafe { object.as_ref() }.references.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// # Safety
    /// `object` is live, and the caller owns the reference that is given up.
    unsafe fn release(object: NonNull<Self>) -> u32 {
        // SAFETY: the object is live while it has a reference.
        let left = unsafe { object.as_ref() }.references.fetch_sub(1, Ordering::Release).wrapping_sub(1);
        if left == 0 {
            fence(Ordering::Acquire);
            // SAFETY: the object came from a box, and nobody has a reference any more.
            drop(unsafe { Box::from_raw(object.as_ptr()) });
        }
        left
    }

    /// A new reference to the interface with this identifier. The pointer comes from that of the whole object, as the
    /// object may be freed through it.
    ///
    /// # Safety
    /// `object` is live.
    unsafe fn query(object: NonNull<Self>, iid: &GUID) -> Option<*mut c_void> {
        let slot = if same_guid(iid, &IID_IUnknown) {
            0
        } else {
            C::INTERFACES.iter().find(|(known, _)| same_guid(iid, known))?.1
        };
        // SAFETY: by contract.
        unsafe { Self::add_ref(object) };
        Some(object.as_ptr().cast::<*const c_void>().wrapping_add(slot).cast())
    }
}

/// An owned reference to an object of the driver.
pub struct ObjectRef<C: Class> {
    object: NonNull<ComObject<C>>,
}

// SAFETY: the count is atomic, and the class may be used in and dropped by any thread.
unsafe impl<C: Class> Send for ObjectRef<C> {}
// SAFETY: as above.
unsafe impl<C: Class> Sync for ObjectRef<C> {}

impl<C: Class> ObjectRef<C> {
    /// The object as `IUnknown`, borrowed.
    pub fn as_unknown(&self) -> PUNKNOWN {
        self.object.as_ptr().cast()
    }

    /// Gives the reference to the caller of the driver, as the interface of slot 0.
    pub fn into_raw(self) -> *mut c_void {
        let raw = self.object.as_ptr().cast();
        core::mem::forget(self);
        raw
    }
}

impl<C: Class> Deref for ObjectRef<C> {
    type Target = C;

    fn deref(&self) -> &C {
        // SAFETY: the object lives as long as this reference.
        unsafe { &self.object.as_ref().class }
    }
}

impl<C: Class> Drop for ObjectRef<C> {
    fn drop(&mut self) {
        // SAFETY: the reference is ours and not used again.
        unsafe { ComObject::release(self.object) };
    }
}

/// The object behind the interface pointer that a thunk of slot `SLOT` was called with.
///
/// # Safety
/// `this` is the interface of slot `SLOT` of a live `ComObject<C>`.
unsafe fn object<C: Class, const SLOT: usize>(this: *mut c_void) -> NonNull<ComObject<C>> {
    // SAFETY: the table pointers are the object's first fields.
    let object = unsafe { this.cast::<*const c_void>().sub(SLOT) }.cast();
    // SAFETY: a live object is not at address zero.
    unsafe { NonNull::new_unchecked(object) }
}

/// The class behind the interface pointer; see [`object`].
///
/// # Safety
/// As for [`object`], for as long as the result is used.
unsafe fn class<'a, C: Class, const SLOT: usize>(this: *mut c_void) -> &'a C {
    // SAFETY: by contract.
    let object = unsafe { object::<C, SLOT>(this) };
    // SAFETY: by contract.
    &unsafe { object.as_ref() }.class
}

/// The thunks of `IUnknown` for slot `SLOT` of a class.
pub struct Unknown<C, const SLOT: usize>(PhantomData<C>);

impl<C: Class, const SLOT: usize> Unknown<C, SLOT> {
    /// The first three slots of a table.
    pub const TABLE: IUnknownVtbl =
        IUnknownVtbl { QueryInterface: Self::query_interface, AddRef: Self::add_ref, Release: Self::release };

    unsafe extern "system" fn query_interface(
        this: *mut c_void,
        iid: *const GUID,
        out: *mut *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: the caller passes null or a place for a pointer.
        let Some(out) = (unsafe { out.as_mut() }) else { return STATUS_INVALID_PARAMETER };
        *out = null_mut();
        // SAFETY: the caller passes null or an identifier.
        let Some(iid) = (unsafe { iid.as_ref() }) else { return STATUS_INVALID_PARAMETER };
        // SAFETY: thunks are called with their own interface.
        let object = unsafe { object::<C, SLOT>(this) };
        // SAFETY: the caller has a reference to it.
        match unsafe { ComObject::query(object, iid) } {
            Some(interface) => {
                *out = interface;
                STATUS_SUCCESS
            }
            None => STATUS_INVALID_PARAMETER,
        }
    }

    unsafe extern "system" fn add_ref(this: *mut c_void) -> u32 {
        // SAFETY: thunks are called with their own interface.
        let object = unsafe { object::<C, SLOT>(this) };
        // SAFETY: the caller has a reference to it.
        unsafe { ComObject::add_ref(object) }
    }

    unsafe extern "system" fn release(this: *mut c_void) -> u32 {
        // SAFETY: thunks are called with their own interface.
        let object = unsafe { object::<C, SLOT>(this) };
        // SAFETY: the caller gives up a reference it owns.
        unsafe { ComObject::release(object) }
    }
}

/// The table that the first field of an object points to.
///
/// # Safety
/// `object` is live, as long as the result is used, and its first field points to a `T`.
unsafe fn table<'a, T>(object: *mut c_void) -> &'a T {
    // SAFETY: by contract.
    let table = unsafe { *object.cast::<*const T>() };
    // SAFETY: by contract.
    unsafe { &*table }
}

/// An interface that Windows implements.
///
/// # Safety
/// The type's first field points to a `Table`, which begins with that of `IUnknown`, and `IID` is its identifier.
pub unsafe trait Interface {
    /// The table of its methods.
    type Table: 'static;
    /// Its identifier.
    const IID: GUID;
}

/// An owned reference to an object of Windows.
pub struct ComPtr<I: Interface> {
    raw: NonNull<I>,
}

// SAFETY: COM objects of the kernel may be called from any thread, and their counts are atomic.
unsafe impl<I: Interface> Send for ComPtr<I> {}
// SAFETY: as above.
unsafe impl<I: Interface> Sync for ComPtr<I> {}

impl<I: Interface> ComPtr<I> {
    /// Takes over a reference; `None` for a null pointer.
    ///
    /// # Safety
    /// `raw` is null or a live interface whose reference the caller gives up.
    pub unsafe fn from_raw(raw: *mut I) -> Option<Self> {
        Some(Self { raw: NonNull::new(raw)? })
    }

    /// The methods.
    pub fn table(&self) -> &I::Table {
        // SAFETY: the object is live, and its first field points to this table.
        unsafe { table(self.raw.as_ptr().cast()) }
    }

    /// The interface pointer, borrowed.
    pub fn as_ptr(&self) -> *mut I {
        self.raw.as_ptr()
    }

    /// The interface pointer as `IUnknown`, borrowed: every interface begins with it.
    pub fn as_unknown(&self) -> PUNKNOWN {
        self.raw.as_ptr().cast()
    }

    /// Asks the object for another interface. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// What the object says when it does not have it.
    pub fn query<J: Interface>(&self) -> Result<ComPtr<J>> {
        let mut out = null_mut();
        // SAFETY: the object is live, and every table begins with that of `IUnknown`.
        let table: &IUnknownVtbl = unsafe { table(self.raw.as_ptr().cast()) };
        // SAFETY: the object is live and the pointers are to locals.
        let status = unsafe { (table.QueryInterface)(self.raw.as_ptr().cast(), &J::IID, &raw mut out) };
        crate::kernel::status::check(status)?;
        // SAFETY: on success the object gave us a reference to a `J`.
        unsafe { ComPtr::from_raw(out.cast()) }.ok_or(Status::UNSUCCESSFUL)
    }
}

impl<I: Interface> Drop for ComPtr<I> {
    fn drop(&mut self) {
        // SAFETY: the object is live, and every table begins with that of `IUnknown`.
        let table: &IUnknownVtbl = unsafe { table(self.raw.as_ptr().cast()) };
        // SAFETY: the reference is ours and not used again.
        unsafe { (table.Release)(self.raw.as_ptr().cast()) };
    }
}
