/* Empty on purpose: the kernel declarations need none of the compiler's intrinsic functions, and the packaged
   header declares them in a way that clang does not accept in Microsoft mode. */
