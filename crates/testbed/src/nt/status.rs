//! NTSTATUS and its values.

use std::fmt;

/// NTSTATUS: zero and positive values are successes, negative ones warnings and errors.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NtStatus(pub i32);

macro_rules! statuses {
    ($($(#[$meta:meta])* $name:ident = $value:literal;)*) => {
        #[expect(missing_docs, reason = "the values are those of ntstatus.h, which documents them")]
        impl NtStatus {
            $($(#[$meta])* pub const $name: Self = Self($value as u32 as i32);)*

            /// The name in `ntstatus.h`, or "unknown status".
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("STATUS_", stringify!($name)),)*
                    _ => "unknown status",
                }
            }
        }
    };
}

statuses! {
    SUCCESS = 0x0000_0000;
    WAIT_1 = 0x0000_0001;
    WAIT_2 = 0x0000_0002;
    ABANDONED = 0x0000_0080;
    USER_APC = 0x0000_00C0;
    ALERTED = 0x0000_0101;
    TIMEOUT = 0x0000_0102;
    PENDING = 0x0000_0103;
    BUFFER_OVERFLOW = 0x8000_0005;
    NO_MORE_FILES = 0x8000_0006;
    DEVICE_BUSY = 0x8000_0011;
    NO_MORE_ENTRIES = 0x8000_001A;
    UNSUCCESSFUL = 0xC000_0001;
    NOT_IMPLEMENTED = 0xC000_0002;
    INFO_LENGTH_MISMATCH = 0xC000_0004;
    ACCESS_VIOLATION = 0xC000_0005;
    INVALID_HANDLE = 0xC000_0008;
    INVALID_PARAMETER = 0xC000_000D;
    NO_SUCH_DEVICE = 0xC000_000E;
    INVALID_DEVICE_REQUEST = 0xC000_0010;
    END_OF_FILE = 0xC000_0011;
    MORE_PROCESSING_REQUIRED = 0xC000_0016;
    NO_MEMORY = 0xC000_0017;
    ACCESS_DENIED = 0xC000_0022;
    BUFFER_TOO_SMALL = 0xC000_0023;
    OBJECT_TYPE_MISMATCH = 0xC000_0024;
    OBJECT_NAME_INVALID = 0xC000_0033;
    OBJECT_NAME_NOT_FOUND = 0xC000_0034;
    OBJECT_NAME_COLLISION = 0xC000_0035;
    DEVICE_ALREADY_ATTACHED = 0xC000_0038;
    OBJECT_PATH_INVALID = 0xC000_0039;
    OBJECT_PATH_NOT_FOUND = 0xC000_003A;
    OBJECT_PATH_SYNTAX_BAD = 0xC000_003B;
    DATA_OVERRUN = 0xC000_003C;
    DATA_LATE_ERROR = 0xC000_003D;
    MUTANT_NOT_OWNED = 0xC000_0046;
    SEMAPHORE_LIMIT_EXCEEDED = 0xC000_0047;
    DELETE_PENDING = 0xC000_0056;
    REVISION_MISMATCH = 0xC000_0059;
    INSUFFICIENT_RESOURCES = 0xC000_009A;
    DEVICE_NOT_CONNECTED = 0xC000_009D;
    DEVICE_POWER_FAILURE = 0xC000_009E;
    DEVICE_NOT_READY = 0xC000_00A3;
    IO_TIMEOUT = 0xC000_00B5;
    NOT_SUPPORTED = 0xC000_00BB;
    BAD_NETWORK_PATH = 0xC000_00BE;
    NETWORK_BUSY = 0xC000_00BF;
    INVALID_NETWORK_RESPONSE = 0xC000_00C3;
    UNEXPECTED_NETWORK_ERROR = 0xC000_00C4;
    INTERNAL_ERROR = 0xC000_00E5;
    CANCELLED = 0xC000_0120;
    FILE_CLOSED = 0xC000_0128;
    KEY_DELETED = 0xC000_017C;
    INVALID_ADDRESS_COMPONENT = 0xC000_0207;
    TOO_MANY_ADDRESSES = 0xC000_0209;
    ADDRESS_ALREADY_EXISTS = 0xC000_020A;
    CONNECTION_DISCONNECTED = 0xC000_020C;
    CONNECTION_RESET = 0xC000_020D;
    RETRY = 0xC000_022D;
    DRIVER_INTERNAL_ERROR = 0xC000_0183;
    INVALID_DEVICE_STATE = 0xC000_0184;
    NO_MATCH = 0xC000_0272;
    NOT_FOUND = 0xC000_0225;
    PROPSET_NOT_FOUND = 0xC000_0230;
    INVALID_CONNECTION = 0xC000_0140;
    CONNECTION_REFUSED = 0xC000_0236;
    FILE_FORCED_CLOSED = 0xC000_00B6;
    NETWORK_UNREACHABLE = 0xC000_023C;
    HOST_UNREACHABLE = 0xC000_023D;
    PROTOCOL_UNREACHABLE = 0xC000_023E;
    PORT_UNREACHABLE = 0xC000_023F;
    REQUEST_ABORTED = 0xC000_0240;
    CONNECTION_ABORTED = 0xC000_0241;
    INVALID_BUFFER_SIZE = 0xC000_0206;
    ADDRESS_NOT_ASSOCIATED = 0xC000_0239;
    DEVICE_REMOVED = 0xC000_02B6;
    NOINTERFACE = 0xC000_02B9;
    BAD_DATA = 0xC000_090B;
    SHARING_VIOLATION = 0xC000_0043;
    DRIVER_UNABLE_TO_LOAD = 0xC000_026C;
    ALREADY_REGISTERED = 0xC000_0718;
}

impl NtStatus {
    /// NT_SUCCESS: whether the value is a success or an information.
    pub const fn is_success(self) -> bool {
        self.0 >= 0
    }

    /// The value as a `Result`.
    ///
    /// # Errors
    /// The status itself, when it is a warning or an error.
    pub const fn ok(self) -> Result<(), Self> {
        if self.is_success() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Debug for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#010x})", self.name(), self.0)
    }
}

impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
