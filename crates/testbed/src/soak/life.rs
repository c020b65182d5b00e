//! One life: the machine, the driver, its devices, from boot to shutdown.

use std::rc::Rc;

use super::choice::Choice;
use super::session::{self, GONE};
use super::world::{Figures, SERVICE, World};
use crate::device::PowerState;
use crate::image::{Image, LoadError};
use crate::kernel::{etw, registry};
use crate::nt::NtStatus;
use crate::portcls::PnpState;
use crate::schedule::{self, DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::trace::{self, Kept, Trace};
use crate::wsk::{self, Completion};
use crate::{Config, Device, Driver, Machine};

/// What came of one seed.
#[derive(Debug)]
pub struct Life {
    /// The seed.
    pub seed: u64,
    /// Broken rules and broken promises, in the order in which they were found; a life without any has passed.
    pub problems: Vec<String>,
    /// What happened, in numbers.
    pub figures: Figures,
    /// The trace.
    pub trace: Trace,
}

/// Lives the life of a seed.
pub fn live(image: &Image, seed: u64, kept: Kept) -> Life {
    let choice = Choice::new(seed);
    let config = Config { trace: kept, ..config(&choice) };
    let image = image.clone();
    let world = World::new(choice);
    let inside = world.clone();
    let outcome = Machine::run(config, move || live_in(&inside, &image));
    let mut problems: Vec<String> = outcome.violations.iter().map(ToString::to_string).collect();
    problems.extend(world.problems());
    if outcome.value.is_none() && problems.is_empty() {
        problems.push("the machine stopped before its end".to_owned());
    }
    Life { seed, problems, figures: world.figures.get(), trace: outcome.trace }
}

fn config(choice: &Choice) -> Config {
    let completion = || match choice.below(6) {
        0 => Completion::Inline,
        1 => Completion::After(choice.magnitude(30_000_000), DISPATCH_LEVEL),
        2 => Completion::After(choice.magnitude(30_000_000), PASSIVE_LEVEL),
        _ => Completion::Mixed,
    };
    let (sends, controls) = (completion(), completion());
    let provider_ready_after = if choice.once_in(8) { choice.magnitude(2_000_000_000) } else { 0 };
    Config {
        seed: Some(choice.number()),
        counter_frequency: choice.of(&[10_000_000, 10_000_000, 3_579_545, 24_000_000, 2_900_000_000]),
        clock_tick: choice.of(&[None, Some(15_625_000), Some(1_000_000)]),
        events: choice.once_in(2).then(etw::Session::everything),
        wsk: wsk::Setup { provider_ready_after, sends, controls },
        ..Config::default()
    }
}

fn live_in(world: &World, image: &Image) {
    for load in 0..1 + world.choice.below(2) {
        for _ in 0..world.choice.below(3) {
            world.change_option();
        }
        let load_it = || match Driver::load(image, SERVICE) {
            Ok(driver) => Ok(driver),
            Err(LoadError::DriverEntry(status)) => Err(status),
            Err(other) => {
                world.problem(other.to_string());
                Err(NtStatus::UNSUCCESSFUL)
            }
        };
        let Some(driver) = world.attempt(&format!("load {load}"), 6, &[], load_it) else { return };
        let spare = world.choice.once_in(4).then(|| add(world, &driver)).flatten();
        for _ in 0..1 + world.choice.below(2) {
            if let Some(device) = add(world, &driver) {
                own(world, device);
            }
        }
        if let Some(spare) = spare {
            remove(world, &spare);
        }
        trace::note(|| "unload".to_owned());
        driver.unload();
    }
    if registry::open_keys() > 0 {
        world.problem(format!("{} registry keys are open at the end", registry::open_keys()));
    }
}

fn add(world: &World, driver: &Driver) -> Option<Rc<Device>> {
    world.removed.set(false);
    let device = world.attempt("AddDevice", 2, &[], || Device::add(driver)).map(Rc::new)?;
    start(world, &device);
    Some(device)
}

fn start(world: &World, device: &Device) {
    if world.choice.once_in(12) {
        break_start(world, device);
    }
    world.attempt("StartDevice", 14, &[], || device.start());
}

/// A start in which one of PortCls's functions fails.
fn break_start(world: &World, device: &Device) {
    let function = world.choice.of(&[
        "PcNewPort",
        "IPort_Init",
        "PcRegisterSubdevice",
        "PcRegisterPhysicalConnection",
        "PcRegisterAdapterPowerManagement",
    ]);
    let status = NtStatus::INSUFFICIENT_RESOURCES;
    let nth = 1 + world.choice.below(2);
    trace::note(|| format!("call {nth} of {function} fails"));
    crate::crossing::inject(function, nth, status);
    world.count(|figures| figures.faults += 1);
    let failed = device.start();
    let happened = crate::crossing::inject_no_more() == 0;
    if failed.err() != happened.then_some(status) {
        world.problem(format!("{function} failed ({happened}), and StartDevice returned {failed:?}"));
    }
    if failed.is_ok() {
        stop(world, device);
    }
}

/// The life of a device: streams, stops and starts, sleep; then it goes.
fn own(world: &World, device: Rc<Device>) {
    for _ in 0..1 + world.choice.below(4) {
        if world.removed.get() || device.state() != Some(PnpState::Started) {
            break;
        }
        if world.choice.once_in(6) {
            etw::record(world.choice.once_in(2).then(etw::Session::everything));
        }
        match world.choice.below(8) {
            0 => restart(world, &device),
            1 => sleep(world, &device),
            2 => (0..1 + world.choice.below(6)).for_each(|_| world.ask(&device, None)),
            _ => session::play(world, &device),
        }
        if world.choice.once_in(3) {
            world.change_option();
        }
        schedule::sleep_until(schedule::now() + world.choice.pause());
    }
    remove(world, &device);
}

fn restart(world: &World, device: &Device) {
    world.expect("a query for a stop", device.query_stop(), &[]);
    if world.choice.once_in(3) {
        world.expect("a stop that is cancelled", device.cancel_stop(), &[]);
        return;
    }
    stop(world, device);
    let opened = device.open_pin(0, &world.choice.format());
    if let Ok(stream) = opened {
        world.problem("a stream was opened while the device is stopped");
        stream.close();
    }
    if !world.choice.once_in(6) {
        start(world, device);
    }
}

fn stop(world: &World, device: &Device) {
    trace::note(|| "the device is stopped".to_owned());
    world.expect("a stop", device.stop(), &[]);
    if !device.subdevices().is_empty() || device.connections() != 0 {
        world.problem("a stopped device has subdevices");
    }
}

fn sleep(world: &World, device: &Device) {
    world.expect("a query for D3", device.query_power(PowerState::D3), &[]);
    world.expect("D3", device.set_power(PowerState::D3), &[]);
    schedule::sleep_until(schedule::now() + world.choice.pause());
    world.expect("D0", device.set_power(PowerState::D0), &[]);
}

fn remove(world: &World, device: &Device) {
    let started = device.state() == Some(PnpState::Started);
    if started && world.choice.once_in(3) {
        trace::note(|| "the device is removed by surprise".to_owned());
        world.count(|figures| figures.removals += 1);
        world.expect("a surprise removal", device.surprise_remove(), &[]);
    } else if started {
        world.expect("a query for the removal", device.query_remove(), &[]);
    }
    world.expect("a removal", device.remove(), &GONE[..0]);
}
