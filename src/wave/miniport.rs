//! The wave filter's miniport: makes streams, one at a time.

use core::sync::atomic::{AtomicBool, Ordering};

use wdk_sys::{_INTERFACE_TYPE, PHYSICAL_ADDRESS};

use crate::abi::GUID;
use crate::abi::portcls::{
    DEVICE_DESCRIPTION, IID_IMiniport, IID_IMiniportAudioSignalProcessing, IID_IMiniportWaveRT,
    IMiniportAudioSignalProcessingVtbl, IMiniportWaveRTVtbl, PCFILTER_DESCRIPTOR,
};
use crate::com::audio_signal_processing::{AudioSignalProcessing, AudioSignalProcessingTable};
use crate::com::miniport::Miniport;
use crate::com::miniport_wavert::{MiniportWaveRt, MiniportWaveRtTable};
use crate::com::port::PortStream;
use crate::com::stream_resource::PhysicalDevice;
use crate::com::{Class, ComObject, ObjectRef, Table};
use crate::engine::Engine;
use crate::kernel::{Result, Shared, Status};
use crate::wave::attributes::MODES;
use crate::wave::format::{self, EXTENSIBLE_SIZE};
use crate::wave::ranges;
use crate::wave::stream::WaveStream;
use crate::wave::tables::{BRIDGE_PIN, FILTER, RENDER_PIN};
use crate::{Driver, options};

/// The miniport.
pub struct WaveMiniport {
    driver: &'static Driver,
    device: PhysicalDevice,
    /// Whether there is a stream.
    pin_in_use: Shared<AtomicBool>,
}

static WAVE_TABLE: IMiniportWaveRTVtbl = MiniportWaveRtTable::<WaveMiniport, 0>::TABLE;
static MODES_TABLE: IMiniportAudioSignalProcessingVtbl = AudioSignalProcessingTable::<WaveMiniport, 1>::TABLE;

#[expect(unsafe_code, reason = "says which tables an object has")]
// SAFETY: the first table is that of IMiniportWaveRT, which begins with IMiniport, and its thunks are those of slot 0;
// the second is that of IMiniportAudioSignalProcessing, with the thunks of slot 1.
unsafe impl Class for WaveMiniport {
    type Tables = [Table; 2];
    const TABLES: Self::Tables = [Table::new(&WAVE_TABLE), Table::new(&MODES_TABLE)];
    const INTERFACES: &'static [(GUID, usize)] =
        &[(IID_IMiniport, 0), (IID_IMiniportWaveRT, 0), (IID_IMiniportAudioSignalProcessing, 1)];
}

impl WaveMiniport {
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new(driver: &'static Driver, device: PhysicalDevice) -> Result<ObjectRef<Self>> {
        let pin_in_use = Shared::try_new(AtomicBool::new(false))?;
        ComObject::try_new(Self { driver, device, pin_in_use })
    }
}

impl Miniport for WaveMiniport {
    fn description(&self) -> &'static PCFILTER_DESCRIPTOR {
        &FILTER
    }

    fn intersect(&self, pin: u32, client: &[u8], own: &[u8], output: &mut [u8], needed: &mut u32) -> Result {
        if pin != RENDER_PIN {
            return Err(Status::NOT_IMPLEMENTED);
        }
        let format = ranges::intersect(client, own).ok_or(Status::NO_MATCH)?;
        *needed = EXTENSIBLE_SIZE as u32;
        if output.is_empty() {
            return Err(Status::BUFFER_OVERFLOW);
        }
        let output = output.first_chunk_mut::<EXTENSIBLE_SIZE>().ok_or(Status::BUFFER_TOO_SMALL)?;
        *output = format::extensible(format);
        Ok(())
    }
}

impl MiniportWaveRt for WaveMiniport {
    type Stream = WaveStream;

    fn new_stream(
        &self,
        port: PortStream,
        pin: u32,
        capture: bool,
        format: &[u8],
    ) -> Result<ObjectRef<WaveStream>> {
        if capture || pin != RENDER_PIN {
            return Err(Status::NOT_SUPPORTED);
        }
        let format = format::parse(format)?;
        let claim = PinClaim::try_new(&self.pin_in_use)?;
        let options = options::read(self.driver.service_key());
        let engine = Engine::try_new(self.device, self.driver.wsk(), format, &options)?;
        WaveStream::try_new(port, format, engine, claim)
    }

    fn device_description(&self) -> DEVICE_DESCRIPTION {
        DEVICE_DESCRIPTION {
            Version: 0,
            Master: 1,
            ScatterGather: 1,
            DemandMode: 0,
            AutoInitialize: 0,
            Dma32BitAddresses: 1,
            IgnoreCount: 0,
            Reserved1: 0,
            Dma64BitAddresses: 0,
            BusNumber: 0,
            DmaChannel: 0,
            InterfaceType: _INTERFACE_TYPE::PCIBus,
            DmaWidth: 0,
            DmaSpeed: 0,
            MaximumLength: u32::MAX,
            DmaPort: 0,
            DmaAddressWidth: 0,
            DmaControllerInstance: 0,
            DmaRequestLine: 0,
            DeviceAddress: PHYSICAL_ADDRESS { QuadPart: 0 },
        }
    }
}

impl AudioSignalProcessing for WaveMiniport {
    fn modes(&self, pin: u32) -> Result<&'static [GUID]> {
        match pin {
            RENDER_PIN => Ok(&MODES),
            BRIDGE_PIN => Err(Status::NOT_SUPPORTED),
            _ => Err(Status::INVALID_PARAMETER),
        }
    }
}

/// The right to the one stream that the pin can have; given back when dropped.
pub struct PinClaim {
    pin_in_use: Shared<AtomicBool>,
}

impl PinClaim {
    fn try_new(pin_in_use: &Shared<AtomicBool>) -> Result<Self> {
        if pin_in_use.swap(true, Ordering::AcqRel) {
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        Ok(Self { pin_in_use: pin_in_use.clone() })
    }
}

impl Drop for PinClaim {
    fn drop(&mut self) {
        self.pin_in_use.store(false, Ordering::Release);
    }
}
