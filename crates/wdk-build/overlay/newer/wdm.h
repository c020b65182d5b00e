/* KeGetCurrentIrql is an inline function in the packaged and in older genuine headers, which leaves it out of
   the bindings. x64 Windows exports it, newer headers declare it, and wdk-sys counts on it. */
#ifndef SCREAM_NEWER_WDM_H
#define SCREAM_NEWER_WDM_H
#define KeGetCurrentIrql KeGetCurrentIrqlInline
#include_next <wdm.h>
#undef KeGetCurrentIrql
NTKERNELAPI KIRQL NTAPI KeGetCurrentIrql(VOID);
#endif
