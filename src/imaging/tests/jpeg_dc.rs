//! An eighth of a JPEG, read from the first coefficients, beside libjpeg-turbo's.

use turbojpeg::{Compressor, Decompressor, ScalingFactor, Subsamp, YuvImage, yuv_pixels_len};

use super::samples::{encoded, picture, rgb, samples8};
use super::*;
use crate::imaging::jpeg_dc;
use crate::imaging::planes::Planes;

/// Reads as the decoder would: the segments in front of the first scan, and everything from there on.
fn read(bytes: &[u8]) -> Option<Planes> {
    let mut at = 2;
    while bytes.get(at + 1)? != &0xda {
        at += 2 + usize::from(u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]));
    }
    jpeg_dc::read(&bytes[..at], &bytes[at..])
}

/// Reads with libjpeg-turbo and compares.
fn compare(bytes: &[u8], name: &str) {
    let planes = read(bytes).unwrap_or_else(|| panic!("{name} is usual"));
    let mut turbo = Decompressor::new().expect("it starts");
    let header = turbo.read_header(bytes).expect("it is one");
    turbo.set_scaling_factor(ScalingFactor::ONE_EIGHTH).expect("it can");
    let scaled = header.scaled(ScalingFactor::ONE_EIGHTH);
    let length = yuv_pixels_len(scaled.width, 1, scaled.height, header.subsamp).expect("it fits");
    let mut yuv = YuvImage {
        pixels: vec![0; length],
        width: scaled.width,
        align: 1,
        height: scaled.height,
        subsamp: header.subsamp,
    };
    turbo.decompress_to_yuv(bytes, yuv.as_deref_mut()).expect("it is whole");
    let (light, colour) = (yuv.y_size(), yuv.uv_size());
    let starts = [0, light.0 * light.1, light.0 * light.1 + colour.0 * colour.1];
    let mut found = vec![&planes.light];
    found.extend(planes.colour.iter().flatten());
    for (index, plane) in found.into_iter().enumerate() {
        let stride = if index == 0 { light.0 } else { colour.0 };
        for y in 0..plane.height as usize {
            let ours = &samples8(plane)[y * plane.width as usize..][..plane.width as usize];
            let theirs = &yuv.pixels[starts[index] + y * stride..][..plane.width as usize];
            assert_eq!(ours, theirs, "{name}, plane {index}, row {y}");
        }
    }
}

fn compressed(image: &Image, subsampling: Subsamp, progressive: bool, quality: i32) -> Vec<u8> {
    let mut compressor = Compressor::new().expect("it starts");
    compressor.set_subsamp(subsampling).expect("it can");
    compressor.set_progressive(progressive).expect("it can");
    compressor.set_quality(quality).expect("it can");
    compressor.set_optimize(quality % 2 == 0).expect("it can");
    let format = turbojpeg::PixelFormat::RGB;
    let pixels = samples8(image);
    let (width, height) = (image.width as usize, image.height as usize);
    let source = turbojpeg::Image { pixels, width, pitch: width * 3, height, format };
    compressor.compress_to_vec(source).expect("it can be encoded")
}

#[test]
fn the_means_are_those_of_libjpeg_in_every_sampling_and_size() {
    for (width, height) in [(640, 480), (641, 479), (17, 300), (300, 9), (8, 8), (1, 1), (1023, 65)] {
        let image = picture(width, height, Channels::Rgb, 8);
        for subsampling in [Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub2x2, Subsamp::Sub1x2, Subsamp::Gray] {
            for progressive in [false, true] {
                for quality in [20, 75, 99] {
                    let name = format!("{width} x {height} {subsampling:?} {progressive} {quality}");
                    compare(&compressed(&image, subsampling, progressive, quality), &name);
                }
            }
        }
    }
}

struct Xorshift(u32);

impl Xorshift {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % limit
    }
}

/// Writes files that no encoder at hand writes: with restart markers, scans of single components, long codes.
struct Writer {
    bytes: Vec<u8>,
    buffer: u32,
    count: u32,
    random: Xorshift,
}

/// Symbols of the rare coefficients, whose codes have 14 bits.
fn ac_symbols() -> Vec<u8> {
    let common = [0x00, 0xf0, 0x01, 0x11, 0x02, 0x21, 0x03];
    let rare = (0..16).flat_map(|run| (1..=10).map(move |size| run << 4 | size));
    common.into_iter().chain(rare.filter(|symbol| !common.contains(symbol))).collect()
}

impl Writer {
    fn segment(&mut self, marker: u8, body: &[u8]) {
        self.bytes.extend([0xff, marker]);
        self.bytes.extend((body.len() as u16 + 2).to_be_bytes());
        self.bytes.extend(body);
    }

    fn bits(&mut self, value: u32, count: u32) {
        for index in (0..count).rev() {
            self.buffer = self.buffer << 1 | (value >> index & 1);
            self.count += 1;
            if self.count == 8 {
                self.bytes.push(self.buffer as u8);
                if self.buffer as u8 == 0xff {
                    self.bytes.push(0);
                }
                (self.buffer, self.count) = (0, 0);
            }
        }
    }

    fn align(&mut self) {
        while self.count != 0 {
            self.bits(1, 1);
        }
    }

    fn symbol(&mut self, symbol: u8) {
        let index = ac_symbols().iter().position(|other| *other == symbol).expect("it has a code") as u32;
        // Seven codes of 3 bits, the eighth continued by 11 more.
        if index < 7 { self.bits(index, 3) } else { self.bits(7 << 11 | (index - 7), 14) }
    }

    /// A block of random coefficients.
    fn block(&mut self) {
        let size = self.random.below(7);
        self.bits(size, 4);
        let value = self.random.below(1 << size);
        self.bits(value, size);
        let mut at = 1;
        while at < 64 && self.random.below(12) != 0 {
            let symbols = ac_symbols();
            let rare = self.random.below(4) == 0;
            let index = if rare { self.random.below(symbols.len() as u32) } else { 1 + self.random.below(6) };
            let symbol = symbols[index as usize];
            let run = u32::from(symbol >> 4);
            if symbol == 0 || at + run > 63 {
                continue;
            }
            self.symbol(symbol);
            let size = u32::from(symbol & 15);
            let value = self.random.below(1 << size);
            self.bits(value, size);
            at += run + 1;
        }
        if at < 64 {
            self.symbol(0);
        }
    }
}

/// A file of three components, the first with those sampling factors, in one scan or three.
fn odd_file(seed: u32, size: (u16, u16), (across, down): (u8, u8), interval: u16, alone: bool) -> Vec<u8> {
    let mut writer = Writer { bytes: vec![0xff, 0xd8], buffer: 0, count: 0, random: Xorshift(seed) };
    let mut table = vec![0];
    table.extend([3; 64]);
    writer.segment(0xdb, &table);
    let mut frame = vec![8];
    frame.extend(size.1.to_be_bytes());
    frame.extend(size.0.to_be_bytes());
    frame.extend([3, 1, across << 4 | down, 0, 2, 0x11, 0, 3, 0x11, 0]);
    writer.segment(0xc0, &frame);
    let mut dc = vec![0, 0, 0, 0, 12];
    dc.extend([0; 12]);
    dc.extend(0..12);
    writer.segment(0xc4, &dc);
    let symbols = ac_symbols();
    let mut ac = vec![0x10, 0, 0, 7];
    ac.extend([0; 10]);
    ac.extend([symbols.len() as u8 - 7, 0, 0]);
    ac.extend(symbols);
    writer.segment(0xc4, &ac);
    writer.segment(0xdd, &interval.to_be_bytes());
    let scans: &[&[u8]] = if alone { &[&[1], &[2], &[3]] } else { &[&[1, 2, 3]] };
    for scan in scans {
        let mut header = vec![scan.len() as u8];
        header.extend(scan.iter().flat_map(|id| [*id, 0]));
        header.extend([0, 63, 0]);
        writer.segment(0xda, &header);
        let factors = |id: u8| if id == 1 { (across, down) } else { (1, 1) };
        let (units, blocks) = if let [id] = scan {
            let (h, v) = factors(*id);
            let side = |length: u16, factor: u8, most: u8| {
                (usize::from(length) * usize::from(factor)).div_ceil(8 * usize::from(most))
            };
            (side(size.0, h, across) * side(size.1, v, down), 1)
        } else {
            let side = |length: u16, most: u8| usize::from(length).div_ceil(8 * usize::from(most));
            (side(size.0, across) * side(size.1, down), usize::from(across * down) + 2)
        };
        for unit in 0..units {
            if interval != 0 && unit != 0 && unit % usize::from(interval) == 0 {
                writer.align();
                let number = (unit / usize::from(interval) - 1) % 8;
                writer.bytes.extend([0xff, 0xd0 + number as u8]);
            }
            (0..blocks).for_each(|_| writer.block());
        }
        writer.align();
    }
    writer.bytes.extend([0xff, 0xd9]);
    writer.bytes
}

#[test]
fn restart_markers_and_scans_of_single_components_are_read_as_libjpeg_reads_them() {
    let mut seed = 7;
    for size in [(107, 90), (75, 41), (16, 16)] {
        for sampling in [(1, 1), (2, 1), (2, 2), (1, 2)] {
            for interval in [0, 1, 7] {
                for alone in [false, true] {
                    seed += 1;
                    let bytes = odd_file(seed, size, sampling, interval, alone);
                    compare(&bytes, &format!("{size:?} {sampling:?} every {interval} alone {alone}"));
                }
            }
        }
    }
}

/// What is cut off or damaged is left to libjpeg-turbo, which says what is wrong.
#[test]
fn a_cut_file_is_never_taken_for_whole() {
    let image = picture(300, 200, Channels::Rgb, 8);
    for progressive in [false, true] {
        let bytes = compressed(&image, Subsamp::Sub2x2, progressive, 80);
        for end in (20..bytes.len()).step_by(37) {
            assert!(read(&bytes[..end]).is_none(), "progressive {progressive}, cut at {end}");
        }
        let tiny = Transform::inside(10, 10);
        let budget = Budget::new(64 << 20);
        let limits = Limits::default();
        for end in [bytes.len() / 2, bytes.len() - 2] {
            let result = render_bytes(&bytes[..end], &tiny, OutputFormat::Webp, &limits, &budget);
            assert!(matches!(result, Err(Error::Truncated { .. })), "{:?}", result.err());
        }
    }
}

#[test]
fn hostile_bytes_are_survived() {
    let mut random = Xorshift(0x5afe_1147);
    let image = picture(200, 150, Channels::Rgb, 8);
    let files = [
        compressed(&image, Subsamp::Sub2x2, false, 70),
        compressed(&image, Subsamp::None, true, 70),
        odd_file(3, (75, 41), (2, 2), 3, false),
        odd_file(4, (75, 41), (2, 1), 5, true),
    ];
    let mut read_anyway = 0;
    for round in 0..2000 {
        let mut bytes = files[round % files.len()].clone();
        for _ in 0..=random.below(4) {
            let length = bytes.len() as u32;
            let at = if random.below(2) == 0 { random.below(length) } else { random.below(length.min(700)) };
            bytes[at as usize] = random.below(256) as u8;
        }
        if random.below(10) == 0 {
            let length = random.below(bytes.len() as u32) as usize;
            bytes.truncate(length);
        }
        // A size that nobody would decode is refused before.
        let usual = bytes.windows(2).position(|pair| pair == [0xff, 0xc0] || pair == [0xff, 0xc2]);
        if usual.is_none_or(|at| {
            bytes.get(at + 5).is_none_or(|high| *high > 16) || bytes.get(at + 7).is_none_or(|high| *high > 16)
        }) {
            continue;
        }
        read_anyway += u32::from(read(&bytes).is_some());
    }
    assert!(read_anyway > 100, "{read_anyway}");
}

/// Whatever reads the file, the small picture is the same.
#[test]
fn an_eighth_looks_like_the_whole_made_small() {
    let image = rgb(1600, 1200);
    for format in [Format::Jpeg, Format::Png] {
        let bytes = encoded(&image, format);
        let small = render_bytes(
            &bytes,
            &Transform::inside(100, 75),
            OutputFormat::Png,
            &Limits::default(),
            &Budget::new(64 << 20),
        );
        let small = decode_bytes(&small.expect("it is one").bytes, &free()).expect("it is one").image;
        let expected = crate::imaging::resize(&image, 100, 75).expect("it fits");
        assert!(super::samples::difference(&small, &expected) <= 6);
    }
}
