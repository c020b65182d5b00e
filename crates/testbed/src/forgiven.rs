//! What a driver may not read, and what Windows happens to have there.
//!
//! On a machine that is [forgiving](crate::Config::forgiving), a string whose end the driver has to count is followed by a
//! page of zeros that cannot be read. The first read is recorded, and then the page can be read: the driver goes on as it
//! does on Windows, where a NUL happens to follow.

use std::cell::RefCell;

use crate::machine::machine;
use crate::memory;
use crate::nt::PAGE_SIZE;
use crate::verifier::{Rule, record};

thread_local! {
    /// The pages, with what is before them, until they are read.
    static PAGES: RefCell<Vec<(usize, String)>> = const { RefCell::new(Vec::new()) };
}

/// Memory for bytes that end at such a page. None on a machine that forgives nothing.
pub(crate) fn allocate(bytes: usize, label: &str) -> Option<*mut u8> {
    if !machine().config.forgiving || bytes > PAGE_SIZE {
        return None;
    }
    let pages = memory::reserve(2 * PAGE_SIZE, label);
    memory::protect(pages, PAGE_SIZE, libc::PROT_READ | libc::PROT_WRITE);
    PAGES.with_borrow_mut(|all| all.push((pages + PAGE_SIZE, label.to_owned())));
    Some(std::ptr::with_exposed_provenance_mut(pages + PAGE_SIZE - bytes))
}

/// Called in the signal handler: makes the page of an address readable if it is one of these.
pub(crate) fn grant(address: usize) -> bool {
    let page = address & !(PAGE_SIZE - 1);
    let found = PAGES.with(|all| {
        let mut all = all.try_borrow_mut().ok()?;
        let index = all.iter().position(|(start, _)| *start == page)?;
        Some(all.swap_remove(index).1)
    });
    let Some(label) = found else { return false };
    memory::protect(page, PAGE_SIZE, libc::PROT_READ);
    record(
        Rule::Access,
        format!("reads {} bytes after the end of {label}; Windows promises nothing there", address - page),
    );
    true
}

/// Forgets the pages: their machine is gone.
pub(crate) fn forget() {
    PAGES.with_borrow_mut(Vec::clear);
}
