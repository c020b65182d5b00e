//! Events, mutexes, semaphores, timers, deferred procedures, threads and work items.

use crate::rules;

rules! {
    event_uninitialised: Object, "is no initialised object", "KeWaitForSingleObject";
    event_wrong_kind: Object, "is a semaphore, which this function does not take", "KeSetEvent";
    event_overwritten: Object, "was overwritten", "KeSetEvent";
    event_freed_while_waited: Object, "a event is freed while a thread waits for it", "ExFreePool";
    event_initialised_while_waited: Object, "initialised while a thread waits for it", "KeInitializeEvent";
    fast_mutex_twice: Object, "by the thread that owns it", "ExAcquireFastMutex";
    fast_mutex_not_owned: Object, "by a thread that does not own it", "ExReleaseFastMutex";
    fast_mutex_uninitialised: Object, "is no initialised object", "ExAcquireFastMutex";
    mutex_not_owned: Object, "by a thread that does not own it", "KeReleaseMutex";
    semaphore_limits: Argument, "a semaphore with count 2 and limit 1", "KeInitializeSemaphore";
    semaphore_overflow: Object, "a semaphore at 1 of 2 is released 2 times", "KeReleaseSemaphore";
    handle_closed_twice: Object, "which is no open handle", "ZwClose";
    object_not_one: Object, "is no object that can be referenced", "ObfReferenceObject";
    object_released_high: Irql, "given back above PASSIVE_LEVEL", "ObfDereferenceObject";
    object_reference_leaked: Unload, "1 references to a thread were never given back", "thread user";

    thread_at_unload: Unload, "has not ended", "system thread of rules.sys";
    thread_handle_leaked: Unload, "the handle of a system thread was never closed", "thread user";
    thread_user_handle: Argument, "without OBJ_KERNEL_HANDLE", "PsCreateSystemThread";
    thread_priority: Argument, "thread priority 32", "KeSetPriorityThread";
    thread_information_class: Argument, "of class 3", "ZwSetInformationThread";
    thread_terminates_foreign: Object, "by a thread that is no system thread", "PsTerminateSystemThread";
    thread_ends_high: IrqlUnbalanced, "was called at IRQL 0 and returned at 2", "thread routine";
    thread_ends_with_mutex: Object, "a thread ends while it owns a mutex", "system thread of rules.sys";
    thread_ends_with_spin_lock: IrqlUnbalanced, "was called at IRQL 0 and returned at 2", "thread routine"
        then SpinLock "with 0 spin lock(s) held and returned with 1"
        then SpinLock "a thread ends while it holds a spin lock";
    thread_terminates_high: Irql, "may be called at IRQL 0 at most, and was called at 2", "PsTerminateSystemThread"
        then IrqlUnbalanced "a thread ends at IRQL 2";

    timer_freed_while_set: Object, "a timer is freed while it is set", "ExFreePool";
    timer_initialised_while_set: Object, "a timer is initialised while it is set", "KeInitializeTimer";
    timer_at_unload: Unload, "a timer is still set", "thread user";
    timer_expires_gone: Object, "a timer expires that is gone", "scheduler";
    timer_type: Argument, "timer type 2", "KeInitializeTimerEx";
    timer_period: Argument, "a timer period of -1", "KeSetTimerEx";
    dpc_freed_while_queued: Object, "a DPC is freed while it is queued", "ExFreePool";
    dpc_uninitialised: Object, "a DPC is queued that was never initialised", "KeInsertQueueDpc";
    ex_timer_leaked: Unload, "a timer of ExAllocateTimer was never deleted", "thread user";
    ex_timer_not_one: Object, "is no timer of ExAllocateTimer", "ExDeleteTimer";
    ex_timer_attributes: Argument, "timer attributes 0x40", "ExAllocateTimer";
    ex_timer_absolute: Argument, "must be relative", "ExSetTimer";
    ex_timer_period: Argument, "a timer period of -1", "ExSetTimer";
    ex_timer_set_parameters: Argument, "of an unknown version", "ExSetTimer";
    ex_timer_tolerance: Argument, "no tolerance", "ExSetTimer";
    ex_timer_cancel_parameters: Argument, "reserved and must be null", "ExCancelTimer";
    ex_timer_wait_without_cancel: Argument, "with Wait but without Cancel", "ExDeleteTimer";
    ex_timer_delete_parameters: Argument, "of an unknown version", "ExDeleteTimer";
    ex_timer_waits_for_itself: Object, "a timer's own callback waits for the timer", "ExDeleteTimer";

    work_leaked: Unload, "a work item was never freed", "thread user";
    work_freed_while_queued: Object, "a work item is freed while it is queued", "IoFreeWorkItem";
    work_queued_twice: Object, "queued that is queued already", "IoQueueWorkItem";
    work_not_one: Object, "is no work item", "IoFreeWorkItem";
    work_without_routine: Argument, "a work item without a routine", "IoQueueWorkItem";
    work_ex_without_routine: Argument, "a work item without a routine", "IoQueueWorkItemEx";
    work_runs_at_unload: Unload, "a work item is queued or runs", "thread user";
    work_plain_freed_while_queued: Object, "a work item is freed while it is queued", "ExFreePool";
    work_plain_queued_twice: Object, "queued that is queued already", "ExQueueWorkItem";
    work_plain_without_routine: Argument, "a work item without a routine", "ExQueueWorkItem";
}
