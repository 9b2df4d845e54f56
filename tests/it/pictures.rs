//! Pictures for tests: good ones, odd ones, and files that only claim to be pictures.

use safelight::imaging::{Channels, EncodeOptions, Format, Image, Samples, encode};

/// A gradient with some noise, so that no two sizes have the same bytes.
pub(crate) fn image(width: u32, height: u32, channels: Channels) -> Image {
    let count = channels.count();
    let mut state = width.wrapping_mul(31).wrapping_add(height) | 1;
    let mut samples = Vec::with_capacity(width as usize * height as usize * count);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..count {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let ramp = (x * 160 / width.max(1) + y * 60 / height.max(1) + channel as u32 * 9) as u8;
                samples.push(ramp.saturating_add((state >> 28) as u8));
            }
        }
    }
    Image { width, height, channels, samples: Samples::U8(samples) }
}

pub(crate) fn encoded(width: u32, height: u32, channels: Channels, format: Format) -> Vec<u8> {
    encode(&image(width, height, channels), &EncodeOptions::new(format)).unwrap()
}

pub(crate) fn jpeg(width: u32, height: u32) -> Vec<u8> {
    encoded(width, height, Channels::Rgb, Format::Jpeg)
}

/// A JPEG whose EXIF says that it was taken at 2019-08-07 06:05:04 and lies on its side.
pub(crate) fn jpeg_with_exif(width: u32, height: u32) -> Vec<u8> {
    let mut options = EncodeOptions::new(Format::Jpeg);
    options.exif = Some(exif());
    encode(&image(width, height, Channels::Rgb), &options).unwrap()
}

/// A JPEG whose EXIF says only where it was taken: 48° 8' 15" north, 11° 34' 30" east.
pub(crate) fn jpeg_with_place(width: u32, height: u32) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0".to_vec();
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        let mut entry = tag.to_le_bytes().to_vec();
        entry.extend(kind.to_le_bytes());
        entry.extend(count.to_le_bytes());
        entry.extend(value);
        entry
    };
    // One directory of one entry ends at 26, the position's four entries at 80.
    let pointer = entry(0x8825, 4, 1, 26_u32.to_le_bytes());
    let position = [
        entry(1, 2, 2, *b"N\0\0\0"),
        entry(2, 5, 3, 80_u32.to_le_bytes()),
        entry(3, 2, 2, *b"E\0\0\0"),
        entry(4, 5, 3, 104_u32.to_le_bytes()),
    ];
    block.extend([1, 0]);
    block.extend(pointer);
    block.extend([0; 4]);
    block.extend([4, 0]);
    block.extend(position.concat());
    block.extend([0; 4]);
    block.extend([48, 1, 8, 1, 15, 1, 11, 1, 34, 1, 30, 1].map(u32::to_le_bytes).concat());
    let mut options = EncodeOptions::new(Format::Jpeg);
    options.exif = Some(block);
    encode(&image(width, height, Channels::Rgb), &options).unwrap()
}

/// A little-endian EXIF block: make, model, orientation 6 and the time.
fn exif() -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0".to_vec();
    let entry = |block: &mut Vec<u8>, tag: u16, kind: u16, count: u32, value: u32| {
        block.extend(tag.to_le_bytes());
        block.extend(kind.to_le_bytes());
        block.extend(count.to_le_bytes());
        block.extend(value.to_le_bytes());
    };
    // Four entries of the first directory end at 8 + 2 + 48 + 4 = 62, its strings at 78; one entry of the second
    // directory ends at 96.
    block.extend(4_u16.to_le_bytes());
    entry(&mut block, 0x010f, 2, 8, 62);
    entry(&mut block, 0x0110, 2, 8, 70);
    entry(&mut block, 0x0112, 3, 1, 6);
    entry(&mut block, 0x8769, 4, 1, 78);
    block.extend(0_u32.to_le_bytes());
    block.extend(b"Maker01\0");
    block.extend(b"Model X\0");
    block.extend(1_u16.to_le_bytes());
    entry(&mut block, 0x9003, 2, 20, 96);
    block.extend(0_u32.to_le_bytes());
    block.extend(b"2019:08:07 06:05:04\0");
    block
}

/// The first bytes of a PNG that claims a size, without any picture behind them.
pub(crate) fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    let check = crc32(&header);
    file.extend(header);
    file.extend(check.to_be_bytes());
    file.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82");
    file
}

/// CRC-32 as PNG and Ethernet have it.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    };
    !bytes.iter().fold(u32::MAX, step)
}

/// Three frames of 40 x 30.
pub(crate) fn animated_gif() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder =
        gif::Encoder::new(&mut file, 40, 30, &[255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9]).unwrap();
    for frame in 0..3_u8 {
        let pixels: Vec<u8> = (0..40 * 30_u32).map(|i| ((i / 40) as u8 + frame) % 4).collect();
        let frame = gif::Frame { width: 40, height: 30, buffer: pixels.into(), ..gif::Frame::default() };
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    file
}

/// A JPEG with four inks.
pub(crate) fn cmyk_jpeg() -> Vec<u8> {
    let pixels: Vec<u8> =
        (0..64 * 48_u32).flat_map(|i| [(i % 64 * 3) as u8, 200, (i / 64 * 5) as u8, 255]).collect();
    let image = turbojpeg::Image {
        pixels: &pixels[..],
        width: 64,
        pitch: 256,
        height: 48,
        format: turbojpeg::PixelFormat::CMYK,
    };
    turbojpeg::Compressor::new().unwrap().compress_to_vec(image).unwrap()
}
