//! Memory shared with the host comes and goes while something plays.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/ring.rs"]
mod ring;

use std::ptr::{null, null_mut};

use common::{
    SERVICE, assert_same_audio, audio_of, driver_file, noise, prompt_network, sent, set_option, source,
};
use ring::{
    ATTACHED, CHUNK, CHUNK_BYTES, EVENTS, GENERATIONS, MIB, MS, Reader, lost, open, pass, told, unavailable,
    with_ring, with_ring_in,
};
use testbed::ivshmem::{Device, Fault, Generation, Request, Veto};
use testbed::kernel::etw::Session;
use testbed::kernel::file::ZwOpenFile;
use testbed::kernel::object::{ObReferenceObjectByHandle, ObfDereferenceObject, ZwClose};
use testbed::kernel::pnp_notification::{IoRegisterPlugPlayNotification, IoUnregisterPlugPlayNotificationEx};
use testbed::kernel::registry::Value;
use testbed::nt::{
    Handle, IoStatusBlock, NtStatus, OBJ_KERNEL_HANDLE, ObjectAttributes, Pvoid, UnicodeString,
};
use testbed::process::{self, Process};
use testbed::{Config, Driver, Machine, schedule};

const ASKED: &str = "the device is being removed";
const GONE: &str = "the device has gone";

fn no_device() -> String {
    unavailable("there is no IVSHMEM device", "STATUS_SUCCESS", 0)
}

/// Where in `played` the first frames of `heard` are, in frames.
#[track_caller]
fn place_of(heard: &[u8], played: &[u8]) -> usize {
    let place = played.windows(64).position(|window| window == &heard[..64]);
    place.expect("what was heard was played") / 4
}

#[test]
fn a_device_that_comes_while_something_plays_is_used_from_then_on() {
    for generation in GENERATIONS {
        let audio = noise(1, 96_000 * 4);
        let played = audio.clone();
        let outcome = with_ring(move |device| {
            let mut stream = open(device);
            let mut player = stream.player(source(audio));
            player.start().expect("it starts");
            player.run_for(1000 * MS).expect("it plays");
            let memory = Device::plug(MIB, generation);
            let mut reader = Reader::new(memory.region());
            reader.read_for(&mut player, 999 * MS);
            player.finish().expect("it plays");
            pass(MS);
            reader.read();
            reader.pcm
        });
        let heard = outcome.value.clone().expect("the scenario ends");
        let from = place_of(&heard, &played);
        // Attempts are half a second apart by then, at the wake-ups of every 20 ms.
        assert!((48_000..=48_000 + 24_960).contains(&from), "heard from frame {from} on");
        let rest = &played[from * 4..];
        assert_same_audio(&heard[..rest.len()], rest);
        assert_eq!(told(outcome, &["IvshmemAttached"]), [ATTACHED]);
    }
}

#[test]
fn a_device_that_is_removed_in_an_orderly_way_is_let_go_of_at_any_moment() {
    for generation in GENERATIONS {
        for seed in 0..12 {
            let config = Config { seed: Some(seed), ..Config::default() };
            let outcome = with_ring_in(config, &[], move |device| {
                let memory = Device::plug(MIB, generation);
                let region = memory.region().clone();
                let mut stream = open(device);
                let mut player = stream.player(source(noise(seed, 48_000 * 4)));
                player.start().expect("it starts");
                for step in 0..8 {
                    player.run_for(40 * MS + seed * 777 * 1000 + step * 3_333_333).expect("it plays");
                    memory.demand_removal();
                    assert!(memory.is_gone() && !memory.is_mapped());
                    assert_eq!(region.read(0, 24), [0; 24], "the header is cleared");
                    player.run_for(MS * step * 7).expect("it plays");
                    memory.plug_again();
                    player.run_for(40 * MS).expect("it plays");
                    assert!(memory.is_mapped(), "it is used again");
                }
                player.finish().expect("it plays");
                stream.close();
                assert_eq!(memory.open_files(), 0);
            });
            let told = told(outcome, &["IvshmemLost", "IvshmemAttached"]);
            let expected: Vec<String> = (0..17)
                .map(|number| if number % 2 == 0 { ATTACHED.to_owned() } else { lost(ASKED) })
                .collect();
            assert_eq!(told, expected);
        }
    }
}

#[test]
fn a_device_that_vanishes_is_not_touched_any_more() {
    for generation in GENERATIONS {
        for step in 0..24 {
            let config = Config { seed: Some(step), ..Config::default() };
            let outcome = with_ring_in(config, &[], move |device| {
                let memory = Device::plug(MIB, generation);
                let mut stream = open(device);
                let mut player = stream.player(source(noise(step, 48_000 * 4)));
                player.start().expect("it starts");
                // Somewhere between two wake-ups.
                player.run_for(200 * MS + MS / 2 + step * 800_000).expect("it plays");
                memory.surprise_remove();
                assert!(memory.is_gone());
                player.run_for(300 * MS).expect("it plays");
                memory.plug_again();
                player.finish().expect("it plays");
                assert!(memory.is_mapped());
                stream.close();
                assert_eq!(memory.open_files(), 0);
            });
            let told = told(outcome, &["IvshmemLost", "IvshmemAttached"]);
            assert_eq!(told, [ATTACHED, &lost(GONE), ATTACHED]);
        }
    }
}

#[test]
fn devices_are_let_go_of_while_nothing_plays_too() {
    let outcome = with_ring(|device| {
        let memory = Device::plug(MIB, Generation::WithConfiguration);
        let mut stream = open(device);
        memory.demand_removal();
        pass(100 * MS);
        memory.plug_again();
        // Nobody waits for it, until something plays.
        stream.play(source(noise(2, CHUNK_BYTES * 2))).expect("it plays");
        assert!(memory.is_mapped());
        pass(100 * MS);
        memory.surprise_remove();
        pass(100 * MS);
        stream.close();
    });
    assert_eq!(
        told(outcome, &EVENTS),
        [ATTACHED, &lost(ASKED), &no_device(), ATTACHED, &lost(GONE), &no_device()]
    );
}

/// Opens a device, as another driver does that does not let it go.
fn open_elsewhere(memory: &Device) -> Handle {
    let mut link: Vec<u16> = memory.link().encode_utf16().collect();
    let bytes = (link.len() * 2) as u16;
    let name = UnicodeString { length: bytes, maximum_length: bytes, buffer: link.as_mut_ptr() };
    let attributes = ObjectAttributes {
        length: size_of::<ObjectAttributes>() as u32,
        root_directory: 0,
        object_name: &raw const name,
        attributes: OBJ_KERNEL_HANDLE,
        security_descriptor: null_mut(),
        security_quality_of_service: null_mut(),
    };
    let mut block = IoStatusBlock { status: NtStatus::PENDING, information: 0 };
    let mut handle = 0;
    process::within(Process::System, || {
        let (handle, block) = (&raw mut handle, &raw mut block);
        // SAFETY: everything is a local.
        #[expect(unsafe_code, reason = "a function for drivers")]
        unsafe {
            ZwOpenFile(handle, 0x0010_0003, &raw const attributes, block, 3, 0x20)
        }
    })
    .ok()
    .expect("it opens");
    handle
}

#[test]
fn a_removal_that_another_driver_prevents_brings_the_device_back() {
    for generation in GENERATIONS {
        let outcome = with_ring(move |device| {
            let memory = Device::plug(MIB, generation);
            let other = open_elsewhere(&memory);
            let mut stream = open(device);
            let mut player = stream.player(source(noise(3, 24_000 * 4)));
            player.start().expect("it starts");
            player.run_for(110 * MS).expect("it plays");
            assert_eq!(memory.remove(), Err(Veto::Open(1)), "all files but the other driver's are closed");
            player.run_for(MS).expect("it plays");
            assert!(memory.is_mapped(), "it is used again at once");
            player.run_for(110 * MS).expect("it plays");
            #[expect(unsafe_code, reason = "a function for drivers")]
            // SAFETY: a handle of this scenario.
            let closed = process::within(Process::System, || unsafe { ZwClose(other) });
            assert_eq!(closed, NtStatus::SUCCESS);
            memory.demand_removal();
            player.finish().expect("it plays");
            stream.close();
        });
        assert_eq!(
            told(outcome, &["IvshmemLost", "IvshmemAttached"]),
            [ATTACHED, &lost(ASKED), ATTACHED, &lost(ASKED)]
        );
    }
}

#[test]
fn a_removal_that_comes_while_the_memory_is_being_mapped_waits_for_that() {
    for generation in GENERATIONS {
        let outcome = with_ring(move |device| {
            let memory = Device::plug(MIB, generation);
            memory.inject(Request::Map, 1, Fault::Late(30 * MS));
            memory.inject(Request::KernelMap, 1, Fault::Late(30 * MS));
            let mut stream = open(device);
            memory.demand_removal();
            assert!(memory.is_gone() && schedule::now() >= 30 * MS, "the answer came first");
            stream.play(source(noise(4, CHUNK_BYTES * 5))).expect("it plays");
            memory.heal();
            stream.close();
        });
        let told = told(outcome, &["IvshmemLost", "IvshmemAttached", "IvshmemUnavailable"]);
        assert_eq!(told, [ATTACHED, &lost(ASKED), &no_device()]);
    }
}

#[test]
fn a_stream_may_be_closed_while_its_device_is_being_removed() {
    for generation in GENERATIONS {
        for seed in 0..40 {
            let config = Config { seed: Some(seed), ..Config::default() };
            with_ring_in(config, &[], move |device| {
                let memory = std::rc::Rc::new(Device::plug(MIB, generation));
                let mut stream = open(device);
                stream.play(source(noise(5, CHUNK_BYTES * 2))).expect("it plays");
                let at = schedule::now() + 5 * MS;
                let removed = std::rc::Rc::clone(&memory);
                schedule::spawn("whoever removes the device", 0, move || {
                    schedule::sleep_until(at);
                    // The stream may have the file open, and be about to close it.
                    let _ = removed.remove();
                });
                schedule::sleep_until(at);
                stream.close();
                pass(MS);
                assert_eq!((memory.open_files(), memory.is_mapped()), (0, false));
            })
            .expect_clean();
        }
    }
}

#[test]
fn with_leave_the_network_is_used_until_there_is_memory_and_whenever_there_is_none() {
    for (remove, reason) in [(Device::demand_removal as fn(&Device), ASKED), (Device::surprise_remove, GONE)]
    {
        let audio = noise(6, 4 * 48_000 * 4);
        let played = audio.clone();
        let fallback = [("IVSHMEMFallback", Value::Dword(1))];
        let outcome = with_ring_in(Config::default(), &fallback, move |device| {
            let mut stream = open(device);
            let mut player = stream.player(source(audio));
            player.start().expect("it starts");
            player.run_for(1000 * MS).expect("it plays");
            let memory = Device::plug(MIB, Generation::WithConfiguration);
            let mut reader = Reader::new(memory.region());
            // Half a chunk more than whole ones.
            reader.read_for(&mut player, 1010 * MS);
            let before = sent();
            remove(&memory);
            reader.read();
            let first = std::mem::take(&mut reader.pcm);
            player.run_for(990 * MS).expect("it plays");
            let between = sent();
            memory.plug_again();
            reader = Reader::new(memory.region());
            reader.read_for(&mut player, 999 * MS);
            player.finish().expect("it plays");
            pass(MS);
            reader.read();
            [audio_of(&before), first, audio_of(&between), audio_of(&sent()), reader.pcm]
        });
        let [first_sent, first_ring, second_sent, third_sent, second_ring] =
            outcome.value.clone().expect("the scenario ends");
        let heard = [first_sent, first_ring].concat();
        // What was not yet a whole chunk when the memory went is lost, and no more.
        assert_same_audio(&heard, &played[..heard.len()]);
        let next = place_of(&second_sent, &played);
        let gap = next - heard.len() / 4;
        assert!((0..=CHUNK).contains(&gap), "{gap} frames are lost");
        let heard = [second_sent, third_sent, second_ring].concat();
        let rest = &played[next * 4..];
        assert_same_audio(&heard[..rest.len()], rest);
        assert!(heard.len() - rest.len() < CHUNK_BYTES);
        assert_eq!(told(outcome, &["IvshmemLost", "IvshmemAttached"]), [ATTACHED, &lost(reason), ATTACHED]);
    }
}

#[test]
fn a_chunk_that_was_begun_when_the_memory_went_is_not_heard_later() {
    for remove in [Device::demand_removal as fn(&Device), Device::surprise_remove] {
        let audio = noise(8, 3 * 48_000 * 4);
        let played = audio.clone();
        let fallback = [("IVSHMEMFallback", Value::Dword(1))];
        let heard = with_ring_in(Config::default(), &fallback, move |device| {
            let memory = Device::plug(MIB, Generation::WithConfiguration);
            let mut stream = open(device);
            let mut player = stream.player(source(audio));
            player.start().expect("it starts");
            player.run_for(1010 * MS).expect("it plays");
            // Who asks for the position has what was played by then copied: half a chunk.
            player.stream().position().expect("a position");
            remove(&memory);
            player.run_for(490 * MS).expect("it plays");
            memory.plug_again();
            let mut reader = Reader::new(memory.region());
            reader.read_for(&mut player, 1000 * MS);
            reader.pcm
        })
        .expect_clean();
        let from = place_of(&heard, &played);
        assert!(from >= 72_000, "the first frame is number {from}");
        assert_same_audio(&heard, &played[from * 4..from * 4 + heard.len()]);
    }
}

/// Another driver's callback, which takes its time.
#[expect(unsafe_code, reason = "called as Windows calls it")]
unsafe extern "efiapi" fn slow(_notification: Pvoid, _context: Pvoid) -> NtStatus {
    pass(75 * MS);
    NtStatus::SUCCESS
}

/// Plays while a device is removed which another driver has registered for too: before the stream is opened, or after. In
/// the 75 ms that the other driver takes for each notice the thread wakes three or four times.
#[track_caller]
fn others_take_their_time(others_first: bool, remove: fn(&Device), reason: &str) {
    for generation in GENERATIONS {
        let config = Config { events: Some(Session::everything()), ..prompt_network() };
        let outcome = Machine::run(config, move || {
            set_option("UseIVSHMEM", Value::Dword(1));
            let driver = Driver::load(&driver_file(), SERVICE).expect("the driver loads");
            let device = testbed::Device::add(&driver).expect("the device is added");
            device.start().expect("the device starts");
            let memory = Device::plug(MIB, generation);
            let early = others_first.then(|| register_elsewhere(&driver, &memory));
            let mut stream = open(&device);
            let registration = early.unwrap_or_else(|| register_elsewhere(&driver, &memory));
            let mut player = stream.player(source(noise(7, 24_000 * 4)));
            player.start().expect("it starts");
            player.run_for(110 * MS).expect("it plays");
            remove(&memory);
            player.finish().expect("it plays");
            stream.close();
            process::within(Process::System, || {
                // SAFETY: the registration was made above, and ends here.
                #[expect(unsafe_code, reason = "a function for drivers")]
                let status = unsafe { IoUnregisterPlugPlayNotificationEx(registration) };
                assert_eq!(status, NtStatus::SUCCESS);
            });
            device.remove().expect("the device is removed");
            driver.unload();
        });
        assert_eq!(told(outcome, &["IvshmemLost", "IvshmemAttached"]), [ATTACHED, &lost(reason)]);
    }
}

#[test]
fn while_others_are_asked_about_a_removal_the_device_is_not_opened_again() {
    others_take_their_time(false, Device::demand_removal, ASKED);
    others_take_their_time(true, Device::demand_removal, ASKED);
}

#[test]
fn a_device_that_has_vanished_may_be_written_to_until_that_is_told() {
    others_take_their_time(true, Device::surprise_remove, GONE);
    others_take_their_time(false, Device::surprise_remove, GONE);
}

#[test]
fn a_device_may_vanish_while_its_memory_is_being_mapped() {
    for generation in GENERATIONS {
        let outcome = with_ring(move |device| {
            let memory = Device::plug(MIB, generation);
            let request = match generation {
                Generation::WithKernelMap => Request::KernelMap,
                _ => Request::Map,
            };
            memory.inject(request, 1, Fault::Late(30 * MS));
            let mut stream = open(device);
            memory.surprise_remove();
            assert!(schedule::now() >= 30 * MS, "the answer came first");
            stream.play(source(noise(4, CHUNK_BYTES * 5))).expect("it plays");
            stream.close();
            assert_eq!((memory.heal(), memory.open_files()), (0, 0));
        });
        // The driver is told that the memory is mapped, and finds nothing there.
        let nonsense = unavailable("the answer of the device makes no sense", "STATUS_SUCCESS", MIB);
        let told = told(outcome, &["IvshmemLost", "IvshmemAttached", "IvshmemUnavailable"]);
        assert_eq!(told, [nonsense, no_device()]);
    }
}

/// Registers for the removal of a device, as another driver does.
fn register_elsewhere(driver: &Driver, memory: &Device) -> *mut u8 {
    const TARGET_DEVICE_CHANGE: u32 = 3;
    let handle = open_elsewhere(memory);
    let (mut file, mut registration) = (null_mut(), null_mut());
    process::within(Process::System, || {
        let (to_file, to_registration) = (&raw mut file, &raw mut registration);
        #[expect(unsafe_code, reason = "a function for drivers")]
        // SAFETY: the handle is open; the object goes to a local.
        let status = unsafe { ObReferenceObjectByHandle(handle, 0, null(), 0, to_file, null_mut()) };
        assert_eq!(status, NtStatus::SUCCESS);
        #[expect(unsafe_code, reason = "a function for drivers")]
        // SAFETY: a file object, a driver object, and a callback that uses no context.
        let status = unsafe {
            IoRegisterPlugPlayNotification(
                TARGET_DEVICE_CHANGE,
                0,
                file,
                driver.object(),
                Some(slow),
                null_mut(),
                to_registration,
            )
        };
        assert_eq!(status, NtStatus::SUCCESS);
        #[expect(unsafe_code, reason = "a function for drivers")]
        // SAFETY: the reference was made above.
        unsafe {
            ObfDereferenceObject(file.cast())
        };
        #[expect(unsafe_code, reason = "a function for drivers")]
        // SAFETY: a handle of this scenario.
        let closed = unsafe { ZwClose(handle) };
        assert_eq!(closed, NtStatus::SUCCESS);
    });
    registration
}
