//! Every rule of the verifier, on a real image: a driver that breaks it and no other, and a twin that keeps it.
//!
//! The image is `crates/testbed/drivers`; the service under which it is loaded chooses the case. `cargo xtask test`
//! builds it and passes its path in `RULES_SYS`.

mod completeness;
mod device;
mod kernel;
mod memory;
mod objects;
mod requests;
mod untripped;
mod wsk;

use std::path::PathBuf;

use testbed::image::Image;
use testbed::schedule::DISPATCH_LEVEL;
use testbed::{Config, Driver, Machine, Outcome, Rule, wsk as winsock};

/// What a case must be reported with.
struct Expected {
    /// The name of the case in the image.
    name: &'static str,
    rule: Rule,
    /// Part of the violation's sentence.
    text: &'static str,
    /// The call, as it is in the violation's text or its list of calls.
    call: &'static str,
}

/// Tests of pairs, and the table of them: `case: Rule, "part of the sentence", "call";`.
macro_rules! rules {
    ($($name:ident: $rule:ident, $text:literal, $call:literal;)*) => {
        /// The cases of this file.
        pub(crate) const EXPECTED: &[crate::Expected] = &[$(
            crate::Expected { name: stringify!($name), rule: testbed::Rule::$rule, text: $text, call: $call },
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
    device::EXPECTED,
    kernel::EXPECTED,
    memory::EXPECTED,
    objects::EXPECTED,
    requests::EXPECTED,
    wsk::EXPECTED,
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
fn run(service: String) -> Outcome<()> {
    let image = image();
    let wsk = winsock::Setup {
        sends: winsock::Completion::After(1_000_000, DISPATCH_LEVEL),
        controls: winsock::Completion::Inline,
        ..winsock::Setup::default()
    };
    Machine::run(Config { wsk, ..Config::default() }, move || {
        let Ok(driver) = Driver::load(&image, &service) else { return };
        if driver.add_device().is_some() {
            device::live(&driver);
        }
        driver.unload();
    })
}

#[track_caller]
fn trips_once_and_its_twin_never(name: &str, table: &[Expected]) {
    let expected = table.iter().find(|expected| expected.name == name).expect("the macro makes both");
    let violations = run(name.to_owned()).violations;
    let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
    let [violation] = violations.as_slice() else {
        panic!("{} violations instead of one:\n{}", list.len(), list.join("\n"))
    };
    let text = &list[0];
    assert_eq!(violation.rule, expected.rule, "{text}");
    assert!(violation.text.contains(expected.text), "{text}");
    assert!(text.contains(expected.call), "{text}");
    run(format!("{name}.twin")).expect_clean();
}
