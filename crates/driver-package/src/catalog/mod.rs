//! The catalog: the hashes of the files that a signature vouches for.
//!
//! [`make()`] writes one as Inf2Cat does, without a signature; [`Catalog::read`] reads one, signed or not. Whether a
//! signature is good is for Windows to say. What is looked at here is whether the catalog still is what was signed.

mod hash;
mod make;
mod read;
mod structures;

pub use hash::{Hash, NotAnImage};
pub use make::{File, NotMade, make};
pub use read::Unreadable;

/// A catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// The files that it vouches for, each under its SHA-256 hash.
    pub members: Vec<Member>,
    /// The names of the devices that the files are for: `root\scream`.
    pub hardware_ids: Vec<String>,
    /// The systems that they are for, as Microsoft abbreviates them: `_v100_X64_Vb`.
    pub systems: Vec<String>,
    /// Who signed; nobody if it is not signed.
    pub signer: Option<Signer>,
}

/// A file that a catalog vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The file's name in lower case; empty if the catalog does not tell it.
    pub file: String,
    /// Its hash.
    pub hash: Hash,
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The certificate, in DER.
    pub certificate: Vec<u8>,
    /// Its common name.
    pub common_name: String,
    /// Whether it vouches for itself, as test certificates do.
    pub self_signed: bool,
}

impl Catalog {
    /// Whether a file of this name and hash is a member. If the catalog does not tell the member's name, the hash
    /// decides, as it does for Windows.
    #[must_use]
    pub fn vouches_for(&self, file: &str, hash: &Hash) -> bool {
        let is_named = |member: &Member| member.file.is_empty() || member.file.eq_ignore_ascii_case(file);
        self.members.iter().any(|member| member.hash == *hash && is_named(member))
    }
}
