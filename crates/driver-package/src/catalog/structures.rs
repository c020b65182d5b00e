//! What a catalog is made of, in ASN.1.
//!
//! A catalog is PKCS #7 signed data whose content is a certificate trust list of Microsoft's. The structures have the
//! names of `wintrust.h` and `mscat.h`; no page of Microsoft's gives their ASN.1, so it was read from catalogs that
//! Inf2Cat made:
//!
//! ```text
//! CTL            ::= SEQUENCE { usage, identifier, this update, algorithm, members, [0] attributes of the catalog }
//! CTL entry      ::= SEQUENCE { the hash as bytes, SET OF attributes: each a type and a SET of values }
//! attribute      ::= member info (empty, tagged [0] for an image and [2] for any other file),
//!                    name and value ("OSAttr", "File"), SPC_INDIRECT_DATA (only at SHA-256)
//! catalog's own  ::= name and value ("OS", "HWID1"), wrapped into an OCTET STRING each
//! ```

use der::Sequence;
use der::asn1::{Any, BmpString, Null, ObjectIdentifier, OctetString, SetOfVec};
use der::oid::db::rfc5912::ID_SHA_256;
use x509_cert::attr::Attribute;
use x509_cert::spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

/// szOID_CTL: the signed data is a certificate trust list.
pub const CTL: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.10.1");
/// szOID_CATALOG_LIST: the trust list is a catalog.
pub const CATALOG_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.1.1");
/// szOID_CATALOG_LIST_MEMBER2: its members are named by the bytes of their hashes.
pub const CATALOG_LIST_MEMBER2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.1.3");
/// CAT_NAMEVALUE_OBJID.
pub const NAME_VALUE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.2.1");
/// CAT_MEMBERINFO2_OBJID.
pub const MEMBER_INFO2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.12.2.3");
/// SPC_INDIRECT_DATA_OBJID.
pub const INDIRECT_DATA: ObjectIdentifier = authenticode::SPC_INDIRECT_DATA_OBJID;
/// SPC_PE_IMAGE_DATA_OBJID: what was hashed is an image.
pub const PE_IMAGE_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.15");
/// SPC_CAB_DATA_OBJID, which Inf2Cat also puts on files that it hashes from the first byte to the last.
pub const LINK: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.25");

/// The flags of Inf2Cat's names and values: CRYPTCAT_ATTR_AUTHENTICATED, _NAMEASCII, _DATAASCII.
pub const NAME_VALUE_FLAGS: u32 = 0x1001_0001;

/// What an image has in its member info: `[0]`, the kind of file that was hashed, with nothing in it.
pub const IMAGE_SUBJECT: [u8; 2] = [0x80, 0];
/// What any other file has there.
pub const FLAT_SUBJECT: [u8; 2] = [0x82, 0];
/// What was hashed, for a file that is no image: a link to a file without a name.
pub const LINK_VALUE: [u8; 4] = [0xA2, 2, 0x80, 0];
/// What was hashed, for an image: SpcPeImageData with all of its resources, and a link to a file without a name.
pub const PE_IMAGE_VALUE: [u8; 12] = [0x30, 10, 0x03, 2, 5, 0xA0, 0xA0, 4, 0xA2, 2, 0x80, 0];

/// CTL_INFO.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub struct CertificateTrustList {
    /// What the list is for.
    pub subject_usage: Vec<ObjectIdentifier>,
    /// Sixteen bytes that tell lists apart.
    pub list_identifier: OctetString,
    /// When it was made.
    pub this_update: Time,
    /// What its entries are.
    pub subject_algorithm: AlgorithmIdentifierOwned,
    /// The members.
    pub entries: Vec<CtlEntry>,
    /// Attributes of the catalog as a whole.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub extensions: Option<Vec<CtlExtension>>,
}

/// CTL_ENTRY: a member of a catalog.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub struct CtlEntry {
    /// The hash.
    pub subject_identifier: OctetString,
    /// What is known of the file.
    pub attributes: SetOfVec<Attribute>,
}

/// CERT_EXTENSION as CryptoAPI writes it here: without the mark of being critical.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub struct CtlExtension {
    /// What it is.
    pub oid: ObjectIdentifier,
    /// Its value, encoded.
    pub value: OctetString,
}

/// CAT_NAMEVALUE.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub struct NameValue {
    /// The name.
    pub tag: BmpString,
    /// How name and value are to be taken.
    pub flags: u32,
    /// The value: UTF-16, little endian, ended by a zero.
    pub value: OctetString,
}

impl NameValue {
    /// A name with its value.
    ///
    /// # Errors
    /// Either does not fit into 16-bit characters.
    pub fn new(name: &str, value: &str) -> der::Result<Self> {
        let value: Vec<u8> = value.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        Ok(Self {
            tag: BmpString::from_utf8(name)?,
            flags: NAME_VALUE_FLAGS,
            value: OctetString::new(value)?,
        })
    }

    /// The value as text, without the zero at its end.
    pub fn text(&self) -> String {
        let units = self.value.as_bytes().chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
        String::from_utf16_lossy(&units)
    }

    /// Whether this is the name.
    pub fn is_named(&self, name: &str) -> bool {
        self.tag.chars().eq(name.chars())
    }
}

/// SHA-256 in the form in which signed data names an algorithm.
pub fn sha256_algorithm() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: ID_SHA_256, parameters: Some(Any::from(Null)) }
}
