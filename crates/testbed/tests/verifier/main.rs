//! Every rule of the verifier, on a real image: a driver that breaks it and no other, and a twin that keeps it. A mistake
//! that cannot break a rule without breaking another is expected with all of them.
//!
//! The image is `crates/testbed/drivers`; the service under which it is loaded chooses the case. `cargo xtask test`
//! builds it and passes its path in `RULES_SYS`.

#![expect(unsafe_code, reason = "requests and driver objects are reached through raw pointers")]

mod completeness;
mod cyclic;
mod device;
mod kernel;
mod memory;
mod objects;
mod requests;
mod sharing;
mod strings;
mod tracing;
mod untripped;
mod wsk;
#[cfg(target_arch = "x86_64")]
mod x64;

use std::path::PathBuf;

use testbed::image::Image;
use testbed::kernel::driver::service_key;
use testbed::kernel::irp;
use testbed::kernel::registry::{self, Value};
use testbed::nt::major;
use testbed::schedule::DISPATCH_LEVEL;
use testbed::{Config, Driver, Machine, Outcome, Rule, ivshmem, wsk as winsock};

/// What a case must be reported with.
struct Expected {
    /// The name of the case in the image.
    name: &'static str,
    rule: Rule,
    /// Part of the violation's sentence.
    text: &'static str,
    /// The call, as it is in the violation's text or its list of calls.
    call: &'static str,
    /// What the same mistake breaks after it: rules and parts of sentences.
    then: &'static [(Rule, &'static str)],
}

/// Tests of pairs, and the table of them: `case: Rule, "part of the sentence", "call";`, and before the semicolon
/// `then Rule "part of the sentence"` for each rule that the same mistake breaks too.
macro_rules! rules {
    ($($name:ident: $rule:ident, $text:literal, $call:literal $(then $other:ident $sentence:literal)*;)*) => {
        /// The cases of this file.
        pub(crate) const EXPECTED: &[crate::Expected] = &[$(
            crate::Expected {
                name: stringify!($name),
                rule: testbed::Rule::$rule,
                text: $text,
                call: $call,
                then: &[$((testbed::Rule::$other, $sentence)),*],
            },
        )*];

        $(
            #[test]
            fn $name() {
                crate::trips_once_and_its_twin_never(stringify!($name), EXPECTED);
            }
        )*
    };
}
pub(crate) use rules;

/// Every table.
const TABLES: &[&[Expected]] = &[
    cyclic::EXPECTED,
    device::EXPECTED,
    kernel::EXPECTED,
    memory::EXPECTED,
    objects::EXPECTED,
    requests::EXPECTED,
    sharing::EXPECTED,
    strings::EXPECTED,
    tracing::EXPECTED,
    wsk::EXPECTED,
    #[cfg(target_arch = "x86_64")]
    x64::EXPECTED,
];

/// The image with the cases: `RULES_SYS`, or where the build puts it.
fn image() -> Image {
    let default =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../cross/target/x86_64-pc-windows-msvc/release/rules.sys");
    let path = std::env::var_os("RULES_SYS").map_or_else(|| PathBuf::from(default), PathBuf::from);
    assert!(
        path.is_file(),
        "there is no driver with the rules at {}: run `cargo xtask test`, or build it with `cargo xtask build-rules` \
         and set RULES_SYS",
        path.display()
    );
    Image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Loads the image under a service, lets its device live if it has one, and unloads it.
fn run(service: String) -> Outcome<Option<()>> {
    run_with(service, |driver| {
        if driver.add_device().is_some() {
            device::live(driver);
        }
    })
}

/// Cases with names that begin so have an IVSHMEM device of 5000 bytes.
const SHARING: [&str; 6] = ["interface_", "file_", "control_", "shm_", "notification_", "removal_"];
/// Of these it is removed after DriverEntry.
const REMOVING: [&str; 2] = ["notification_", "removal_"];

/// Sends a request to the driver's device, as a client in the audio engine's process does.
fn ask_as_client(driver: &Driver) {
    // SAFETY: the driver object of a driver that is loaded.
    let device = unsafe { (*driver.object()).device_object };
    let packet = irp::allocate(1);
    // SAFETY: just made, with one stack location.
    unsafe { (*irp::next_location(packet)).major_function = major::DEVICE_CONTROL };
    irp::call_and_wait(device, packet);
    irp::free(packet);
}

/// Loads the image under a service, does something with it, and unloads it. The value is `None` where it does not load.
fn run_with<R: 'static>(service: String, live: impl FnOnce(&Driver) -> R + 'static) -> Outcome<Option<R>> {
    let image = image();
    let wsk = winsock::Setup {
        sends: winsock::Completion::After(1_000_000, DISPATCH_LEVEL),
        controls: winsock::Completion::Inline,
        ..winsock::Setup::default()
    };
    let forgiving = service.starts_with("forgiven_");
    Machine::run(Config { wsk, forgiving, ..Config::default() }, move || {
        registry::set(&service_key(&service), "Text", Value::Sz("4010".to_owned()));
        let shared = SHARING.iter().any(|prefix| service.starts_with(prefix));
        let shared = shared.then(|| ivshmem::Device::plug(5000, ivshmem::Generation::WithKernelMap));
        let driver = Driver::load(&image, &service).ok()?;
        let value = live(&driver);
        if service.starts_with("shm_client_") {
            ask_as_client(&driver);
        }
        if let Some(shared) = shared.filter(|_| REMOVING.iter().any(|prefix| service.starts_with(prefix))) {
            shared.demand_removal();
        }
        driver.unload();
        Some(value)
    })
}

#[track_caller]
fn trips_once_and_its_twin_never(name: &str, table: &[Expected]) {
    let expected = table.iter().find(|expected| expected.name == name).expect("the macro makes both");
    let violations = run(name.to_owned()).violations;
    let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
    let count = 1 + expected.then.len();
    assert_eq!(violations.len(), count, "violations, and not {count}:\n{}", list.join("\n"));
    let sentences = [(expected.rule, expected.text)].into_iter().chain(expected.then.iter().copied());
    for ((violation, text), (rule, sentence)) in violations.iter().zip(&list).zip(sentences) {
        assert_eq!(violation.rule, rule, "{text}");
        assert!(violation.text.contains(sentence), "{text}");
    }
    assert!(list[0].contains(expected.call), "{}", list[0]);
    run(format!("{name}.twin")).expect_clean();
}
