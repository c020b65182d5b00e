//! Playback devices of the driver.
//!
//! From an endpoint to its device node: the topology of the endpoint is connected to that of the adapter, and the adapter
//! has its instance id among its properties. An endpoint whose adapter is not there has no topology; it still remembers
//! how the adapter called itself.

use windows::Win32::Devices::DeviceAndDriverInstallation::SPDRP_DEVICEDESC;
use windows::Win32::Devices::FunctionDiscovery::{
    PKEY_Device_FriendlyName, PKEY_Device_InstanceId, PKEY_DeviceInterface_FriendlyName,
};
use windows::Win32::Foundation::{ERROR_NOT_FOUND, PROPERTYKEY};
use windows::Win32::Media::Audio::{
    DEVICE_STATE, DEVICE_STATE_ACTIVE, DEVICE_STATE_DISABLED, DEVICE_STATE_UNPLUGGED, DEVICE_STATEMASK_ALL,
    IDeviceTopology, IMMDevice, IMMDeviceEnumerator, MMDeviceEnumerator, eConsole, eRender,
};
use windows::Win32::System::Com::{CLSCTX_ALL, CoCreateInstance, CoTaskMemFree, STGM_READ};
use windows::Win32::System::Variant::VT_LPWSTR;
use windows::core::{HSTRING, PWSTR};

use super::apartment::Apartment;
use super::call::call;
use super::device_info_set::DeviceInfoSet;
use super::{ThisComputer, playback, wide};
use crate::computer::{ApiResult, Audio, Devices, Endpoint, EndpointState, Mix};

impl Audio for ThisComputer {
    fn endpoints(&self, hardware_id: &str) -> ApiResult<Vec<Endpoint>> {
        let adapters = self.adapters(hardware_id)?;
        let _apartment = Apartment::enter()?;
        let enumerator = enumerator()?;
        let default = default_id(&enumerator)?;
        let mut endpoints = Vec::new();
        for device in all(&enumerator)? {
            if adapters.iter().any(|adapter| adapter.has(&enumerator, &device)) {
                endpoints.push(describe(&device, default.as_deref())?);
            }
        }
        Ok(endpoints)
    }

    fn play(&mut self, endpoint: &Endpoint, fill: &mut dyn FnMut(Mix, &mut [f32]) -> bool) -> ApiResult<()> {
        let _apartment = Apartment::enter()?;
        let enumerator = enumerator()?;
        // SAFETY: the id has a NUL.
        let device = unsafe { enumerator.GetDevice(&HSTRING::from(endpoint.id.as_str())) };
        playback::play(&call("IMMDeviceEnumerator::GetDevice", device)?, fill)
    }
}

/// A device node, as endpoints refer to it.
struct Adapter {
    instance_id: String,
    description: Option<String>,
}

impl ThisComputer {
    /// The nodes with a hardware id.
    fn adapters(&self, hardware_id: &str) -> ApiResult<Vec<Adapter>> {
        let set = DeviceInfoSet::empty()?;
        let mut adapters = Vec::new();
        for node in self.nodes(hardware_id)? {
            let device = set.open(&node.instance_id)?;
            let description = set.stored(&device, SPDRP_DEVICEDESC)?.map(|units| wide::text(&units));
            adapters.push(Adapter { instance_id: node.instance_id, description });
        }
        Ok(adapters)
    }
}

impl Adapter {
    /// Whether an endpoint belongs to this node.
    fn has(&self, enumerator: &IMMDeviceEnumerator, endpoint: &IMMDevice) -> bool {
        match instance_id(enumerator, endpoint) {
            Ok(Some(id)) => id.eq_ignore_ascii_case(&self.instance_id),
            _ => {
                let name = property(endpoint, &PKEY_DeviceInterface_FriendlyName).ok().flatten();
                name.is_some() && name == self.description
            }
        }
    }
}

/// The node whose topology an endpoint is connected to.
fn instance_id(enumerator: &IMMDeviceEnumerator, endpoint: &IMMDevice) -> ApiResult<Option<String>> {
    // SAFETY: the interface needs no parameters.
    let topology = unsafe { endpoint.Activate::<IDeviceTopology>(CLSCTX_ALL, None) };
    let topology = call("IMMDevice::Activate", topology)?;
    // SAFETY: the topology of an endpoint has one connector.
    let connector = call("IDeviceTopology::GetConnector", unsafe { topology.GetConnector(0) })?;
    // SAFETY: the caller frees the string, which `take` does.
    let id = call("IConnector::GetDeviceIdConnectedTo", unsafe { connector.GetDeviceIdConnectedTo() })?;
    // SAFETY: the string is the caller's.
    let id = HSTRING::from(unsafe { take(id) });
    // SAFETY: the id has a NUL.
    let adapter = call("IMMDeviceEnumerator::GetDevice", unsafe { enumerator.GetDevice(&id) })?;
    property(&adapter, &PKEY_Device_InstanceId)
}

/// What there is of endpoints.
fn enumerator() -> ApiResult<IMMDeviceEnumerator> {
    // SAFETY: COM has been entered by the callers.
    call("CoCreateInstance", unsafe { CoCreateInstance(&MMDeviceEnumerator, None, CLSCTX_ALL) })
}

/// All playback devices, whatever their state.
fn all(enumerator: &IMMDeviceEnumerator) -> ApiResult<Vec<IMMDevice>> {
    let states = DEVICE_STATE(DEVICE_STATEMASK_ALL);
    // SAFETY: the call takes numbers.
    let collection = unsafe { enumerator.EnumAudioEndpoints(eRender, states) };
    let collection = call("IMMDeviceEnumerator::EnumAudioEndpoints", collection)?;
    // SAFETY: the call takes nothing.
    let count = call("IMMDeviceCollection::GetCount", unsafe { collection.GetCount() })?;
    // SAFETY: the index is below the count.
    (0..count).map(|index| call("IMMDeviceCollection::Item", unsafe { collection.Item(index) })).collect()
}

/// The endpoint that programs play on that choose none. `None`: there is no endpoint at all.
fn default_id(enumerator: &IMMDeviceEnumerator) -> ApiResult<Option<String>> {
    // SAFETY: the call takes numbers.
    let device = unsafe { enumerator.GetDefaultAudioEndpoint(eRender, eConsole) };
    match device {
        Ok(device) => id_of(&device).map(Some),
        Err(error) if error.code() == ERROR_NOT_FOUND.to_hresult() => Ok(None),
        Err(error) => call("IMMDeviceEnumerator::GetDefaultAudioEndpoint", Err(error)),
    }
}

/// An endpoint's name for Windows.
fn id_of(device: &IMMDevice) -> ApiResult<String> {
    // SAFETY: the caller frees the string, which `take` does.
    let id = call("IMMDevice::GetId", unsafe { device.GetId() })?;
    // SAFETY: the string is the caller's.
    Ok(unsafe { take(id) })
}

/// What Windows tells of an endpoint.
fn describe(device: &IMMDevice, default: Option<&str>) -> ApiResult<Endpoint> {
    let id = id_of(device)?;
    // SAFETY: the call takes nothing.
    let state = match call("IMMDevice::GetState", unsafe { device.GetState() })? {
        DEVICE_STATE_ACTIVE => EndpointState::Active,
        DEVICE_STATE_DISABLED => EndpointState::Disabled,
        DEVICE_STATE_UNPLUGGED => EndpointState::Unplugged,
        _ => EndpointState::NotPresent,
    };
    let name = property(device, &PKEY_Device_FriendlyName)?.unwrap_or_default();
    Ok(Endpoint { is_default: default == Some(id.as_str()), id, name, state })
}

/// A property that is a text. `None`: nothing, or something else.
fn property(device: &IMMDevice, key: &PROPERTYKEY) -> ApiResult<Option<String>> {
    // SAFETY: the call takes a number.
    let store = call("IMMDevice::OpenPropertyStore", unsafe { device.OpenPropertyStore(STGM_READ) })?;
    // SAFETY: the key is a reference.
    let value = call("IPropertyStore::GetValue", unsafe { store.GetValue(key) })?;
    if value.vt() != VT_LPWSTR {
        return Ok(None);
    }
    // SAFETY: this member of the union is the one that has a kind, and `vt` has read it.
    let contents = unsafe { &value.Anonymous.Anonymous };
    // SAFETY: the kind says that this member of the union is in use.
    let text = unsafe { contents.Anonymous.pwszVal };
    // SAFETY: the value, which still lives, has a string with a NUL, or null, of which the call makes an empty one.
    Ok((!text.is_null()).then(|| String::from_utf16_lossy(unsafe { text.as_wide() })))
}

/// Copies and frees a string that COM has handed out.
///
/// # Safety
/// It has a NUL, or is null, and it is the caller's.
unsafe fn take(string: PWSTR) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: the caller says that it has a NUL.
    let text = String::from_utf16_lossy(unsafe { string.as_wide() });
    // SAFETY: the caller says that it is theirs; it is not used after this.
    unsafe { CoTaskMemFree(Some(string.as_ptr().cast())) };
    text
}
