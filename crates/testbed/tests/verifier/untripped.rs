//! The places that no case of the image reaches, and why.

/// A file, and part of the source around the place; nothing for every place of the file.
type Place = (&'static str, &'static str);

const TOGETHER: &str = "never alone: another rule is broken with it, by the same mistake";
const OF_OTHERS: &str =
    "for drivers of other authors: tested where they are played, and by the port's own tests";

/// Why, and which places.
pub(crate) const UNTRIPPED: &[(&str, &[Place])] = &[
    (
        TOGETHER,
        &[
            ("kernel/thread.rs", "a thread ends at IRQL"),
            ("kernel/thread.rs", "a thread ends while it holds a spin lock"),
            ("kernel/spin_lock.rs", "a spin lock is released below DISPATCH_LEVEL"),
            ("kernel/mdl.rs", "pages are freed while {user} uses them"),
            ("portcls/reference.rs", "the table of {} is {}"),
            ("portcls/reference.rs", "but Windows holds {held} references"),
            ("portcls/reference.rs", "QueryInterface refuses IUnknown with"),
            ("portcls/reference.rs", "Release returned 0 while a reference is held"),
            ("portcls/reference.rs", "Windows still holds {held} references"),
            ("portcls/reference.rs", "return record(Rule::Com, text);"),
            ("portcls/adapter.rs", "the driver {driver:?} was unloaded with {left} devices"),
            ("wsk/socket.rs", "the driver was unloaded with a socket open"),
        ],
    ),
    ("the queue is empty before a driver can be unloaded", &[("kernel/timer.rs", "a DPC is still queued")]),
    (
        "a refusal that is a success does not exist",
        &[("portcls/reference.rs", "QueryInterface refuses with")],
    ),
    ("the mistake is the scenario's", &[("portcls/dispatch.rs", "a mistake of the scenario")]),
    (
        "the device here has no such interface; scream.sys does",
        &[
            ("portcls/property.rs", "GetModes says that there are"),
            ("portcls/pin_buffer.rs", "equal packets"),
        ],
    ),
    (
        OF_OTHERS,
        &[
            ("forgiven.rs", ""),
            ("kernel/query_registry.rs", ""),
            ("kernel/strings.rs", ""),
            ("portcls/cyclic_pin.rs", ""),
            ("portcls/cyclic_port.rs", ""),
            ("portcls/dma_channel.rs", ""),
            ("portcls/service_group.rs", ""),
        ],
    ),
];
