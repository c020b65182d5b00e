//! The wave filter's miniport: makes streams, one at a time.

use core::sync::atomic::{AtomicBool, Ordering};

use wdk_sys::{_INTERFACE_TYPE, PHYSICAL_ADDRESS};

use crate::Driver;
use crate::abi::GUID;
use crate::abi::portcls::{
    DEVICE_DESCRIPTION, IID_IMiniport, IID_IMiniportWaveRT, IMiniportWaveRTVtbl, PCFILTER_DESCRIPTOR,
};
use crate::com::miniport::Miniport;
use crate::com::miniport_wavert::{MiniportWaveRt, MiniportWaveRtTable};
use crate::com::port::PortStream;
use crate::com::{Class, ComObject, ObjectRef, Table};
use crate::engine::Engine;
use crate::kernel::{Result, Shared, Status};
use crate::options::Options;
use crate::wave::format::{self, EXTENSIBLE_SIZE};
use crate::wave::stream::WaveStream;
use crate::wave::tables::{FILTER, RENDER_PIN};

/// The miniport.
pub struct WaveMiniport {
    driver: &'static Driver,
    /// Whether there is a stream.
    pin_in_use: Shared<AtomicBool>,
}

static WAVE_TABLE: IMiniportWaveRTVtbl = MiniportWaveRtTable::<WaveMiniport, 0>::TABLE;

#[expect(unsafe_code, reason = "says which tables an object has")]
// SAFETY: the one table is that of IMiniportWaveRT, which begins with IMiniport, and its thunks are those of slot 0.
unsafe impl Class for WaveMiniport {
    type Tables = [Table; 1];
    const TABLES: Self::Tables = [Table::new(&WAVE_TABLE)];
    const INTERFACES: &'static [(GUID, usize)] = &[(IID_IMiniport, 0), (IID_IMiniportWaveRT, 0)];
}

impl WaveMiniport {
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new(driver: &'static Driver) -> Result<ObjectRef<Self>> {
        ComObject::try_new(Self { driver, pin_in_use: Shared::try_new(AtomicBool::new(false))? })
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
        let format = format::intersect(client, own).ok_or(Status::NO_MATCH)?;
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
        let options = Options::read(self.driver.service_key());
        let engine = Engine::try_new(self.driver.wsk(), format, options.address, options.port)?;
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
