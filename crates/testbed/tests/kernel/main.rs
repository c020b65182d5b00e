//! The kernel part of the testbed, called as a driver would call it: what its functions do, and that every rule trips
//! when it is broken and only then.

#![expect(unsafe_code, reason = "imported functions are called with raw pointers, as drivers call them")]

mod device_files;
mod events;
mod faults;
mod image;
mod injection;
mod instructions;
mod irps;
mod ivshmem;
mod mdls;
mod notifications;
mod objects;
mod other_compilers;
mod pool;
mod processes;
mod query_registry;
mod registry;
mod rules;
mod strings;
mod threads;
mod timers;
mod wave_cyclic;

use testbed::{Config, Machine, Rule, crossing};

/// Runs driver-like code in a machine; it must break no rule.
#[track_caller]
fn clean<T: 'static>(body: impl FnOnce() -> T + 'static) -> T {
    Machine::run(Config::default(), || crossing::call_driver("test", body)).expect_clean()
}

/// Runs driver-like code in a machine; it must break this rule once and no other.
#[track_caller]
fn breaks(rule: Rule, body: impl FnOnce() + 'static) -> String {
    let outcome = Machine::run(Config::default(), || crossing::call_driver("test", body));
    let list: Vec<String> = outcome.violations.iter().map(ToString::to_string).collect();
    let rules: Vec<Rule> = outcome.violations.iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, [rule], "{}", list.join("\n"));
    list.join("\n")
}

/// A zeroed object in memory of its own, which outlives the machine.
fn object<T>() -> *mut T {
    let layout = std::alloc::Layout::new::<T>();
    // SAFETY: the kernel's structures are not empty.
    unsafe { std::alloc::alloc_zeroed(layout) }.cast()
}
