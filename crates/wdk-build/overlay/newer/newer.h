/* What the driver uses and the headers may be too old to declare: the pool interface of Windows 10 version
   2004. A header that has it defines POOL_FLAG_NON_PAGED as a macro. The flags are constants of wdk-sys. */
#ifndef POOL_FLAG_NON_PAGED
typedef ULONG64 POOL_FLAGS;
NTKERNELAPI PVOID NTAPI ExAllocatePool2(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag);
#endif
