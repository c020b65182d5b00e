//! Reading a catalog that may be anything.

use std::fmt;

use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{Any, ObjectIdentifier};
use der::oid::db::rfc4519::COMMON_NAME;
use der::oid::db::rfc5911::{ID_MESSAGE_DIGEST, ID_SIGNED_DATA};
use der::oid::db::rfc5912::{ID_SHA_256, ID_SHA_384, ID_SHA_512};
use der::{Decode, Encode, Tag, Tagged};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::Certificate;

use super::structures::{CTL, CertificateTrustList, CtlEntry, INDIRECT_DATA, NAME_VALUE, NameValue};
use super::{Catalog, Hash, Member, Signer};

/// Why bytes are no catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// They are not encoded as a catalog is.
    Encoding(der::Error),
    /// They are signed data, but no list of files.
    NotACatalog,
    /// More than one has signed, or with a hash that Windows does not take, or the signer's certificate is not there.
    Signature,
    /// The list of files is not the one that was signed.
    Changed,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding(error) => write!(f, "it is not a catalog: {error}"),
            Self::NotACatalog => f.write_str("it is not a catalog"),
            Self::Signature => f.write_str("its signature is not one of a catalog"),
            Self::Changed => f.write_str("it is not what was signed"),
        }
    }
}

impl std::error::Error for Unreadable {}

impl From<der::Error> for Unreadable {
    fn from(error: der::Error) -> Self {
        Self::Encoding(error)
    }
}

impl Catalog {
    /// Reads a catalog, signed or not.
    ///
    /// # Errors
    /// The bytes are not a catalog, or its list of files does not have the hash that was signed. The signature itself
    /// is not verified: that needs to be known whom to trust, which Windows knows.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let envelope = ContentInfo::from_der(bytes)?;
        if envelope.content_type != ID_SIGNED_DATA {
            return Err(Unreadable::NotACatalog);
        }
        let data: SignedData = envelope.content.decode_as()?;
        let content = data.encap_content_info.econtent.as_ref();
        let Some(content) = content.filter(|_| data.encap_content_info.econtent_type == CTL) else {
            return Err(Unreadable::NotACatalog);
        };
        let list: CertificateTrustList = content.decode_as()?;
        let signer = signer(&data, content)?;

        let mut members = Vec::new();
        for entry in &list.entries {
            members.extend(member(entry)?);
        }
        let mut catalog = Self { members, hardware_ids: Vec::new(), systems: Vec::new(), signer };
        for extension in list.extensions.iter().flatten().filter(|extension| extension.oid == NAME_VALUE) {
            catalog.note(&NameValue::from_der(extension.value.as_bytes())?);
        }
        Ok(catalog)
    }

    /// Takes an attribute of the catalog as a whole.
    fn note(&mut self, attribute: &NameValue) {
        let name: String = attribute.tag.chars().collect();
        if name == "OS" {
            self.systems = attribute.text().split(',').map(str::to_owned).collect();
        } else if name.starts_with("HWID") {
            self.hardware_ids.push(attribute.text());
        }
    }
}

/// A member; none if it only lists a file by its SHA-1 hash once more.
fn member(entry: &CtlEntry) -> Result<Option<Member>, Unreadable> {
    let mut file = String::new();
    let mut hash = None;
    for attribute in entry.attributes.iter() {
        for value in attribute.values.iter() {
            if attribute.oid == NAME_VALUE {
                let pair: NameValue = value.decode_as()?;
                if pair.is_named("File") {
                    file = pair.text();
                }
            } else if attribute.oid == INDIRECT_DATA {
                let data: authenticode::SpcIndirectDataContent = value.decode_as()?;
                let digest = <[u8; 32]>::try_from(data.message_digest.digest.as_bytes());
                let known = data.message_digest.digest_algorithm.oid == ID_SHA_256;
                hash = digest.ok().filter(|_| known).map(Hash);
            }
        }
    }
    Ok(hash.map(|hash| Member { file, hash }))
}

/// Who signed the content.
fn signer(data: &SignedData, content: &Any) -> Result<Option<Signer>, Unreadable> {
    let infos = data.signer_infos.0.as_slice();
    let info = match infos {
        [] => return Ok(None),
        [info] => info,
        _ => return Err(Unreadable::Signature),
    };
    let signed = signed_digest(info).ok_or(Unreadable::Signature)?;
    // PKCS #7 hashes a content without its tag and its length.
    let now = digest(info.digest_alg.oid, content.value()).ok_or(Unreadable::Signature)?;
    if signed != now {
        return Err(Unreadable::Changed);
    }
    let certificate = certificate_of(data, info).ok_or(Unreadable::Signature)?;
    Ok(Some(Signer {
        certificate: certificate.to_der()?,
        common_name: common_name(certificate),
        self_signed: certificate.tbs_certificate.issuer == certificate.tbs_certificate.subject,
    }))
}

/// The hash of bytes, if the algorithm is one that Windows still takes.
fn digest(algorithm: ObjectIdentifier, bytes: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        ID_SHA_256 => Some(Sha256::digest(bytes).to_vec()),
        ID_SHA_384 => Some(Sha384::digest(bytes).to_vec()),
        ID_SHA_512 => Some(Sha512::digest(bytes).to_vec()),
        _ => None,
    }
}

/// The hash of the content, as it was signed.
fn signed_digest(info: &SignerInfo) -> Option<&[u8]> {
    let is_digest = |oid: ObjectIdentifier| oid == ID_MESSAGE_DIGEST;
    let attribute = info.signed_attrs.as_ref()?.iter().find(|attribute| is_digest(attribute.oid))?;
    let value = attribute.values.iter().next()?;
    (value.tag() == Tag::OctetString).then(|| value.value())
}

fn certificate_of<'a>(data: &'a SignedData, info: &SignerInfo) -> Option<&'a Certificate> {
    let SignerIdentifier::IssuerAndSerialNumber(wanted) = &info.sid else { return None };
    data.certificates.as_ref()?.0.iter().find_map(|choice| match choice {
        CertificateChoices::Certificate(certificate)
            if certificate.tbs_certificate.issuer == wanted.issuer
                && certificate.tbs_certificate.serial_number == wanted.serial_number =>
        {
            Some(certificate)
        }
        _ => None,
    })
}

/// The common name that a certificate is for; empty if it has none. It is shown to people, so it has no control
/// characters.
fn common_name(certificate: &Certificate) -> String {
    let mut names = certificate.tbs_certificate.subject.0.iter().flat_map(|name| name.0.iter());
    let Some(name) = names.find(|name| name.oid == COMMON_NAME) else { return String::new() };
    let bytes = name.value.value();
    let text = match name.value.tag() {
        Tag::BmpString => {
            let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            String::from_utf16_lossy(&units.collect::<Vec<_>>())
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    };
    text.chars().filter(|letter| !letter.is_control()).collect()
}
