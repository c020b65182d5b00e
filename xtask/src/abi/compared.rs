//! What `src/abi/proof.rs` compares: the names in its lists, and those in its single assertions.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, bail};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Item, Macro};

use super::declared::Declared;
use super::parse;

/// What is compared of an item: of structures and unions size, alignment and every field, of tables every slot and its
/// parameters, of other types size and alignment, of functions the parameters, of constants and identifiers the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Layout,
    Union,
    Table,
    Type,
    Callback,
    Function,
    Constant,
    Guid,
    Assertion,
}

impl Kind {
    /// That of a list in `proof.rs`.
    fn of_list(name: &str) -> Option<Self> {
        Some(match name {
            "layouts" => Self::Layout,
            "unions" => Self::Union,
            "tables" => Self::Table,
            "types" => Self::Type,
            "callbacks" => Self::Callback,
            "functions" => Self::Function,
            "constants" => Self::Constant,
            "guids" => Self::Guid,
            _ => return None,
        })
    }

    /// For people.
    pub fn told(self) -> &'static str {
        match self {
            Self::Layout => "structures",
            Self::Union => "unions",
            Self::Table => "tables of functions",
            Self::Type => "other types",
            Self::Callback => "types of functions",
            Self::Function => "functions",
            Self::Constant => "constants",
            Self::Guid => "identifiers",
            Self::Assertion => "in an assertion of its own",
        }
    }

    /// Whether each name of the list has a group in braces behind it.
    fn has_fields(self) -> bool {
        matches!(self, Self::Layout | Self::Union | Self::Table)
    }
}

/// An item that is compared.
#[derive(Debug)]
pub struct Compared {
    /// What is compared of it.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

/// Reads `proof.rs`.
///
/// # Errors
/// It cannot be read or parsed, or has a list of an unknown kind.
pub fn read(path: &Path, declared: &[Declared]) -> Result<Vec<Compared>> {
    of_file(&parse(path)?, declared)
}

/// What the file compares; its assertions may name anything, of which only what is `declared` counts.
///
/// # Errors
/// There is a list of an unknown kind.
pub fn of_file(file: &syn::File, declared: &[Declared]) -> Result<Vec<Compared>> {
    let mut all = Vec::new();
    let mut asserted = Names::default();
    for item in &file.items {
        match item {
            // `macro_rules! name` has a name, a use of a macro has none.
            Item::Macro(list) if list.ident.is_none() => all.extend(of_list(&list.mac)?),
            Item::Const(item) if item.ident == "_" => asserted.visit_item_const(item),
            _ => {}
        }
    }
    let listed: BTreeSet<&str> = all.iter().map(|item: &Compared| item.name.as_str()).collect();
    let asserted: Vec<_> = declared
        .iter()
        .filter(|item| asserted.0.contains(&item.name) && !listed.contains(item.name.as_str()))
        .map(|item| Compared { kind: Kind::Assertion, name: item.name.clone() })
        .collect();
    all.extend(asserted);
    Ok(all)
}

fn of_list(list: &Macro) -> Result<Vec<Compared>> {
    let macro_name = list.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
    if macro_name == "signature_of" {
        return Ok(Vec::new());
    }
    let Some(kind) = Kind::of_list(&macro_name) else {
        bail!("src/abi/proof.rs: what does the list {macro_name}! compare?");
    };
    let names = if kind.has_fields() {
        names_before_braces(&list.tokens)
    } else {
        names_between_commas(&list.tokens)
    };
    Ok(names.into_iter().map(|name| Compared { kind, name }).collect())
}

/// The first identifier of each `NAME ... { ... }`.
fn names_before_braces(tokens: &TokenStream) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = None;
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(ident) => name = name.or(Some(ident.to_string())),
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => names.extend(name.take()),
            _ => {}
        }
    }
    names
}

/// The first identifier of each part between commas.
fn names_between_commas(tokens: &TokenStream) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_first = true;
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(ident) if is_first => {
                names.push(ident.to_string());
                is_first = false;
            }
            TokenTree::Punct(mark) if mark.as_char() == ',' => is_first = true,
            _ => {}
        }
    }
    names
}

/// Every identifier in an expression and in the macros that it uses.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn add(&mut self, tokens: &TokenStream) {
        for token in tokens.clone() {
            match token {
                TokenTree::Ident(ident) => _ = self.0.insert(ident.to_string()),
                TokenTree::Group(group) => self.add(&group.stream()),
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_macro(&mut self, node: &'ast Macro) {
        self.add(&node.tokens);
        visit::visit_macro(self, node);
    }

    fn visit_path_segment(&mut self, node: &'ast syn::PathSegment) {
        self.0.insert(node.ident.to_string());
        visit::visit_path_segment(self, node);
    }
}
