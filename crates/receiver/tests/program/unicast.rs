//! Packets to this computer become samples and files, bit by bit.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::running::{Scream, audio, format, free_port, packets, scream, sender_to, wait_until};

/// The program, to standard output, on a port of its own.
fn raw(port: u16) -> Scream {
    Scream::start(&["-u", "-i", "127.0.0.1", "-p", &port.to_string(), "-o", "raw"])
}

#[test]
fn every_width_and_channel_count_comes_out_as_it_was_sent() {
    let port = free_port();
    let (scream, sender) = (raw(port), sender_to(port));
    let mut sent = Vec::new();
    for bits in [16, 24, 32] {
        for channels in 1..=8 {
            let format = format(bits, channels);
            // Some full packets and a short one, of which the last must not be missed.
            let audio = audio(format, 1_300, bits as u8 ^ channels as u8);
            for packet in packets(format, &audio) {
                sender.send(&packet).expect("it is sent");
            }
            sent.extend(audio);
            scream.wait_for_bytes(sent.len());
        }
    }
    assert!(scream.end().done() == sent, "what came out is not what was sent");
}

#[test]
fn each_format_has_a_wav_file_with_exactly_its_samples() {
    let port = free_port();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |number: usize| match number {
        1 => folder.path().join("a.wav"),
        number => folder.path().join(format!("a-{number}.wav")),
    };
    let output = format!("wav:{}", path(1).display());
    let scream = Scream::start(&["-u", "-i", "127.0.0.1", "-p", &port.to_string(), "-o", &output, "--json"]);
    let sender = sender_to(port);
    let mut expected = Vec::new();
    let mut count = 0;
    for bits in [16, 24, 32] {
        for channels in 1..=8 {
            let format = format(bits, channels);
            let audio = audio(format, 700, channels as u8);
            for packet in packets(format, &audio) {
                sender.send(&packet).expect("it is sent");
                count += 1;
            }
            expected.push((format, audio));
        }
    }
    scream.wait_for_received(count);
    scream.end().done();
    for (number, (format, audio)) in expected.into_iter().enumerate() {
        let path = path(number + 1);
        let mut wav = hound::WavReader::open(&path).expect("hound reads it");
        let spec = wav.spec();
        assert_eq!(
            (spec.sample_rate, spec.bits_per_sample, spec.channels),
            (format.rate().get(), format.bits(), format.channels()),
            "{path:?}"
        );
        let width = usize::from(format.width().bytes());
        let samples = wav.samples::<i32>().flat_map(|sample| {
            sample.expect("a sample").to_le_bytes().into_iter().take(width).collect::<Vec<_>>()
        });
        assert!(samples.eq(audio), "{path:?}");
    }
}

#[test]
fn a_file_that_is_there_is_overwritten_and_a_signal_completes_it() {
    for signal in ["TERM", "INT"] {
        let port = free_port();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.wav");
        fs::write(&path, vec![7; 100_000]).expect("it is written");
        let output = format!("wav:{}", path.display());
        let scream = Scream::start(&["-u", "-i", "lo", "-p", &port.to_string(), "-o", &output, "--json"]);
        let sent = audio(format(16, 2), 300, 1);
        let sender = sender_to(port);
        for packet in packets(format(16, 2), &sent) {
            sender.send(&packet).expect("it is sent");
        }
        scream.wait_for_received(2);
        scream.signal(signal);
        scream.ended().done();
        let file = fs::read(&path).expect("it is there");
        assert_eq!((file.len(), &file[44..]), (44 + sent.len(), &sent[..]));
    }
}

#[test]
fn the_end_of_who_reads_the_samples_is_no_failure() {
    let port = free_port();
    let arguments = ["-u", "-i", "127.0.0.1", "-p", &port.to_string(), "-o", "raw"];
    let mut child =
        scream(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
    let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
    errors.read_line(&mut String::new()).expect("the start line");
    drop(child.stdout.take());
    let sender = sender_to(port);
    for packet in packets(format(16, 2), &audio(format(16, 2), 300, 1)) {
        sender.send(&packet).expect("it is sent");
    }
    assert_eq!(child.wait().expect("it is our child").code(), Some(0));
    let mut rest = String::new();
    errors.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "");
}

#[test]
fn a_recording_goes_on_and_is_completed_when_its_terminal_is_closed() {
    let port = free_port();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.wav");
    let output = format!("wav:{}", path.display());
    let arguments = ["-u", "-i", "127.0.0.1", "-p", &port.to_string(), "-o", &output, "-v", "--stats"];
    let mut child = scream(&arguments).stderr(Stdio::piped()).spawn().expect("the program");
    let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
    errors.read_line(&mut String::new()).expect("the start line");
    drop(errors);
    let sent = audio(format(16, 2), 288 * 20, 1);
    let sender = sender_to(port);
    for packet in packets(format(16, 2), &sent) {
        sender.send(&packet).expect("it is sent");
    }
    wait_until("something is in the file", || fs::metadata(&path).is_ok_and(|file| file.len() > 8_000));
    let kill = Command::new("kill").args(["-s", "HUP", &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
    assert_eq!(child.wait().expect("it is our child").code(), Some(0));
    let file = fs::read(&path).expect("it is there");
    assert!(sent.starts_with(&file[44..]));
    let duration = hound::WavReader::open(&path).expect("hound reads it").duration();
    assert_eq!(duration as usize * 4 + 44, file.len());
}

/// What a reader that has stopped reading holds up is the output, not the end of the program.
#[test]
fn a_reader_that_stands_still_does_not_keep_the_program_from_ending() {
    let port = free_port();
    let arguments = ["-u", "-i", "127.0.0.1", "-p", &port.to_string(), "-o", "raw"];
    let mut child =
        scream(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
    let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
    errors.read_line(&mut String::new()).expect("the start line");
    // More than the pipe holds.
    let sender = sender_to(port);
    for packet in packets(format(16, 2), &audio(format(16, 2), 288 * 100, 1)) {
        sender.send(&packet).expect("it is sent");
    }
    let kill = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
    assert_eq!(child.wait().expect("it is our child").code(), Some(0));
}

#[test]
fn hostile_datagrams_are_counted_exactly_and_do_no_harm() {
    let port = free_port();
    let scream = Scream::start(&["-u", "-i", "127.0.0.1", "-p", &port.to_string(), "-o", "raw", "--stats"]);
    let sender = sender_to(port);
    let header = format(16, 2).header();
    let with = |length: usize| [&header[..], &vec![1; length]].concat();
    let send = |bytes: &[u8]| assert_eq!(sender.send(bytes).expect("it is sent"), bytes.len());
    for length in 0..5 {
        send(&header[..length]);
    }
    for bad in [
        [0, 16, 2, 3, 0],
        [0x80, 16, 2, 3, 0],
        [1, 8, 2, 3, 0],
        [1, 16, 0, 3, 0],
        [1, 16, 9, 3, 0],
        [17, 16, 2, 3, 0],
    ] {
        send(&[&bad[..], &[1; 4]].concat());
    }
    send(&with(0));
    for length in [1, 2, 3, 1151] {
        send(&with(length));
    }
    for length in [1156, 9_000, 60_000] {
        send(&with(length));
    }
    send(&with(4));
    scream.wait_for_bytes(4);
    let ended = scream.end();
    for (name, count) in [
        ("too short for a header", 5),
        ("unknown format", 6),
        ("without audio", 1),
        ("ending inside a frame", 4),
        ("too long", 3),
        ("received", 20),
        ("used", 1),
    ] {
        assert_eq!(ended.total(name), count, "{name}: {}", ended.stderr);
    }
    assert_eq!(ended.done(), [1; 4]);
}

#[test]
fn a_port_that_another_program_listens_on_is_said_to_be_in_use() {
    let port = free_port();
    let first = raw(port);
    let second =
        Scream::spawn(scream(&["-u", "-i", "127.0.0.1", "-p", &port.to_string(), "-o", "raw"])).ended();
    assert_eq!(second.code, Some(1));
    assert_eq!(
        second.stderr,
        format!(
            "error: 127.0.0.1:{port} is in use by another program; end that, or choose another port with -p\n"
        )
    );
    first.end().done();
}
