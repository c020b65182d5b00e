//! What the driver uses of Windows without `src/abi`: paths into `wdk-sys` and `windows-sys`, and foreign functions.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ForeignItem, ItemForeignMod, ItemUse, Macro, UseTree};

use super::declared::leaves;
use super::parse;

/// The module of `wdk-sys` that has the functions.
const FUNCTIONS: &str = "ntddk";

/// An item of `wdk-sys`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Whether it is a function of the kernel.
    pub is_function: bool,
}

/// What was found.
#[derive(Default)]
pub struct Used {
    /// What comes from `wdk-sys`.
    pub wdk_sys: BTreeSet<Item>,
    /// Names that are taken from `windows-sys` outside of `src/abi`, and the file.
    pub windows_sys: BTreeSet<(String, String)>,
    /// Functions that are declared outside of `src/abi`, and the file.
    pub foreign: BTreeSet<(String, String)>,
}

/// Reads every file below `src`.
///
/// # Errors
/// A file cannot be read or parsed.
pub fn read(source: &Path) -> Result<Used> {
    let mut used = Used::default();
    read_directory(source, "src", &mut used)?;
    Ok(used)
}

fn read_directory(directory: &Path, name: &str, used: &mut Used) -> Result<()> {
    let unreadable = || format!("cannot read {}", directory.display());
    for entry in std::fs::read_dir(directory).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let (path, name) = (entry.path(), format!("{name}/{}", entry.file_name().display()));
        if path.is_dir() {
            read_directory(&path, &name, used)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            used.add_file(&parse(&path)?, &name, name.starts_with("src/abi/"));
        }
    }
    Ok(())
}

impl Used {
    /// Adds what one file uses.
    pub fn add_file(&mut self, file: &syn::File, name: &str, is_abi: bool) {
        Finder { used: self, file: name, is_abi }.visit_file(file);
    }
}

struct Finder<'a> {
    used: &'a mut Used,
    file: &'a str,
    is_abi: bool,
}

impl Finder<'_> {
    /// A path whose first segment is a crate: what comes behind it, with `::` between.
    fn found(&mut self, first: &str, rest: &str) {
        let (modules, name) = rest.rsplit_once("::").unwrap_or(("", rest));
        let name = name.to_owned();
        match first {
            "wdk_sys" => {
                let is_function = modules.split("::").any(|module| module == FUNCTIONS);
                self.used.wdk_sys.insert(Item { name, is_function });
            }
            "windows_sys" if !self.is_abi => _ = self.used.windows_sys.insert((name, self.file.to_owned())),
            _ => {}
        }
    }

    /// Finds paths in the tokens of a macro, which nobody has parsed.
    fn search(&mut self, tokens: &TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens.clone() {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.found_segments(&std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                other => {
                    self.found_segments(&std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.search(&group.stream());
                    }
                }
            }
        }
        self.found_segments(&path);
    }

    fn found_segments(&mut self, segments: &[String]) {
        if let [first, rest @ ..] = segments
            && !rest.is_empty()
        {
            self.found(first, &rest.join("::"));
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_use(&mut self, node: &'ast ItemUse) {
        if let UseTree::Path(path) = &node.tree {
            let first = path.ident.to_string();
            for leaf in leaves(&node.tree) {
                self.found(&first, &leaf.path);
            }
        }
    }

    fn visit_path(&mut self, node: &'ast syn::Path) {
        let segments: Vec<String> = node.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.found_segments(&segments);
        visit::visit_path(self, node);
    }

    fn visit_macro(&mut self, node: &'ast Macro) {
        self.search(&node.tokens);
        visit::visit_macro(self, node);
    }

    fn visit_item_foreign_mod(&mut self, node: &'ast ItemForeignMod) {
        if self.is_abi {
            return;
        }
        for item in &node.items {
            if let ForeignItem::Fn(function) = item {
                self.used.foreign.insert((function.sig.ident.to_string(), self.file.to_owned()));
            }
        }
        visit::visit_item_foreign_mod(self, node);
    }
}
