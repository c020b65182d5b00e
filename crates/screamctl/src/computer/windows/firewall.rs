//! The Windows firewall, as it is now.

use windows::Win32::NetworkManagement::WindowsFirewall::{
    INetFwPolicy2, NET_FW_ACTION_BLOCK, NET_FW_PROFILE_TYPE2, NET_FW_PROFILE2_DOMAIN,
    NET_FW_PROFILE2_PRIVATE, NET_FW_PROFILE2_PUBLIC, NetFwPolicy2,
};
use windows::Win32::System::Com::{CLSCTX_INPROC_SERVER, CoCreateInstance};

use super::apartment::Apartment;
use super::call::call;
use crate::computer::{ApiResult, FirewallProfile};

/// The profiles, and their names.
const PROFILES: [(NET_FW_PROFILE_TYPE2, &str); 3] = [
    (NET_FW_PROFILE2_DOMAIN, "Domain"),
    (NET_FW_PROFILE2_PRIVATE, "Private"),
    (NET_FW_PROFILE2_PUBLIC, "Public"),
];

/// The profiles that are in force now: those of the networks that the computer is connected to.
pub fn profiles() -> ApiResult<Vec<FirewallProfile>> {
    let _apartment = Apartment::enter()?;
    // SAFETY: COM has been entered.
    let policy = unsafe { CoCreateInstance::<_, INetFwPolicy2>(&NetFwPolicy2, None, CLSCTX_INPROC_SERVER) };
    let policy = call("CoCreateInstance", policy)?;
    // SAFETY: the call takes nothing.
    let current = call("INetFwPolicy2::get_CurrentProfileTypes", unsafe { policy.CurrentProfileTypes() })?;
    PROFILES
        .iter()
        .filter(|(profile, _)| current & profile.0 != 0)
        .map(|&(profile, name)| {
            // SAFETY: the call takes a number.
            let enabled = unsafe { policy.get_FirewallEnabled(profile) };
            let enabled = call("INetFwPolicy2::get_FirewallEnabled", enabled)?;
            // SAFETY: the call takes a number.
            let outbound = unsafe { policy.get_DefaultOutboundAction(profile) };
            let outbound = call("INetFwPolicy2::get_DefaultOutboundAction", outbound)?;
            Ok(FirewallProfile {
                name,
                enabled: enabled.as_bool(),
                blocks_outbound: outbound == NET_FW_ACTION_BLOCK,
            })
        })
        .collect()
}
