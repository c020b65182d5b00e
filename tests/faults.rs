//! Everything that can fail, fails once: every allocation, and every call with every status that it can return.
//!
//! A [`Scenario`] is a whole life from load to unload. It is lived once to see what it allocates and calls, then again for
//! each of these with that one failing. Then the one operation fails, with the right status; no rule is broken, nothing
//! leaks; and the same life once more, in the same machine, is as it was the first time.
#![cfg(target_os = "linux")]

mod common;

use common::{SERVICE, audio_of, driver_file, noise, prompt_network, sent, set_option, source};
use testbed::client::{Buffer, Format};
use testbed::crossing;
use testbed::device::PowerState;
use testbed::image::{Image, LoadError};
use testbed::kernel::driver::service_key;
use testbed::kernel::pool;
use testbed::kernel::registry::{self, Value};
use testbed::network::Datagram;
use testbed::nt::NtStatus;
use testbed::wsk::{self, Call, Completion, Fault};
use testbed::{Config, Device, Driver, Machine};

const FRAMES: usize = 3000;

/// The operation that failed, and how.
type Failed = (&'static str, NtStatus);

/// What is done with a started device. Returns the audio that was heard.
type Scenario = fn(&Device, &mut Journal) -> Result<Vec<u8>, Failed>;

/// Which operation was under way after how many allocations.
#[derive(Default)]
struct Journal(Vec<(&'static str, u64)>);

impl Journal {
    fn run<T>(
        &mut self,
        name: &'static str,
        action: impl FnOnce() -> Result<T, NtStatus>,
    ) -> Result<T, Failed> {
        self.0.push((name, pool::allocations()));
        action().map_err(|status| (name, status))
    }

    /// The operation that makes the allocation of this number.
    fn operation_of(&self, allocation: u64) -> &'static str {
        let begun = self.0.iter().rev().find(|(_, before)| *before <= allocation);
        begun.expect("the first operation begins with no allocation").0
    }
}

fn format() -> Format {
    Format::pcm(48_000, 16, 2)
}

fn audio() -> Vec<u8> {
    noise(5, FRAMES * 4)
}

fn play(device: &Device, journal: &mut Journal, buffer: Buffer) -> Result<Vec<u8>, Failed> {
    let mut stream = journal.run("open", || device.open_pin(0, &format()))?;
    journal.run("allocate", || stream.allocate(buffer))?;
    journal.run("play", || stream.play(source(audio())))?;
    journal.run("close", || {
        stream.close();
        Ok(())
    })?;
    Ok(audio_of(&sent()))
}

fn notified(device: &Device, journal: &mut Journal) -> Result<Vec<u8>, Failed> {
    play(device, journal, Buffer::Notified { bytes: 3840, count: 2 })
}

fn polled_after_a_restart(device: &Device, journal: &mut Journal) -> Result<Vec<u8>, Failed> {
    journal.run("stop", || device.query_stop().and_then(|()| device.stop()))?;
    journal.run("start", || device.start())?;
    play(device, journal, Buffer::Polled { bytes: 7680 })
}

fn asleep_then_removed_by_surprise(device: &Device, journal: &mut Journal) -> Result<Vec<u8>, Failed> {
    journal.run("sleep", || device.set_power(PowerState::D3))?;
    journal.run("wake", || device.set_power(PowerState::D0))?;
    let heard = notified(device, journal)?;
    journal.run("removal", || device.surprise_remove())?;
    Ok(heard)
}

/// Returns what the target heard that heard less, if the other one heard all.
fn to_two_targets_through_an_interface(device: &Device, journal: &mut Journal) -> Result<Vec<u8>, Failed> {
    let targets = ["192.0.2.1".to_owned(), "[ff15::efff:4d4d]:5000".to_owned()];
    set_option("Targets", Value::MultiSz(targets.to_vec()));
    set_option("Interface", Value::Dword(2));
    set_option("UnicastSrcPort", Value::Dword(5000));
    set_option("TTL", Value::Dword(9));
    let mut stream = journal.run("open", || device.open_pin(0, &format()))?;
    journal.run("allocate", || stream.allocate(Buffer::Notified { bytes: 3840, count: 2 }))?;
    journal.run("play", || stream.play(source(audio())))?;
    journal.run("close", || {
        stream.close();
        Ok(())
    })?;
    let datagrams = sent();
    let heard = |address: &str| {
        let to = |datagram: &&Datagram| datagram.destination.ip().to_string() == address;
        audio_of(&datagrams.iter().filter(to).cloned().collect::<Vec<_>>())
    };
    let (one, other) = (heard("192.0.2.1"), heard("ff15::efff:4d4d"));
    Ok(match (one == audio(), other == audio()) {
        (true, _) => other,
        (_, true) => one,
        // While the list of targets cannot be read, there is the default.
        _ if !heard("239.255.77.77").is_empty() => heard("239.255.77.77"),
        _ => b"no target heard all".to_vec(),
    })
}

const SCENARIOS: [(&str, Scenario); 4] = [
    ("notified", notified),
    ("polled after a restart", polled_after_a_restart),
    ("asleep, then removed by surprise", asleep_then_removed_by_surprise),
    ("to two targets through an interface", to_two_targets_through_an_interface),
];

/// One life. Whatever fails, what was made before is taken away.
fn live(image: &Image, scenario: Scenario, journal: &mut Journal) -> Result<Vec<u8>, Failed> {
    let driver = journal.run("load", || match Driver::load(image, SERVICE) {
        Ok(driver) => Ok(driver),
        Err(LoadError::DriverEntry(status)) => Err(status),
        Err(other) => panic!("{other}"),
    })?;
    let heard = live_with(&driver, scenario, journal);
    driver.unload();
    sent();
    heard
}

fn live_with(driver: &Driver, scenario: Scenario, journal: &mut Journal) -> Result<Vec<u8>, Failed> {
    let device = journal.run("add", || Device::add(driver))?;
    let heard = journal.run("start", || device.start()).and_then(|()| scenario(&device, journal));
    let removed = journal.run("remove", || device.remove());
    heard.and_then(|heard| removed.map(|()| heard))
}

/// Lives a life in which `fault` was set up, and another after it. What came of the first, and what `look` sees after it.
#[track_caller]
fn live_twice<T: 'static>(
    config: Config,
    scenario: Scenario,
    what: &str,
    fault: impl FnOnce() + 'static,
    look: impl FnOnce() -> T + 'static,
) -> (Result<Vec<u8>, Failed>, T) {
    let image = driver_file();
    let outcome = Machine::run(config, move || {
        registry::set(&format!(r"{}\Options", service_key(SERVICE)), "UnicastPort", Value::Dword(4011));
        fault();
        let first = live(&image, scenario, &mut Journal::default());
        let seen = look();
        let second = live(&image, scenario, &mut Journal::default());
        (first, seen, second)
    });
    let violations: Vec<String> = outcome.violations.iter().map(ToString::to_string).collect();
    assert_eq!(violations, [""; 0], "{what}");
    let (first, seen, second) = outcome.value.unwrap_or_else(|| panic!("{what}: the machine stopped"));
    assert!(second == Ok(audio()), "{what}: the next try is {:?}", second.map(|heard| heard.len()));
    (first, seen)
}

/// The journal of a life in which nothing fails, its allocations, and its calls of functions.
fn clean_life(scenario: Scenario) -> (Journal, u64, Vec<(&'static str, u64)>) {
    let image = driver_file();
    let outcome = Machine::run(Config { measure: true, ..prompt_network() }, move || {
        registry::set(&format!(r"{}\Options", service_key(SERVICE)), "UnicastPort", Value::Dword(4011));
        let mut journal = Journal::default();
        let heard = live(&image, scenario, &mut journal);
        assert_eq!(heard, Ok(audio()));
        (journal, pool::allocations())
    });
    let calls = outcome.driver.crossings.clone();
    let (journal, allocations) = outcome.expect_clean();
    (journal, allocations, calls)
}

#[test]
fn every_allocation_may_fail_once() {
    for (name, scenario) in SCENARIOS {
        let (journal, allocations, _) = clean_life(scenario);
        assert!(allocations > 200, "only {allocations} allocations");
        for allocation in 0..allocations {
            let what = format!("{name}: allocation {allocation} of {allocations}");
            let (first, unused) = live_twice(
                prompt_network(),
                scenario,
                &what,
                move || pool::fail_after(allocation),
                pool::fail_no_more,
            );
            assert!(!unused, "{what} was never made");
            let expected = (journal.operation_of(allocation), NtStatus::INSUFFICIENT_RESOURCES);
            assert_eq!(first.err(), Some(expected), "{what}");
        }
    }
}

/// Statuses that any function may return.
const STATUSES: [NtStatus; 4] = [
    NtStatus::INSUFFICIENT_RESOURCES,
    NtStatus::UNSUCCESSFUL,
    NtStatus::INVALID_DEVICE_STATE,
    NtStatus::ACCESS_DENIED,
];

/// What a call that fails does to the life it is in.
#[derive(Clone, Copy, Debug)]
enum Effect {
    /// This operation fails with the same status.
    Fails(&'static str),
    /// This operation fails for lack of resources: the function returns null.
    Starves(&'static str),
    /// Nothing: the driver does without.
    None,
}

/// Functions that can fail, with their effect.
const CALLS: [(&str, Effect); 25] = [
    ("WskRegister", Effect::Fails("load")),
    ("PcInitializeAdapterDriver", Effect::Fails("load")),
    ("PcAddAdapterDevice", Effect::Fails("add")),
    ("PcRegisterAdapterPowerManagement", Effect::Fails("start")),
    ("PcGetPhysicalDeviceObject", Effect::Fails("start")),
    ("PcNewPort", Effect::Fails("start")),
    ("IPort_Init", Effect::Fails("start")),
    ("PcRegisterSubdevice", Effect::Fails("start")),
    ("PcRegisterPhysicalConnection", Effect::Fails("start")),
    ("PsCreateSystemThread", Effect::Fails("open")),
    ("ExAllocateTimer", Effect::Starves("open")),
    ("IoAllocateIrp", Effect::Starves("open")),
    ("IoAllocateMdl", Effect::Starves("open")),
    ("IPortWaveRTStream_AllocatePagesForMdl", Effect::Starves("allocate")),
    ("IPortWaveRTStream_MapAllocatedPages", Effect::Starves("allocate")),
    ("ObReferenceObjectByHandle", Effect::None),
    ("PcAddStreamResource", Effect::None),
    ("EtwRegister", Effect::None),
    ("EtwSetInformation", Effect::None),
    ("ZwOpenKey", Effect::None),
    ("ZwQueryValueKey", Effect::None),
    ("ZwSetInformationThread", Effect::None),
    ("IUnregisterPhysicalConnection_UnregisterPhysicalConnection", Effect::None),
    ("IUnregisterSubdevice_UnregisterSubdevice", Effect::None),
    ("PcUnregisterAdapterPowerManagement", Effect::None),
];

/// Nothing or a number is returned; or a status that says how a wait ended, or that a handle was wrong; or the request
/// must be completed (PcDispatchIrp); or there is no room for a failure (interfaces that every port has).
const CANNOT_FAIL: &[&str] = &[
    "EtwUnregister",
    "ExAcquireFastMutex",
    "ExDeleteTimer",
    "ExFreePool",
    "ExReleaseFastMutex",
    "ExSetTimer",
    "IPortWaveRTStream_FreePagesFromMdl",
    "IPortWaveRTStream_UnmapAllocatedPages",
    "IUnknown_QueryInterface",
    "IUnknown_Release",
    "IoFreeIrp",
    "IoFreeMdl",
    "IoReuseIrp",
    "KeAcquireSpinLockRaiseToDpc",
    "KeGetCurrentIrql",
    "KeInitializeEvent",
    "KeQueryPerformanceCounter",
    "KeReleaseSpinLock",
    "KeSetEvent",
    "KeWaitForMultipleObjects",
    "KeWaitForSingleObject",
    "MmBuildMdlForNonPagedPool",
    "ObfDereferenceObject",
    "PcDispatchIrp",
    "PcDriverUnload",
    "PcRemoveStreamResource",
    "PsTerminateSystemThread",
    "ZwClose",
    "ZwWaitForSingleObject",
    "memcpy",
    "memset",
];

/// In `every_allocation_may_fail_once` and `no_fault_of_the_network_fails_an_operation`.
const TESTED_ELSEWHERE: &[&str] = &[
    "ExAllocatePool2",
    "WskBind",
    "WskCaptureProviderNPI",
    "WskCloseSocket",
    "WskControlSocket",
    "WskDeregister",
    "WskReleaseProviderNPI",
    "WskSendTo",
    "WskSocket",
];

#[test]
fn every_call_may_fail_once_with_every_status() {
    for (name, scenario) in SCENARIOS {
        let (_, _, calls) = clean_life(scenario);
        for (function, effect) in CALLS {
            let count = calls.iter().find(|(known, _)| *known == function).map_or(0, |(_, count)| *count);
            assert!(count > 0, "{name}: {function} is never called");
            for (nth, status) in (1..=count).flat_map(|nth| STATUSES.map(|status| (nth, status))) {
                let what = format!("{name}: call {nth} of {function} returns {status}");
                let (first, unused) = live_twice(
                    prompt_network(),
                    scenario,
                    &what,
                    move || crossing::inject(function, nth, status),
                    crossing::inject_no_more,
                );
                assert_eq!(unused, 0, "{what}: there was no such call");
                let expected = match effect {
                    Effect::Fails(operation) => Err((operation, status)),
                    Effect::Starves(operation) => Err((operation, NtStatus::INSUFFICIENT_RESOURCES)),
                    Effect::None => Ok(audio()),
                };
                assert!(first == expected, "{what}: {:?}", first.map(|heard| heard.len()));
            }
        }
    }
}

#[test]
fn every_call_that_returns_a_status_is_in_the_list_or_cannot_fail() {
    // Calls into the driver.
    let is_inward = |name: &str| {
        name.contains("::")
            || name.contains(' ')
            || name.starts_with("IRP_")
            || name.starts_with("Driver")
            || matches!(name, "AddDevice" | "StartDevice")
    };
    let unknown: Vec<&str> = SCENARIOS
        .iter()
        .flat_map(|(_, scenario)| clean_life(*scenario).2)
        .map(|(name, _)| name)
        .filter(|name| !is_inward(name) && CALLS.iter().all(|(known, _)| known != name))
        .filter(|name| !CANNOT_FAIL.contains(name) && !TESTED_ELSEWHERE.contains(name))
        .collect();
    assert_eq!(unknown, [""; 0]);
}

/// What a network can do to a request.
fn network_faults(call: Call) -> Vec<Fault> {
    let statuses = [
        NtStatus::INSUFFICIENT_RESOURCES,
        NtStatus::DEVICE_NOT_READY,
        NtStatus::NETWORK_UNREACHABLE,
        NtStatus::ADDRESS_ALREADY_EXISTS,
        NtStatus::CANCELLED,
        NtStatus::FILE_FORCED_CLOSED,
    ];
    // Closing does not fail.
    let mut faults: Vec<Fault> =
        if call == Call::WskCloseSocket { Vec::new() } else { statuses.map(Fault::Status).to_vec() };
    if call != Call::WskCaptureProviderNPI {
        for delay in [0, 1_000_000, 300_000_000] {
            faults.extend([0, 2].map(|irql| Fault::Completes(Completion::After(delay, irql))));
        }
        faults.push(Fault::Completes(Completion::Inline));
    }
    if matches!(call, Call::WskSendTo | Call::WskBind | Call::WskControlSocket) {
        faults.push(Fault::Hangs);
    }
    faults
}

/// Lives with each fault of each of these calls of a function.
#[track_caller]
fn check_network(scenario: Scenario, call: Call, numbers: &[u64]) {
    for nth in numbers {
        for fault in network_faults(call) {
            let (nth, what) = (*nth, format!("call {nth} of {call:?}: {fault:?}"));
            let (first, unused) = live_twice(
                prompt_network(),
                scenario,
                &what,
                move || wsk::inject(call, nth, fault),
                wsk::inject_no_more,
            );
            assert_eq!(unused, 0, "{what}: there was no such call");
            let heard = first.unwrap_or_else(|failed| panic!("{what}: {failed:?}"));
            assert!(heard == still_heard(call, nth, fault), "{what}: {} bytes", heard.len());
        }
    }
}

#[test]
fn no_fault_of_the_network_fails_an_operation() {
    for call in [Call::WskCaptureProviderNPI, Call::WskSocket, Call::WskBind, Call::WskCloseSocket] {
        check_network(notified, call, &[1]);
    }
    check_network(notified, Call::WskSendTo, &[1, 2, 5]);
}

#[test]
fn no_fault_of_the_network_at_one_target_is_heard_at_another() {
    for call in [Call::WskCaptureProviderNPI, Call::WskSocket, Call::WskBind, Call::WskCloseSocket] {
        check_network(to_two_targets_through_an_interface, call, &[1, 2]);
    }
    // Each has its port shared, its interface chosen, and its TTL set.
    check_network(to_two_targets_through_an_interface, Call::WskControlSocket, &[1, 2, 3, 4, 5, 6]);
}

/// The audio that is left after a fault: packets of 288 frames, of which a send that fails loses its own. A socket that
/// is late is waited for as long as a few packets take, and the stream plays for 62 ms.
fn still_heard(call: Call, nth: u64, fault: Fault) -> Vec<u8> {
    let mut audio = audio();
    if let (
        Call::WskSocket | Call::WskBind | Call::WskControlSocket,
        Fault::Completes(Completion::After(300_000_000, _)),
    ) = (call, fault)
    {
        return Vec::new();
    }
    if let (Call::WskBind | Call::WskControlSocket, Fault::Hangs) = (call, fault) {
        return Vec::new();
    }
    if let (Call::WskSendTo, Fault::Status(_)) = (call, fault) {
        let first = (nth as usize - 1) * 1152;
        audio.drain(first..first + 1152);
    }
    audio
}
