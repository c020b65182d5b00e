//! What errors of Windows and problems of devices mean: every code there are words for, in its exact line, and that the
//! codes are those of Windows.

use screamctl::computer::ApiError;
use screamctl::failure::{Failure, explain, problem};
use windows_sys::Win32::Devices::DeviceAndDriverInstallation as devices;
use windows_sys::Win32::Foundation as win32;
use windows_sys::Win32::Media::Audio as audio;
use windows_sys::Win32::System::Rpc as rpc;

const ADMINISTRATOR: &str = "start it from a command prompt that was opened with \"Run as administrator\"";
const RESTART: &str = "restart Windows and try again";
const UNPACK: &str = "download the package again and unpack all of it";
const SIGNED: &str = "use a package that is signed for this computer: README.txt says more";
const POLICY: &str =
    "ask the administrator of the computer's policies, or look at Windows Security, App & browser control";
const REPORT: &str = "please report this line";
const SPACE: &str = "free some space and try again";
const PROGRAM: &str = "start the screamctl.exe of this computer's processor";

/// Expects this of a call that failed.
fn check(code: u32, what: &str, advice: &str) {
    let number = if code > 0xFFFF { format!("0x{code:08X}") } else { code.to_string() };
    let line = explain(ApiError { call: "ThatCall", code }).to_string();
    assert_eq!(line, format!("{what} (ThatCall: error {number}): {advice}"));
}

/// The same of an HRESULT.
fn check_result(code: i32, what: &str, advice: &str) {
    check(code.cast_unsigned(), what, advice);
}

#[test]
fn errors_of_files_and_memory() {
    let in_use = "close all programs that play sound, or restart Windows, and try again";
    let later = "a part of Windows is missing or too old: Windows 10 2004 (build 19041) or later has it";
    let antivirus = "look at what it reports, and download the package again";
    check(win32::ERROR_FILE_NOT_FOUND, "Windows does not find a file", UNPACK);
    check(win32::ERROR_PATH_NOT_FOUND, "Windows does not find a folder", UNPACK);
    check(win32::ERROR_ACCESS_DENIED, "Windows refuses access", ADMINISTRATOR);
    check(win32::ERROR_NOT_ENOUGH_MEMORY, "Windows has no memory left", "close some programs and try again");
    check(win32::ERROR_INVALID_DATA, "Windows finds invalid data in a file of the package", UNPACK);
    check(win32::ERROR_OUTOFMEMORY, "Windows has no memory left", "close some programs and try again");
    check(win32::ERROR_SHARING_VIOLATION, "a file is in use by another program", in_use);
    check(win32::ERROR_LOCK_VIOLATION, "a part of a file is in use by another program", in_use);
    check(win32::ERROR_HANDLE_DISK_FULL, "the disk is full", SPACE);
    check(win32::ERROR_NOT_SUPPORTED, "Windows does not support that here", later);
    check(win32::ERROR_FILE_EXISTS, "there is such a file already", RESTART);
    check(win32::ERROR_INVALID_PARAMETER, "Windows does not accept what it was asked", REPORT);
    check(win32::ERROR_DISK_FULL, "the disk is full", SPACE);
    check(win32::ERROR_CALL_NOT_IMPLEMENTED, "Windows does not support that here", later);
    check(win32::ERROR_ALREADY_EXISTS, "that exists already", RESTART);
    check(
        win32::ERROR_VIRUS_INFECTED,
        "the antivirus program takes a file of the package for malicious",
        antivirus,
    );
    check(win32::ERROR_VIRUS_DELETED, "the antivirus program has deleted a file of the package", antivirus);
    check(win32::ERROR_INVALID_IMAGE_HASH, "Windows cannot verify the signature of a file", SIGNED);
}

#[test]
fn errors_of_the_system() {
    check(
        win32::ERROR_NO_MORE_ITEMS,
        "Windows prefers the driver that is installed",
        "remove that one with \"screamctl uninstall\" and try again",
    );
    check(win32::ERROR_PNP_REBOOT_REQUIRED, "Windows has to be restarted first", RESTART);
    check(win32::ERROR_DRIVER_FAILED_PRIOR_UNLOAD, "an earlier copy of the driver is still loaded", RESTART);
    check(win32::ERROR_KEY_DELETED, "a registry key is about to be deleted", RESTART);
    check(
        win32::ERROR_SERVICE_DISABLED,
        "a service of Windows that is needed is disabled",
        "enable it in the list of services and try again",
    );
    check(
        win32::ERROR_SERVICE_DOES_NOT_EXIST,
        "there is no such service",
        "install Scream with \"screamctl install\"",
    );
    check(win32::ERROR_SERVICE_MARKED_FOR_DELETE, "the service is about to be deleted", RESTART);
    check(win32::ERROR_NOT_FOUND, "Windows does not find it", REPORT);
    check(
        win32::ERROR_CANCELLED,
        "the question of Windows for an administrator's rights was answered with No",
        "answer it with Yes, or ask an administrator",
    );
    let network = "look at the network settings of Windows";
    check(win32::ERROR_NETWORK_UNREACHABLE, "there is no way to that network", network);
    check(win32::ERROR_HOST_UNREACHABLE, "there is no way to that computer", network);
    check(
        win32::ERROR_DRIVER_BLOCKED,
        "Windows blocks this driver",
        "look at Windows Security, Device security, Core isolation",
    );
    check(win32::ERROR_PRIVILEGE_NOT_HELD, "a right is missing that administrators have", ADMINISTRATOR);
    check(win32::ERROR_LOGON_FAILURE, "the name or the password of the administrator is wrong", "try again");
    check(win32::ERROR_NO_SYSTEM_RESOURCES, "Windows has no resources left", RESTART);
    check(win32::ERROR_TIMEOUT, "Windows did not answer in time", RESTART);
    check_result(
        rpc::RPC_S_SERVER_UNAVAILABLE,
        "a service of Windows that is needed does not answer",
        RESTART,
    );
    check_result(rpc::EPT_S_NOT_REGISTERED, "a service of Windows that is needed does not run", RESTART);
    check(win32::ERROR_SUCCESS_REBOOT_REQUIRED, "Windows has to be restarted first", RESTART);
}

#[test]
fn errors_of_code_integrity_policies() {
    let connect = "connect to the Internet and try again";
    for (code, what) in [
        (
            win32::ERROR_SYSTEM_INTEGRITY_ROLLBACK_DETECTED,
            "Windows found that a code integrity policy was replaced by an older one",
        ),
        (
            win32::ERROR_SYSTEM_INTEGRITY_POLICY_VIOLATION,
            "a code integrity policy of this computer forbids the file",
        ),
        (
            win32::ERROR_SYSTEM_INTEGRITY_INVALID_POLICY,
            "the code integrity policy of this computer is not valid",
        ),
        (
            win32::ERROR_SYSTEM_INTEGRITY_POLICY_NOT_SIGNED,
            "the code integrity policy of this computer is not signed",
        ),
        (
            win32::ERROR_SYSTEM_INTEGRITY_TOO_MANY_POLICIES,
            "this computer has too many code integrity policies",
        ),
        (
            win32::ERROR_SYSTEM_INTEGRITY_SUPPLEMENTAL_POLICY_NOT_AUTHORIZED,
            "a supplemental code integrity policy is not authorized",
        ),
        (
            win32::ERROR_SYSTEM_INTEGRITY_REPUTATION_MALICIOUS,
            "Smart App Control takes the file for malicious",
        ),
        (win32::ERROR_SYSTEM_INTEGRITY_REPUTATION_PUA, "Smart App Control does not want the file"),
        (
            win32::ERROR_SYSTEM_INTEGRITY_REPUTATION_DANGEROUS_EXT,
            "Smart App Control takes this kind of file for dangerous",
        ),
        (
            win32::ERROR_SYSTEM_INTEGRITY_REPUTATION_UNFRIENDLY_FILE,
            "Smart App Control does not know the file",
        ),
        (win32::ERROR_SYSTEM_INTEGRITY_REPUTATION_EXPLICIT_DENY_FILE, "Smart App Control denies the file"),
    ] {
        check(code, what, POLICY);
    }
    check(
        win32::ERROR_SYSTEM_INTEGRITY_REPUTATION_OFFLINE,
        "Smart App Control cannot ask whether the file is trusted",
        connect,
    );
    check(
        win32::ERROR_SYSTEM_INTEGRITY_REPUTATION_UNATTAINABLE,
        "Smart App Control cannot find out whether the file is trusted",
        connect,
    );
}

#[test]
fn errors_of_parts_of_windows() {
    let later = "a part of Windows is missing or too old: Windows 10 2004 (build 19041) or later has it";
    check_result(win32::REGDB_E_CLASSNOTREG, "Windows does not have that part here", later);
}

#[test]
fn errors_of_certificates_and_signatures() {
    check_result(win32::CRYPT_E_FILE_ERROR, "Windows cannot read a signed file", UNPACK);
    check_result(win32::TRUST_E_BAD_DIGEST, "a file of the package is not the one that was signed", UNPACK);
    check_result(win32::TRUST_E_SUBJECT_FORM_UNKNOWN, "Windows does not know this form of signature", UNPACK);
    check_result(win32::TRUST_E_SUBJECT_NOT_TRUSTED, "Windows does not trust the signature", SIGNED);
    check_result(win32::TRUST_E_NOSIGNATURE, "there is no signature", SIGNED);
    check_result(win32::CERT_E_EXPIRED, "the certificate of the signature has expired", SIGNED);
    check_result(
        win32::CERT_E_UNTRUSTEDROOT,
        "the certificate of the signature comes from nobody whom this computer trusts",
        SIGNED,
    );
    check_result(
        win32::CERT_E_CHAINING,
        "the certificate of the signature leads to nobody whom this computer trusts",
        SIGNED,
    );
    check_result(win32::CERT_E_REVOKED, "the certificate of the signature has been revoked", SIGNED);
    check_result(
        win32::CERT_E_UNTRUSTEDTESTROOT,
        "the signature is a test signature, and this computer takes none",
        SIGNED,
    );
    check_result(
        win32::CERT_E_REVOCATION_FAILURE,
        "Windows cannot ask whether the certificate of the signature has been revoked",
        "connect to the Internet and try again",
    );
    check_result(
        win32::CERT_E_WRONG_USAGE,
        "the certificate of the signature is not for signing drivers",
        SIGNED,
    );
    check_result(
        win32::TRUST_E_EXPLICIT_DISTRUST,
        "the signer is on this computer's list of untrusted publishers",
        SIGNED,
    );
    check_result(
        win32::CERT_E_UNTRUSTEDCA,
        "the signature leads to an authority that this computer does not trust",
        SIGNED,
    );
}

#[test]
fn errors_of_playback_devices() {
    check_result(
        audio::AUDCLNT_E_DEVICE_INVALIDATED,
        "the playback device has gone",
        "look at \"screamctl status\"",
    );
    check_result(
        audio::AUDCLNT_E_UNSUPPORTED_FORMAT,
        "the playback device does not take this format",
        REPORT,
    );
    check_result(
        audio::AUDCLNT_E_DEVICE_IN_USE,
        "a program uses the playback device alone",
        "close that program and try again",
    );
    check_result(audio::AUDCLNT_E_ENDPOINT_CREATE_FAILED, "Windows cannot use the playback device", RESTART);
    check_result(
        audio::AUDCLNT_E_SERVICE_NOT_RUNNING,
        "the audio service of Windows does not run",
        "start the service Windows Audio, or restart Windows, and try again",
    );
}

#[test]
fn errors_of_device_installation() {
    let status = "look at \"screamctl status\"";
    let again = "try again, and restart Windows if that does not help";
    check(win32::ERROR_WRONG_INF_STYLE, "the INF is of an old kind", UNPACK);
    check(win32::ERROR_SECTION_NOT_FOUND, "the INF lacks a section that was asked for", UNPACK);
    for code in [win32::ERROR_NON_WINDOWS_NT_DRIVER, win32::ERROR_NON_WINDOWS_DRIVER] {
        let other = "use a package for this processor and this version of Windows";
        check(code, "the package is for another version of Windows", other);
    }
    check(win32::ERROR_LINE_NOT_FOUND, "the INF lacks what was asked for", UNPACK);
    check(win32::ERROR_NO_DRIVER_SELECTED, "no driver was chosen for the device", REPORT);
    check(win32::ERROR_DEVINST_ALREADY_EXISTS, "there is such a device already", RESTART);
    check(win32::ERROR_NO_SUCH_DEVINST, "there is no such device", again);
    check(win32::ERROR_BAD_SERVICE_INSTALLSECT, "the section of the service in the INF is wrong", UNPACK);
    check(
        win32::ERROR_NO_COMPAT_DRIVERS,
        "the package has no driver for this computer",
        "use a package for this processor and this version of Windows",
    );
    for code in [win32::ERROR_DEVINSTALL_QUEUE_NONNATIVE, win32::ERROR_IN_WOW64] {
        check(code, "this screamctl is for another processor than that of the computer", PROGRAM);
    }
    check(win32::ERROR_NOT_DISABLEABLE, "a device cannot be disabled", RESTART);
    check(win32::ERROR_CANT_REMOVE_DEVINST, "a device cannot be removed", RESTART);
    check(win32::ERROR_INVALID_TARGET, "the driver is for another processor", PROGRAM);
    check(
        win32::ERROR_DRIVER_NONNATIVE,
        "the driver is for another processor",
        "use the package for this computer's processor",
    );
    check(win32::ERROR_SET_SYSTEM_RESTORE_POINT, "Windows cannot set a restore point", RESTART);
    check(win32::ERROR_PNP_REGISTRY_ERROR, "Windows cannot write to the registry of its devices", RESTART);
    check(
        win32::ERROR_NOT_AN_INSTALLED_OEM_INF,
        "the INF is not one that was added to the driver store",
        status,
    );
    check(
        win32::ERROR_INF_IN_USE_BY_DEVICES,
        "devices still use the driver package",
        "remove them first, or restart Windows and try again",
    );
    check(win32::ERROR_WRONG_INF_TYPE, "the INF is of a kind that cannot be installed so", UNPACK);
    check(
        win32::ERROR_DEVICE_INSTALLER_NOT_READY,
        "Windows is not ready to install devices",
        "wait until it has started completely and try again",
    );
    check(
        win32::ERROR_DRIVER_STORE_ADD_FAILED,
        "Windows cannot add the package to its driver store",
        "look at the end of C:\\Windows\\INF\\setupapi.dev.log for the reason",
    );
    check(
        win32::ERROR_DRIVER_STORE_DELETE_FAILED,
        "Windows cannot delete the package from its driver store",
        RESTART,
    );
}

#[test]
fn errors_of_driver_signatures() {
    let policies = "ask the administrator of the computer's policies";
    check(win32::ERROR_NO_CATALOG_FOR_OEM_INF, "the INF is not signed by a catalog", SIGNED);
    check(win32::ERROR_NO_AUTHENTICODE_CATALOG, "the catalog carries no Authenticode signature", SIGNED);
    check(
        win32::ERROR_AUTHENTICODE_DISALLOWED,
        "a policy of this computer forbids drivers with Authenticode signatures",
        SIGNED,
    );
    check(
        win32::ERROR_AUTHENTICODE_TRUSTED_PUBLISHER,
        "the publisher is trusted, but Windows wants to be asked first",
        "install with \"screamctl install --trust-certificate\"",
    );
    check(
        win32::ERROR_AUTHENTICODE_TRUST_NOT_ESTABLISHED,
        "Windows does not trust the publisher of the driver",
        "trust its certificate with \"screamctl install --trust-certificate\", or use another package",
    );
    check(
        win32::ERROR_AUTHENTICODE_PUBLISHER_NOT_TRUSTED,
        "the publisher of the driver is on this computer's list of untrusted publishers",
        SIGNED,
    );
    check(
        win32::ERROR_SIGNATURE_OSATTRIBUTE_MISMATCH,
        "the signature is not for this version of Windows",
        SIGNED,
    );
    check(
        win32::ERROR_ONLY_VALIDATE_VIA_AUTHENTICODE,
        "the signature can only be checked as one of a publisher",
        SIGNED,
    );
    check(
        win32::ERROR_DEVICE_INSTALL_BLOCKED,
        "a policy of this computer forbids to install the device",
        policies,
    );
    check(
        win32::ERROR_DRIVER_INSTALL_BLOCKED,
        "a policy of this computer forbids to install the driver",
        policies,
    );
    check(
        win32::ERROR_FILE_HASH_NOT_IN_CATALOG,
        "a file of the package is not the one that was signed",
        UNPACK,
    );
}

#[test]
fn a_code_without_words_is_named_with_its_call() {
    for (code, line) in [
        (31, "ThatCall: error 31"),
        (0xFFFF, "ThatCall: error 65535"),
        (0x1_0000, "ThatCall: error 0x00010000"),
        (0x8000_4005, "ThatCall: error 0x80004005"),
        (0xE000_0FFF, "ThatCall: error 0xE0000FFF"),
    ] {
        assert_eq!(explain(ApiError { call: "ThatCall", code }).to_string(), line);
    }
}

/// Expects this of a device with a problem.
fn check_problem(code: u32, what: &str, advice: &str) {
    assert_eq!(problem(code), Failure::new(format!("{what} (code {code})"), advice));
}

#[test]
fn problems_of_devices() {
    let install = "install it with \"screamctl install\"";
    let reinstall = "run \"screamctl uninstall\", then \"screamctl install\"";
    let restart = "restart Windows";
    let blocked = "look at Windows Security, Device security, Core isolation";
    for (code, what, advice) in [
        (devices::CM_PROB_NOT_CONFIGURED, "no driver was chosen for the device", install),
        (
            devices::CM_PROB_OUT_OF_MEMORY,
            "Windows has no memory left for the driver, or the driver is damaged",
            restart,
        ),
        (
            devices::CM_PROB_INVALID_DATA,
            "Windows does not understand what the device calls itself",
            reinstall,
        ),
        (devices::CM_PROB_FAILED_START, "the device cannot start", restart),
        (devices::CM_PROB_NEED_RESTART, "the device works only after a restart", restart),
        (devices::CM_PROB_REINSTALL, "the driver has to be installed again", install),
        (devices::CM_PROB_REGISTRY, "the device's entries in the registry are damaged", reinstall),
        (devices::CM_PROB_WILL_BE_REMOVED, "Windows is about to remove the device", restart),
        (
            devices::CM_PROB_DISABLED,
            "the device is disabled",
            "enable it in Device Manager, below Sound, video and game controllers",
        ),
        (devices::CM_PROB_DEVICE_NOT_THERE, "the device is not there", reinstall),
        (devices::CM_PROB_FAILED_INSTALL, "the device has no driver", install),
        (devices::CM_PROB_FAILED_ADD, "Windows cannot load a driver that the device needs", reinstall),
        (devices::CM_PROB_DISABLED_SERVICE, "the driver's service is disabled", reinstall),
        (devices::CM_PROB_FAILED_DRIVER_ENTRY, "the driver refuses to begin its work", restart),
        (
            devices::CM_PROB_DRIVER_FAILED_PRIOR_UNLOAD,
            "an earlier copy of the driver is still loaded",
            restart,
        ),
        (
            devices::CM_PROB_DRIVER_FAILED_LOAD,
            "Windows cannot load the driver: its file is damaged, missing, or not allowed",
            blocked,
        ),
        (
            devices::CM_PROB_DRIVER_SERVICE_KEY_INVALID,
            "the entries of the driver's service in the registry are damaged",
            reinstall,
        ),
        (
            devices::CM_PROB_LEGACY_SERVICE_NO_DEVICES,
            "the driver is loaded, but does not find the device",
            reinstall,
        ),
        (devices::CM_PROB_DUPLICATE_DEVICE, "there is a device of that name already", restart),
        (devices::CM_PROB_FAILED_POST_START, "the driver has told that the device failed", restart),
        (devices::CM_PROB_HALTED, "a program or a service has stopped the device", restart),
        (devices::CM_PROB_PHANTOM, "the device is not connected", reinstall),
        (devices::CM_PROB_SYSTEM_SHUTDOWN, "Windows is shutting down", "wait for the restart"),
        (devices::CM_PROB_HELD_FOR_EJECT, "the device is about to be ejected", restart),
        (devices::CM_PROB_DRIVER_BLOCKED, "Windows blocks the driver", blocked),
        (devices::CM_PROB_REGISTRY_TOO_LARGE, "the registry is too large", reinstall),
        (devices::CM_PROB_SETPROPERTIES_FAILED, "Windows cannot set the properties of the device", restart),
        (devices::CM_PROB_WAITING_ON_DEPENDENCY, "the device waits for another one", restart),
        (
            devices::CM_PROB_UNSIGNED_DRIVER,
            "Windows does not accept the driver's signature",
            "use a package that is signed for this computer, or turn on test signing for a test-signed one: \
             README.txt says how",
        ),
        (devices::CM_PROB_USED_BY_DEBUGGER, "a kernel debugger uses the device", "end the debugger"),
        (devices::CM_PROB_DEVICE_RESET, "the device is being reset", restart),
        (devices::CM_PROB_NEED_CLASS_CONFIG, "Windows still sets up the class of the device", restart),
    ] {
        check_problem(code, what, advice);
    }
}

#[test]
fn a_problem_without_words_is_named_by_its_code() {
    let advice = "look at the device in Device Manager, below Sound, video and game controllers";
    for code in [devices::CM_PROB_NORMAL_CONFLICT, 999] {
        check_problem(code, "the device has a problem", advice);
    }
}

#[test]
fn every_line_is_one_line_of_plain_ascii() {
    let every = (0..0x1_0000).chain(0x8004_0000..0x8004_1000);
    let every = every.chain(0x8009_0000..0x800C_0000).chain(0x8889_0000..0x8889_0100);
    let every = every.chain(0xE000_0000..0xE000_1000);
    let mut explained = 0;
    for code in every {
        let failure = explain(ApiError { call: "ThatCall", code });
        let line = failure.to_string();
        assert!(line.is_ascii() && !line.contains('\n') && !line.ends_with('.'), "{line}");
        explained += usize::from(failure.advice.is_some());
    }
    // As many as the tests above name.
    assert_eq!(explained, 18 + 19 + 13 + 1 + 14 + 5 + 24 + 11);
}
