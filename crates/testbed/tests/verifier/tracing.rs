//! Event providers.

use crate::rules;

rules! {
    etw_at_unload: Unload, "the driver was unloaded with the event provider", "thread user";
    etw_event_size: Argument, "the event says that it has 6 bytes of 5", "EtwWrite";
    etw_traits_size: Argument, "the provider say that they have 5 bytes of 4", "EtwSetInformation";
    etw_unregistered_twice: Object, "not any more, of a registered provider", "EtwUnregister";
}
