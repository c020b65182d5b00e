//! Certificates that users give, good and bad.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::{Arguments, certificate};
use super::*;
use crate::process::answer;

/// A folder with a root, certificates of its, and what else people mistake for one.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.openssl(
            "req -x509 -newkey rsa:2048 -nodes -subj /CN=Root -days 9 -keyout root.key -out root.pem",
        );
        files.write("signing", "extendedKeyUsage=codeSigning\n");
        files.write("web", "extendedKeyUsage=serverAuth\n");
        files.issue("acme", "signing", "9");
        files.issue("web", "web", "9");
        files.issue("old", "signing", "0");
        files.write("password", "sesame\n");
        files.write("wrong", "open\n");
        files.write("chain.pem", &(files.read("acme.pem") + &files.read("root.pem")));
        files.write("web-chain.pem", &(files.read("web.pem") + &files.read("root.pem")));
        files.write("old-chain.pem", &(files.read("old.pem") + &files.read("root.pem")));
        let container = "pkcs12 -export -in acme.pem -inkey acme.key -certfile root.pem -passout";
        files.openssl(&format!("{container} file:password -out acme.pfx"));
        files.openssl(&format!("{container} file:password -legacy -out legacy.pfx"));
        files.openssl(&format!("{container} pass: -out open.pfx"));
        files.openssl("pkey -in acme.key -aes256 -passout file:password -out locked.key");
        files
    }

    /// A certificate with a key of its own, issued by the root.
    fn issue(&self, name: &str, usage: &str, days: &str) {
        self.openssl(&format!(
            "req -newkey rsa:2048 -nodes -subj /O=Acme/CN={name} -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA root.pem -CAkey root.key -days {days} -extfile {usage} -out {name}.pem"
        ));
    }

    fn openssl(&self, arguments: &str) {
        answer(Command::new("openssl").args(arguments.split(' ')).current_dir(self.0.path())).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// What the user says: certificate, key and password, of which those that are empty are not said.
    fn arguments(&self, [certificate, key, password]: [&str; 3]) -> Arguments {
        let path = |name: &str| (!name.is_empty()).then(|| self.path(name));
        Arguments {
            certificate: path(certificate),
            key: path(key),
            password_file: path(password),
            ..Arguments::default()
        }
    }
}

#[test]
fn certificates_of_every_kind_sign_and_no_test_certificate_is_in_the_package() {
    let files = Files::new();
    let kinds = [
        ["chain.pem", "acme.key", ""],
        ["chain.pem", "locked.key", "password"],
        ["acme.pfx", "", "password"],
        ["legacy.pfx", "", "password"],
        ["open.pfx", "", ""],
    ];
    for kind in kinds {
        let identity =
            certificate::given(&files.arguments(kind)).unwrap_or_else(|error| panic!("{kind:?}: {error:#}"));
        let signer = Signer::new(identity, None).unwrap();
        assert_eq!(signer.name(), "acme", "{kind:?}");
        assert_eq!(signer.test_certificate(), None, "{kind:?}");
        let file = files.path("scream.sys");
        fs::copy(unpacked_package().join("driver/x64/scream.sys"), &file).unwrap();
        assert!(signer.verify(&file).is_err(), "{kind:?}");
        signer.sign(&file).unwrap();
        signer.verify(&file).unwrap();
    }
    let identity = certificate::given(&files.arguments(["acme.pfx", "", "password"])).unwrap();
    let (package, output) = made(&Signer::new(identity, None).unwrap());
    assert!(!folder_of(&output).join("certificate").exists());
    assert_eq!(package.signer, "acme");
    assert_eq!(package.files.len(), 15);
}

#[test]
fn a_server_for_time_stamps_that_does_not_answer_is_one_line_and_the_file_stays_as_it_was() {
    // Nobody listens to port 1 of this computer.
    let signer = Signer::new(None, Some("http://127.0.0.1:1".to_owned())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scream.sys");
    fs::copy(unpacked_package().join("driver/x64/scream.sys"), &file).unwrap();
    let before = fs::read(&file).unwrap();
    let error = format!("{:#}", signer.sign(&file).unwrap_err());
    assert!(error.starts_with(&format!("cannot sign {}: ", file.display())), "{error}");
    assert!(!error.contains('\n'), "{error}");
    assert!(fs::read(&file).unwrap() == before);
}

/// What is said about a certificate, with the folder of the files left out.
fn complaint(files: &Files, given: [&str; 3]) -> String {
    let Err(error) = certificate::given(&files.arguments(given)) else { panic!("{given:?} is accepted") };
    format!("{error:#}").replace(&format!("{}/", files.0.path().display()), "")
}

#[test]
fn what_cannot_sign_is_named_in_one_line() {
    let files = Files::new();
    let cases = [
        (["no.pfx", "", ""], "cannot read the certificate no.pfx: No such file or directory (os error 2)"),
        (["signing", "", ""], "signing is not a certificate in PEM or PKCS #12"),
        (["acme.key", "acme.key", ""], "acme.key is not a certificate in PEM or PKCS #12"),
        (["acme.pfx", "", ""], "the password of acme.pfx is wrong or missing: give it with --password-file"),
        (
            ["acme.pfx", "", "wrong"],
            "the password of acme.pfx is wrong or missing: give it with --password-file",
        ),
        (
            ["acme.pfx", "", "none"],
            "cannot read the password file none: No such file or directory (os error 2)",
        ),
        (["open.pfx", "acme.key", ""], "open.pfx has a private key itself: leave out --key"),
        (["chain.pem", "", ""], "chain.pem has no private key that is used: give its file with --key"),
        (
            ["chain.pem", "web.key", ""],
            "the private key web.key does not belong to the certificate chain.pem",
        ),
        (
            ["chain.pem", "locked.key", "wrong"],
            "locked.key is not a private key in PEM, or --password-file is wrong or missing",
        ),
        (
            ["chain.pem", "signing", ""],
            "signing is not a private key in PEM, or --password-file is wrong or missing",
        ),
        (["web-chain.pem", "web.key", ""], "the certificate web-chain.pem is not for code signing"),
        (["old-chain.pem", "old.key", ""], "the certificate old-chain.pem has expired"),
        (
            ["acme.pem", "acme.key", ""],
            "the issuer of the certificate acme.pem is not known: put the certificates up to the root into that file",
        ),
    ];
    for (given, expected) in cases {
        assert_eq!(complaint(&files, given), expected, "{given:?}");
    }
}

#[test]
fn a_test_certificate_is_for_code_signing_only_and_has_a_name_of_its_own() {
    let [one, other] = [(); 2].map(|()| Signer::new(None, None).unwrap());
    assert_ne!(one.name(), other.name());
    let file = one.private_key().unwrap().with_file_name("certificate.pem");
    assert!(Path::new(&file).is_file());
    let text = answer(Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&file)).unwrap();
    assert!(one.name().starts_with("Scream in Rust test certificate "), "{}", one.name());
    for expected in ["Public-Key: (3072 bit)", "Code Signing", "Digital Signature", "CA:FALSE"] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    assert!(!text.contains("Certificate Sign"), "{text}");
}
