//! Registry values as numbers and text: `REG_DWORD`, `REG_SZ` and `REG_MULTI_SZ`, whatever their bytes are.

use core::ffi::CStr;

/// `REG_SZ`: UTF-16 text.
pub const REG_SZ: u32 = 1;
/// `REG_DWORD`: 32 bits, low byte first.
pub const REG_DWORD: u32 = 4;
/// `REG_MULTI_SZ`: UTF-16 texts, each with a NUL after it, and an empty one after the last.
pub const REG_MULTI_SZ: u32 = 7;

/// Characters of the longest text that means something, `[IPv6 address%interface]:port`.
pub(super) const MAX_TEXT: usize = "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%16777215]:65535".len();

/// Why a value cannot be used.
pub(super) type Reason = &'static CStr;

/// What the registry has under the name of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored<'a> {
    /// There is no such value, and nothing is wrong.
    Missing,
    /// The registry cannot be read.
    Unreadable,
    /// The data are longer than [`MAX_VALUE`](super::MAX_VALUE) bytes.
    TooLong,
    /// A value.
    Value {
        /// Its type, `REG_*`.
        kind: u32,
        /// Its bytes, all of them.
        data: &'a [u8],
    },
}

/// A value that is there.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    kind: u32,
    data: &'a [u8],
}

/// One UTF-16 unit as it is stored.
type Unit = [u8; 2];

impl<'a> Stored<'a> {
    /// The value, if there is one; the reason why it cannot be read otherwise.
    pub(super) fn value(self) -> Result<Option<Value<'a>>, Reason> {
        match self {
            Self::Missing => Ok(None),
            Self::Unreadable => Err(c"cannot be read"),
            Self::TooLong => Err(c"too long"),
            Self::Value { kind, data } => Ok(Some(Value { kind, data })),
        }
    }
}

impl<'a> Value<'a> {
    /// Whether this is a `REG_DWORD`, of any length.
    pub(super) const fn is_dword(self) -> bool {
        self.kind == REG_DWORD
    }

    /// The number in a `REG_DWORD`.
    pub(super) fn dword(self) -> Result<u32, Reason> {
        match <[u8; 4]>::try_from(self.data) {
            Ok(bytes) if self.is_dword() => Ok(u32::from_le_bytes(bytes)),
            _ => Err(c"of another type"),
        }
    }

    /// The text in a `REG_SZ`.
    pub(super) fn text(self) -> Result<Text, Reason> {
        if self.kind != REG_SZ {
            return Err(c"of another type");
        }
        Ok(self.texts().next().unwrap_or_default())
    }

    /// The texts in a `REG_MULTI_SZ`, or the one in a `REG_SZ`.
    pub(super) fn list(self) -> Result<impl Iterator<Item = Text>, Reason> {
        let most = match self.kind {
            REG_SZ => 1,
            REG_MULTI_SZ => usize::MAX,
            _ => return Err(c"of another type"),
        };
        Ok(self.texts().take(most))
    }

    /// The texts up to the first empty one. The last need not have its NUL; half a unit at the end is no text.
    fn texts(self) -> impl Iterator<Item = Text> + use<'a> {
        let units = self.data.as_chunks::<2>().0;
        units.split(|unit| *unit == [0, 0]).take_while(|text| !text.is_empty()).map(Text::new)
    }
}

/// Text without the blanks around it. What is too long to mean anything, or not ASCII, is left empty: no option
/// takes the one or the other.
#[derive(Clone, Copy)]
pub(super) struct Text {
    bytes: [u8; MAX_TEXT],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; MAX_TEXT], length: 0 }
    }
}

impl Text {
    fn new(units: &[Unit]) -> Self {
        let mut text = Self::default();
        let units = trimmed(units);
        let is_ascii = units.iter().all(|&[low, high]| low.is_ascii() && high == 0);
        if let Some(bytes) = text.bytes.get_mut(..units.len()).filter(|_| is_ascii) {
            for (byte, [low, _]) in bytes.iter_mut().zip(units) {
                *byte = *low;
            }
            text.length = units.len();
        }
        text
    }

    /// The characters, ASCII only.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The text between the blanks.
fn trimmed(mut units: &[Unit]) -> &[Unit] {
    loop {
        units = match units {
            [[blank, 0], rest @ ..] | [rest @ .., [blank, 0]] if blank.is_ascii_whitespace() => rest,
            _ => return units,
        };
    }
}
