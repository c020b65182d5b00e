//! Playback devices and the network.

use std::net::{IpAddr, SocketAddr};

use screamctl::computer::{
    ApiError, ApiResult, Audio, Endpoint, FirewallProfile, Interface, Mix, Network, Route,
};

use super::FakeComputer;

/// There is no way to the target.
const UNREACHABLE: u32 = 1231;
/// The source address is not one of this computer.
const NOT_FOUND: u32 = 1168;

impl Audio for FakeComputer {
    fn endpoints(&self, hardware_id: &str) -> ApiResult<Vec<Endpoint>> {
        self.look("endpoints", "IMMDeviceEnumerator::EnumAudioEndpoints")?;
        if hardware_id.eq_ignore_ascii_case(r"ROOT\Scream") {
            return Ok(self.state.endpoints.clone());
        }
        Ok(Vec::new())
    }

    fn play(&mut self, endpoint: &Endpoint, fill: &mut dyn FnMut(Mix, &mut [f32]) -> bool) -> ApiResult<()> {
        self.change("play", "IAudioClient::Initialize", &endpoint.name)?;
        let samples = self.buffer_frames * usize::from(self.mix.channels);
        loop {
            // What is not filled is heard: a sample that no tone has.
            let mut buffer = vec![f32::NAN; samples];
            let more = fill(self.mix, &mut buffer);
            self.played.extend(buffer);
            if !more {
                return Ok(());
            }
        }
    }
}

impl Network for FakeComputer {
    fn interfaces(&self) -> ApiResult<Vec<Interface>> {
        self.look("interfaces", "GetAdaptersAddresses")?;
        Ok(self.interfaces.clone())
    }

    fn route(&self, target: SocketAddr, interface: Option<u32>, source: Option<IpAddr>) -> ApiResult<Route> {
        let call = "GetBestRoute2";
        self.look("route", call)?;
        let is_ours =
            |address| self.interfaces.iter().any(|interface| interface.addresses.contains(&address));
        if source.is_some_and(|address| !is_ours(address)) {
            return Err(ApiError { call, code: NOT_FOUND });
        }
        let takes = |route: &Route| interface.is_none_or(|index| index == route.interface);
        let found = self.routes.iter().find(|way| way.target == target.ip() && takes(&way.route));
        let route = &found.ok_or(ApiError { call, code: UNREACHABLE })?.route;
        Ok(Route { source: source.unwrap_or(route.source), ..route.clone() })
    }

    fn firewall(&self) -> ApiResult<Vec<FirewallProfile>> {
        self.look("firewall", "INetFwPolicy2::CurrentProfileTypes")?;
        Ok(self.firewall.clone())
    }
}
