//! Making a catalog that is not signed yet.

use std::fmt;
use std::time::Duration;

use cms::cert::x509::attr::Attribute;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{EncapsulatedContentInfo, SignedData, SignerInfos};
use der::asn1::{Any, OctetString, SetOfVec, UtcTime};
use der::{Decode, Encode};
use sha2::{Digest, Sha256};
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

use super::hash::{self, Hash, NotAnImage};
use super::structures::{
    CATALOG_LIST, CATALOG_LIST_MEMBER2, CTL, CertificateTrustList, CtlEntry, CtlExtension, FLAT_SUBJECT,
    IMAGE_SUBJECT, INDIRECT_DATA, LINK, LINK_VALUE, MEMBER_INFO2, NAME_VALUE, NameValue, PE_IMAGE_DATA,
    PE_IMAGE_VALUE, sha256_algorithm,
};

/// The systems that every member is for: Windows 10 and 11, in Microsoft's way of writing it.
const OS_ATTRIBUTE: &str = "2:10.0";

/// A file that a catalog shall vouch for.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// Its name without folders.
    pub name: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

/// Why a catalog cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotMade {
    /// A file is an image by its name, but not by its contents.
    Image(String, NotAnImage),
    /// A name cannot be written in 16-bit characters, the date is before 1970 or after 2049, or the like.
    Encoding(der::Error),
}

impl fmt::Display for NotMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(name, reason) => write!(f, "{name} cannot be put into the catalog: {reason}"),
            Self::Encoding(reason) => write!(f, "the catalog cannot be written: {reason}"),
        }
    }
}

impl std::error::Error for NotMade {}

impl From<der::Error> for NotMade {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error)
    }
}

/// Makes the catalog of some files, as Inf2Cat would, for `systems` such as `_v100_X64_Vb` and devices with
/// `hardware_ids`.
///
/// Every file is listed twice, under its SHA-256 hash and under its SHA-1 hash. The same arguments give the same bytes:
/// `date` is in seconds since 1970, and the list is identified by a hash of what is in it.
///
/// # Errors
/// A file with the name of an image is none, or a name or the date cannot be encoded.
pub fn make(
    files: &[File<'_>],
    hardware_ids: &[&str],
    systems: &[&str],
    date: u64,
) -> Result<Vec<u8>, NotMade> {
    let mut entries = Vec::new();
    for file in files {
        entries.extend(entries_of(file)?);
    }
    entries.sort_by(|a, b| a.subject_identifier.as_bytes().cmp(b.subject_identifier.as_bytes()));
    // The same file twice, under two names or in two folders, would be two members that Windows cannot tell apart.
    entries.dedup_by(|a, b| a.subject_identifier == b.subject_identifier);

    let mut extensions = vec![extension("OS", &systems.join(","))?];
    for (index, id) in hardware_ids.iter().enumerate().rev() {
        extensions.push(extension(&format!("HWID{}", index + 1), &id.to_lowercase())?);
    }
    let contents =
        Sha256::new().chain_update(entries.to_der()?).chain_update(extensions.to_der()?).finalize();
    let list = CertificateTrustList {
        subject_usage: vec![CATALOG_LIST],
        list_identifier: OctetString::new(&contents[..16])?,
        this_update: Time::UtcTime(UtcTime::from_unix_duration(Duration::from_secs(date))?),
        subject_algorithm: AlgorithmIdentifierOwned {
            oid: CATALOG_LIST_MEMBER2,
            parameters: Some(Any::from(der::asn1::Null)),
        },
        entries,
        extensions: Some(extensions),
    };
    Ok(unsigned(&list)?)
}

/// Signed data that nobody has signed yet.
fn unsigned(list: &CertificateTrustList) -> der::Result<Vec<u8>> {
    let data = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::new(),
        encap_content_info: EncapsulatedContentInfo {
            econtent_type: CTL,
            econtent: Some(Any::encode_from(list)?),
        },
        certificates: None,
        crls: None,
        signer_infos: SignerInfos(SetOfVec::new()),
    };
    ContentInfo { content_type: der::oid::db::rfc5911::ID_SIGNED_DATA, content: Any::encode_from(&data)? }
        .to_der()
}

/// The two members that a file becomes.
fn entries_of(file: &File<'_>) -> Result<[CtlEntry; 2], NotMade> {
    let image = is_image(file.name);
    let refused = |reason| NotMade::Image(file.name.to_owned(), reason);
    let (sha256, sha1) = if image {
        (Hash::of_image(file.bytes).map_err(refused)?, hash::sha1_of_image(file.bytes).map_err(refused)?)
    } else {
        (Hash::of_file(file.bytes), hash::sha1_of_file(file.bytes))
    };
    let attributes = [
        attribute(MEMBER_INFO2, Any::from_der(if image { &IMAGE_SUBJECT } else { &FLAT_SUBJECT })?)?,
        attribute(NAME_VALUE, Any::encode_from(&NameValue::new("OSAttr", OS_ATTRIBUTE)?)?)?,
        attribute(NAME_VALUE, Any::encode_from(&NameValue::new("File", &file.name.to_lowercase())?)?)?,
    ];
    let mut hashed = attributes.to_vec();
    hashed.push(attribute(INDIRECT_DATA, indirect_data(&sha256, image)?)?);
    Ok([
        CtlEntry { subject_identifier: OctetString::new(sha256.0)?, attributes: SetOfVec::try_from(hashed)? },
        CtlEntry {
            subject_identifier: OctetString::new(sha1)?,
            attributes: SetOfVec::try_from(attributes.to_vec())?,
        },
    ])
}

/// Whether Windows hashes a file of this name as an image. Only drivers occur in this package.
fn is_image(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".sys")
}

/// SPC_INDIRECT_DATA_CONTENT: how the file was hashed, and its hash.
fn indirect_data(hash: &Hash, image: bool) -> der::Result<Any> {
    let (value_type, value) =
        if image { (PE_IMAGE_DATA, &PE_IMAGE_VALUE[..]) } else { (LINK, &LINK_VALUE[..]) };
    Any::encode_from(&authenticode::SpcIndirectDataContent {
        data: authenticode::SpcAttributeTypeAndOptionalValue { value_type, value: Any::from_der(value)? },
        message_digest: authenticode::DigestInfo {
            digest_algorithm: sha256_algorithm(),
            digest: OctetString::new(hash.0)?,
        },
    })
}

fn attribute(oid: der::asn1::ObjectIdentifier, value: Any) -> der::Result<Attribute> {
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
}

fn extension(name: &str, value: &str) -> der::Result<CtlExtension> {
    Ok(CtlExtension { oid: NAME_VALUE, value: OctetString::new(NameValue::new(name, value)?.to_der()?)? })
}
