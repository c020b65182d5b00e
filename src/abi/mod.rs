//! Raw declarations of the Windows interfaces that nobody publishes for Rust.
//!
//! # What is here
//!
//! - [`portcls`]: `portcls.h` — the interfaces, descriptors and functions of the port class driver.
//! - [`ks`]: `ks.h`, `ksmedia.h` and `mmreg.h` — kernel streaming structures, constants and GUIDs.
//! - [`wsk`]: `wsk.h` — the dispatch tables of Winsock Kernel, and the socket structures they use.
//!
//! The base kernel interface (`NTSTATUS`, `PIRP`, `ExAllocateTimer`, ...) is not here: it is `wdk_sys`'s.
//!
//! # Rules
//!
//! - Names are the C names, so that Microsoft's documentation can be searched for them.
//! - An item that `windows-sys` has in a usable shape is re-exported from there, everything else is declared here;
//!   the driver imports these items from `crate::abi` only.
//!   "Usable" excludes anonymous unions: every read of one is `unsafe`, which validation code should not need.
//! - The table of interface `IFoo` is `IFooVtbl`. A derived table embeds its parent as its first field, `base`.
//!   An interface pointer points to a structure whose only field is `lpVtbl`.
//! - Functions are `extern "system"`: `NTAPI` and `STDMETHODCALLTYPE` are `stdcall` on x86 and the C convention elsewhere.
//! - The layouts are facts of the headers; the text is not. Nothing is copied from the headers.
//!
//! # Proof
//!
//! When genuine WDK headers are there, the build compares every item of this module with them: see `proof.rs`, where
//! every new item has to be listed. Without them it still checks that it is.
#![expect(
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    reason = "the names are those of the C headers"
)]

pub mod ks;
pub mod portcls;
pub mod wsk;

// After the others, so that the headers' declarations of functions repeat ours and not the other way round.
#[cfg(wdk_headers)]
mod proof;

/// A globally unique identifier. Above `wdk_sys`, which has a type of its own, this is the only one.
pub use windows_sys::core::GUID;

/// Whether two identifiers are the same; `windows-sys` does not implement `PartialEq` for them.
#[must_use]
pub const fn same_guid(a: &GUID, b: &GUID) -> bool {
    a.data1 == b.data1
        && a.data2 == b.data2
        && a.data3 == b.data3
        && u64::from_ne_bytes(a.data4) == u64::from_ne_bytes(b.data4)
}
