//! I/O request packets.

use crate::rules;

rules! {
    irp_leaked: Irp, "a request was never freed", "thread user";
    irp_leaked_in_flight: Irp, "a request is still in flight (a driver)", "thread user";
    irp_freed_in_flight: Irp, "freed while it is in flight (a driver)", "IoFreeIrp";
    irp_reused_in_flight: Irp, "reused while it is in flight (a driver)", "IoReuseIrp";
    irp_passed_on_twice: Irp, "initialised while it is in flight", "IoInitializeIrp";
    irp_completed_twice: Irp, "completed twice", "IofCompleteRequest";
    irp_completed_pending: Irp, "completed with STATUS_PENDING", "IofCompleteRequest";
    irp_cancel_routine_left: Irp, "with its cancel routine still set", "IofCompleteRequest";
    irp_no_location_left: Irp, "no stack location left", "IofCallDriver";
    irp_no_stack: Irp, "a request with 0 stack locations", "IoAllocateIrp";
    irp_pageable_completion: Irp, "a completion routine is in a pageable section", "IofCallDriver";
    irp_borrowed_freed: Irp, "that IoAllocateIrp did not allocate", "IoFreeIrp";
    irp_borrowed_gone: Irp, "memory with a request in flight is freed", "ExFreePool";
    irp_initialised_again: Irp, "IoReuseIrp is for that", "IoInitializeIrp";
    irp_too_small: Irp, "279 bytes are too few for 1 stack locations", "IoInitializeIrp";
    irp_not_one: Irp, "is no I/O request packet", "IoFreeIrp";
    irp_freed_quietly: Irp, "freed its request and did not say so", "IofCompleteRequest";
    irp_not_taken_back: Irp, "must return STATUS_MORE_PROCESSING_REQUIRED", "IofCompleteRequest";
    irp_no_routine: Irp, "sent to a driver without a routine for it", "IofCallDriver";
    irp_cancel_lock_kept: IrqlUnbalanced, "did not release the cancel spin lock", "IoCancelIrp";
}
