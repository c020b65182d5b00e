//! What the driver imports from the kernel.
