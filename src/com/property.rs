//! Handlers of pin properties: the request as safe slices, and the answers that are the same for all.

use wdk_sys::{NTSTATUS, STATUS_INVALID_PARAMETER};

use crate::abi::GUID;
use crate::abi::ks::{KSPROPERTY_DESCRIPTION, KSPROPERTY_TYPE_BASICSUPPORT, KSPROPERTY_TYPE_GET};
use crate::abi::portcls::{PCPROPERTY_ITEM, PCPROPERTY_REQUEST};
use crate::kernel::status::ntstatus;
use crate::kernel::{Result, Status};

/// A property: its number, what may be done with it, and who does it.
pub trait Property {
    /// Its set.
    const SET: &'static GUID;
    /// Its number in the set.
    const ID: u32;
    /// `KSPROPERTY_TYPE_GET`, `KSPROPERTY_TYPE_SET`, or both.
    const ACCESS: u32;

    /// Whether a pin has the property. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` when there is no such pin, otherwise as the property says.
    fn check_pin(pin: u32) -> Result;

    /// Writes the value. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// As the property says; see [`Answer`] for sizes.
    fn get(_answer: &mut Answer<'_>) -> Result {
        Err(Status::INVALID_DEVICE_REQUEST)
    }

    /// Takes a new value. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// As the property says.
    fn set(_value: &[u8]) -> Result {
        Err(Status::INVALID_DEVICE_REQUEST)
    }
}

/// Where the value of a get request goes.
pub struct Answer<'a> {
    value: &'a mut [u8],
    size: u32,
}

impl Answer<'_> {
    /// Writes the value, or says how large it is.
    ///
    /// # Errors
    /// `STATUS_BUFFER_OVERFLOW` when there is no room at all (the size is what was asked for), and
    /// `STATUS_BUFFER_TOO_SMALL` when there is too little.
    pub fn write(&mut self, bytes: &[u8]) -> Result {
        self.size = bytes.len() as u32;
        if self.value.is_empty() {
            return Err(Status::BUFFER_OVERFLOW);
        }
        let destination = self.value.get_mut(..bytes.len()).ok_or(Status::BUFFER_TOO_SMALL)?;
        for (to, from) in destination.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(())
    }
}

/// The entry of a pin property in a filter's table.
pub const fn pin_property<P: Property>() -> PCPROPERTY_ITEM {
    PCPROPERTY_ITEM {
        Set: P::SET,
        Id: P::ID,
        Flags: P::ACCESS | KSPROPERTY_TYPE_BASICSUPPORT,
        Handler: handle_pin_property::<P>,
    }
}

unsafe extern "system" fn handle_pin_property<P: Property>(request: *mut PCPROPERTY_REQUEST) -> NTSTATUS {
    // SAFETY: PortCls passes a request that nobody else uses.
    let Some(request) = (unsafe { request.as_mut() }) else { return STATUS_INVALID_PARAMETER };
    // SAFETY: PortCls passes buffers of the sizes it says, or null.
    let instance: &[u8] = unsafe { bytes(request.Instance.cast(), request.InstanceSize) };
    // SAFETY: as above; the value is not part of the instance.
    let value = unsafe { bytes(request.Value.cast(), request.ValueSize) };
    let (result, size) = dispatch::<P>(request.Verb, instance, value);
    request.ValueSize = size;
    ntstatus(result)
}

/// # Safety
/// `start` is null or the start of `size` bytes that nobody else uses while the result is.
unsafe fn bytes<'a>(start: *mut u8, size: u32) -> &'a mut [u8] {
    if start.is_null() {
        return &mut [];
    }
    // SAFETY: by contract.
    unsafe { core::slice::from_raw_parts_mut(start, size as usize) }
}

/// Does what the verb asks for; also returns how many bytes the value has, or would need.
///
/// Basic support may be asked of the property as such, or of one pin; the other verbs need the pin.
fn dispatch<P: Property>(verb: u32, instance: &[u8], value: &mut [u8]) -> (Result, u32) {
    let length = value.len() as u32;
    if verb & (P::ACCESS | KSPROPERTY_TYPE_BASICSUPPORT) == 0 {
        return (Err(Status::INVALID_DEVICE_REQUEST), length);
    }
    let support = verb & KSPROPERTY_TYPE_BASICSUPPORT != 0;
    // What follows KSPROPERTY in a KSP_PIN: the pin, and a reserved field.
    let pin = match instance.first_chunk::<8>() {
        Some([a, b, c, d, ..]) => P::check_pin(u32::from_le_bytes([*a, *b, *c, *d])),
        None if support && instance.is_empty() => Ok(()),
        None => Err(Status::INVALID_PARAMETER),
    };
    if pin.is_err() {
        return (pin, length);
    }
    let mut answer = Answer { value, size: 0 };
    if support {
        (basic_support(P::ACCESS | KSPROPERTY_TYPE_BASICSUPPORT, &mut answer), answer.size)
    } else if verb & P::ACCESS & KSPROPERTY_TYPE_GET != 0 {
        (P::get(&mut answer), answer.size)
    } else {
        (P::set(answer.value), length)
    }
}

/// Which verbs there are: as a description when there is room for one, else as flags alone.
fn basic_support(access: u32, answer: &mut Answer<'_>) -> Result {
    const DESCRIPTION: usize = size_of::<KSPROPERTY_DESCRIPTION>();
    const DESCRIPTION_SIZE: usize = core::mem::offset_of!(KSPROPERTY_DESCRIPTION, DescriptionSize);
    if answer.value.len() < DESCRIPTION {
        let result = answer.write(&access.to_le_bytes());
        if result.is_err() {
            answer.size = 0;
            return Err(Status::BUFFER_TOO_SMALL);
        }
        return result;
    }
    let mut description = [0_u8; DESCRIPTION];
    if let Some(flags) = description.first_chunk_mut::<4>() {
        *flags = access.to_le_bytes();
    }
    if let Some(size) = description.get_mut(DESCRIPTION_SIZE..).and_then(|rest| rest.first_chunk_mut::<4>()) {
        *size = (DESCRIPTION as u32).to_le_bytes();
    }
    answer.write(&description)
}
