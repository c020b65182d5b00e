//! `cargo xtask abi`: which declarations of Windows the driver uses, and who says that they are right.
//!
//! * What nobody publishes for Rust, or `windows-sys` in another form, is declared in `src/abi`. `src/abi/proof.rs`
//!   compares it with Microsoft's headers when the driver is built with them. [`declared`] and [`compared`] read the two.
//! * What comes from `wdk-sys` is made by bindgen from the headers that the driver is built with, so there is nothing to
//!   compare. [`used`] lists it.
//!
//! [`check`] fails when something that the driver uses belongs to neither: a public item of `src/abi`, or a function of
//! Windows that is declared elsewhere, that is compared with nothing, an item of `windows-sys` that was not taken through
//! `src/abi`; or when something is compared that is gone.

mod compared;
mod declared;
mod used;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use crate::process::root;
use compared::{Compared, Kind};
use declared::{Declared, Origin};
use used::Used;

/// The longest line of names.
const WIDTH: usize = 72;

/// What was read of the driver's sources.
struct Sources {
    declared: Vec<Declared>,
    compared: Vec<Compared>,
    used: Used,
}

impl Sources {
    fn read() -> Result<Self> {
        let source = root().join("src");
        let declared = declared::read(&source.join("abi"))?;
        let compared = compared::read(&source.join("abi/proof.rs"), &declared)?;
        Ok(Self { declared, compared, used: used::read(&source)? })
    }

    /// Everything that is wrong.
    fn gaps(&self) -> Vec<String> {
        let compared: BTreeSet<&str> = self.compared.iter().map(|item| item.name.as_str()).collect();
        let declared: BTreeSet<&str> = self.declared.iter().map(|item| item.name.as_str()).collect();
        let missing = self.declared.iter().filter(|item| !compared.contains(item.name.as_str()));
        let missing = missing.map(|Declared { name, module, .. }| {
            format!("module {module}: {name} is compared with nothing; it belongs into src/abi/proof.rs")
        });
        let gone = compared
            .difference(&declared)
            .map(|name| format!("src/abi/proof.rs: {name} is compared, but is not declared"));
        let bypassed = self.used.windows_sys.iter().map(|(name, file)| {
            format!("{file}: windows_sys::{name} is compared with nothing; take it from crate::abi")
        });
        let foreign = self.used.foreign.iter().filter(|(name, _)| !compared.contains(name.as_str()));
        let foreign = foreign.map(|(name, file)| {
            format!("{file}: {name} is compared with nothing; it belongs into src/abi/proof.rs")
        });
        missing.chain(gone).chain(bypassed).chain(foreign).collect()
    }
}

/// Prints what is covered.
///
/// # Errors
/// The sources cannot be read, or something is not covered; every gap is printed.
pub fn run() -> Result<()> {
    let sources = Sources::read()?;
    println!("Compared with Microsoft's headers by src/abi/proof.rs, {} items:", sources.compared.len());
    println!("{}\n", compared_table(&sources));
    let used = &sources.used.wdk_sys;
    println!("From wdk-sys, which bindgen makes of the headers that are built with, {} items:", used.len());
    println!("{}", used_table(&sources.used));
    complain(&sources)
}

/// Checks that everything is covered.
///
/// # Errors
/// As [`run`].
pub fn check() -> Result<()> {
    complain(&Sources::read()?)
}

fn complain(sources: &Sources) -> Result<()> {
    let gaps = sources.gaps();
    gaps.iter().for_each(|gap| println!("{gap}"));
    match gaps.len() {
        0 => Ok(()),
        1 => bail!("a declaration of Windows is not covered"),
        count => bail!("{count} declarations of Windows are not covered"),
    }
}

fn compared_table(sources: &Sources) -> Table {
    let declared: BTreeMap<&str, &Declared> =
        sources.declared.iter().map(|item| (item.name.as_str(), item)).collect();
    let mut rows: BTreeMap<(&str, Kind, Origin), Vec<&str>> = BTreeMap::new();
    for Compared { kind, name } in &sources.compared {
        let Some(declared) = declared.get(name.as_str()) else { continue };
        rows.entry((declared.header(), *kind, declared.origin)).or_default().push(name);
    }
    let mut table = table(["what is compared", "count", "names"]);
    for ((header, kind, origin), names) in rows {
        let what = format!("{header}\n{}\ndeclared by {}", kind.told(), origin.told());
        table.add_row([what, names.len().to_string(), lines(&names)]);
    }
    table
}

fn used_table(used: &Used) -> Table {
    let mut table = table(["what", "count", "names"]);
    for (what, is_function) in [("functions", true), ("types and constants", false)] {
        let names = used.wdk_sys.iter().filter(|item| item.is_function == is_function);
        let names: Vec<&str> = names.map(|item| item.name.as_str()).collect();
        table.add_row([what.to_owned(), names.len().to_string(), lines(&names)]);
    }
    table
}

fn table(header: [&str; 3]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    if let Some(count) = table.column_mut(1) {
        count.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Names in lines that are not longer than [`WIDTH`], unless a name is.
fn lines(names: &[&str]) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for name in names {
        let fits = length + 1 + name.len() <= WIDTH;
        match (length, fits) {
            (0, _) => length = name.len(),
            (_, true) => {
                lines.push(' ');
                length += 1 + name.len();
            }
            (_, false) => {
                lines.push('\n');
                length = name.len();
            }
        }
        lines.push_str(name);
    }
    lines
}

/// The items of a source file.
fn parse(path: &Path) -> Result<syn::File> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    syn::parse_file(&text).with_context(|| format!("cannot parse {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(abi: &str, proof: &str, driver: &str) -> Sources {
        let parse = |text| syn::parse_file(text).expect("Rust");
        let declared = declared::of_file(&parse(abi), "ks");
        let compared = compared::of_file(&parse(proof), &declared).expect("lists");
        let mut used = Used::default();
        used.add_file(&parse(driver), "src/engine.rs", false);
        Sources { declared, compared, used }
    }

    #[test]
    fn every_declaration_of_this_repository_is_covered() {
        assert_eq!(Sources::read().expect("the sources").gaps(), Vec::<String>::new());
    }

    #[test]
    fn what_is_listed_is_covered() {
        let abi = "pub use windows_sys::x::{A_CONSTANT, AN_ID};
            #[repr(C)] pub struct S { pub a: u32 }
            pub union U { a: u32 }
            pub struct IFooVtbl { f: u32 }
            pub type T = u32;
            pub fn RATIO() {}
            unsafe extern \"system\" { pub fn KsFunction(a: u32); }
            struct Private;
            fn private() {}";
        let proof = "macro_rules! layouts { () => {}; }
            layouts! { S [Extra] { a = b.c, } }
            unions! { U { a } }
            tables! { IFooVtbl [Reserved]: base IBarVtbl { f, g } }
            types! { T }
            functions! { KsFunction(_), }
            constants! { A_CONSTANT }
            guids! { AN_ID }
            const _: () = assert!(ours::RATIO() == theirs::RATIO);";
        let sources = sources(abi, proof, "use wdk_sys::ntddk::KeSetEvent;");
        assert_eq!(sources.gaps(), Vec::<String>::new());
        assert_eq!(sources.compared.len(), 8);
        assert_eq!(sources.used.wdk_sys.len(), 1);
    }

    #[test]
    fn what_is_declared_elsewhere_is_covered_by_name() {
        let proof = "mod ours { pub use crate::{abi::ks::*, kernel::etw::{EtwF, ONE as EVENT_ONE}}; }
            functions! { EtwF(_), }
            constants! { EVENT_ONE }";
        let parsed = syn::parse_file(proof).expect("Rust");
        let names: Vec<_> = declared::of_proof(&parsed).into_iter().map(|item| item.name).collect();
        assert_eq!(names, ["EtwF", "EVENT_ONE"]);
        let mut sources = sources("", "", "unsafe extern \"C\" { fn EtwF(); }");
        assert_eq!(sources.gaps().len(), 1);
        sources.declared = declared::of_proof(&parsed);
        sources.compared = compared::of_file(&parsed, &sources.declared).expect("lists");
        assert_eq!(sources.gaps(), Vec::<String>::new());
    }

    #[test]
    fn names_are_broken_into_lines_between_them() {
        assert_eq!(lines(&[]), "");
        assert_eq!(lines(&["A", "B"]), "A B");
        let long = "X".repeat(WIDTH - 2);
        assert_eq!(lines(&["A", &long, "B", "C", "D"]), format!("A {long}\nB C D"));
        assert_eq!(lines(&["A", "B", &long]), format!("A B\n{long}"));
    }

    #[track_caller]
    fn one_gap(abi: &str, proof: &str, driver: &str, expected: &str) {
        assert_eq!(sources(abi, proof, driver).gaps(), [expected]);
    }

    #[test]
    fn each_kind_of_gap_is_told() {
        let missing = "module ks: T is compared with nothing; it belongs into src/abi/proof.rs";
        one_gap("pub type T = u32;", "", "", missing);
        one_gap("pub use windows_sys::a::T;", "", "", missing);
        one_gap("pub use windows_sys::a::{b::T};", "guids! { }", "", missing);
        let gone = "src/abi/proof.rs: T is compared, but is not declared";
        one_gap("type T = u32;", "types! { T }", "", gone);
        let bypassed = "src/engine.rs: windows_sys::T is compared with nothing; take it from crate::abi";
        one_gap("", "", "use windows_sys::a::T;", bypassed);
        one_gap("", "", "fn f() -> windows_sys::a::T { 0 }", bypassed);
        one_gap("", "", "fn f() { event!(windows_sys::a::T, 3) }", bypassed);
        let foreign = "src/engine.rs: KeFoo is compared with nothing; it belongs into src/abi/proof.rs";
        one_gap("", "", "unsafe extern \"C\" { fn KeFoo(); }", foreign);
    }
}
