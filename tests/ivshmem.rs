//! What is played reaches the host of a virtual machine through shared memory, or it is said why not.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/ring.rs"]
mod ring;

use common::{assert_same_audio, noise, sent, source};
use protocol::RingError;
use ring::{
    ATTACHED, CHUNK_BYTES, EVENTS, GENERATIONS, MIB, MS, Reader, open, open_format, pass, told, unavailable,
    with_ring,
};
use testbed::client::{Buffer, Format};
use testbed::ivshmem::{Device, Fault, Generation, Request};
use testbed::kernel::pool;
use testbed::nt::NtStatus;
use testbed::{crossing, schedule};

#[test]
fn ten_seconds_reach_a_reader_bit_exactly_with_every_generation_of_the_other_driver() {
    for generation in GENERATIONS {
        let audio = noise(1, 480_000 * 4);
        let played = audio.clone();
        let outcome = with_ring(move |device| {
            let memory = Device::plug(MIB, generation);
            let mut reader = Reader::new(memory.region());
            let mut stream = open(device);
            assert!(memory.is_mapped(), "the region is mapped as soon as there is a stream");
            assert_eq!(reader.read(), 0);
            let mut player = stream.player(source(audio));
            player.start().expect("it starts");
            reader.read_for(&mut player, 10_000 * MS - 1);
            player.finish().expect("it plays");
            pass(MS);
            reader.read();
            stream.close();
            assert_eq!(memory.region().read(0, 24), [0; 24], "the header is cleared");
            assert_eq!((memory.open_files(), sent().len(), reader.missed), (0, 0, 0));
            reader.pcm
        });
        let heard = outcome.value.clone().expect("the scenario ends");
        assert_same_audio(&heard, &played);
        assert_eq!(told(outcome, &EVENTS), [ATTACHED]);
    }
}

#[test]
fn every_format_reaches_a_reader_bit_exactly() {
    for (rate, bits, channels) in [
        (44_100, 16, 1),
        (44_100, 24, 2),
        (48_000, 32, 2),
        (96_000, 24, 6),
        (192_000, 32, 8),
        (48_000, 16, 5),
    ] {
        let format = Format::pcm(rate, bits, channels);
        // Ten chunks, so that the last one is whole.
        let audio = noise(2, rate as usize / 5 * format.frame_bytes());
        let played = audio.clone();
        let (heard, heard_format) = with_ring(move |device| {
            let memory = Device::plug(MIB, Generation::WithConfiguration);
            let mut reader = Reader::new(memory.region());
            let mut stream = open_format(device, &format);
            reader.read();
            let mut player = stream.player(source(audio));
            player.start().expect("it starts");
            reader.read_for(&mut player, 200 * MS - 1);
            player.finish().expect("it plays");
            pass(MS);
            reader.read();
            (reader.pcm, reader.formats)
        })
        .expect_clean();
        assert_same_audio(&heard, &played);
        let [heard] = heard_format[..] else { panic!("one format: {heard_format:?}") };
        assert_eq!((heard.rate().get(), heard.bits(), heard.channels()), (rate, bits, channels));
    }
}

#[test]
fn a_pause_fills_its_chunk_with_silence_and_what_follows_begins_another() {
    let audio = noise(3, 9_600 * 4);
    let played = audio.clone();
    let heard = with_ring(move |device| {
        let memory = Device::plug(MIB, Generation::WithConfiguration);
        let mut reader = Reader::new(memory.region());
        let mut stream = open(device);
        reader.read();
        let mut player = stream.player(source(audio));
        player.start().expect("it starts");
        // So many chunks that every place for them was used before.
        player.run_for(110 * MS).expect("it plays");
        player.pause().expect("it pauses");
        pass(70 * MS);
        assert_eq!(reader.read(), 6, "a pause publishes what is there");
        player.resume().expect("it goes on");
        player.finish().expect("it plays");
        pass(MS);
        reader.read();
        reader.pcm
    })
    .expect_clean();
    let (first, second) = played.split_at(5_280 * 4);
    let silence = vec![0; CHUNK_BYTES / 2];
    assert_same_audio(&heard, &[first, &silence, second, &silence].concat());
}

#[test]
fn a_reader_that_stays_attached_follows_a_change_of_format() {
    let formats = [Format::pcm(48_000, 16, 2), Format::pcm(96_000, 24, 2), Format::pcm(48_000, 16, 2)];
    let audio = |format: &Format| noise(4, format.rate as usize / 10 * format.frame_bytes());
    let played: Vec<u8> = formats.iter().flat_map(audio).collect();
    let (heard, seen) = with_ring(move |device| {
        let memory = Device::plug(MIB, Generation::WithKernelMap);
        let mut reader = Reader::new(memory.region());
        for format in &formats {
            let mut stream = open_format(device, format);
            // The header of the new stream is whole, or there is none: `read` panics otherwise.
            reader.read();
            let mut player = stream.player(source(audio(format)));
            player.start().expect("it starts");
            for _ in 0..97 {
                player.run_for(MS).expect("it plays");
                reader.read();
            }
            player.finish().expect("it plays");
            pass(MS);
            reader.read();
            stream.close();
        }
        (reader.pcm, reader.formats)
    })
    .expect_clean();
    assert_same_audio(&heard, &played);
    assert_eq!(seen.iter().map(|format| format.bits()).collect::<Vec<_>>(), [16, 24, 16]);
}

#[test]
fn the_index_goes_on_from_one_stream_to_the_next() {
    let indices = with_ring(|device| {
        let memory = Device::plug(MIB, Generation::WithConfiguration);
        [100_usize, 200, 100].map(|chunks| {
            let mut stream = open(device);
            let before = memory.region().read(4, 2);
            stream.play(source(noise(5, chunks * CHUNK_BYTES))).expect("it plays");
            pass(MS);
            let after = memory.region().read(4, 2);
            stream.close();
            [before, after].map(|index| u16::from_le_bytes([index[0], index[1]]))
        })
    })
    .expect_clean();
    // The static outlives a stream, and not the driver: other scenarios have no part in it.
    assert_eq!(indices, [[0, 100], [100, 300 - 273], [300 - 273, 400 - 273]]);
}

#[test]
fn a_reader_of_a_stream_that_never_ended_hears_nothing_old() {
    let played = noise(14, CHUNK_BYTES * 3);
    let audio = played.clone();
    let heard = with_ring(move |device| {
        let memory = Device::plug(MIB, Generation::WithKernelMap);
        open(device).close();
        // What a machine leaves there that crashes: old audio, and a header.
        memory.region().write_noise(1);
        let header =
            [0x14, 0x20, 0x11, 0x11, 57, 0, 24, 0, 17, 1, 0, 0, 0, 15, 0, 0, 1, 16, 2, 0, 3, 0, 0, 0];
        memory.region().write(0, &header);
        let mut reader = Reader::new(memory.region());
        assert_eq!((reader.attach(), reader.formats[0].rate().get()), (Ok(()), 48_000));
        // It does not notice that the header was written anew, as that is the same.
        let mut stream = open(device);
        assert_eq!(memory.region().read(0, 24), header);
        stream.play(source(audio)).expect("it plays");
        pass(MS);
        reader.read();
        reader.pcm
    })
    .expect_clean();
    assert_same_audio(&heard, &played);
}

#[test]
fn clients_ask_for_the_position_meanwhile_in_a_process_that_does_not_see_the_memory() {
    for generation in GENERATIONS {
        let audio = noise(6, 48_000 * 4);
        let played = audio.clone();
        let heard = with_ring(move |device| {
            let memory = Device::plug(MIB, generation);
            let mut reader = Reader::new(memory.region());
            let mut stream = open(device);
            reader.read();
            for number in 0..3_u64 {
                let positions = stream.position_reader();
                schedule::spawn_in(testbed::process::Process::AudioEngine, "client", 0, move || {
                    for step in 0..700_u64 {
                        pass(MS + 97 * number + 13 * step);
                        let at_dispatch_level = (step + number).is_multiple_of(5);
                        positions.position(at_dispatch_level).expect("a position");
                    }
                });
            }
            let mut player = stream.player(source(audio));
            player.start().expect("it starts");
            reader.read_for(&mut player, 1000 * MS - 1);
            player.finish().expect("it plays");
            pass(MS);
            reader.read();
            reader.pcm
        })
        .expect_clean();
        assert_same_audio(&heard, &played);
    }
}

#[test]
fn memory_that_the_other_side_rewrites_all_the_time_harms_nothing() {
    for generation in GENERATIONS {
        let audio = noise(7, 48_000 * 4);
        let heard = with_ring(move |device| {
            // The mapping ends at an unmapped page.
            let memory = Device::plug(MIB, generation);
            let region = memory.region().clone();
            let mut stream = open(device);
            let mut player = stream.player(source(audio));
            player.start().expect("it starts");
            for step in 0..300_u64 {
                player.run_for(3 * MS + 77).expect("it plays");
                region.write_noise(step);
            }
            player.finish().expect("it plays");
            pass(MS);
            // 50 chunks were published, wherever the noise said that the ring was.
            let index = region.read(4, 2);
            stream.close();
            assert_eq!(region.read(0, 24), [0; 24], "the header is cleared whatever was there");
            // And the next stream is whole again.
            let mut reader = Reader::new(&region);
            let mut stream = open(device);
            reader.read();
            stream.play(source(noise(8, CHUNK_BYTES * 5))).expect("it plays");
            pass(MS);
            reader.read();
            (index, reader.pcm)
        })
        .expect_clean();
        assert_eq!(heard.0, [50, 0]);
        assert_same_audio(&heard.1, &noise(8, CHUNK_BYTES * 5));
    }
}

#[test]
fn without_a_device_of_the_size_nothing_is_sent_and_the_sizes_that_there_are_are_told() {
    let outcome = with_ring(|device| {
        for size in [2 * MIB, MIB - 1, MIB + 4096, 17] {
            let _ = Device::plug(size, Generation::WithKernelMap);
        }
        let mut stream = open(device);
        stream.play(source(noise(9, CHUNK_BYTES * 3))).expect("it plays all the same");
        stream.close();
        assert_eq!(sent().len(), 0, "without leave the network is not used");
    });
    let other = |size| unavailable("the device has another size", "STATUS_SUCCESS", size);
    assert_eq!(
        told(outcome, &["IvshmemAttached", "IvshmemUnavailable"]),
        [other(2 * MIB), other(MIB - 1), other(MIB + 4096), other(17)]
    );
    let none = with_ring(|device| open(device).close());
    assert_eq!(told(none, &EVENTS), [unavailable("there is no IVSHMEM device", "STATUS_SUCCESS", 0)]);
}

#[test]
fn of_two_devices_of_one_size_the_first_is_taken_and_that_is_told() {
    let outcome = with_ring(|device| {
        let other = Device::plug(MIB / 2, Generation::WithConfiguration);
        let first = Device::plug(MIB, Generation::WithConfiguration);
        let second = Device::plug(MIB, Generation::WithConfiguration);
        let stream = open(device);
        assert_eq!([other.is_mapped(), first.is_mapped(), second.is_mapped()], [false, true, false]);
        assert_eq!([other.open_files(), first.open_files(), second.open_files()], [0, 1, 0]);
        stream.close();
    });
    let ambiguous = "Scream warning: IvshmemAmbiguous Stream=1 Size=1048576 Devices=2 Taken=2";
    assert_eq!(told(outcome, &EVENTS), [ambiguous, ATTACHED]);
}

/// Plays a second while a device does not let its memory be had until half of it has passed, and hears the rest.
#[track_caller]
fn comes_when_it_can(hinder: fn(&Device), help: fn(&Device), reason: &str, status: &str, found: u64) {
    for generation in GENERATIONS {
        let audio = noise(10, 48_000 * 4);
        let played = audio.clone();
        let outcome = with_ring(move |device| {
            let memory = Device::plug(MIB, generation);
            hinder(&memory);
            let mut reader = Reader::new(memory.region());
            let mut stream = open(device);
            let mut player = stream.player(source(audio));
            player.start().expect("it starts");
            player.run_for(500 * MS).expect("it plays");
            assert_eq!((reader.read(), memory.is_mapped(), memory.open_files()), (0, false, 0));
            help(&memory);
            reader.read_for(&mut player, 490 * MS);
            player.finish().expect("it plays");
            pass(MS);
            reader.read();
            reader.pcm
        });
        let heard = outcome.value.clone().expect("the scenario ends");
        // From the wake-up after the first attempt that can succeed, at most half a second later, nothing is missing.
        let whole = heard.len() - heard.len() % CHUNK_BYTES;
        assert!(whole > 0, "{reason}: nothing was heard");
        let at = played.windows(64).position(|window| window == &heard[..64]).expect("audio that was played");
        let rest = &played[at..];
        assert!(at <= (500 + 500 + 20) * 192, "{reason}: sound came back {} ms late", at / 192);
        assert_same_audio(&heard[..rest.len()], rest);
        assert!(heard[rest.len()..].iter().all(|byte| *byte == 0), "the rest of a chunk is silence");
        let told = told(outcome, &["IvshmemAttached", "IvshmemUnavailable"]);
        assert_eq!(told.first(), Some(&unavailable(reason, status, found)));
        assert_eq!(told.last().map(String::as_str), Some(ATTACHED));
    }
}

#[test]
fn a_device_that_another_program_uses_is_used_when_that_has_ended() {
    comes_when_it_can(
        |memory| assert!(memory.map_elsewhere(), "it is free"),
        Device::unmap_elsewhere,
        "the device is in use by another program",
        "STATUS_DEVICE_ALREADY_ATTACHED",
        0,
    );
}

#[test]
fn a_device_that_has_no_memory_yet_is_used_when_it_has() {
    comes_when_it_can(
        |memory| memory.set_provisioned(false),
        |memory| memory.set_provisioned(true),
        "the device has no memory yet",
        "STATUS_DEVICE_NOT_READY",
        0,
    );
}

fn heal(memory: &Device) {
    memory.heal();
}

#[test]
fn every_request_that_fails_or_is_answered_wrongly_has_its_reason() {
    use Fault::{Information, NullPointer, Size, Status, Unaligned};
    let nonsense = "the answer of the device makes no sense";
    let success = "STATUS_SUCCESS";
    let denied = "STATUS_ACCESS_DENIED";
    comes_when_it_can(
        |memory| memory.fail(Request::Open, Status(NtStatus::ACCESS_DENIED)),
        heal,
        "a device cannot be opened",
        denied,
        0,
    );
    comes_when_it_can(
        |memory| memory.fail(Request::Size, Status(NtStatus::ACCESS_DENIED)),
        heal,
        "a device does not tell its size",
        denied,
        0,
    );
    comes_when_it_can(|memory| memory.fail(Request::Size, Information(4)), heal, nonsense, success, 0);
    comes_when_it_can(
        |memory| memory.fail(Request::Size, Size(u64::MAX)),
        heal,
        "the device has another size",
        success,
        u64::MAX,
    );
    comes_when_it_can(
        |memory| {
            memory.fail(Request::Map, Status(NtStatus::ACCESS_DENIED));
            memory.fail(Request::KernelMap, Status(NtStatus::ACCESS_DENIED));
        },
        heal,
        "the device does not map its memory",
        // Drivers that have no REQUEST_KMAP are asked for the other mapping.
        denied,
        0,
    );
    comes_when_it_can(
        |memory| {
            memory.fail(Request::Map, Size(2 * MIB));
            memory.fail(Request::KernelMap, Size(2 * MIB));
        },
        heal,
        nonsense,
        success,
        2 * MIB,
    );
    for fault in [
        |memory: &Device| {
            memory.fail(Request::Map, NullPointer);
            memory.fail(Request::KernelMap, NullPointer);
        },
        |memory: &Device| {
            memory.fail(Request::Map, Unaligned);
            memory.fail(Request::KernelMap, Unaligned);
        },
        |memory: &Device| {
            memory.fail(Request::Map, Information(24));
            memory.fail(Request::KernelMap, Information(24));
        },
    ] {
        comes_when_it_can(fault, heal, nonsense, success, MIB);
    }
}

#[test]
fn every_call_that_fails_once_is_made_again() {
    for (function, nth, reason) in [
        ("IoGetDeviceInterfaces", 1, "the devices cannot be listed"),
        ("ZwOpenFile", 1, "a device cannot be opened"),
        ("ZwDeviceIoControlFile", 1, "a device does not tell its size"),
        ("IoRegisterPlugPlayNotification", 1, "no notice would come of the removal of the device"),
        ("ZwDeviceIoControlFile", 2, "the device does not map its memory"),
    ] {
        let outcome = with_ring(move |device| {
            let memory = Device::plug(MIB, Generation::WithKernelMap);
            let mut stream = device.open_pin(0, &Format::pcm(48_000, 16, 2)).expect("a stream");
            crossing::inject(function, nth, NtStatus::INSUFFICIENT_RESOURCES);
            stream.allocate(testbed::client::Buffer::Notified { bytes: 7680, count: 2 }).expect("a buffer");
            stream.play(source(noise(11, CHUNK_BYTES * 5))).expect("it plays");
            assert!(memory.is_mapped(), "{function} was called again");
            stream.close();
            assert_eq!((crossing::inject_no_more(), memory.open_files()), (0, 0));
        });
        let first = unavailable(reason, "STATUS_INSUFFICIENT_RESOURCES", 0);
        assert_eq!(told(outcome, &["IvshmemAttached", "IvshmemUnavailable"]), [first.as_str(), ATTACHED]);
    }
}

#[test]
fn memory_that_cannot_be_cached_as_wished_is_used_as_it_can_be() {
    for (failing, expected) in [
        (1, vec![ATTACHED.to_owned()]),
        (2, vec![ATTACHED.to_owned()]),
        (
            3,
            vec![
                unavailable("the device does not map its memory", "STATUS_INSUFFICIENT_RESOURCES", 0),
                ATTACHED.to_owned(),
            ],
        ),
    ] {
        let outcome = with_ring(move |device| {
            let memory = Device::plug(MIB, Generation::WithoutConfiguration);
            for _ in 0..failing {
                crossing::inject("MmMapIoSpaceEx", 1, NtStatus::INSUFFICIENT_RESOURCES);
            }
            let mut stream = open(device);
            stream.play(source(noise(11, CHUNK_BYTES * 5))).expect("it plays");
            assert!(memory.is_mapped(), "after {failing} that failed");
            stream.close();
            assert_eq!((crossing::inject_no_more(), memory.open_files()), (0, 0));
        });
        assert_eq!(told(outcome, &["IvshmemAttached", "IvshmemUnavailable"]), expected);
    }
}

#[test]
fn after_any_allocation_that_fails_no_stream_opens_or_it_finds_its_memory_later() {
    let life = |failing: Option<u64>| {
        with_ring(move |device| {
            let memory = Device::plug(MIB, Generation::WithConfiguration);
            let before = pool::allocations();
            if let Some(count) = failing {
                pool::fail_after(count);
            }
            let buffer = Buffer::Notified { bytes: 7680, count: 2 };
            let opened = device.open(&Format::pcm(48_000, 16, 2), buffer);
            let status = opened.as_ref().err().copied();
            if let Ok(mut stream) = opened {
                stream.play(source(noise(13, CHUNK_BYTES * 5))).expect("it plays");
                assert!(memory.is_mapped(), "allocation {failing:?}");
                stream.close();
            }
            assert!(!pool::fail_no_more(), "allocation {failing:?} was not made");
            assert_eq!(memory.open_files(), 0);
            (status, pool::allocations() - before)
        })
        .expect_clean()
    };
    let (opened, count) = life(None);
    assert_eq!(opened, None);
    let statuses: Vec<_> = (0..count).map(|failing| life(Some(failing)).0).collect();
    let failed = statuses.iter().flatten().count() as u64;
    assert!(statuses.iter().flatten().all(|status| *status == NtStatus::INSUFFICIENT_RESOURCES));
    // At least the name list, the file, the watch, its mutex, the registration and two requests fail only for a while.
    assert!(
        (7..count).contains(&(count - failed)),
        "{failed} of {count} allocations are needed to open a stream"
    );
}

#[test]
fn while_there_is_no_memory_lost_chunks_are_told_once_a_second() {
    let outcome = with_ring(|device| {
        let mut stream = open(device);
        stream.play(source(noise(12, 96_000 * 4))).expect("it plays");
        stream.close();
    });
    let lost = |count| format!("Scream warning: IvshmemChunksLost Stream=1 Dropped={count}");
    assert_eq!(told(outcome, &["IvshmemChunksLost"]), [lost(1), lost(50)]);
}

#[test]
fn a_region_in_which_there_is_no_stream_is_told_from_one_that_nobody_writes() {
    let seen = with_ring(|device| {
        let memory = Device::plug(MIB, Generation::WithConfiguration);
        let mut reader = Reader::new(memory.region());
        let before = reader.attach();
        let stream = open(device);
        let during = reader.attach();
        stream.close();
        let mut another = Reader::new(memory.region());
        [before, during, another.attach()]
    })
    .expect_clean();
    assert_eq!(seen, [Err(RingError::NoStream(0)), Ok(()), Err(RingError::NoStream(0))]);
}
