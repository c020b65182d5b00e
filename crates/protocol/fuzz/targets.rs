//! What is fuzzed: each function takes any bytes and must not panic; what it asserts must hold for all of them.

use std::cell::RefCell;

use protocol::options::{
    DESCRIPTIONS, Description, MAX_INTERFACE, MAX_TARGETS, MAX_VALUE, Options, Registry, Stored,
};
use protocol::{
    HEADER_LEN, MAX_PAYLOAD, RingError, RingRead, RingReader, SharedRegion, SilenceGate, StreamFormat, packet,
};

/// A datagram from anybody: it is refused, or it is whole frames of a format whose header is the same again.
pub fn packet(data: &[u8]) {
    let Ok((format, payload)) = packet::parse(data) else { return };
    assert_eq!(format.header()[..], data[..HEADER_LEN]);
    assert!(!payload.is_empty() && payload.len() <= MAX_PAYLOAD);
    assert_eq!(payload.len() % usize::from(format.bytes_per_frame().get()), 0);
    assert_eq!(payload, &data[HEADER_LEN..]);
}

/// Audio of any format: every whole frame is judged once, and with the gate off every frame is sent.
pub fn silence(data: &[u8]) {
    let Some((&[width, channels, low, high], pcm)) = data.split_first_chunk() else { return };
    let bits = [16, 24, 32][usize::from(width % 3)];
    let Ok(format) = StreamFormat::new(48_000, bits, u16::from(channels % 8) + 1, 3) else { return };
    let threshold = u32::from(u16::from_le_bytes([low, high]));
    let frame = usize::from(format.bytes_per_frame().get());
    let mut gate = SilenceGate::new(format, threshold);
    let (mut rest, mut judged, mut sent) = (pcm, 0, 0);
    while let Some(run) = gate.scan(rest) {
        let frames = run.frames();
        assert!(frames > 0 && frames * frame <= rest.len());
        rest = &rest[frames * frame..];
        judged += frames;
        sent += if matches!(run, protocol::GateRun::Send(_)) { frames } else { 0 };
    }
    assert_eq!(judged, pcm.len() / frame);
    assert!(threshold > 0 || sent == judged);
}

/// A registry that holds anything: the options are in their ranges, and what is refused leaves its default.
pub fn options(data: &[u8]) {
    let mut values = Values { rest: data, asked: 0 };
    let mut told = (0, 0);
    let options = Options::read(&mut values, &mut |refusal| {
        let place = DESCRIPTIONS.iter().position(|option| *option == refusal.option).expect("an option");
        assert!((place, refusal.entry) > told || told == (0, 0), "refusals are in order");
        told = (place, refusal.entry);
    });
    let targets = options.targets.as_slice();
    assert!((1..=MAX_TARGETS).contains(&targets.len()));
    for (place, target) in targets.iter().enumerate() {
        assert!(target.port() > 0 && !target.ip().is_unspecified());
        assert!(!targets[..place].contains(target));
    }
    assert!(options.source_v4.is_none_or(|address| address.octets()[0] > 0 && !address.is_multicast()));
    assert!(options.source_v6.is_none_or(|address| !address.is_unspecified() && !address.is_multicast()));
    assert!(options.interface.is_none_or(|index| index.get() <= MAX_INTERFACE));
    assert!(!options.continuous || options.silence_threshold == 0);
    // What was read is read again from the text that stands for it.
    let texts: String = targets.iter().map(|target| format!("{target}\0")).collect();
    let texts: Vec<u8> = texts.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let length = u16::try_from(texts.len()).expect("it fits");
    let again = [&[7], &length.to_le_bytes()[..], &texts].concat();
    let again = Options::read(&mut Values { rest: &again, asked: 0 }, &mut |refusal| panic!("{refusal:?}"));
    assert_eq!(again.targets, options.targets);
}

/// Values one after the other, as they are asked for: a byte for the type or what is wrong, two for the length, the data.
struct Values<'a> {
    rest: &'a [u8],
    asked: usize,
}

impl Registry for Values<'_> {
    fn read(&mut self, _: &'static Description) -> Stored<'_> {
        self.asked += 1;
        assert!(self.asked <= DESCRIPTIONS.len());
        let Some((&[kind, low, high], rest)) = self.rest.split_first_chunk() else { return Stored::Missing };
        let length = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
        let (data, rest) = rest.split_at(length);
        self.rest = rest;
        match kind {
            0 => Stored::Missing,
            0xFF => Stored::Unreadable,
            _ if length > MAX_VALUE => Stored::TooLong,
            _ => Stored::Value { kind: kind.into(), data },
        }
    }
}

/// A region that the other side owns: what the reader asks of it lies inside, whatever it holds and whenever it changes.
///
/// The first half of the data fills the region; each four bytes of the second are a step: the other side writes a byte,
/// or the reader reads, skips, or attaches again.
pub fn ring(data: &[u8]) {
    let (image, steps) = data.split_at(data.len() / 2);
    let region = Region { bytes: RefCell::new(vec![0; REGION]) };
    region.bytes.borrow_mut()[..image.len().min(REGION)].copy_from_slice(&image[..image.len().min(REGION)]);
    let mut reader = RingReader::attach(&region).ok();
    let mut chunk = vec![0; REGION];
    for step in steps.chunks_exact(4) {
        let offset = usize::from(u16::from_le_bytes([step[1], step[2]])) % REGION;
        match (step[0] % 4, &mut reader) {
            (0, _) => region.bytes.borrow_mut()[offset] = step[3],
            (1, Some(reader)) => {
                if let Ok(RingRead::Chunk(length)) = reader.read(&mut chunk) {
                    assert_eq!(length, reader.layout().chunk_size());
                }
            }
            (2, Some(reader)) => {
                let _ = reader.skip_to_newest(u16::from(step[3]));
            }
            _ => reader = RingReader::attach(&region).ok(),
        }
    }
}

/// Bytes of the region: three chunks of the smallest format, and some more.
const REGION: usize = 8 << 10;

struct Region {
    bytes: RefCell<Vec<u8>>,
}

impl Region {
    fn array<const N: usize>(&self, offset: usize) -> Result<[u8; N], RingError> {
        let mut bytes = [0; N];
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }
}

impl SharedRegion for Region {
    fn len(&self) -> usize {
        REGION
    }

    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), RingError> {
        let bytes = self.bytes.borrow();
        let from = bytes.get(offset..offset.saturating_add(into.len()));
        into.copy_from_slice(from.expect("the reader checks before it reads"));
        Ok(())
    }

    fn write(&self, _: usize, _: &[u8]) -> Result<(), RingError> {
        panic!("a reader does not write")
    }

    fn load_u16(&self, offset: usize) -> Result<u16, RingError> {
        self.array(offset).map(u16::from_le_bytes)
    }

    fn store_u16(&self, _: usize, _: u16) -> Result<(), RingError> {
        panic!("a reader does not write")
    }

    fn load_u32(&self, offset: usize) -> Result<u32, RingError> {
        self.array(offset).map(u32::from_le_bytes)
    }

    fn store_u32(&self, _: usize, _: u32) -> Result<(), RingError> {
        panic!("a reader does not write")
    }
}
