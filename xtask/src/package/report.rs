//! What `cargo xtask package` prints.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use super::Package;
use super::assembly::Signature;

/// A file of the package.
pub struct File {
    /// Its name, with folders before slashes.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it is.
    pub what: String,
    /// Who vouches for it: this has been verified.
    pub signature: Signature,
}

/// The files of a package, and who signed.
pub fn table(package: &Package) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["file", "bytes", "what it is", "verified"]);
    for file in &package.files {
        table.add_row([&file.name, &file.size.to_string(), &file.what, words(file.signature)]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n\nsigned by  {}\narchive    {} bytes", package.signer, package.size)
}

fn words(signature: Signature) -> &'static str {
    match signature {
        Signature::None => "",
        Signature::Own => "signature",
        Signature::Catalog => "in the catalog",
        Signature::Both => "signature, in the catalog",
    }
}
