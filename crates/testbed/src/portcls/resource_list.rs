//! IResourceList: the hardware resources of a device; a root-enumerated device has none.

use std::ptr;
use std::rc::Rc;

use super::abi::guid;
use super::interfaces::Unknown;
use super::served::{Held, Served, UNKNOWN};
use crate::import;
use crate::nt::{Guid, NtStatus, Pvoid};
use crate::schedule::PASSIVE_LEVEL;

#[repr(C)]
struct ResourceListTable {
    unknown: Unknown,
    number_of_entries: unsafe extern "efiapi" fn(Pvoid) -> u32,
    number_of_entries_of_type: unsafe extern "efiapi" fn(Pvoid, u8) -> u32,
    find_translated: unsafe extern "efiapi" fn(Pvoid, u8, u32) -> Pvoid,
    find_untranslated: unsafe extern "efiapi" fn(Pvoid, u8, u32) -> Pvoid,
    add_entry: unsafe extern "efiapi" fn(Pvoid, Pvoid, Pvoid) -> NtStatus,
    add_entry_from_parent: unsafe extern "efiapi" fn(Pvoid, Pvoid, u8, u32) -> NtStatus,
    translated: unsafe extern "efiapi" fn(Pvoid) -> Pvoid,
    untranslated: unsafe extern "efiapi" fn(Pvoid) -> Pvoid,
}

static TABLE: ResourceListTable = ResourceListTable {
    unknown: UNKNOWN,
    number_of_entries: IResourceList_NumberOfEntries,
    number_of_entries_of_type: IResourceList_NumberOfEntriesOfType,
    find_translated: IResourceList_FindTranslatedEntry,
    find_untranslated: IResourceList_FindUntranslatedEntry,
    add_entry: IResourceList_AddEntry,
    add_entry_from_parent: IResourceList_AddEntryFromParent,
    translated: IResourceList_TranslatedList,
    untranslated: IResourceList_UntranslatedList,
};

/// An empty list, with one reference.
pub(super) fn empty() -> Held {
    let faces: [(&[Guid], *const Unknown); 1] = [(&[guid::IID_IRESOURCE_LIST], (&raw const TABLE).cast())];
    Held::adopt(Served::create("IResourceList", &faces, Rc::new(())))
}

import! {
    /// No entries.
    fn IResourceList_NumberOfEntries(this: Pvoid) -> u32, irql <= PASSIVE_LEVEL; {
        let _ = this;
        0
    }

    /// No entries of any type.
    fn IResourceList_NumberOfEntriesOfType(this: Pvoid, kind: u8) -> u32, irql <= PASSIVE_LEVEL; {
        let _ = (this, kind);
        0
    }

    /// Finds nothing.
    fn IResourceList_FindTranslatedEntry(this: Pvoid, kind: u8, index: u32) -> Pvoid, irql <= PASSIVE_LEVEL; {
        let _ = (this, kind, index);
        ptr::null_mut()
    }

    /// Finds nothing.
    fn IResourceList_FindUntranslatedEntry(this: Pvoid, kind: u8, index: u32) -> Pvoid, irql <= PASSIVE_LEVEL; {
        let _ = (this, kind, index);
        ptr::null_mut()
    }

    /// Has no room.
    fn IResourceList_AddEntry(this: Pvoid, translated: Pvoid, untranslated: Pvoid) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (this, translated, untranslated);
        NtStatus::INSUFFICIENT_RESOURCES
    }

    /// Has no room.
    fn IResourceList_AddEntryFromParent(this: Pvoid, parent: Pvoid, kind: u8, index: u32) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (this, parent, kind, index);
        NtStatus::INSUFFICIENT_RESOURCES
    }

    /// No list.
    fn IResourceList_TranslatedList(this: Pvoid) -> Pvoid, irql <= PASSIVE_LEVEL; {
        let _ = this;
        ptr::null_mut()
    }

    /// No list.
    fn IResourceList_UntranslatedList(this: Pvoid) -> Pvoid, irql <= PASSIVE_LEVEL; {
        let _ = this;
        ptr::null_mut()
    }
}
