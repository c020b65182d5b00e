//! Calls that are made to fail, and the trace of a run.

use testbed::kernel::mdl::{IoAllocateMdl, IoFreeMdl};
use testbed::kernel::registry::ZwOpenKey;
use testbed::nt::NtStatus;
use testbed::trace::{self, Kept};
use testbed::{Config, Machine, crossing};

use crate::clean;

fn open_key() -> NtStatus {
    // SAFETY: the function takes no notice of null attributes but to refuse them.
    unsafe { ZwOpenKey(std::ptr::null_mut(), 0, std::ptr::null()) }
}

#[test]
fn the_call_that_was_asked_for_fails_and_no_other() {
    let (statuses, left) = clean(|| {
        crossing::inject("ZwOpenKey", 2, NtStatus::ACCESS_DENIED);
        crossing::inject("ZwOpenKey", 9, NtStatus::UNSUCCESSFUL);
        ([open_key(), open_key(), open_key()], crossing::inject_no_more())
    });
    let normal = NtStatus::INVALID_PARAMETER;
    assert_eq!((statuses, left), ([normal, NtStatus::ACCESS_DENIED, normal], 1));
}

#[test]
fn a_function_that_returns_a_pointer_fails_with_null() {
    let nulls = clean(|| {
        let mut buffer = [0u8; 8];
        crossing::inject("IoAllocateMdl", 1, NtStatus::INSUFFICIENT_RESOURCES);
        [(); 2].map(|()| {
            // SAFETY: the list describes a local, and is freed before that goes.
            let mdl = unsafe { IoAllocateMdl(buffer.as_mut_ptr(), 8, 0, 0, std::ptr::null_mut()) };
            if !mdl.is_null() {
                // SAFETY: just made.
                unsafe { IoFreeMdl(mdl) };
            }
            mdl.is_null()
        })
    });
    assert_eq!(nulls, [true, false]);
}

#[test]
fn a_trace_shows_calls_with_their_statuses_and_no_addresses() {
    let config = Config { trace: Kept::All, ..Config::default() };
    let outcome = Machine::run(config, || {
        let value = Box::new(1u8);
        crossing::call_driver("test", || {
            trace::note(|| format!("a value at {:p}, and 0xC0000001", &raw const *value));
            open_key()
        });
    });
    let lines: Vec<String> = outcome.trace.to_string().lines().map(str::to_owned).collect();
    let seen: Vec<&str> = lines.iter().map(|line| line.trim_start_matches("3600.000000000 ")).collect();
    let expected = [
        "thread 1 is user",
        "thread 1    IRQL 0 > test",
        "thread 1    IRQL 0   -- a value at elsewhere, and 0xC0000001",
        "thread 1    IRQL 0   ZwOpenKey",
        "thread 1    IRQL 0   = ZwOpenKey: STATUS_INVALID_PARAMETER (0xc000000d)",
        "thread 1    IRQL 0 < test: STATUS_INVALID_PARAMETER (0xc000000d)",
    ];
    let squeezed: Vec<String> =
        seen.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = expected.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    assert_eq!(squeezed[..squeezed.len()], expected);
}

#[test]
fn without_a_wish_for_it_there_is_no_trace() {
    let outcome = Machine::run(Config::default(), || crossing::call_driver("test", open_key));
    assert_eq!((outcome.trace.count(), outcome.trace.digest()), (0, 0));
}
