//! Samples as numbers: of packets, and as devices take them.

use protocol::SampleWidth;

use super::supply::SampleType;

/// Integers of 32 bits, full scale at full scale, of little-endian samples.
pub fn integers(width: SampleWidth, pcm: &[u8]) -> impl Iterator<Item = i32> + '_ {
    let bytes = usize::from(width.bytes());
    pcm.chunks_exact(bytes).map(move |sample| match *sample {
        [low, high] => i32::from(i16::from_le_bytes([low, high])) << 16,
        [low, middle, high] => i32::from_le_bytes([0, low, middle, high]),
        [a, b, c, d] => i32::from_le_bytes([a, b, c, d]),
        _ => 0, // not reached: samples have 2, 3 or 4 bytes
    })
}

/// A sample of full scale as floating point: 1.0 would be a little more.
pub fn float(integer: i32) -> f32 {
    integer as f32 / 2_147_483_648.0
}

/// Writes floating-point samples as a device takes them; what is too loud becomes full scale.
pub fn write_floats(samples: SampleType, from: &[f32], into: &mut [u8]) {
    match samples {
        SampleType::F32 => {
            for (bytes, sample) in into.chunks_exact_mut(4).zip(from) {
                bytes.copy_from_slice(&sample.to_le_bytes());
            }
        }
        SampleType::I16 => write_scaled(from, into, 15, 2),
        SampleType::I24 => write_scaled(from, into, 23, 3),
        SampleType::I24In32 => write_scaled(from, into, 23, 4),
        SampleType::I32 => write_scaled(from, into, 31, 4),
    }
}

/// Writes the lowest bytes of samples that are rounded to integers whose full scale is two to the power `bits`.
fn write_scaled(from: &[f32], into: &mut [u8], bits: u32, bytes: usize) {
    let scale = f64::from(1_u32 << bits);
    for (to, sample) in into.chunks_exact_mut(bytes).zip(from) {
        let integer = (f64::from(*sample) * scale).round().clamp(-scale, scale - 1.0) as i32;
        to.copy_from_slice(&integer.to_le_bytes()[..bytes]);
    }
}

/// Writes a sample of 32 bits as a device takes it, without loss if the device's samples are wide enough for it.
pub fn write_integer(samples: SampleType, sample: i32, into: &mut [u8]) {
    let bytes = match samples {
        SampleType::I16 => (sample >> 16).to_le_bytes(),
        SampleType::I24 | SampleType::I24In32 => (sample >> 8).to_le_bytes(),
        SampleType::I32 => sample.to_le_bytes(),
        SampleType::F32 => float(sample).to_le_bytes(),
    };
    let length = samples.bytes().min(into.len());
    into[..length].copy_from_slice(&bytes[..length]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_has_its_full_scale_at_full_scale() {
        let all = |width, pcm: &[u8]| integers(width, pcm).collect::<Vec<_>>();
        assert_eq!(all(SampleWidth::Bits16, &[0, 0x80, 0xFF, 0x7F]), [i32::MIN, 0x7FFF_0000]);
        assert_eq!(all(SampleWidth::Bits24, &[0, 0, 0x80, 1, 0, 0]), [i32::MIN, 0x100]);
        assert_eq!(all(SampleWidth::Bits32, &[1, 0, 0, 0x80, 0xFF, 0xFF, 0xFF, 0xFF]), [i32::MIN + 1, -1]);
    }

    #[test]
    fn integers_reach_devices_of_their_width_and_wider_ones_as_they_were() {
        let sample = -0x1234_5600;
        let written = |samples: SampleType| {
            let mut bytes = vec![0; samples.bytes()];
            write_integer(samples, sample, &mut bytes);
            bytes
        };
        assert_eq!(written(SampleType::I32), sample.to_le_bytes());
        assert_eq!(written(SampleType::I24), (sample >> 8).to_le_bytes()[..3]);
        assert_eq!(written(SampleType::I24In32), (sample >> 8).to_le_bytes());
        assert_eq!(written(SampleType::I16), (sample >> 16).to_le_bytes()[..2]);
        let float = f32::from_le_bytes(written(SampleType::F32).try_into().expect("four bytes"));
        assert_eq!((float * 8_388_608.0) as i32, sample >> 8);
    }

    #[test]
    fn floats_are_rounded_and_do_not_wrap() {
        let written = |samples: SampleType, from: &[f32]| {
            let mut bytes = vec![0; samples.bytes() * from.len()];
            write_floats(samples, from, &mut bytes);
            bytes
        };
        assert_eq!(written(SampleType::I16, &[1.5, -1.5, 0.000_04]), [0xFF, 0x7F, 0, 0x80, 1, 0]);
        assert_eq!(written(SampleType::I24, &[1.0, -1.0]), [0xFF, 0xFF, 0x7F, 0, 0, 0x80]);
        assert_eq!(written(SampleType::I24In32, &[-1.0]), (-8_388_608_i32).to_le_bytes());
        assert_eq!(
            written(SampleType::I32, &[1.0, -2.0]),
            [i32::MAX.to_le_bytes(), i32::MIN.to_le_bytes()].concat()
        );
        assert_eq!(written(SampleType::F32, &[0.5]), 0.5_f32.to_le_bytes());
    }
}
