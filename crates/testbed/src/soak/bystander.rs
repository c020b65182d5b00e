//! What happens to a device while its stream is played: position queries, requests, second clients, and its removal.

use std::cell::Cell;
use std::rc::Rc;

use super::session::GONE;
use super::world::World;
use crate::Device;
use crate::client::{Format, PositionReader};
use crate::device::PowerState;
use crate::nt::NtStatus;
use crate::schedule::{self, PASSIVE_LEVEL, Thread};
use crate::trace;

/// The bystanders of one stream.
pub(super) struct Bystanders {
    threads: Vec<Rc<Thread>>,
    enough: Rc<Cell<bool>>,
    /// The device may sleep at any point, so that its client does not know what was played.
    pub(super) restless: bool,
}

/// Starts up to two bystanders.
pub(super) fn accompany(world: &World, device: &Rc<Device>, reader: PositionReader) -> Bystanders {
    let enough = Rc::new(Cell::new(false));
    let restless = world.choice.once_in(5);
    let mut bystanders = Bystanders { threads: Vec::new(), enough: Rc::clone(&enough), restless };
    let reader = Rc::new(reader);
    if restless {
        let (world, device, enough) = (world.clone(), Rc::clone(device), Rc::clone(&enough));
        let thread =
            schedule::spawn("power", PASSIVE_LEVEL, move || sleep_and_wake(&world, &device, &enough));
        bystanders.threads.push(thread);
    }
    for _ in 0..world.choice.below(3) {
        let (world, device, reader, enough) =
            (world.clone(), Rc::clone(device), Rc::clone(&reader), Rc::clone(&enough));
        let thread = schedule::spawn("bystander", PASSIVE_LEVEL, move || {
            for _ in 0..world.choice.below(30) {
                schedule::sleep_until(schedule::now() + world.choice.pause());
                if enough.get() {
                    break;
                }
                act(&world, &device, &reader);
            }
        });
        bystanders.threads.push(thread);
    }
    bystanders
}

impl Bystanders {
    /// Waits until they are done.
    pub(super) fn finish(self) {
        self.enough.set(true);
        schedule::wait("the bystanders", None, || {
            self.threads.iter().all(|thread| thread.is_finished()).then_some(())
        });
    }
}

/// Puts the device to sleep and wakes it, while its client does what it does. It ends awake.
fn sleep_and_wake(world: &World, device: &Device, enough: &Cell<bool>) {
    for _ in 0..world.choice.below(8) {
        schedule::sleep_until(schedule::now() + world.choice.pause());
        if enough.get() || world.removed.get() {
            break;
        }
        trace::note(|| "the device sleeps".to_owned());
        world.expect("a query for D3", device.query_power(PowerState::D3), &[]);
        world.expect("D3", device.set_power(PowerState::D3), &[]);
        schedule::sleep_until(schedule::now() + world.choice.pause());
        trace::note(|| "the device wakes".to_owned());
        world.expect("D0", device.set_power(PowerState::D0), &[]);
    }
}

fn act(world: &World, device: &Device, reader: &PositionReader) {
    match world.choice.below(12) {
        0..=2 => world.expect("GetPosition", reader.position(false).map(drop), &[]),
        3..=5 => world.expect("GetPosition", reader.position(true).map(drop), &[]),
        6 | 7 => world.ask(device, None),
        8 => {
            let refusals = [&GONE[..], &[NtStatus::INSUFFICIENT_RESOURCES]].concat();
            match device.new_stream(
                0,
                false,
                &Format::pcm(48_000, 16, 2),
                &Format::pcm(48_000, 16, 2).to_bytes(),
            ) {
                Ok(_) => world.problem("a second stream was opened"),
                Err(status) => world.expect("a second stream", Err(status), &refusals),
            }
        }
        9 => {
            let busy = [&GONE[..], &[NtStatus::DEVICE_BUSY]].concat();
            world.expect("a query for a stop", device.query_stop(), &busy);
            world.expect("a stop that is cancelled", device.cancel_stop(), &[]);
        }
        10 if world.choice.once_in(10) && !world.removed.replace(true) => {
            trace::note(|| "the device is removed by surprise".to_owned());
            world.count(|figures| figures.removals += 1);
            world.expect("a surprise removal", device.surprise_remove(), &[]);
        }
        _ => {}
    }
}
