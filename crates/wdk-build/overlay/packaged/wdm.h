/* The packaged header gives the last parameter the type of an enumeration, which is signed. */
#ifndef SCREAM_PACKAGED_WDM_H
#define SCREAM_PACKAGED_WDM_H
#define MmMapLockedPagesSpecifyCache MmMapLockedPagesSpecifyCachePackaged
#include_next <wdm.h>
#undef MmMapLockedPagesSpecifyCache
NTKERNELAPI PVOID NTAPI MmMapLockedPagesSpecifyCache(
    PMDL MemoryDescriptorList, KPROCESSOR_MODE AccessMode, MEMORY_CACHING_TYPE CacheType,
    PVOID RequestedAddress, ULONG BugCheckOnFailure, ULONG Priority);
#endif
