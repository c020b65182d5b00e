//! Memory descriptor lists and their pages.

use std::ptr::null_mut;

use testbed::Rule;
use testbed::kernel::mdl::{
    self, IoAllocateMdl, IoFreeMdl, MmBuildMdlForNonPagedPool, MmMapLockedPagesSpecifyCache,
};
use testbed::kernel::{driver, pool};
use testbed::nt::{Mdl, mdl_flags};

use crate::{breaks, clean};

const TAG: u32 = 1;

fn list_of(buffer: *mut u8, bytes: u32) -> *mut Mdl {
    // SAFETY: a live buffer.
    unsafe { IoAllocateMdl(buffer, bytes, 0, 0, null_mut()) }
}

fn free(mdl: *mut Mdl) {
    // SAFETY: whether it is a list is what the tests are about.
    unsafe { IoFreeMdl(mdl) };
}

#[test]
fn a_list_of_a_non_paged_buffer_knows_its_address() {
    clean(|| {
        let buffer = pool::allocate(100, TAG, false);
        let list = list_of(buffer, 100);
        // SAFETY: a live list.
        unsafe {
            MmBuildMdlForNonPagedPool(list);
            assert_eq!((*list).mapped_system_va, buffer.cast());
            assert_eq!(((*list).byte_count, (*list).byte_offset as usize), (100, buffer.addr() % 4096));
            assert_ne!((*list).flags & mdl_flags::SOURCE_IS_NONPAGED_POOL, 0);
        }
        free(list);
        pool::free(buffer, TAG);
        driver::report_leftovers();
    });
}

#[test]
fn pages_are_the_same_memory_at_two_addresses() {
    clean(|| {
        let list = mdl::allocate_pages(10_000);
        let (kernel, user) = (mdl::map(list, false), mdl::map(list, true));
        assert_ne!(kernel, user);
        // SAFETY: both views have 10 000 bytes.
        unsafe {
            kernel.add(9_999).write_volatile(0x42);
            assert_eq!(user.add(9_999).read_volatile(), 0x42);
            assert_ne!(kernel.read_volatile(), 0, "pages are not zeroed");
        }
        assert_ne!(mdl::physical_address(list, 0), mdl::physical_address(list, 2));
        mdl::unmap(list, user);
        mdl::unmap(list, kernel);
        mdl::free_pages(list);
        driver::report_leftovers();
    });
}

#[test]
fn a_view_that_was_unmapped_faults() {
    breaks(Rule::Access, || {
        let list = mdl::allocate_pages(4096);
        let view = mdl::map(list, false);
        mdl::unmap(list, view);
        // SAFETY: it is not; the fault is what this test is about.
        unsafe { view.write_volatile(1) };
    });
}

#[test]
fn a_write_beyond_the_pages_faults() {
    breaks(Rule::Access, || {
        let view = mdl::map(mdl::allocate_pages(4096), false);
        // SAFETY: it is not; the fault is what this test is about.
        unsafe { view.add(4096).write_volatile(1) };
    });
}

#[test]
fn freeing_a_list_twice_is_reported() {
    breaks(Rule::Mdl, || {
        let list = list_of(pool::allocate(8, TAG, false), 8);
        free(list);
        free(list);
    });
}

#[test]
fn freeing_pages_that_are_mapped_is_reported() {
    breaks(Rule::Mdl, || {
        let list = mdl::allocate_pages(4096);
        mdl::map(list, false);
        mdl::release_pages(list);
    });
}

#[test]
fn unmapping_twice_is_reported() {
    breaks(Rule::Mdl, || {
        let list = mdl::allocate_pages(4096);
        let view = mdl::map(list, false);
        mdl::unmap(list, view);
        mdl::unmap(list, view);
    });
}

#[test]
fn mapping_what_is_not_locked_is_reported() {
    breaks(Rule::Mdl, || {
        let list = list_of(pool::allocate(8, TAG, false), 8);
        // SAFETY: a live list, of which nothing is locked.
        unsafe { MmMapLockedPagesSpecifyCache(list, 0, 1, null_mut(), 0, 16) };
    });
}

#[test]
fn freeing_a_list_that_is_in_use_is_reported() {
    breaks(Rule::Mdl, || {
        let list = list_of(pool::allocate(8, TAG, false), 8);
        mdl::begin_use(list, "WskSendTo");
        free(list);
        mdl::end_use(list, "WskSendTo");
    });
    clean(|| {
        let list = list_of(pool::allocate(8, TAG, false), 8);
        mdl::begin_use(list, "WskSendTo");
        mdl::end_use(list, "WskSendTo");
        free(list);
    });
}

#[test]
fn a_list_that_is_never_freed_is_reported_at_unload() {
    breaks(Rule::Mdl, || {
        list_of(null_mut(), 8);
        driver::report_leftovers();
    });
}

#[test]
fn a_list_of_a_paged_buffer_needs_locking() {
    breaks(Rule::Mdl, || {
        let list = list_of(pool::allocate(8, TAG, true), 8);
        // SAFETY: a live list, of the wrong kind of memory.
        unsafe { MmBuildMdlForNonPagedPool(list) };
    });
}
