//! The places that no case of the image reaches, and why none can.

/// A file, and part of the source around the place.
type Place = (&'static str, &'static str);

/// Why, and which places.
pub(crate) const UNTRIPPED: &[(&str, &[Place])] = &[
    (
        "a queued DPC runs before the thread that unloads the driver goes on; it shows a mistake of the scheduler",
        &[("kernel/timer.rs", "a DPC is still queued")],
    ),
    #[cfg(not(target_arch = "x86_64"))]
    (
        "the processor has no register that holds the IRQL",
        &[
            ("kernel/spin_lock.rs", "is written to CR8"),
            ("kernel/spin_lock.rs", "the IRQL is lowered to {value} while"),
        ],
    ),
    (
        "a scenario removed the device under an open stream: no driver can",
        &[
            ("portcls/dispatch.rs", "a mistake of the scenario"),
            ("portcls/reference.rs", "Windows still holds {held} references"),
        ],
    ),
];
