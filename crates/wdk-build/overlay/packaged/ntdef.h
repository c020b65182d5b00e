/* The packaged C_ASSERT is an array size that clang, in Microsoft mode, does not take for a constant. */
#include_next <ntdef.h>
#undef C_ASSERT
#define C_ASSERT(expression) typedef char c_assert_holds[1]
