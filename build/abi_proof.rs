//! Generates what `src/abi/proof.rs` compares the declarations of `src/abi` with.
//!
//! bindgen reads the genuine `portcls.h`, `ks.h`, `ksmedia.h`, `wsk.h`, `evntrace.h` and `wdmguid.h` and writes
//! `OUT_DIR/genuine.rs`. It reads them as C, in which an interface is a structure with a pointer to a structure of named
//! function pointers.
//!
//! bindgen does not see macros that are casts, nor the value of a GUID. So every constant and GUID that `proof.rs`
//! lists becomes a C variable whose initializer the compiler evaluates: `constant_NAME`, and for a GUID the two
//! halves `guid_high_NAME` and `guid_low_NAME`. They end up in the modules `constants` and `guids` of `genuine.rs`.

use std::{collections::HashSet, env, error::Error, fs, path::Path};

use bindgen::{Builder, EnumVariation};
use wdk_build::{BuilderExt, Config};

/// The list of what is compared.
const PROOF: &str = include_str!("../src/abi/proof.rs");

/// The declarations: name and text.
const DECLARATIONS: &[(&str, &str)] = &[
    ("ks.rs", include_str!("../src/abi/ks.rs")),
    ("mod.rs", include_str!("../src/abi/mod.rs")),
    ("wsk.rs", include_str!("../src/abi/wsk.rs")),
    ("portcls/mod.rs", include_str!("../src/abi/portcls/mod.rs")),
    ("portcls/descriptor.rs", include_str!("../src/abi/portcls/descriptor.rs")),
    ("portcls/function.rs", include_str!("../src/abi/portcls/function.rs")),
    ("portcls/miniport.rs", include_str!("../src/abi/portcls/miniport.rs")),
    ("portcls/port.rs", include_str!("../src/abi/portcls/port.rs")),
    ("portcls/stream_resource.rs", include_str!("../src/abi/portcls/stream_resource.rs")),
];

/// The headers, in an order in which nothing after the new `DEFINE_GUID` defines that macro again.
const HEADERS: &str = r"
#include <ntifs.h>
#include <ntddk.h>
#define WINNT
#include <evntrace.h>
#undef WINNT
#include <windef.h>
#define _WINSOCK_DEPRECATED_NO_WARNINGS
#include <ws2def.h>
#include <ws2ipdef.h>
#include <wsk.h>
#define NOBITMAP
#include <mmreg.h>
#undef NOBITMAP
#include <ks.h>
#include <ksmedia.h>
#include <basetyps.h>

#define ABI_GUID(name, a, b, c, d0, d1, d2, d3, d4, d5, d6, d7) \
    static const unsigned long long guid_high_##name = \
        (unsigned long long)(a) << 32 | (unsigned long long)(b) << 16 | (c); \
    static const unsigned long long guid_low_##name = \
        (unsigned long long)(d0) << 56 | (unsigned long long)(d1) << 48 | \
        (unsigned long long)(d2) << 40 | (unsigned long long)(d3) << 32 | \
        (unsigned long long)(d4) << 24 | (unsigned long long)(d5) << 16 | \
        (unsigned long long)(d6) << 8 | (d7)
#define ABI_GUID_OF_LIST(name, ...) ABI_GUID(name, __VA_ARGS__)

#undef DEFINE_GUID
#define DEFINE_GUID(name, ...) ABI_GUID(name, __VA_ARGS__)
#include <wdmguid.h>
#include <punknown.h>
#include <portcls.h>
";

/// Generates `OUT_DIR/genuine.rs` and sets the cfg `wdk_headers`, if the headers in use are genuine.
pub fn prove() -> Result<(), Box<dyn Error>> {
    println!("cargo::rustc-check-cfg=cfg(wdk_headers)");
    let declared = declared()?;
    let config = Config::from_env_auto()?;
    if !has_genuine_headers(&config) {
        return Ok(());
    }
    let mut builder = Builder::wdk_default(&config)?
        .header_contents("genuine.h", &source())
        .default_enum_style(EnumVariation::Consts)
        .layout_tests(false)
        .allowlist_var("(constant|guid_high|guid_low)_.*");
    for name in declared {
        builder = builder.allowlist_type(name);
    }
    for name in listed_functions() {
        builder = builder.allowlist_function(name);
    }
    let out = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?;
    let types = builder.generate()?.to_string();
    let values = format!("{}\n{}", constants(&types)?, guids(&types)?);
    fs::write(Path::new(&out).join("genuine.rs"), types + &values)?;
    println!("cargo::rustc-cfg=wdk_headers");
    Ok(())
}

/// On Windows there are no others.
#[cfg(windows)]
fn has_genuine_headers(_: &Config) -> bool {
    true
}

#[cfg(not(windows))]
fn has_genuine_headers(config: &Config) -> bool {
    config.has_genuine_headers()
}

/// The C source for bindgen.
fn source() -> String {
    let mut source = String::from(HEADERS);
    source += "static const long long constant_WSK_VERSION_1_2 = MAKE_WSK_VERSION(1, 2);\n";
    for name in listed("constants") {
        source += &format!("static const long long constant_{name} = (long long)({name});\n");
    }
    // ks.h and ksmedia.h give a GUID as a macro; portcls.h, above, as a DEFINE_GUID.
    for name in listed("guids") {
        source += &format!("#ifdef STATIC_{name}\nABI_GUID_OF_LIST({name}, STATIC_{name});\n#endif\n");
    }
    source
}

/// The module of the constants' values.
fn constants(types: &str) -> Result<String, String> {
    let mut module = String::from("pub mod constants {\n");
    let names = listed("constants");
    for name in names.iter().copied().chain(["WSK_VERSION_1_2"]) {
        let value = value(types, "constant", name)?;
        module += &format!("pub const {name}: i64 = {value};\n");
    }
    Ok(module + "}\n")
}

/// The module of the GUIDs' values.
fn guids(types: &str) -> Result<String, String> {
    let mut module = String::from("pub mod guids {\n");
    for name in listed("guids") {
        let (high, low) = (value(types, "guid_high", name)?, value(types, "guid_low", name)?);
        module += &format!("pub const {name}: u128 = {high} << 64 | {low};\n");
    }
    Ok(module + "}\n")
}

/// The value that bindgen has written for the variable `kind_name`.
fn value<'a>(types: &'a str, kind: &str, name: &str) -> Result<&'a str, String> {
    types
        .split_once(&format!("pub const {kind}_{name}:"))
        .and_then(|(_, rest)| rest.split_once(';')?.0.split_once('='))
        .map(|(_, value)| value.trim())
        .ok_or(format!("{name} has no value in the headers"))
}

/// The names in the lists `list! { ... }` of `proof.rs`.
fn listed(list: &str) -> Vec<&'static str> {
    PROOF
        .split(&format!("\n{list}! {{"))
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .flat_map(|(names, _)| names.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

/// The names in the lists `functions! { name(...), ... }` of `proof.rs`.
fn listed_functions() -> impl Iterator<Item = &'static str> {
    let lists = PROOF.split("\nfunctions! {").skip(1).filter_map(|rest| rest.split_once('}'));
    lists.flat_map(|(list, _)| list.lines()).filter_map(|line| Some(line.split_once('(')?.0.trim()))
}

/// The names of all public items of `src/abi`, which must all be in `proof.rs`.
fn declared() -> Result<Vec<&'static str>, String> {
    let proven: HashSet<&str> = words(PROOF.split_once("\ntypes! {").unwrap_or_default().1).collect();
    let mut all = Vec::new();
    for (file, text) in DECLARATIONS {
        for module in text.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")) {
            let module = module.trim_end_matches(';');
            let mut files = DECLARATIONS.iter().flat_map(|(file, _)| words(file));
            if module != "proof" && !files.any(|word| word == module) {
                return Err(format!("src/abi/{file}: module {module} is not in build/abi_proof.rs"));
            }
        }
        let items = text.split("\npub ").skip(1).flat_map(names);
        let functions = text.split("\n    pub fn ").skip(1).filter_map(|rest| words(rest).next());
        for name in items.chain(functions) {
            if !proven.contains(name) {
                return Err(format!("src/abi/{file}: {name} is not in src/abi/proof.rs"));
            }
            all.push(name);
        }
    }
    Ok(all)
}

/// The names that the item which begins with `item`, after its `pub`, declares.
fn names(item: &'static str) -> Vec<&'static str> {
    let (kind, rest) = item.split_once(' ').unwrap_or_default();
    match kind {
        // The last segment of the path, or the names in its braces.
        "use" => {
            let (path, _) = rest.split_once(';').unwrap_or_default();
            let (_, last) = path.rsplit_once("::").unwrap_or_default();
            words(last).filter(|name| !name.is_empty()).collect()
        }
        "mod" => Vec::new(),
        _ => words(rest.trim_start_matches("fn ")).take(1).collect(),
    }
}

/// The identifiers of `text`, with empty ones between.
fn words(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}
