//! Event providers: callbacks, what is recorded, and memory that an event points to.

use std::cell::RefCell;
use std::ptr;

use testbed::kernel::driver;
use testbed::kernel::etw::{
    self, EtwEventEnabled, EtwProviderEnabled, EtwRegister, EtwSetInformation, EtwUnregister, EtwWrite,
    EventDataDescriptor, EventDescriptor, Session, Value,
};
use testbed::kernel::pool::{ExAllocatePool2, ExFreePool};
use testbed::kernel::spin_lock::{KeLowerIrql, KeRaiseIrqlToDpcLevel};
use testbed::nt::{Guid, NtStatus, Pvoid};
use testbed::schedule::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use testbed::{Config, Machine, Rule, crossing, schedule};

use crate::{breaks, clean};

const ID: Guid = Guid::from_u128(0x1234_5678);
const OTHER: Guid = Guid::from_u128(0x9999);
const TRAITS: [u8; 7] = *b"\x07\0Test\0";
/// An event `Ev` with a field `a` of 32 bits.
const METADATA: [u8; 9] = *b"\x09\0\0Ev\0a\0\x08";

thread_local! {
    static CALLBACKS: RefCell<Vec<(u32, u8, u64, u8)>> = const { RefCell::new(Vec::new()) };
}

unsafe extern "efiapi" fn on_enable(
    _source: *const Guid,
    code: u32,
    level: u8,
    any: u64,
    _all: u64,
    _filter: Pvoid,
    _context: Pvoid,
) {
    let irql = schedule::current().irql.get();
    CALLBACKS.with_borrow_mut(|callbacks| callbacks.push((code, level, any, irql)));
}

fn register() -> u64 {
    let mut handle = 0;
    // SAFETY: all pointers are to live values.
    let status = unsafe { EtwRegister(&ID, Some(on_enable), ptr::null_mut(), &mut handle) };
    assert_eq!(status, NtStatus::SUCCESS);
    // SAFETY: the bytes live.
    let status = unsafe { EtwSetInformation(handle, 2, TRAITS.as_ptr(), TRAITS.len() as u32) };
    assert_eq!(status, NtStatus::SUCCESS);
    handle
}

fn unregister(handle: u64) -> NtStatus {
    // SAFETY: the function takes any number.
    unsafe { EtwUnregister(handle) }
}

fn part<T: ?Sized>(kind: u8, value: &T) -> EventDataDescriptor {
    let pointer = ptr::from_ref(value).cast::<u8>().expose_provenance() as u64;
    EventDataDescriptor { pointer, size: size_of_val(value) as u32, kind, ..EventDataDescriptor::default() }
}

const EVENT: EventDescriptor =
    EventDescriptor { id: 7, version: 0, channel: 11, level: 3, opcode: 0, task: 0, keyword: 2 };

fn write(handle: u64, parts: &[EventDataDescriptor]) -> NtStatus {
    // SAFETY: the parts are live; whether what they point to is, the tests are about.
    unsafe { EtwWrite(handle, &EVENT, ptr::null(), parts.len() as u32, parts.as_ptr()) }
}

/// Runs driver-like code while this session records; the events.
fn recorded(session: Session, body: impl FnOnce() + 'static) -> Vec<String> {
    let config = Config { events: Some(session), ..Config::default() };
    let outcome = Machine::run(config, || crossing::call_driver("test", body));
    let events = outcome.events.iter().map(ToString::to_string).collect();
    outcome.expect_clean();
    events
}

fn write_one() {
    let handle = register();
    assert_eq!(write(handle, &[part(2, &TRAITS), part(1, &METADATA), part(0, &5_u32)]), NtStatus::SUCCESS);
    assert_eq!(unregister(handle), NtStatus::SUCCESS);
}

#[test]
fn a_session_records_what_its_provider_level_and_keywords_ask_for() {
    let all = Session::everything();
    let line = ["Test warning: Ev a=5"];
    assert_eq!(recorded(all, write_one), line);
    assert_eq!(recorded(Session { provider: Some(ID), level: 3, any_keyword: 2, ..all }, write_one), line);
    assert_eq!(recorded(Session { level: 0, any_keyword: 0, ..all }, write_one), line);
    let nothing = [""; 0];
    assert_eq!(recorded(Session { provider: Some(OTHER), ..all }, write_one), nothing);
    assert_eq!(recorded(Session { level: 2, ..all }, write_one), nothing);
    assert_eq!(recorded(Session { any_keyword: 4, ..all }, write_one), nothing);
    assert_eq!(recorded(Session { all_keywords: 3, ..all }, write_one), nothing);
}

#[test]
fn an_event_without_a_description_keeps_its_number_and_bytes() {
    let config = Config { events: Some(Session::everything()), ..Config::default() };
    let outcome = Machine::run(config, || {
        crossing::call_driver("test", || {
            let mut handle = 0;
            // SAFETY: all pointers are to live values.
            unsafe { EtwRegister(&ID, None, ptr::null_mut(), &mut handle) };
            // Without traits the kind of a part means nothing.
            write(handle, &[part(1, &[1_u8, 2]), part(0, &[3_u8])]);
            unregister(handle);
        });
    });
    assert_eq!(outcome.events[0].name, "event 7");
    assert_eq!(outcome.events[0].field("Data"), Some(&Value::Bytes(vec![1, 2, 3])));
    outcome.expect_clean();
}

#[test]
fn a_callback_runs_when_a_session_is_there_when_one_begins_and_when_it_ends() {
    let config = Config { events: Some(Session { level: 4, ..Session::everything() }), ..Config::default() };
    let outcome = Machine::run(config, || {
        let handle = crossing::call_driver("test", register);
        etw::record(Some(Session { level: 4, ..Session::everything() }));
        etw::record(Some(Session { level: 2, any_keyword: 1, ..Session::everything() }));
        etw::record(Some(Session { provider: Some(OTHER), ..Session::everything() }));
        etw::record(None);
        etw::record(Some(Session::everything()));
        crossing::call_driver("test", || unregister(handle));
        etw::record(None);
    });
    outcome.expect_clean();
    let callbacks = CALLBACKS.take();
    let told = |code, level, any| (code, level, any, PASSIVE_LEVEL);
    assert_eq!(callbacks, [told(1, 4, u64::MAX), told(1, 2, 1), told(0, 0, 0), told(1, u8::MAX, u64::MAX),]);
}

#[test]
fn a_driver_can_ask_whether_anybody_records() {
    let config = Config { events: Some(Session { level: 3, ..Session::everything() }), ..Config::default() };
    let outcome = Machine::run(config, || {
        crossing::call_driver("test", || {
            let handle = register();
            // SAFETY: the pointer is to a constant.
            let events = unsafe { EtwEventEnabled(handle, &EVENT) };
            // SAFETY: the function takes any numbers.
            let levels = [3, 4].map(|level| unsafe { EtwProviderEnabled(handle, level, 2) });
            unregister(handle);
            (events, levels)
        })
    });
    assert_eq!(outcome.expect_clean(), (1, [1, 0]));
}

#[test]
fn more_parts_than_an_event_may_have_are_refused_and_so_is_a_handle_of_nothing() {
    clean(|| {
        let handle = register();
        assert_eq!(write(handle, &[part(0, &[0_u8]); 129]), NtStatus::INVALID_PARAMETER);
        assert_eq!(write(0, &[]), NtStatus::INVALID_HANDLE);
        unregister(handle);
    });
}

#[test]
fn writing_after_the_end_of_the_registration_is_reported() {
    breaks(Rule::Object, || {
        let handle = register();
        unregister(handle);
        assert_eq!(write(handle, &[]), NtStatus::INVALID_HANDLE);
    });
}

#[test]
fn a_provider_that_is_left_behind_is_reported_by_its_name() {
    let text = breaks(Rule::Unload, || {
        register();
        driver::report_leftovers();
    });
    assert!(text.contains("event provider Test"), "{text}");
}

#[test]
fn registering_above_passive_level_is_reported() {
    breaks(Rule::Irql, || {
        // SAFETY: the function takes no arguments.
        let old = unsafe { KeRaiseIrqlToDpcLevel() };
        let mut handle = 0;
        // SAFETY: all pointers are to live values.
        unsafe { EtwRegister(&ID, None, ptr::null_mut(), &mut handle) };
        // SAFETY: the level before.
        unsafe { KeLowerIrql(old) };
        unregister(handle);
    });
}

/// Writes an event whose field is in a block of this pool, at DISPATCH_LEVEL or not; the block may be freed before.
fn write_from(pool: u64, high: bool, freed: bool) {
    let handle = register();
    // SAFETY: the function takes any numbers.
    let block: *mut u32 = unsafe { ExAllocatePool2(pool, 4, u32::from_le_bytes(*b"Test")) }.cast();
    let field =
        EventDataDescriptor { pointer: block.expose_provenance() as u64, size: 4, ..Default::default() };
    if freed {
        // SAFETY: the block is live.
        unsafe { ExFreePool(block.cast()) };
    }
    // SAFETY: the function takes no arguments.
    let old = if high { unsafe { KeRaiseIrqlToDpcLevel() } } else { PASSIVE_LEVEL };
    assert_eq!(schedule::current().irql.get() == DISPATCH_LEVEL, high);
    write(handle, &[part(1, &METADATA), field]);
    if high {
        // SAFETY: the level before.
        unsafe { KeLowerIrql(old) };
    }
    if !freed {
        // SAFETY: the block is live.
        unsafe { ExFreePool(block.cast()) };
    }
    unregister(handle);
}

#[test]
fn what_an_event_points_to_is_read_even_if_nobody_records() {
    const NON_PAGED: u64 = 0x40;
    const PAGED: u64 = 0x100;
    clean(|| write_from(NON_PAGED, true, false));
    clean(|| write_from(PAGED, false, false));
    let paged = breaks(Rule::Access, || write_from(PAGED, true, false));
    assert!(
        paged.contains("which may be paged out at DISPATCH_LEVEL") && paged.contains("EtwWrite"),
        "{paged}"
    );
    let freed = breaks(Rule::Access, || write_from(NON_PAGED, false, true));
    assert!(freed.contains("freed pool block 'Test'") && freed.contains("EtwWrite"), "{freed}");
}
