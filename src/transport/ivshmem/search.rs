//! Finds the IVSHMEM device that the options name, and keeps it as long as it is there.

use core::ffi::CStr;
use core::num::NonZeroU32;

use protocol::{RingError, RingLayout};
use wdk_sys::NTSTATUS;

use super::device::{CLASS, Device, Failure};
use super::{Holder, Mapping, Refused};
use crate::events::{self, Pace};
use crate::kernel::device_interface::Interfaces;
use crate::kernel::mutex::Mutex;
use crate::kernel::pnp_notification::{DriverObject, Observer, Registration, Removal};
use crate::kernel::{Shared, Status};

/// Sizes of unfit devices that are told.
const MOST_SIZES: usize = 4;

/// The device of one stream, found or not. All of it belongs to the DMA-timer thread, at PASSIVE_LEVEL, with no lock held.
pub struct Search<H: Holder> {
    /// The number of the stream, for events.
    stream: u32,
    mebibytes: NonZeroU32,
    driver: DriverObject,
    holder: Shared<H>,
    /// The device that is mapped, or that was and has not gone yet.
    watched: Option<Registration<Watch<H>>>,
    /// The counter reading before which no device is looked for.
    retry_at: u64,
    /// Attempts that have failed one after the other.
    failures: u32,
    /// Ticks of the performance counter in a second.
    second: u64,
    /// What was told last.
    told: Option<Problem>,
    pace: Pace,
}

/// What is known of a device by whom it is told of its removal.
struct Watch<H> {
    stream: u32,
    holder: Shared<H>,
    /// Held while the device is mapped and while it is let go of, so that neither happens in the midst of the other.
    phase: Mutex<Phase>,
}

/// Whether a device may be used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It may.
    Present,
    /// It shall be removed, and must not be opened.
    Leaving,
    /// It has gone, or stays after all: another attempt may be made, with another registration.
    Settled,
}

impl<H: Holder> Observer for Watch<H> {
    fn removal(&self, removal: Removal) {
        let mut phase = self.phase.lock();
        *phase = match removal {
            Removal::Asked => Phase::Leaving,
            Removal::Cancelled | Removal::Complete => Phase::Settled,
        };
        match removal {
            Removal::Asked => self.let_go(c"the device is being removed"),
            Removal::Complete => self.let_go(c"the device has gone"),
            // It was let go of when the removal was asked for.
            Removal::Cancelled => {}
        }
        drop(phase);
        self.holder.wake();
    }
}

impl<H: Holder> Watch<H> {
    /// Unmaps the memory and closes the device, if that was not done before.
    fn let_go(&self, reason: &CStr) {
        if let Some(mapping) = self.holder.detach() {
            drop(mapping);
            events::ivshmem_lost(self.stream, reason);
        }
    }
}

/// Why there is no device to use.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Problem {
    reason: &'static CStr,
    status: NTSTATUS,
    /// The size of the device in bytes, if it is known.
    found: u64,
    /// The least size that would do, in bytes, if that is the problem.
    needed: u64,
}

impl Problem {
    const fn new(reason: &'static CStr) -> Self {
        Self { reason, status: 0, found: 0, needed: 0 }
    }

    const fn failed(reason: &'static CStr, status: Status) -> Self {
        Self { status: status.code(), ..Self::new(reason) }
    }

    /// A request to a device failed, which would be for `reason` if that has no better name.
    fn of(failure: Failure, reason: &'static CStr) -> Self {
        match failure {
            Failure::Refused(status) if failure.is_in_use() => {
                Self::failed(c"the device is in use by another program", status)
            }
            Failure::Refused(Status::DEVICE_NOT_READY) => {
                Self::failed(c"the device has no memory yet", Status::DEVICE_NOT_READY)
            }
            Failure::Refused(status) => Self::failed(reason, status),
            Failure::Nonsense(found) => {
                Self { found, ..Self::new(c"the answer of the device makes no sense") }
            }
        }
    }
}

/// The device to use, and how it was chosen.
struct Choice {
    device: Device,
    /// Which one of the list it is, from 1.
    number: u32,
    /// How many have the size that is wanted.
    fitting: u32,
}

/// Sizes of devices, in bytes.
#[derive(Default)]
struct Sizes {
    sizes: [u64; MOST_SIZES],
    count: usize,
}

impl Sizes {
    fn push(&mut self, size: u64) {
        if let Some(place) = self.sizes.get_mut(self.count) {
            *place = size;
            self.count = self.count.saturating_add(1);
        }
    }

    fn iter(&self) -> impl Iterator<Item = u64> {
        self.sizes.iter().copied().take(self.count)
    }
}

impl<H: Holder> Search<H> {
    /// A search for the device of this size, for the ring of a stream with a number. `second` is in ticks of the
    /// performance counter. Nothing is looked for yet.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_STATE` while the driver is not loaded.
    pub fn try_new(
        stream: u32,
        mebibytes: NonZeroU32,
        second: u64,
        holder: Shared<H>,
    ) -> crate::kernel::Result<Self> {
        Ok(Self {
            stream,
            mebibytes,
            driver: crate::driver().ok_or(Status::INVALID_DEVICE_STATE)?.object(),
            holder,
            watched: None,
            retry_at: 0,
            failures: 0,
            second,
            told: None,
            pace: Pace::new(second),
        })
    }

    /// Looks for a device and gives its memory to the ring, if it has none and the time has come or it is tried `at_once`.
    ///
    /// While a device that was mapped is being removed, none is looked for: opening it would keep it from going.
    pub fn look(&mut self, now: u64, at_once: bool) {
        if let Some(watched) = &self.watched {
            if *watched.observer().phase.lock() != Phase::Settled {
                return;
            }
            // Waits for the notice, if it has not returned yet.
            self.watched = None;
            self.retry_at = now;
        }
        if now < self.retry_at && !at_once {
            return;
        }
        let mut sizes = Sizes::default();
        match self.choose(&mut sizes).and_then(|choice| self.map(choice)) {
            Ok(()) => {
                self.failures = 0;
                self.told = None;
            }
            Err(problem) => {
                self.tell(problem, &sizes, now);
                // 1/64 of a second after the first failure, then twice as long each time, up to half a second.
                let wait = self.second >> 6_u32.saturating_sub(self.failures).max(1);
                self.failures = self.failures.saturating_add(1);
                self.retry_at = now.saturating_add(wait);
            }
        }
    }

    fn wanted(&self) -> u64 {
        u64::from(self.mebibytes.get()) << 20
    }

    /// The first device of the wanted size.
    fn choose(&self, sizes: &mut Sizes) -> Result<Choice, Problem> {
        let interfaces = Interfaces::enabled(&CLASS)
            .map_err(|status| Problem::failed(c"the devices cannot be listed", status))?;
        let mut problem = Problem::new(c"there is no IVSHMEM device");
        let mut chosen: Option<Choice> = None;
        for (number, name) in (1..).zip(interfaces.names()) {
            let (device, size) = match self.size_of(name) {
                Ok(found) => found,
                Err(failed) => {
                    problem = failed;
                    continue;
                }
            };
            if size != self.wanted() {
                sizes.push(size);
            } else if let Some(choice) = &mut chosen {
                choice.fitting = choice.fitting.saturating_add(1);
            } else {
                chosen = Some(Choice { device, number, fitting: 1 });
            }
        }
        if chosen.is_some() {
            *sizes = Sizes::default();
        }
        chosen.ok_or(problem)
    }

    /// Opens a device and asks for its size.
    fn size_of(&self, name: &[u16]) -> Result<(Device, u64), Problem> {
        let device =
            Device::open(name).map_err(|status| Problem::failed(c"a device cannot be opened", status))?;
        let size = device.size();
        let size = size.map_err(|failure| Problem::of(failure, c"a device does not tell its size"))?;
        Ok((device, size))
    }

    /// Has the memory of the chosen device mapped, and gives it to the ring. If that fails, the device is closed.
    fn map(&mut self, choice: Choice) -> Result<(), Problem> {
        let Choice { device, number, fitting } = choice;
        // Memory that may go without notice is not used; so the registration comes first.
        let watched = self.watch(&device).map_err(|status| {
            Problem::failed(c"no notice would come of the removal of the device", status)
        })?;
        let phase = watched.observer().phase.lock();
        let result = match *phase {
            Phase::Present => self.attach(device),
            // The device is closed before the mutex is free, as a notice that waits for it expects.
            Phase::Leaving | Phase::Settled => {
                drop(device);
                Err(Problem::new(c"the device is being removed"))
            }
        };
        drop(phase);
        // A registration of no further use ends, with no lock held.
        if result.is_ok() || *watched.observer().phase.lock() == Phase::Leaving {
            self.watched = Some(watched);
        }
        let layout = result?;
        if fitting > 1 {
            events::ivshmem_ambiguous(self.stream, self.wanted(), fitting, number);
        }
        events::ivshmem_attached(self.stream, self.wanted(), layout);
        Ok(())
    }

    fn watch(&self, device: &Device) -> crate::kernel::Result<Registration<Watch<H>>> {
        let watch = Watch {
            stream: self.stream,
            holder: self.holder.clone(),
            phase: Mutex::try_new(Phase::Present)?,
        };
        let file = device.file_object()?;
        Registration::try_new(self.driver, &file, Shared::try_new(watch)?)
    }

    fn attach(&self, device: Device) -> Result<RingLayout, Problem> {
        let mapping = Mapping::try_new(device, self.wanted())
            .map_err(|failure| Problem::of(failure, c"the device does not map its memory"))?;
        let found = self.wanted();
        self.holder.attach(mapping).map_err(|Refused { mapping, reason }| {
            drop(mapping);
            match reason {
                RingError::RegionTooSmall { needed, .. } => {
                    let needed = needed as u64;
                    Problem { found, needed, ..Problem::new(c"the memory has no room for three chunks") }
                }
                _ => Problem { found, ..Problem::new(c"the memory cannot be written to") },
            }
        })
    }

    /// Tells why nothing is attached: at once what was not told last, otherwise once a second.
    fn tell(&mut self, problem: Problem, sizes: &Sizes, now: u64) {
        let is_due = self.pace.allows(now);
        if self.told == Some(problem) && !is_due {
            return;
        }
        self.told = Some(problem);
        let mebibytes = self.mebibytes.get();
        let Problem { reason, status, found, needed } = problem;
        for size in sizes.iter() {
            let reason = c"the device has another size";
            events::ivshmem_unavailable(self.stream, reason, 0, mebibytes, size, 0);
        }
        if sizes.count == 0 || status != 0 || found != 0 {
            events::ivshmem_unavailable(self.stream, reason, status, mebibytes, found, needed);
        }
    }
}

impl<H: Holder> Drop for Search<H> {
    fn drop(&mut self) {
        if let Some(watched) = &self.watched {
            let phase = watched.observer().phase.lock();
            drop(self.holder.detach());
            drop(phase);
        }
        // The registration ends with no lock held.
    }
}
