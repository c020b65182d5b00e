//! Files of another driver's device, its shared memory, and notifications of its removal.

use crate::rules;

rules! {
    interface_flags: Argument, "does not know the flags 0x2", "IoGetDeviceInterfaces";
    interface_list_leaked: Pool, "bytes of pool with tag 'Intf' were never freed", "thread user";
    file_user_handle: Argument, "without OBJ_KERNEL_HANDLE", "ZwOpenFile";
    file_handle_leaked: Unload, r"the handle of the file \??\PCI#VEN_1AF4", "was never closed";
    file_reference_leaked: Unload, "1 references to a file were never given back", "thread user";
    control_apc: Argument, "with an APC routine", "ZwDeviceIoControlFile";
    control_no_event: Argument, "nobody could tell when it is done", "ZwDeviceIoControlFile";
    control_no_device: Object, "a request is built for no device", "IoBuildDeviceIoControlRequest";
    control_leaked: Irp, "a request was never freed", "thread user";
    control_freed: Irp, "that IoAllocateIrp did not allocate", "IoFreeIrp";

    shm_client_touches: Access, "a user-mode address of System, in a thread of audiodg.exe", "IRP_MJ_DEVICE_CONTROL";
    shm_client_unmaps: Mdl, "unmaps in audiodg.exe what was mapped into the user space of System", "ZwClose";
    shm_touched_high: Access, "a user-mode address, at DISPATCH_LEVEL", "IVSHMEM region, mapped into System";
    shm_touched_before: Access, "outside of the IVSHMEM region", "1 bytes before IVSHMEM region";
    shm_touched_behind: Access, "outside of the IVSHMEM region", "after the end of IVSHMEM region";
    shm_touched_after_release: Access, "which IOCTL_IVSHMEM_RELEASE_MMAP has unmapped", "freed IVSHMEM region";
    shm_written_behind_end: Access, "behind the end of a mapping of 5000 bytes were written", "ZwClose";
    shm_never_released: Unload, "a mapping of an IVSHMEM region was never released", "thread user";
    shm_io_protection: Argument, "with the protection 0x604", "MmMapIoSpaceEx";
    shm_io_foreign: Argument, "which is no device's memory", "MmMapIoSpaceEx";
    shm_io_middle: Argument, "from the middle of a device's memory is not simulated", "MmMapIoSpaceEx";
    shm_io_length: Mdl, "of 4096 bytes of a mapping of 4000", "MmUnmapIoSpace";
    shm_io_twice: Mdl, "where nothing is mapped", "MmUnmapIoSpace";
    shm_io_leaked: Unload, "a mapping of 4000 bytes of device memory was never unmapped", "thread user";

    notification_leaked: Unload, "a registration of plug and play notifications was never removed", "thread user";
    notification_not_one: Object, "is no registration of notifications", "IoUnregisterPlugPlayNotificationEx";
    notification_flags: Argument, "of category 3 does not know the flags 0x1", "IoRegisterPlugPlayNotification";
    notification_no_file: Object, "and is no file object", "IoRegisterPlugPlayNotification";
    notification_blocks: Object, "waits in a notification callback", "KeDelayExecutionThread";
    notification_refused: Argument, "for what is no query", "thread plug and play manager";
    removal_refused: Object, "refuses the removal of a device with STATUS_UNSUCCESSFUL", "thread user";
    removal_file_open: Object, "1 file(s) of a device are open after the query", "thread user";
}
