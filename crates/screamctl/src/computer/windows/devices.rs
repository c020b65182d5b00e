//! Device nodes, and the drivers that they have.

use std::path::Path;

use windows::Win32::Devices::DeviceAndDriverInstallation::{
    CM_DEVNODE_STATUS_FLAGS, CM_Get_DevNode_Status, CM_PROB, CM_PROB_PHANTOM, CR_NO_SUCH_DEVNODE, CR_SUCCESS,
    DIF_REGISTERDEVICE, DIF_REMOVE, DN_HAS_PROBLEM, DN_STARTED, INSTALLFLAG_FORCE,
    INSTALLFLAG_NONINTERACTIVE, SPDRP_DRIVER, SPDRP_HARDWAREID, SPDRP_SERVICE,
    UpdateDriverForPlugAndPlayDevicesW,
};
use windows::Win32::Devices::Properties::{DEVPKEY_Device_DriverInfPath, DEVPKEY_Device_DriverVersion};
use windows::Win32::Foundation::DEVPROPKEY;
use windows::Win32::System::Registry::KEY_QUERY_VALUE;
use windows::core::{BOOL, HSTRING};

use super::call::call;
use super::device_info_set::{Device, DeviceInfoSet};
use super::registry::Key;
use super::{ThisComputer, system, wide};
use crate::computer::{ApiError, ApiResult, Devices, Node, Restart};

/// Where the keys of drivers are, by class and number.
const CLASSES: &str = r"SYSTEM\CurrentControlSet\Control\Class";

impl Devices for ThisComputer {
    fn nodes(&self, hardware_id: &str) -> ApiResult<Vec<Node>> {
        let set = DeviceInfoSet::root_media()?;
        let mut nodes = Vec::new();
        for device in set.devices()? {
            let hardware_ids = wide::list(&set.stored(&device, SPDRP_HARDWAREID)?.unwrap_or_default());
            if hardware_ids.iter().any(|id| id.eq_ignore_ascii_case(hardware_id)) {
                nodes.push(describe(&set, &device, hardware_ids)?);
            }
        }
        nodes.sort_by(|a, b| a.instance_id.cmp(&b.instance_id));
        Ok(nodes)
    }

    fn create_node(&mut self, hardware_id: &str, description: &str) -> ApiResult<String> {
        let set = DeviceInfoSet::empty()?;
        let mut device = set.create(description)?;
        set.set_hardware_id(&mut device, hardware_id)?;
        set.call_class_installer(DIF_REGISTERDEVICE, &device)?;
        set.instance_id(&device)
    }

    fn remove_node(&mut self, instance_id: &str) -> ApiResult<Restart> {
        let set = DeviceInfoSet::empty()?;
        let device = set.open(instance_id)?;
        // A removal is for good unless something else is asked for; that it is said first is what the documentation
        // wants, and no reason to fail.
        let _ = set.set_removal(&device);
        set.call_class_installer(DIF_REMOVE, &device)?;
        Ok(needed(set.needs_restart(&device)?))
    }

    fn update_driver(&mut self, hardware_id: &str, inf: &Path) -> ApiResult<Restart> {
        let (hardware_id, inf) = (HSTRING::from(hardware_id), system::plain_path(inf)?);
        let flags = INSTALLFLAG_FORCE | INSTALLFLAG_NONINTERACTIVE;
        let mut restart = BOOL::default();
        // SAFETY: the strings have a NUL, and the result is a variable of this function.
        let result = unsafe {
            UpdateDriverForPlugAndPlayDevicesW(None, &hardware_id, &inf, flags, Some(&mut restart))
        };
        call("UpdateDriverForPlugAndPlayDevicesW", result).map(|()| needed(restart.as_bool()))
    }
}

/// What Windows tells of a node.
fn describe(set: &DeviceInfoSet, device: &Device, hardware_ids: Vec<String>) -> ApiResult<Node> {
    let (started, problem) = status(device)?;
    let service = set.stored(device, SPDRP_SERVICE)?.map(|units| wide::text(&units));
    Ok(Node {
        instance_id: set.instance_id(device)?,
        hardware_ids,
        inf: of_driver(set, device, &DEVPKEY_Device_DriverInfPath, "InfPath")?,
        version: of_driver(set, device, &DEVPKEY_Device_DriverVersion, "DriverVersion")?,
        service: service.filter(|name| !name.is_empty()),
        started,
        problem,
    })
}

/// A property of a device's driver, or, where Windows does not have it as such, what the driver's key says.
fn of_driver(
    set: &DeviceInfoSet,
    device: &Device,
    key: &DEVPROPKEY,
    name: &str,
) -> ApiResult<Option<String>> {
    if let Some(text) = set.text(device, key)? {
        return Ok(Some(text));
    }
    let Some(driver) = set.stored(device, SPDRP_DRIVER)? else { return Ok(None) };
    let path = format!(r"{CLASSES}\{}", wide::text(&driver));
    Key::open(&path, KEY_QUERY_VALUE)?.map_or(Ok(None), |key| key.text(name))
}

/// Whether a device's driver runs it, and the problem that Device Manager shows.
fn status(device: &Device) -> ApiResult<(bool, u32)> {
    let (mut status, mut problem) = (CM_DEVNODE_STATUS_FLAGS::default(), CM_PROB::default());
    // SAFETY: the results are variables of this function.
    let result = unsafe { CM_Get_DevNode_Status(&mut status, &mut problem, device.instance(), 0) };
    match result {
        CR_SUCCESS => {
            let problem = if status.contains(DN_HAS_PROBLEM) { problem.0 } else { 0 };
            Ok((status.contains(DN_STARTED), problem))
        }
        // The node is only remembered: Device Manager says so by a problem of its own.
        CR_NO_SUCH_DEVNODE => Ok((false, CM_PROB_PHANTOM.0)),
        other => Err(ApiError { call: "CM_Get_DevNode_Status", code: other.0 }),
    }
}

/// What Windows says of a restart.
fn needed(restart: bool) -> Restart {
    if restart { Restart::Needed } else { Restart::NotNeeded }
}
