//! The public items of `src/abi`, and those of `src/kernel` that `src/abi/proof.rs` compares beside them.

use std::path::Path;

use anyhow::{Result, bail};
use syn::{ForeignItem, Item, UseTree, Visibility};

use super::parse;

/// The module that compares, and declares nothing.
const PROOF: &str = "proof";
/// The module in it that gathers what it compares.
const OURS: &str = "ours";
/// The module of the driver whose items it names one by one there.
const KERNEL: &str = "kernel";

/// Where a declaration was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In the driver.
    Here,
    /// In the crate `windows-sys`; `src/abi` only passes it on.
    WindowsSys,
}

impl Origin {
    /// For people.
    pub fn told(self) -> &'static str {
        match self {
            Self::Here => "the driver",
            Self::WindowsSys => "windows-sys",
        }
    }
}

/// A public item.
#[derive(Debug)]
pub struct Declared {
    /// Its name, which is the one of C.
    pub name: String,
    /// The module in which it is, such as `portcls::port`.
    pub module: String,
    /// Where it was written.
    pub origin: Origin,
}

impl Declared {
    /// The headers that its module stands for.
    pub fn header(&self) -> &'static str {
        match self.module.split("::").next().unwrap_or_default() {
            "ks" => "ks.h ksmedia.h mmreg.h",
            "portcls" => "portcls.h punknown.h",
            "wsk" => "wsk.h ws2def.h ws2ipdef.h",
            "kernel" => "wdm.h evntprov.h evntrace.h",
            _ => "guiddef.h",
        }
    }
}

/// Reads the module whose directory this is, and the modules in it.
///
/// # Errors
/// A file cannot be read or parsed, or a module has none.
pub fn read(directory: &Path) -> Result<Vec<Declared>> {
    let mut all = Vec::new();
    read_module(&directory.join("mod.rs"), directory, "", &mut all)?;
    all.extend(of_proof(&parse(&directory.join(PROOF).with_extension("rs"))?));
    Ok(all)
}

/// What the proof compares that is not in `src/abi`.
pub fn of_proof(proof: &syn::File) -> Vec<Declared> {
    let ours = proof.items.iter().filter_map(|item| match item {
        Item::Mod(module) if module.ident == OURS => module.content.as_ref(),
        _ => None,
    });
    let uses = ours.flat_map(|(_, items)| items).filter_map(|item| match item {
        Item::Use(item) => Some(leaves(&item.tree)),
        _ => None,
    });
    let elsewhere = uses.flatten().filter(|leaf| leaf.path.starts_with(KERNEL));
    let declared = elsewhere.map(|leaf| {
        let module = leaf.path.rsplit_once("::").map_or(KERNEL, |(module, _)| module).to_owned();
        Declared { name: leaf.name, module, origin: Origin::Here }
    });
    declared.collect()
}

fn read_module(file: &Path, directory: &Path, module: &str, all: &mut Vec<Declared>) -> Result<()> {
    let parsed = parse(file)?;
    all.extend(of_file(&parsed, module));
    for item in &parsed.items {
        let Item::Mod(child) = item else { continue };
        let name = child.ident.to_string();
        if child.content.is_some() || name == PROOF {
            continue;
        }
        let path = if module.is_empty() { name.clone() } else { format!("{module}::{name}") };
        let (alone, folder) = (directory.join(format!("{name}.rs")), directory.join(&name));
        let file = if alone.is_file() { alone } else { folder.join("mod.rs") };
        if !file.is_file() {
            bail!("module {path} of src/abi has no file");
        }
        read_module(&file, &folder, &path, all)?;
    }
    Ok(())
}

/// The public items of one file.
pub fn of_file(file: &syn::File, module: &str) -> Vec<Declared> {
    let mut all = Vec::new();
    let mut add = |name: String, origin| all.push(Declared { name, module: module.to_owned(), origin });
    for item in &file.items {
        match item {
            Item::Use(item) if is_public(&item.vis) => {
                let origin = match &item.tree {
                    UseTree::Path(path) if path.ident == "windows_sys" => Origin::WindowsSys,
                    _ => Origin::Here,
                };
                for leaf in leaves(&item.tree) {
                    add(leaf.name, origin);
                }
            }
            Item::ForeignMod(block) => {
                for item in &block.items {
                    if let ForeignItem::Fn(function) = item
                        && is_public(&function.vis)
                    {
                        add(function.sig.ident.to_string(), Origin::Here);
                    }
                }
            }
            _ => {
                if let Some(name) = public_name(item) {
                    add(name, Origin::Here);
                }
            }
        }
    }
    all
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn public_name(item: &Item) -> Option<String> {
    let (visibility, name) = match item {
        Item::Struct(item) => (&item.vis, &item.ident),
        Item::Union(item) => (&item.vis, &item.ident),
        Item::Enum(item) => (&item.vis, &item.ident),
        Item::Type(item) => (&item.vis, &item.ident),
        Item::Const(item) => (&item.vis, &item.ident),
        Item::Static(item) => (&item.vis, &item.ident),
        Item::Fn(item) => (&item.vis, &item.sig.ident),
        Item::Trait(item) => (&item.vis, &item.ident),
        _ => return None,
    };
    is_public(visibility).then(|| name.to_string())
}

/// What a `use` brings in.
pub struct Leaf {
    /// Where it comes from, below the first segment of the path.
    pub path: String,
    /// What it is called here.
    pub name: String,
}

/// What a `use` brings in by name; nothing for `*`, whose items are found where they are.
pub fn leaves(tree: &UseTree) -> Vec<Leaf> {
    match tree {
        UseTree::Path(path) => leaves_below(&path.tree, ""),
        other => leaves_below(other, ""),
    }
}

fn leaves_below(tree: &UseTree, before: &str) -> Vec<Leaf> {
    let join = |name: &syn::Ident| {
        if before.is_empty() { name.to_string() } else { format!("{before}::{name}") }
    };
    match tree {
        UseTree::Path(path) => leaves_below(&path.tree, &join(&path.ident)),
        UseTree::Group(group) => group.items.iter().flat_map(|tree| leaves_below(tree, before)).collect(),
        UseTree::Name(leaf) => vec![Leaf { path: join(&leaf.ident), name: leaf.ident.to_string() }],
        UseTree::Rename(leaf) => vec![Leaf { path: join(&leaf.ident), name: leaf.rename.to_string() }],
        UseTree::Glob(_) => Vec::new(),
    }
}
