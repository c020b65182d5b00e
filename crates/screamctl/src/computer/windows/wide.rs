//! Text as Windows keeps it: UTF-16, ended by a NUL; lists of it, ended by another.

/// The text of a buffer, up to its first NUL.
pub fn text(units: &[u16]) -> String {
    let end = units.iter().position(|&unit| unit == 0).unwrap_or(units.len());
    String::from_utf16_lossy(units.get(..end).unwrap_or(units))
}

/// The texts of a list, none of which is empty.
pub fn list(units: &[u16]) -> Vec<String> {
    units.split(|&unit| unit == 0).filter(|units| !units.is_empty()).map(String::from_utf16_lossy).collect()
}

/// The units in a value of bytes. A last odd byte is none.
pub fn units(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).filter_map(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?))).collect()
}

/// A list of one text, in bytes: the text, its NUL, and the NUL of the list.
pub fn list_of_one(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0, 0]).flat_map(u16::to_le_bytes).collect()
}
