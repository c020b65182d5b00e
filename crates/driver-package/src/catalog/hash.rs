//! What a catalog knows a file by.

use std::fmt;

use authenticode::authenticode_digest;
use object::read::pe::PeFile64;
use sha1::Sha1;
use sha2::digest::{Output, Update};
use sha2::{Digest, Sha256};

/// The SHA-256 hash that a catalog knows a file by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

/// Not a 64-bit image of Windows, or not a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnImage;

impl fmt::Display for NotAnImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is not a 64-bit image of Windows, or not a whole one")
    }
}

impl std::error::Error for NotAnImage {}

impl Hash {
    /// Of any file but an image: all of its bytes.
    #[must_use]
    pub fn of_file(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of an image, as Authenticode defines it: all but its checksum and its signature, so that signing does not change
    /// it.
    ///
    /// # Errors
    /// The bytes are no 64-bit image.
    pub fn of_image(bytes: &[u8]) -> Result<Self, NotAnImage> {
        image_digest::<Sha256>(bytes).map(|digest| Self(digest.into()))
    }
}

/// The hash that Windows before 8 knows a file by. Inf2Cat still lists every file under this one, too.
pub fn sha1_of_file(bytes: &[u8]) -> [u8; 20] {
    Sha1::digest(bytes).into()
}

/// The same of an image.
///
/// # Errors
/// The bytes are no 64-bit image.
pub fn sha1_of_image(bytes: &[u8]) -> Result<[u8; 20], NotAnImage> {
    image_digest::<Sha1>(bytes).map(Into::into)
}

fn image_digest<D: Digest + Update>(bytes: &[u8]) -> Result<Output<D>, NotAnImage> {
    let image = PeFile64::parse(bytes).map_err(|_| NotAnImage)?;
    let mut digest = D::new();
    authenticode_digest(&image, &mut digest).map_err(|_| NotAnImage)?;
    Ok(digest.finalize())
}
