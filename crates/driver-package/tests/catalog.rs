//! Catalogs that nobody signed: what is written, and what is read.

mod fixture;

use driver_package::catalog::{Catalog, File, Hash, Member, NotAnImage, NotMade, make};
use driver_package::layout::Architecture;
use fixture::{DATE, SYSTEMS, catalog_of, driver, image};
use proptest::prelude::*;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What has a tag, a length and contents, written without the library that writes catalogs.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let length = match contents.len() {
        length @ ..0x80 => vec![length as u8],
        length @ ..0x100 => vec![0x81, length as u8],
        length => vec![0x82, (length >> 8) as u8, length as u8],
    };
    [&[tag][..], &length, &contents].concat()
}

/// An object identifier below 1.3.6.1.4.1.311, which is Microsoft's.
fn microsoft(rest: &[u8]) -> Vec<u8> {
    tlv(0x06, &[&[0x2B, 6, 1, 4, 1, 0x82, 0x37], rest])
}

/// CAT_NAMEVALUE: the name in big endian, flags, the value in little endian with a zero behind it.
fn name_value(name: &str, value: &str) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let value: Vec<u8> = value.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    tlv(0x30, &[&tlv(0x1E, &[&name]), &tlv(0x02, &[&0x1001_0001_u32.to_be_bytes()]), &tlv(0x04, &[&value])])
}

/// An attribute of a member.
fn attribute(identifier: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&microsoft(identifier), &tlv(0x31, &[value])])
}

/// An attribute of the catalog.
fn extension(name: &str, value: &str) -> Vec<u8> {
    tlv(0x30, &[&microsoft(&[12, 2, 1]), &tlv(0x04, &[&name_value(name, value)])])
}

/// The SHA-256 object identifier, and no parameters.
fn sha256_algorithm() -> Vec<u8> {
    tlv(0x30, &[&tlv(0x06, &[&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1]]), &tlv(0x05, &[])])
}

/// The two members of a file: `info` is 0 for an image and 2 for any other; `hashed` says how it was hashed.
fn members(name: &str, info: u8, sha256: &[u8], sha1: &[u8], hashed: &[u8]) -> [Vec<u8>; 2] {
    let known = [
        attribute(&[12, 2, 3], &tlv(0x80 + info, &[])),
        attribute(&[12, 2, 1], &name_value("OSAttr", "2:10.0")),
        attribute(&[12, 2, 1], &name_value("File", name)),
    ]
    .concat();
    let digest = tlv(0x30, &[&sha256_algorithm(), &tlv(0x04, &[sha256])]);
    let indirect = attribute(&[2, 1, 4], &tlv(0x30, &[hashed, &digest]));
    [
        tlv(0x30, &[&tlv(0x04, &[sha256]), &tlv(0x31, &[&known, &indirect])]),
        tlv(0x30, &[&tlv(0x04, &[sha1]), &tlv(0x31, &[&known])]),
    ]
}

/// Signed data without signers, around a list.
fn envelope(list: &[u8]) -> Vec<u8> {
    let content = tlv(0x30, &[&microsoft(&[10, 1]), &tlv(0xA0, &[list])]);
    let data = tlv(0x30, &[&tlv(0x02, &[&[1]]), &tlv(0x31, &[]), &content, &tlv(0x31, &[])]);
    let signed_data = tlv(0x06, &[&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 7, 2]]);
    tlv(0x30, &[&signed_data, &tlv(0xA0, &[&data])])
}

/// All bytes of an image but its checksum and where its signature is.
fn hashed_part(image: &[u8]) -> Vec<u8> {
    [&image[..0x98], &image[0x9C..0xE8], &image[0xF0..]].concat()
}

#[test]
fn a_catalog_is_what_inf2cat_would_have_made() {
    let (inf, sys) = (b"[Version]\r\n", image(0x8664, 0xCC));
    let files = [File { name: "Scream.inf", bytes: inf }, File { name: "scream.sys", bytes: &sys }];
    let made = make(&files, &[r"ROOT\Scream", "ROOT\\Other"], &SYSTEMS, DATE).expect("it is made");

    // A link to a file without a name; of an image, all resources and the same link.
    let link = tlv(0xA2, &[&tlv(0x80, &[])]);
    let flat = tlv(0x30, &[&microsoft(&[2, 1, 25]), &link]);
    let pe = tlv(0x30, &[&tlv(0x03, &[&[5, 0xA0]]), &tlv(0xA0, &[&link])]);
    let pe = tlv(0x30, &[&microsoft(&[2, 1, 15]), &pe]);
    let hashed = hashed_part(&sys);
    let mut entries = [
        members("scream.inf", 2, &Sha256::digest(inf), &Sha1::digest(inf), &flat),
        members("scream.sys", 0, &Sha256::digest(&hashed), &Sha1::digest(&hashed), &pe),
    ]
    .concat();
    // By their hashes, which are at the same place in all of them but for lengths.
    entries.sort_by_key(|entry| {
        entry[entry.windows(2).position(|pair| pair[0] == 0x04).unwrap() + 2..].to_vec()
    });
    let entries = tlv(0x30, &[&entries.concat()]);
    let extensions = tlv(
        0x30,
        &[
            &extension("OS", "_v100_X64_Vb,_v100_ARM64_Vb"),
            &extension("HWID2", "root\\other"),
            &extension("HWID1", "root\\scream"),
        ],
    );
    let identifier = Sha256::digest([&entries[..], &extensions].concat());
    let list = [
        tlv(0x30, &[&microsoft(&[12, 1, 1])]),
        tlv(0x04, &[&identifier[..16]]),
        tlv(0x17, &[b"260212133005Z"]),
        tlv(0x30, &[&microsoft(&[12, 1, 3]), &tlv(0x05, &[])]),
        entries,
        tlv(0xA0, &[&extensions]),
    ];
    assert_eq!(made, envelope(&tlv(0x30, &[&list.concat()])));
}

#[test]
fn a_catalog_is_read_as_it_was_made() {
    let inf = b"an INF";
    let catalog = Catalog::read(&catalog_of(inf)).expect("it is read");
    let mut members: Vec<Member> = Architecture::ALL
        .map(|architecture| Member {
            file: "scream.sys".to_owned(),
            hash: Hash::of_image(&driver(architecture)).expect("it is an image"),
        })
        .to_vec();
    members.push(Member { file: "scream.inf".to_owned(), hash: Hash::of_file(inf) });
    members.sort_by_key(|member| member.hash);
    assert_eq!(catalog.members, members);
    assert_eq!(catalog.hardware_ids, [r"root\scream"]);
    assert_eq!(catalog.systems, SYSTEMS);
    assert_eq!(catalog.signer, None);
}

#[test]
fn a_catalog_vouches_for_a_hash_under_the_name_of_its_file_only() {
    let catalog = Catalog::read(&catalog_of(b"an INF")).expect("it is read");
    assert!(catalog.vouches_for("SCREAM.INF", &Hash::of_file(b"an INF")));
    assert!(!catalog.vouches_for("scream.inf", &Hash::of_file(b"an inf")));
    assert!(!catalog.vouches_for("scream.sys", &Hash::of_file(b"an INF")));
}

#[test]
fn a_member_without_a_name_is_known_by_its_hash() {
    let hash = Hash::of_file(b"an INF");
    let members = vec![Member { file: String::new(), hash }];
    let catalog = Catalog { members, hardware_ids: Vec::new(), systems: Vec::new(), signer: None };
    assert!(catalog.vouches_for("scream.inf", &hash));
    assert!(!catalog.vouches_for("scream.inf", &Hash::of_file(b"")));
}

#[test]
fn the_hash_of_an_image_leaves_out_its_checksum_and_its_signature() {
    let plain = image(0x8664, 1);
    let hash = Hash::of_image(&plain);
    let mut signed = plain.clone();
    signed[0x98..0x9C].copy_from_slice(&[9; 4]);
    signed[0xE8..0xF0].copy_from_slice(&[0, 4, 0, 0, 16, 0, 0, 0]);
    signed.extend([0xEE; 16]);
    assert_eq!(Hash::of_image(&signed), hash);
    assert_eq!(hash, Ok(Hash(Sha256::digest(hashed_part(&plain)).into())));
    for at in [0x02, 0x44, 0x97, 0x9C, 0xE7, 0xF0, 0x1FF, 0x200, 0x3FF] {
        let mut other = plain.clone();
        other[at] ^= 1;
        assert_ne!(Hash::of_image(&other), hash, "byte {at:#X}");
    }
}

#[test]
fn a_driver_that_is_no_image_is_named() {
    let made = make(&[File { name: "scream.sys", bytes: b"MZ" }], &[], &[], DATE);
    assert_eq!(made, Err(NotMade::Image("scream.sys".to_owned(), NotAnImage)));
    assert_eq!(
        made.unwrap_err().to_string(),
        "scream.sys cannot be put into the catalog: it is not a 64-bit image of Windows, or not a whole one"
    );
}

#[test]
fn a_date_that_a_catalog_cannot_have_is_refused() {
    // The year 2050.
    let made = make(&[], &[], &[], 2_524_608_000);
    assert!(matches!(made, Err(NotMade::Encoding(_))), "{made:?}");
}

#[test]
fn the_same_file_twice_is_one_member() {
    let file = File { name: "scream.inf", bytes: b"an INF" };
    let once = make(&[file], &[], &SYSTEMS, DATE);
    assert!(once.is_ok());
    assert_eq!(make(&[file, file], &[], &SYSTEMS, DATE), once);
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Catalog::read(&bytes).is_err());
        prop_assert!(Hash::of_image(&bytes).is_err());
    }

    #[test]
    fn a_truncated_catalog_is_refused(length in 0..catalog_of(b"an INF").len()) {
        prop_assert!(Catalog::read(&catalog_of(b"an INF")[..length]).is_err());
    }

    #[test]
    fn a_changed_catalog_is_refused_or_read(at in 0..catalog_of(b"an INF").len(), bits in 1..=u8::MAX) {
        let mut bytes = catalog_of(b"an INF");
        bytes[at] ^= bits;
        if let Ok(catalog) = Catalog::read(&bytes) {
            prop_assert!(catalog.members.len() <= 3);
        }
    }

    #[test]
    fn a_changed_image_is_refused_or_has_another_hash(at in 0..0x400_usize, bits in 1..=u8::MAX) {
        let left_out = (0x98..0x9C).contains(&at) || (0xE8..0xF0).contains(&at);
        let plain = image(0x8664, 1);
        let mut changed = plain.clone();
        changed[at] ^= bits;
        prop_assert!(left_out || Hash::of_image(&changed) != Hash::of_image(&plain));
    }
}
