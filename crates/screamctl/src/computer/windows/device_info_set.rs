//! [`DeviceInfoSet`]: devices that SetupAPI has been asked about, or is to make.

use windows::Win32::Devices::DeviceAndDriverInstallation::{
    DI_FUNCTION, DI_NEEDREBOOT, DI_NEEDRESTART, DI_REMOVEDEVICE_GLOBAL, DICD_GENERATE_ID, DIF_REMOVE,
    GUID_DEVCLASS_MEDIA, HDEVINFO, MAX_DEVICE_ID_LEN, SETUP_DI_GET_CLASS_DEVS_FLAGS,
    SETUP_DI_REGISTRY_PROPERTY, SP_CLASSINSTALL_HEADER, SP_DEVINFO_DATA, SP_DEVINSTALL_PARAMS_W,
    SP_REMOVEDEVICE_PARAMS, SPDRP_HARDWAREID, SetupDiCallClassInstaller, SetupDiCreateDeviceInfoList,
    SetupDiCreateDeviceInfoW, SetupDiDestroyDeviceInfoList, SetupDiEnumDeviceInfo, SetupDiGetClassDevsW,
    SetupDiGetDeviceInstallParamsW, SetupDiGetDeviceInstanceIdW, SetupDiGetDevicePropertyW,
    SetupDiGetDeviceRegistryPropertyW, SetupDiOpenDeviceInfoW, SetupDiSetClassInstallParamsW,
    SetupDiSetDeviceRegistryPropertyW,
};
use windows::Win32::Devices::Properties::{DEVPROP_TYPE_STRING, DEVPROPTYPE};
use windows::Win32::Foundation::{
    DEVPROPKEY, ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_DATA, ERROR_NO_MORE_ITEMS, ERROR_NO_SUCH_DEVINST,
    ERROR_NOT_FOUND,
};
use windows::core::{HSTRING, w};

use super::call::{call, is};
use super::wide;
use crate::computer::ApiResult;

/// The class of sound cards.
const MEDIA: *const windows::core::GUID = &GUID_DEVCLASS_MEDIA;

/// Devices that SetupAPI has been asked about, or is to make.
///
/// # Invariants
/// The set exists and is this value's own.
#[derive(Debug)]
pub struct DeviceInfoSet(HDEVINFO);

/// A device of a [`DeviceInfoSet`].
#[derive(Debug, Clone, Copy)]
pub struct Device(SP_DEVINFO_DATA);

impl Device {
    /// A structure for SetupAPI to fill in.
    fn blank() -> SP_DEVINFO_DATA {
        SP_DEVINFO_DATA { cbSize: size_of::<SP_DEVINFO_DATA>() as u32, ..SP_DEVINFO_DATA::default() }
    }

    /// Its handle for the configuration manager.
    pub fn instance(&self) -> u32 {
        self.0.DevInst
    }
}

impl DeviceInfoSet {
    /// The nodes of the class MEDIA, present or not, that Windows keeps for hardware that nobody plugs in.
    pub fn root_media() -> ApiResult<Self> {
        // Without DIGCF_PRESENT, so that nodes that have no driver, or one that does not start, are there.
        let flags = SETUP_DI_GET_CLASS_DEVS_FLAGS(0);
        // SAFETY: the class is a constant, the enumerator a string with a NUL.
        let set = unsafe { SetupDiGetClassDevsW(Some(MEDIA), w!("ROOT"), None, flags) };
        call("SetupDiGetClassDevsW", set).map(Self)
    }

    /// A set for devices of the class MEDIA, with none in it.
    pub fn empty() -> ApiResult<Self> {
        // SAFETY: the class is a constant.
        let set = unsafe { SetupDiCreateDeviceInfoList(Some(MEDIA), None) };
        call("SetupDiCreateDeviceInfoList", set).map(Self)
    }

    /// All devices of the set.
    pub fn devices(&self) -> ApiResult<Vec<Device>> {
        let mut devices = Vec::new();
        for index in 0.. {
            let mut data = Device::blank();
            // SAFETY: the set exists; the structure is a variable of this function and says its size.
            let result = unsafe { SetupDiEnumDeviceInfo(self.0, index, &mut data) };
            match call("SetupDiEnumDeviceInfo", result) {
                Ok(()) => devices.push(Device(data)),
                Err(error) if is(error, ERROR_NO_MORE_ITEMS) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(devices)
    }

    /// Takes a device into the set.
    pub fn open(&self, instance_id: &str) -> ApiResult<Device> {
        let mut data = Device::blank();
        // SAFETY: the set exists; the name has a NUL; the structure is a variable of this function and says its size.
        let result =
            unsafe { SetupDiOpenDeviceInfoW(self.0, &HSTRING::from(instance_id), None, 0, Some(&mut data)) };
        call("SetupDiOpenDeviceInfoW", result).map(|()| Device(data))
    }

    /// Makes a device of the class MEDIA below `ROOT\MEDIA`. Windows knows of it once it is registered.
    pub fn create(&self, description: &str) -> ApiResult<Device> {
        let mut data = Device::blank();
        let description = HSTRING::from(description);
        // SAFETY: the set exists; the strings have a NUL; the structure is a variable of this function and says its size.
        let result = unsafe {
            SetupDiCreateDeviceInfoW(
                self.0,
                w!("MEDIA"),
                MEDIA,
                &description,
                None,
                DICD_GENERATE_ID,
                Some(&mut data),
            )
        };
        call("SetupDiCreateDeviceInfoW", result).map(|()| Device(data))
    }

    /// Says by what a device finds its driver.
    pub fn set_hardware_id(&self, device: &mut Device, hardware_id: &str) -> ApiResult<()> {
        let value = wide::list_of_one(hardware_id);
        // SAFETY: the set exists, the device is of it, and the value has its length with it.
        let result = unsafe {
            SetupDiSetDeviceRegistryPropertyW(self.0, &mut device.0, SPDRP_HARDWAREID, Some(&value))
        };
        call("SetupDiSetDeviceRegistryPropertyW", result)
    }

    /// Has a step of an installation done.
    pub fn call_class_installer(&self, function: DI_FUNCTION, device: &Device) -> ApiResult<()> {
        // SAFETY: the set exists, and the device is of it.
        let result = unsafe { SetupDiCallClassInstaller(function, self.0, Some(&device.0)) };
        call("SetupDiCallClassInstaller", result)
    }

    /// Says that a device is to be removed for good, not only from a hardware profile.
    pub fn set_removal(&self, device: &Device) -> ApiResult<()> {
        const SIZE: u32 = size_of::<SP_REMOVEDEVICE_PARAMS>() as u32;
        let removal = SP_REMOVEDEVICE_PARAMS {
            ClassInstallHeader: SP_CLASSINSTALL_HEADER {
                cbSize: size_of::<SP_CLASSINSTALL_HEADER>() as u32,
                InstallFunction: DIF_REMOVE,
            },
            Scope: DI_REMOVEDEVICE_GLOBAL,
            HwProfile: 0,
        };
        // SAFETY: the set exists, and the device is of it; the structure begins with its header and is of the size told.
        let result = unsafe {
            SetupDiSetClassInstallParamsW(self.0, Some(&device.0), Some(&removal.ClassInstallHeader), SIZE)
        };
        call("SetupDiSetClassInstallParamsW", result)
    }

    /// Whether Windows has to be started anew before what was done to a device is complete.
    pub fn needs_restart(&self, device: &Device) -> ApiResult<bool> {
        let mut parameters = SP_DEVINSTALL_PARAMS_W {
            cbSize: size_of::<SP_DEVINSTALL_PARAMS_W>() as u32,
            ..SP_DEVINSTALL_PARAMS_W::default()
        };
        // SAFETY: the set exists, and the device is of it; the structure is a variable and says its size.
        let result = unsafe { SetupDiGetDeviceInstallParamsW(self.0, Some(&device.0), &mut parameters) };
        match call("SetupDiGetDeviceInstallParamsW", result) {
            Ok(()) => {}
            // It has left the set: nothing of it waits.
            Err(error) if is(error, ERROR_NO_SUCH_DEVINST) => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(parameters.Flags.contains(DI_NEEDRESTART) || parameters.Flags.contains(DI_NEEDREBOOT))
    }

    /// The name that Windows has for a device.
    pub fn instance_id(&self, device: &Device) -> ApiResult<String> {
        let mut buffer = [0u16; MAX_DEVICE_ID_LEN as usize + 1];
        // SAFETY: the set exists, the device is of it, and the buffer has its length with it.
        let result = unsafe { SetupDiGetDeviceInstanceIdW(self.0, &device.0, Some(&mut buffer), None) };
        call("SetupDiGetDeviceInstanceIdW", result).map(|()| wide::text(&buffer))
    }

    /// What the registry has of a device, as it is stored. `None`: nothing.
    pub fn stored(
        &self,
        device: &Device,
        property: SETUP_DI_REGISTRY_PROPERTY,
    ) -> ApiResult<Option<Vec<u16>>> {
        let mut buffer = vec![0u8; 512];
        loop {
            let mut size = 0;
            // SAFETY: the set exists, the device is of it, and the buffer has its length with it.
            let result = unsafe {
                SetupDiGetDeviceRegistryPropertyW(
                    self.0,
                    &device.0,
                    property,
                    None,
                    Some(&mut buffer),
                    Some(&mut size),
                )
            };
            match call("SetupDiGetDeviceRegistryPropertyW", result) {
                Ok(()) => return Ok(Some(wide::units(buffer.get(..size as usize).unwrap_or(&buffer)))),
                Err(error) if is(error, ERROR_INVALID_DATA) => return Ok(None),
                Err(error) if is(error, ERROR_INSUFFICIENT_BUFFER) && size as usize > buffer.len() => {
                    buffer.resize(size as usize, 0);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A text that Windows has of a device. `None`: nothing, or no text.
    pub fn text(&self, device: &Device, key: &DEVPROPKEY) -> ApiResult<Option<String>> {
        let mut buffer = vec![0u8; 512];
        loop {
            let mut size = 0;
            let mut kind = DEVPROPTYPE::default();
            // SAFETY: the set exists, the device is of it, and the buffer has its length with it.
            let result = unsafe {
                SetupDiGetDevicePropertyW(
                    self.0,
                    &device.0,
                    key,
                    &mut kind,
                    Some(&mut buffer),
                    Some(&mut size),
                    0,
                )
            };
            match call("SetupDiGetDevicePropertyW", result) {
                Ok(()) if kind != DEVPROP_TYPE_STRING => return Ok(None),
                Ok(()) => return Ok(Some(wide::text(&wide::units(&buffer)))),
                Err(error) if is(error, ERROR_NOT_FOUND) => return Ok(None),
                Err(error) if is(error, ERROR_INSUFFICIENT_BUFFER) && size as usize > buffer.len() => {
                    buffer.resize(size as usize, 0);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for DeviceInfoSet {
    fn drop(&mut self) {
        // SAFETY: by the invariant the set exists, and it is not used after this.
        let _ = unsafe { SetupDiDestroyDeviceInfoList(self.0) };
    }
}
