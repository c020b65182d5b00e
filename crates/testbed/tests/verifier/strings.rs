//! Counted strings, tables of RtlQueryRegistryValues, and what a forgiving machine goes on after.

use crate::rules;

rules! {
    string_appended_nowhere: Argument, "appended to one whose buffer is not there", "RtlAppendUnicodeToString";
    query_routine_and_direct: Argument, "RTL_QUERY_REGISTRY_DIRECT with a routine", "RtlQueryRegistryValues";
    query_endless: Argument, "the table has no end", "RtlQueryRegistryValues";
    query_other_type: Argument, "is of type 1, and the driver expects type 4", "RtlQueryRegistryValues";
    query_unchecked_user_key: BugCheck, "KERNEL_SECURITY_CHECK_FAILURE", "RtlQueryRegistryValues";
    forgiven_read_behind_path: Access, "reads 0 bytes after the end of the string", "DriverEntry";
}
