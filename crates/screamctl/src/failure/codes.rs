//! What the error codes of Windows mean to people who install a driver and play sound on it.
//!
//! Sources: `winerror.h` and `setupapi.h`, by way of the constants of the crate `windows-sys`, which a test compares.

use super::Meaning;

const ADMINISTRATOR: &str = "start it from a command prompt that was opened with \"Run as administrator\"";
const LATER: &str = "a part of Windows is missing or too old: Windows 10 2004 (build 19041) or later has it";
const RESTART: &str = "restart Windows and try again";
const UNPACK: &str = "download the package again and unpack all of it";
const SIGNED: &str = "use a package that is signed for this computer: README.txt says more";
const REPORT: &str = "please report this line";
const POLICY: &str =
    "ask the administrator of the computer's policies, or look at Windows Security, App & browser control";
const SPACE: &str = "free some space and try again";

/// A code as people look it up.
pub fn shown(code: u32) -> String {
    if code > 0xFFFF { format!("error 0x{code:08X}") } else { format!("error {code}") }
}

const fn is(code: u32, what: &'static str, advice: &'static str) -> Meaning {
    Meaning { code, what, advice }
}

/// Every code that there are words for, in order.
#[rustfmt::skip]
pub const TABLE: &[Meaning] = &[
    // Of files and memory.
    is(2, "Windows does not find a file", UNPACK),
    is(3, "Windows does not find a folder", UNPACK),
    is(5, "Windows refuses access", ADMINISTRATOR),
    is(8, "Windows has no memory left", "close some programs and try again"),
    is(13, "Windows finds invalid data in a file of the package", UNPACK),
    is(14, "Windows has no memory left", "close some programs and try again"),
    is(32, "a file is in use by another program", "close all programs that play sound, or restart Windows, and try again"),
    is(33, "a part of a file is in use by another program", "close all programs that play sound, or restart Windows, and try again"),
    is(39, "the disk is full", SPACE),
    is(50, "Windows does not support that here", LATER),
    is(80, "there is such a file already", RESTART),
    is(87, "Windows does not accept what it was asked", REPORT),
    is(112, "the disk is full", SPACE),
    is(120, "Windows does not support that here", LATER),
    is(183, "that exists already", RESTART),
    is(225, "the antivirus program takes a file of the package for malicious", "look at what it reports, and download the package again"),
    is(226, "the antivirus program has deleted a file of the package", "look at what it reports, and download the package again"),
    is(259, "Windows prefers the driver that is installed", "remove that one with \"screamctl uninstall\" and try again"),
    is(577, "Windows cannot verify the signature of a file", SIGNED),
    is(638, "Windows has to be restarted first", RESTART),
    is(654, "an earlier copy of the driver is still loaded", RESTART),
    is(1018, "a registry key is about to be deleted", RESTART),
    is(1058, "a service of Windows that is needed is disabled", "enable it in the list of services and try again"),
    is(1060, "there is no such service", "install Scream with \"screamctl install\""),
    is(1072, "the service is about to be deleted", RESTART),
    is(1168, "Windows does not find it", REPORT),
    is(1223, "the question of Windows for an administrator's rights was answered with No", "answer it with Yes, or ask an administrator"),
    is(1231, "there is no way to that network", "look at the network settings of Windows"),
    is(1232, "there is no way to that computer", "look at the network settings of Windows"),
    is(1275, "Windows blocks this driver", "look at Windows Security, Device security, Core isolation"),
    is(1314, "a right is missing that administrators have", ADMINISTRATOR),
    is(1326, "the name or the password of the administrator is wrong", "try again"),
    is(1450, "Windows has no resources left", RESTART),
    is(1460, "Windows did not answer in time", RESTART),
    is(1722, "a service of Windows that is needed does not answer", RESTART),
    is(1753, "a service of Windows that is needed does not run", RESTART),
    is(3010, "Windows has to be restarted first", RESTART),
    // Of code integrity policies.
    is(4550, "Windows found that a code integrity policy was replaced by an older one", POLICY),
    is(4551, "a code integrity policy of this computer forbids the file", POLICY),
    is(4552, "the code integrity policy of this computer is not valid", POLICY),
    is(4553, "the code integrity policy of this computer is not signed", POLICY),
    is(4554, "this computer has too many code integrity policies", POLICY),
    is(4555, "a supplemental code integrity policy is not authorized", POLICY),
    is(4556, "Smart App Control takes the file for malicious", POLICY),
    is(4557, "Smart App Control does not want the file", POLICY),
    is(4558, "Smart App Control takes this kind of file for dangerous", POLICY),
    is(4559, "Smart App Control cannot ask whether the file is trusted", "connect to the Internet and try again"),
    is(4580, "Smart App Control does not know the file", POLICY),
    is(4581, "Smart App Control cannot find out whether the file is trusted", "connect to the Internet and try again"),
    is(4582, "Smart App Control denies the file", POLICY),
    // Of parts of Windows.
    is(0x8004_0154, "Windows does not have that part here", LATER),
    // Of certificates and signatures.
    is(0x8009_2003, "Windows cannot read a signed file", UNPACK),
    is(0x8009_6010, "a file of the package is not the one that was signed", UNPACK),
    is(0x800B_0003, "Windows does not know this form of signature", UNPACK),
    is(0x800B_0004, "Windows does not trust the signature", SIGNED),
    is(0x800B_0100, "there is no signature", SIGNED),
    is(0x800B_0101, "the certificate of the signature has expired", SIGNED),
    is(0x800B_0109, "the certificate of the signature comes from nobody whom this computer trusts", SIGNED),
    is(0x800B_010A, "the certificate of the signature leads to nobody whom this computer trusts", SIGNED),
    is(0x800B_010C, "the certificate of the signature has been revoked", SIGNED),
    is(0x800B_010D, "the signature is a test signature, and this computer takes none", SIGNED),
    is(0x800B_010E, "Windows cannot ask whether the certificate of the signature has been revoked", "connect to the Internet and try again"),
    is(0x800B_0110, "the certificate of the signature is not for signing drivers", SIGNED),
    is(0x800B_0111, "the signer is on this computer's list of untrusted publishers", SIGNED),
    is(0x800B_0112, "the signature leads to an authority that this computer does not trust", SIGNED),
    // Of playback devices.
    is(0x8889_0004, "the playback device has gone", "look at \"screamctl status\""),
    is(0x8889_0008, "the playback device does not take this format", REPORT),
    is(0x8889_000A, "a program uses the playback device alone", "close that program and try again"),
    is(0x8889_000F, "Windows cannot use the playback device", RESTART),
    is(0x8889_0010, "the audio service of Windows does not run", "start the service Windows Audio, or restart Windows, and try again"),
    // Of device installation.
    is(0xE000_0100, "the INF is of an old kind", UNPACK),
    is(0xE000_0101, "the INF lacks a section that was asked for", UNPACK),
    is(0xE000_0102, "the INF lacks what was asked for", UNPACK),
    is(0xE000_0203, "no driver was chosen for the device", REPORT),
    is(0xE000_0207, "there is such a device already", RESTART),
    is(0xE000_020B, "there is no such device", "try again, and restart Windows if that does not help"),
    is(0xE000_0217, "the section of the service in the INF is wrong", UNPACK),
    is(0xE000_0228, "the package has no driver for this computer", "use a package for this processor and this version of Windows"),
    is(0xE000_022D, "the package is for another version of Windows", "use a package for this processor and this version of Windows"),
    is(0xE000_022E, "the package is for another version of Windows", "use a package for this processor and this version of Windows"),
    is(0xE000_022F, "the INF is not signed by a catalog", SIGNED),
    is(0xE000_0230, "this screamctl is for another processor than that of the computer", "start the screamctl.exe of this computer's processor"),
    is(0xE000_0231, "a device cannot be disabled", RESTART),
    is(0xE000_0232, "a device cannot be removed", RESTART),
    is(0xE000_0233, "the driver is for another processor", "start the screamctl.exe of this computer's processor"),
    is(0xE000_0234, "the driver is for another processor", "use the package for this computer's processor"),
    is(0xE000_0235, "this screamctl is for another processor than that of the computer", "start the screamctl.exe of this computer's processor"),
    is(0xE000_0236, "Windows cannot set a restore point", RESTART),
    is(0xE000_023A, "Windows cannot write to the registry of its devices", RESTART),
    is(0xE000_023C, "the INF is not one that was added to the driver store", "look at \"screamctl status\""),
    is(0xE000_023D, "devices still use the driver package", "remove them first, or restart Windows and try again"),
    is(0xE000_023F, "the catalog carries no Authenticode signature", SIGNED),
    is(0xE000_0240, "a policy of this computer forbids drivers with Authenticode signatures", SIGNED),
    is(0xE000_0241, "the publisher is trusted, but Windows wants to be asked first", "install with \"screamctl install --trust-certificate\""),
    is(0xE000_0242, "Windows does not trust the publisher of the driver", "trust its certificate with \"screamctl install --trust-certificate\", or use another package"),
    is(0xE000_0243, "the publisher of the driver is on this computer's list of untrusted publishers", SIGNED),
    is(0xE000_0244, "the signature is not for this version of Windows", SIGNED),
    is(0xE000_0245, "the signature can only be checked as one of a publisher", SIGNED),
    is(0xE000_0246, "Windows is not ready to install devices", "wait until it has started completely and try again"),
    is(0xE000_0247, "Windows cannot add the package to its driver store", "look at the end of C:\\Windows\\INF\\setupapi.dev.log for the reason"),
    is(0xE000_0248, "a policy of this computer forbids to install the device", "ask the administrator of the computer's policies"),
    is(0xE000_0249, "a policy of this computer forbids to install the driver", "ask the administrator of the computer's policies"),
    is(0xE000_024A, "the INF is of a kind that cannot be installed so", UNPACK),
    is(0xE000_024B, "a file of the package is not the one that was signed", UNPACK),
    is(0xE000_024C, "Windows cannot delete the package from its driver store", RESTART),
];
