//! Property requests of every kind, most of them wrong.

use super::world::World;
use crate::Device;
use crate::device::Filter;
use crate::portcls::Property;
use crate::portcls::abi::{guid, verb};
use crate::trace;

/// One request to one of the filters. Whatever it is, the driver answers and breaks no rule.
pub(super) fn ask(world: &World, device: &Device) {
    let choice = &world.choice;
    let filter = choice.of(&[Filter::Wave, Filter::Topology]);
    let set = choice.of(&[
        guid::KSPROPSETID_PIN,
        guid::KSPROPSETID_JACK,
        guid::KSPROPSETID_AUDIO,
        guid::KSPROPSETID_AUDIO_SIGNAL_PROCESSING,
        guid::KSPROPSETID_RTAUDIO,
        guid::KSPROPSETID_GENERAL,
    ]);
    let id = choice.below(20) as u32;
    let verb = choice.of(&[verb::GET, verb::SET, verb::BASIC_SUPPORT, verb::GET | verb::SET]);
    let mut instance = choice.bytes(choice.magnitude(200) as usize);
    if let Some(pin) = instance.first_chunk_mut::<4>()
        && !choice.once_in(4)
    {
        *pin = (choice.below(3) as u32).to_ne_bytes();
    }
    let mut value = choice.bytes(choice.magnitude(400) as usize);
    if choice.once_in(3) {
        value = choice.format().to_bytes();
        if choice.once_in(3) {
            value.truncate(choice.below(value.len() as u64 + 1) as usize);
        }
    }
    let property = Property { set, id, verb };
    let (status, size) = if choice.once_in(6) {
        device.node_property(filter, choice.below(3) as u32, property, &instance, &mut value)
    } else {
        device.property(filter, property, &instance, &mut value)
    };
    trace::note(|| {
        let lengths = (instance.len(), value.len());
        format!("property {id} of {set:?}, verb {verb:#x}, lengths {lengths:?}: {status}, {size} bytes")
    });
}
