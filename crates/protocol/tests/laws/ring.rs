//! Laws of the IVSHMEM ring, over a region that watches every access.

use crate::generators::formats;
use crate::region::Region;
use proptest::prelude::*;
use protocol::ring::{MAGIC, MIN_CHUNKS, RING_HEADER_SIZE};
use protocol::{
    FormatError, RingError, RingLayout, RingRead, RingReader, RingWriter, SharedRegion, StreamFormat,
};

/// 44.1 kHz mono: the smallest chunk there is, 1764 bytes.
fn small() -> StreamFormat {
    StreamFormat::new(44_100, 16, 1, 4).unwrap()
}

fn region_for(format: StreamFormat, chunks: usize) -> Region {
    Region::new(RING_HEADER_SIZE + chunks * chunk_size(format))
}

fn chunk_size(format: StreamFormat) -> usize {
    (format.bytes_per_second() / 50) as usize
}

/// One chunk filled with a number.
fn chunk(format: StreamFormat, number: u8) -> Vec<u8> {
    vec![number; chunk_size(format)]
}

fn write_chunk(writer: &mut RingWriter<&Region>, number: u8) {
    let pcm = chunk(writer.layout().format(), number);
    assert_eq!(writer.append(&pcm), Ok(pcm.len()));
}

/// The number of the chunk read next.
fn read_chunk(reader: &mut RingReader<&Region>) -> Option<u8> {
    let mut into = vec![0; reader.layout().chunk_size()];
    match reader.read(&mut into).unwrap() {
        RingRead::Chunk(len) => {
            assert_eq!(len, into.len());
            assert!(into.iter().all(|byte| byte == &into[0]), "a torn chunk");
            Some(into[0])
        }
        RingRead::Empty => None,
        RingRead::Lapped(_) => panic!("nobody overtook"),
    }
}

#[test]
fn the_header_is_that_of_the_design() {
    let format = StreamFormat::new(44_100, 24, 6, 0x063F).unwrap();
    let region = Region::new(2 << 20);
    let _writer = RingWriter::begin(&region, format, 0).unwrap();
    // 882 frames of 18 bytes are 15876 = 0x3E04 bytes; 132 of them fit in 2 MiB.
    let expected = [
        0x14, 0x20, 0x11, 0x11, 0, 0, 24, 0, 132, 0, 0, 0, 0x04, 0x3E, 0, 0, 0x81, 24, 6, 0, 0x3F, 0x06, 0, 0,
    ];
    assert_eq!(region.header(), expected);
}

#[test]
fn the_magic_is_cleared_first_and_written_last() {
    let region = region_for(small(), 4);
    let writer = RingWriter::begin(&region, small(), 0).unwrap();
    let writes = region.writes.take();
    assert_eq!((writes.first(), writes.last()), (Some(&0), Some(&0)));
    assert_eq!(writes.iter().filter(|&&offset| offset == 0).count(), 2);
    drop(writer);
    assert_eq!(region.writes.take().first(), Some(&0));
    assert_eq!(region.header(), [0; RING_HEADER_SIZE]);
}

#[test]
fn the_index_is_published_after_the_chunk_it_names() {
    let region = region_for(small(), 4);
    let mut writer = RingWriter::begin(&region, small(), 0).unwrap();
    region.writes.take();
    write_chunk(&mut writer, 1);
    // The first chunk filled is number 1.
    assert_eq!(region.writes.take(), [24 + 1_764, 4]);
    assert_eq!(region.header()[4..6], [1, 0]);
}

#[test]
fn a_region_for_fewer_than_three_chunks_is_refused_with_the_size_needed() {
    let needed = 24 + 3 * 1_764;
    let too_small = |size| Err(RingError::RegionTooSmall { size, needed });
    assert_eq!(RingLayout::for_region(0, small()), too_small(0));
    assert_eq!(RingLayout::for_region(needed - 1, small()), too_small(needed - 1));
    assert_eq!(RingLayout::for_region(needed, small()).unwrap().max_chunks(), 3);
}

#[test]
fn the_number_of_chunks_stops_at_what_a_u16_can_count() {
    let layout = RingLayout::for_region(256 << 20, small()).unwrap();
    assert_eq!(layout.max_chunks(), u16::MAX);
    assert_eq!(layout.chunk_frames().get(), 882);
}

#[test]
fn each_wrong_field_of_a_header_is_named() {
    let region = region_for(small(), 3);
    let _writer = RingWriter::begin(&region, small(), 0).unwrap();
    let good = region.header();
    let parse = |offset: usize, bytes: &[u8]| {
        let mut header = good;
        header[offset..offset + bytes.len()].copy_from_slice(bytes);
        RingLayout::parse(&header, region.len())
    };
    assert!(parse(0, &[]).is_ok());
    assert_eq!(parse(0, &[0]), Err(RingError::NoStream(0x1111_2000)));
    assert_eq!(parse(6, &[23]), Err(RingError::Offset(23)));
    assert_eq!(parse(8, &[2]), Err(RingError::ChunkCount(2)));
    assert_eq!(parse(12, &[0, 0]), Err(RingError::ChunkSize(0)));
    assert_eq!(parse(12, &[1, 0]), Err(RingError::ChunkSize(1)));
    assert_eq!(parse(16, &[0x80]), Err(RingError::Format(FormatError::RateMultiplier(0x80))));
    assert_eq!(parse(17, &[8]), Err(RingError::Format(FormatError::Bits(8))));
    assert_eq!(parse(18, &[9]), Err(RingError::Format(FormatError::Channels(9))));
    let size = region.len();
    let end = size + 1_764;
    assert_eq!(parse(8, &[4]), Err(RingError::OutsideRegion { end, size }));
    let end = size + 1;
    assert_eq!(parse(6, &[25]), Err(RingError::OutsideRegion { end, size }));
}

#[test]
fn a_reader_waits_for_the_first_stream_and_after_the_last() {
    let region = region_for(small(), 4);
    assert_eq!(RingReader::attach(&region).err(), Some(RingError::NoStream(0xA5A5_A5A5)));
    let writer = RingWriter::begin(&region, small(), 0).unwrap();
    let mut reader = RingReader::attach(&region).unwrap();
    assert_eq!(read_chunk(&mut reader), None);
    drop(writer);
    let mut into = chunk(small(), 0);
    assert_eq!(reader.read(&mut into), Err(RingError::NoStream(0)));
    assert_eq!(RingReader::attach(&region).err(), Some(RingError::NoStream(0)));
}

#[test]
fn a_reader_notices_another_stream_with_another_format() {
    let region = region_for(small(), 12);
    drop(RingWriter::begin(&region, small(), 0).unwrap());
    let writer = RingWriter::begin(&region, small(), 0).unwrap();
    let mut reader = RingReader::attach(&region).unwrap();
    drop(writer);
    let stereo = StreamFormat::new(44_100, 16, 2, 3).unwrap();
    let _writer = RingWriter::begin(&region, stereo, 0).unwrap();
    assert_eq!(reader.read(&mut chunk(small(), 0)), Err(RingError::Changed));
}

#[test]
fn a_reader_that_missed_a_change_of_streams_reads_no_old_chunk() {
    let region = region_for(small(), 4);
    let mut writer = RingWriter::begin(&region, small(), 0).unwrap();
    write_chunk(&mut writer, 1);
    write_chunk(&mut writer, 2);
    let mut reader = RingReader::attach(&region).unwrap();
    let index = writer.index();
    drop(writer);
    let mut writer = RingWriter::begin(&region, small(), index).unwrap();
    assert_eq!(read_chunk(&mut reader), None);
    write_chunk(&mut writer, 3);
    assert_eq!(read_chunk(&mut reader), Some(3));
}

#[test]
fn an_index_from_a_larger_ring_is_brought_into_this_one() {
    let region = region_for(small(), 4);
    let writer = RingWriter::begin(&region, small(), 65_535).unwrap();
    assert_eq!(writer.index(), 3);
}

#[test]
fn a_short_chunk_is_published_with_silence_behind_it() {
    let region = region_for(small(), 4);
    let mut writer = RingWriter::begin(&region, small(), 0).unwrap();
    let mut reader = RingReader::attach(&region).unwrap();
    assert_eq!(writer.flush(), Ok(()));
    assert_eq!(read_chunk(&mut reader), None);
    assert_eq!(writer.append(&[7; 100]), Ok(100));
    assert!(writer.is_pending());
    assert_eq!(writer.flush(), Ok(()));
    assert!(!writer.is_pending());
    let mut into = chunk(small(), 9);
    assert_eq!(reader.read(&mut into), Ok(RingRead::Chunk(1_764)));
    assert_eq!(into[..100], [7; 100]);
    assert!(into[100..].iter().all(|&byte| byte == 0));
    write_chunk(&mut writer, 5);
    assert_eq!(read_chunk(&mut reader), Some(5));
}

#[test]
fn the_writer_goes_on_when_the_region_is_rewritten_under_it() {
    let region = region_for(small(), 4);
    let mut writer = RingWriter::begin(&region, small(), 0).unwrap();
    let size = region.len();
    for number in 0..20 {
        region.set(0, &vec![0xFF; size]);
        write_chunk(&mut writer, number);
    }
    assert_eq!(writer.index(), 0);
    assert_eq!(region.outside.get(), 0);
}

#[test]
fn a_chunk_overwritten_while_it_is_copied_is_not_returned() {
    let region: &'static Region = Box::leak(Box::new(region_for(small(), 4)));
    let mut writer = RingWriter::begin(region, small(), 0).unwrap();
    let mut reader = RingReader::attach(region).unwrap();
    write_chunk(&mut writer, 1);
    write_chunk(&mut writer, 2);
    // Two more, and the writer is at work on the chunk that holds 1.
    region.meanwhile(RING_HEADER_SIZE, move || {
        write_chunk(&mut writer, 3);
        write_chunk(&mut writer, 4);
        assert_eq!(writer.append(&[9; 2]), Ok(2));
        std::mem::forget(writer);
    });
    let mut into = chunk(small(), 0);
    assert_eq!(reader.read(&mut into), Ok(RingRead::Lapped(4)));
    assert_eq!(reader.read(&mut into), Ok(RingRead::Empty));
}

#[test]
fn a_chunk_copied_while_the_writer_is_one_behind_is_returned() {
    let region: &'static Region = Box::leak(Box::new(region_for(small(), 4)));
    let mut writer = RingWriter::begin(region, small(), 0).unwrap();
    let mut reader = RingReader::attach(region).unwrap();
    write_chunk(&mut writer, 1);
    write_chunk(&mut writer, 2);
    region.meanwhile(RING_HEADER_SIZE, move || {
        write_chunk(&mut writer, 3);
        std::mem::forget(writer);
    });
    assert_eq!(read_chunk(&mut reader), Some(1));
    assert_eq!(read_chunk(&mut reader), Some(2));
    assert_eq!(read_chunk(&mut reader), Some(3));
    assert_eq!(read_chunk(&mut reader), None);
}

#[test]
fn a_stream_that_ends_while_a_chunk_is_copied_is_an_end() {
    let region: &'static Region = Box::leak(Box::new(region_for(small(), 4)));
    let mut writer = RingWriter::begin(region, small(), 0).unwrap();
    let mut reader = RingReader::attach(region).unwrap();
    write_chunk(&mut writer, 1);
    region.meanwhile(RING_HEADER_SIZE, move || drop(writer));
    // The index is cleared too, which is one behind: either way the chunk is not returned.
    assert_eq!(reader.read(&mut chunk(small(), 0)), Err(RingError::NoStream(0)));
}

#[test]
fn a_stream_that_changes_while_a_reader_attaches_is_not_taken_for_the_first() {
    let region: &'static Region = Box::leak(Box::new(region_for(small(), 12)));
    let writer = RingWriter::begin(region, small(), 0).unwrap();
    region.meanwhile(0, move || {
        drop(writer);
        let stereo = StreamFormat::new(44_100, 16, 2, 3).unwrap();
        std::mem::forget(RingWriter::begin(region, stereo, 0).unwrap());
    });
    assert_eq!(RingReader::attach(region).err(), Some(RingError::Changed));
    assert_eq!(RingReader::attach(region).unwrap().layout().format().channels(), 2);
}

#[test]
fn an_impossible_index_is_named() {
    let region = region_for(small(), 4);
    let _writer = RingWriter::begin(&region, small(), 0).unwrap();
    let mut reader = RingReader::attach(&region).unwrap();
    region.set(4, &[4, 0]);
    let error = RingError::Index { index: 4, chunks: 4 };
    assert_eq!(reader.read(&mut chunk(small(), 0)), Err(error));
    assert_eq!(RingReader::attach(&region).err(), Some(error));
}

#[test]
fn a_destination_shorter_than_a_chunk_is_refused() {
    let region = region_for(small(), 4);
    let _writer = RingWriter::begin(&region, small(), 0).unwrap();
    let mut reader = RingReader::attach(&region).unwrap();
    let error = RingError::Destination { len: 1_763, chunk_size: 1_764 };
    assert_eq!(reader.read(&mut [0; 1_763]), Err(error));
}

#[test]
fn a_reader_can_give_up_old_chunks_to_bound_the_delay() {
    let region = region_for(small(), 8);
    let mut writer = RingWriter::begin(&region, small(), 6).unwrap();
    let mut reader = RingReader::attach(&region).unwrap();
    for number in 1..=5 {
        write_chunk(&mut writer, number);
    }
    assert_eq!(reader.pending(), Ok(5));
    assert_eq!(reader.skip_to_newest(2), Ok(3));
    assert_eq!(reader.skip_to_newest(2), Ok(0));
    assert_eq!(read_chunk(&mut reader), Some(4));
    assert_eq!(read_chunk(&mut reader), Some(5));
}

proptest! {
    #[test]
    fn a_layout_stays_in_its_region_and_leaves_no_whole_chunk_unused(
        format in formats(),
        size in 0_usize..64 << 20,
    ) {
        match RingLayout::for_region(size, format) {
            Ok(layout) => {
                let end = layout.end().unwrap();
                prop_assert!(end <= size);
                prop_assert!(
                    size - end < layout.chunk_size() || layout.max_chunks() == u16::MAX
                );
                prop_assert_eq!(layout.chunk_size(), chunk_size(format));
                prop_assert_eq!(layout.chunk_frames().get() * 50, format.rate().get());
                prop_assert!(layout.max_chunks() >= MIN_CHUNKS);
            }
            Err(RingError::RegionTooSmall { needed, .. }) => {
                prop_assert!(size < needed);
                prop_assert!(RingLayout::for_region(needed, format).is_ok());
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn what_is_written_is_read_in_order_whatever_the_pieces(
        chunks in 3_usize..8,
        previous: u16,
        pieces in prop::collection::vec(1_usize..3_000, 1..30),
        reads in prop::collection::vec(any::<bool>(), 30),
    ) {
        let region = region_for(small(), chunks);
        let mut writer = RingWriter::begin(&region, small(), previous).unwrap();
        let mut reader = RingReader::attach(&region).unwrap();
        let (mut written, mut received) = (Vec::new(), Vec::new());
        let mut into = chunk(small(), 0);
        for (piece, read) in pieces.into_iter().zip(reads) {
            let pcm: Vec<u8> = (0..piece / 2 * 2)
                .map(|index| (((written.len() + index) * 31) >> 3) as u8)
                .collect();
            let mut rest = &pcm[..];
            while !rest.is_empty() {
                // Read before the writer could overtake.
                if read || usize::from(reader.pending().unwrap()) + 1 >= chunks {
                    while let RingRead::Chunk(len) = reader.read(&mut into).unwrap() {
                        received.extend_from_slice(&into[..len]);
                    }
                }
                let taken = writer.append(rest).unwrap();
                prop_assert!(taken > 0 && taken % 2 == 0);
                rest = &rest[taken..];
            }
            written.extend_from_slice(&pcm);
        }
        while let RingRead::Chunk(len) = reader.read(&mut into).unwrap() {
            received.extend_from_slice(&into[..len]);
        }
        let published = written.len() / into.len() * into.len();
        prop_assert_eq!(&received[..], &written[..published]);
        prop_assert_eq!(region.outside.get(), 0);
    }

    #[test]
    fn a_layout_written_is_the_layout_read(format in formats(), extra in 0_usize..1 << 20) {
        let region = Region::new(24 + 3 * chunk_size(format) + extra);
        let writer = RingWriter::begin(&region, format, 0).unwrap();
        prop_assert_eq!(RingLayout::parse(&region.header(), region.len()), Ok(writer.layout()));
        prop_assert_eq!(RingReader::attach(&region).unwrap().layout(), writer.layout());
    }

    #[test]
    fn no_header_makes_the_reader_look_outside_the_region(
        size in 0_usize..4_000,
        description: [u8; 20],
        small_fields: bool,
        rewritten: [u8; 24],
    ) {
        let mut bytes = vec![0x5A; size];
        let mut header = [&MAGIC.to_le_bytes()[..], &description].concat();
        if small_fields {
            // Make it likely that the header is accepted.
            let [index, offset, chunks, chunk_size] = [4, 6, 8, 12].map(|field| header[field]);
            header[4..6].copy_from_slice(&[index % 4, 0]);
            header[6] = 24 + offset % 9;
            header[8..12].copy_from_slice(&[3 + chunks % 9, 0, 0, 0]);
            header[12..16].copy_from_slice(&[chunk_size & !1, 0, 0, 0]);
            header[16..20].copy_from_slice(&[0x01, 16, 1, 0]);
        }
        let part = size.min(24);
        bytes[..part].copy_from_slice(&header[..part]);
        let region = Region::holding(bytes);
        if let Ok(mut reader) = RingReader::attach(&region) {
            prop_assert!(reader.layout().end().unwrap() <= size);
            let mut into = vec![0; reader.layout().chunk_size()];
            for index in 0..=255 {
                region.set(4, &[index, 0]);
                let _ = reader.read(&mut into);
            }
            region.set(0, &rewritten);
            prop_assert!(reader.read(&mut into).is_err());
            region.set(0, &MAGIC.to_le_bytes());
            let _ = reader.read(&mut into);
        }
        prop_assert_eq!(region.outside.get(), 0);
    }
}
