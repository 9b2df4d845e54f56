//! Pictures that move: every frame made small like a still one, and only what changes from one to the next written.

use super::error::Error;
use super::libwebp;
use super::pixels::{Channels, Image, Samples};
use super::transform::OutputFormat;

/// Frames of a picture that is kept moving; longer ones are films, and stand still.
pub(super) const MAX_FRAMES: u32 = 1000;

/// Pixels of all frames together that are decoded at most, and that are encoded at most: some seconds of work.
pub(super) const MAX_DECODED_PIXELS: u64 = 400_000_000;
pub(super) const MAX_ENCODED_PIXELS: u64 = 100_000_000;

/// Shorter ones are shown for a tenth of a second by every browser, whatever a file says.
const SHORTEST_MS: u32 = 11;
const USUAL_MS: u32 = 100;

/// The longest that WebP can say.
const LONGEST_MS: u32 = (1 << 24) - 1;

/// What becomes of a frame before the next one is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposal {
    /// It stays.
    Keep,
    /// Its place becomes transparent.
    Clear,
    /// Its place becomes what it was before.
    Restore,
}

/// A frame of a file: where on the canvas it lies and what it does there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
    /// Whether what is transparent in it shows what was there before.
    pub(super) blends: bool,
    pub(super) disposal: Disposal,
    pub(super) duration_ms: u32,
}

/// What a player shows: the whole canvas, RGBA, and how it goes on.
pub(super) struct Shown<'a> {
    pub(super) canvas: &'a Image,
    pub(super) duration_ms: u32,
    /// How often all of it is shown; 0 for ever.
    pub(super) loops: u16,
}

/// Where frames are laid over each other.
pub(super) struct Canvas {
    image: Image,
    /// What has to be done before the next frame.
    due: Option<(Place, Option<Vec<u8>>)>,
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32) -> Self {
        let samples = Samples::U8(vec![0; width as usize * height as usize * 4]);
        Self { image: Image { width, height, channels: Channels::Rgba, samples }, due: None }
    }

    /// Draws a frame, RGBA of the size of its place, and gives the canvas. What lies outside is cut off.
    pub(super) fn draw(&mut self, place: Place, frame: &[u8]) -> &Image {
        let (width, height) = (self.image.width as usize, self.image.height as usize);
        let Samples::U8(canvas) = &mut self.image.samples else { return &self.image };
        if let Some((place, before)) = self.due.take() {
            for (row, target) in rows(place, width, height, canvas).enumerate() {
                match &before {
                    Some(before) => target.copy_from_slice(&before[row * target.len()..][..target.len()]),
                    None => target.fill(0),
                }
            }
        }
        self.due = match place.disposal {
            Disposal::Keep => None,
            Disposal::Clear => Some((place, None)),
            Disposal::Restore => {
                let before = rows(place, width, height, canvas).flat_map(|row| row.to_vec()).collect();
                Some((place, Some(before)))
            }
        };
        let lines = frame.chunks_exact((place.width * 4).max(4));
        for (target, line) in rows(place, width, height, canvas).zip(lines) {
            for (target, pixel) in target.as_chunks_mut::<4>().0.iter_mut().zip(line.as_chunks::<4>().0) {
                *target = if place.blends { over(*pixel, *target) } else { *pixel };
            }
        }
        &self.image
    }
}

/// The part of each row of the canvas that a place covers.
fn rows(place: Place, width: usize, height: usize, canvas: &mut [u8]) -> impl Iterator<Item = &mut [u8]> {
    let (left, right) = (place.left.min(width), (place.left + place.width).min(width));
    let (top, bottom) = (place.top.min(height), (place.top + place.height).min(height));
    canvas.chunks_exact_mut(width * 4).take(bottom).skip(top).map(move |row| &mut row[left * 4..right * 4])
}

fn over(front: [u8; 4], back: [u8; 4]) -> [u8; 4] {
    match (front[3], back[3]) {
        (255, _) | (_, 0) => front,
        (0, _) => back,
        (alpha, behind) => {
            let (alpha, behind) = (u32::from(alpha), u32::from(behind));
            let rest = behind * (255 - alpha) / 255;
            let total = alpha + rest;
            let mixed = |index: usize| {
                ((u32::from(front[index]) * alpha + u32::from(back[index]) * rest + total / 2) / total) as u8
            };
            [mixed(0), mixed(1), mixed(2), total as u8]
        }
    }
}

/// A duration as browsers keep it.
pub(super) fn shown_ms(duration_ms: u32) -> u32 {
    if duration_ms < SHORTEST_MS { USUAL_MS } else { duration_ms.min(LONGEST_MS) }
}

/// Writes frames of one size.
pub(super) enum Writer {
    Webp(WebpWriter),
    Gif(Box<GifWriter>),
}

impl Writer {
    pub(super) fn new(format: OutputFormat, quality: u8, has_alpha: bool) -> Self {
        if format == OutputFormat::Webp {
            Self::Webp(WebpWriter { quality, ..WebpWriter::default() })
        } else {
            Self::Gif(Box::new(GifWriter { has_alpha, ..GifWriter::default() }))
        }
    }

    /// Adds a frame, 8-bit RGBA.
    pub(super) fn add(&mut self, image: &Image, duration_ms: u32, loops: u16) -> Result<(), Error> {
        let Samples::U8(samples) = &image.samples else {
            return Err(Error::encode("animation", "16 bits a sample"));
        };
        let size = (image.width as usize, image.height as usize);
        match self {
            Self::Webp(writer) => writer.add(samples, size, duration_ms, loops),
            Self::Gif(writer) => writer.add(samples, size, duration_ms, loops),
        }
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Webp(writer) => writer.finish(),
            Self::Gif(writer) => writer.finish(),
        }
    }
}

/// The smallest box that holds all differences between two pictures: left, top, width, height.
fn changed(
    before: &[u8],
    after: &[u8],
    (width, height): (usize, usize),
) -> Option<(usize, usize, usize, usize)> {
    let row = |samples: &[u8], y: usize| samples[y * width * 4..(y + 1) * width * 4].to_vec();
    let differs = |y: &usize| row(before, *y) != row(after, *y);
    let top = (0..height).find(differs)?;
    let bottom = (top..height).rev().find(differs)?;
    let (mut left, mut right) = (width, 0);
    for y in top..=bottom {
        let start = y * width * 4;
        let pairs = before[start..start + width * 4].as_chunks::<4>().0.iter();
        let pairs = pairs.zip(after[start..start + width * 4].as_chunks::<4>().0);
        let mut different = pairs.enumerate().filter(|(_, (a, b))| a != b).map(|(x, _)| x);
        if let Some(first) = different.next() {
            left = left.min(first);
            right = right.max(different.next_back().unwrap_or(first));
        }
    }
    Some((left, top, right + 1 - left, bottom + 1 - top))
}

fn part(samples: &[u8], width: usize, (left, top, w, h): (usize, usize, usize, usize)) -> Vec<u8> {
    let rows = samples.chunks_exact(width * 4).skip(top).take(h);
    rows.flat_map(|row| row[left * 4..(left + w) * 4].iter().copied()).collect()
}

/// An animated WebP (RFC 9649).
#[derive(Default)]
pub(super) struct WebpWriter {
    quality: u8,
    size: (usize, usize),
    loops: u16,
    has_alpha: bool,
    before: Vec<u8>,
    frames: Vec<u8>,
    /// Where in `frames` the last one's duration stands, and what it is.
    last: Option<(usize, u32)>,
}

impl WebpWriter {
    fn add(
        &mut self,
        samples: &[u8],
        size: (usize, usize),
        duration_ms: u32,
        loops: u16,
    ) -> Result<(), Error> {
        (self.size, self.loops) = (size, loops);
        let place = if self.before.is_empty() {
            (0, 0, size.0, size.1)
        } else {
            match (changed(&self.before, samples, size), self.last) {
                // Nothing: the last one stays longer.
                (None, Some((at, so_far))) => {
                    let duration = (so_far + duration_ms).min(LONGEST_MS);
                    self.frames[at..at + 3].copy_from_slice(&duration.to_le_bytes()[..3]);
                    self.last = Some((at, duration));
                    return Ok(());
                }
                (None, None) => return Ok(()),
                // Positions are written in units of two pixels.
                (Some((left, top, width, height)), _) => {
                    (left & !1, top & !1, width + (left & 1), height + (top & 1))
                }
            }
        };
        let (left, top, width, height) = place;
        let pixels = part(samples, size.0, place);
        let is_opaque = pixels.iter().skip(3).step_by(4).all(|alpha| *alpha == 255);
        self.has_alpha |= !is_opaque;
        let quality = f32::from(self.quality);
        let still = if is_opaque {
            let rgb: Vec<u8> =
                pixels.as_chunks::<4>().0.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect();
            libwebp::encode(&rgb, width as u32, height as u32, false, quality, false)?
        } else {
            libwebp::encode(&pixels, width as u32, height as u32, true, quality, false)?
        };
        let mut frame = Vec::with_capacity(still.len() + 16);
        for number in [left / 2, top / 2, width - 1, height - 1, duration_ms as usize] {
            frame.extend(&(number as u32).to_le_bytes()[..3]);
        }
        // Not blended with what was there before, and left where it is.
        frame.push(0b10);
        // A picture with alpha comes with a header of its own, which a frame must not have.
        let skipped = if still.get(12..16) == Some(b"VP8X") { 12 + 18 } else { 12 };
        frame.extend(still.get(skipped..).unwrap_or_default());
        self.last = Some((self.frames.len() + 8 + 12, duration_ms));
        chunk(&mut self.frames, b"ANMF", &frame);
        self.before = samples.to_vec();
        Ok(())
    }

    fn finish(self) -> Result<Vec<u8>, Error> {
        let mut body = b"WEBP".to_vec();
        let mut header = vec![0x02 | if self.has_alpha { 0x10 } else { 0 }, 0, 0, 0];
        for side in [self.size.0, self.size.1] {
            header.extend(&(side as u32 - 1).to_le_bytes()[..3]);
        }
        chunk(&mut body, b"VP8X", &header);
        let [low, high] = self.loops.to_le_bytes();
        chunk(&mut body, b"ANIM", &[0, 0, 0, 0, low, high]);
        body.extend(self.frames);
        let mut file = Vec::with_capacity(body.len() + 8);
        chunk(&mut file, b"RIFF", &body);
        Ok(file)
    }
}

fn chunk(to: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    to.extend(kind);
    to.extend((body.len() as u32).to_le_bytes());
    to.extend(body);
    if body.len() % 2 == 1 {
        to.push(0);
    }
}

/// An animated GIF, each frame with its own palette.
#[derive(Default)]
pub(super) struct GifWriter {
    /// What is transparent can't be drawn over something: then every frame is whole, and cleared away.
    has_alpha: bool,
    encoder: Option<gif::Encoder<Vec<u8>>>,
    before: Vec<u8>,
    /// The frame that waits for the next one, which may be the same, and its duration.
    waiting: Option<(gif::Frame<'static>, u32)>,
}

impl GifWriter {
    fn add(
        &mut self,
        samples: &[u8],
        size: (usize, usize),
        duration_ms: u32,
        loops: u16,
    ) -> Result<(), Error> {
        let failed = |error: gif::EncodingError| Error::encode("GIF", error);
        let (Ok(width), Ok(height)) = (u16::try_from(size.0), u16::try_from(size.1)) else {
            return Err(Error::unsupported("GIF", "sides over 65535 pixels"));
        };
        if self.encoder.is_none() {
            let mut encoder = gif::Encoder::new(Vec::new(), width, height, &[]).map_err(failed)?;
            let repeat = match loops {
                0 => Some(gif::Repeat::Infinite),
                // Once is what a file means that says nothing.
                1 => None,
                loops => Some(gif::Repeat::Finite(loops - 1)),
            };
            if let Some(repeat) = repeat {
                encoder.set_repeat(repeat).map_err(failed)?;
            }
            self.encoder = Some(encoder);
        }
        let mut place = (0, 0, size.0, size.1);
        if !self.before.is_empty() {
            match changed(&self.before, samples, size) {
                None => {
                    if let Some((_, so_far)) = &mut self.waiting {
                        *so_far += duration_ms;
                    }
                    return Ok(());
                }
                Some(found) if !self.has_alpha => place = found,
                Some(_) => {}
            }
        }
        self.flush()?;
        let mut pixels = part(samples, size.0, place);
        let mut frame = gif::Frame::from_rgba_speed(place.2 as u16, place.3 as u16, &mut pixels, 10);
        (frame.left, frame.top) = (place.0 as u16, place.1 as u16);
        frame.dispose =
            if self.has_alpha { gif::DisposalMethod::Background } else { gif::DisposalMethod::Keep };
        self.waiting = Some((frame, duration_ms));
        self.before = samples.to_vec();
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if let (Some((mut frame, duration_ms)), Some(encoder)) = (self.waiting.take(), &mut self.encoder) {
            frame.delay = u16::try_from((duration_ms + 5) / 10).unwrap_or(u16::MAX);
            encoder.write_frame(&frame).map_err(|error| Error::encode("GIF", error))?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<u8>, Error> {
        self.flush()?;
        let encoder = self.encoder.take().ok_or_else(|| Error::encode("GIF", "it has no frame"))?;
        encoder.into_inner().map_err(|error| Error::encode("GIF", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(left: usize, top: usize, disposal: Disposal, blends: bool) -> Place {
        Place { left, top, width: 2, height: 1, blends, disposal, duration_ms: 50 }
    }

    #[test]
    fn frames_are_disposed_of_as_they_say() {
        let mut canvas = Canvas::new(4, 1);
        let shown = |image: &Image| {
            let Samples::U8(samples) = &image.samples else { panic!("it has 8 bits") };
            samples
                .as_chunks::<4>()
                .0
                .iter()
                .map(|pixel| if pixel[3] == 0 { 0 } else { pixel[0] })
                .collect::<Vec<_>>()
        };
        let pixel = |level: u8| [level, 0, 0, 255].repeat(2);
        assert_eq!(shown(canvas.draw(place(0, 0, Disposal::Keep, false), &pixel(1))), [1, 1, 0, 0]);
        assert_eq!(shown(canvas.draw(place(1, 0, Disposal::Restore, false), &pixel(2))), [1, 2, 2, 0]);
        assert_eq!(shown(canvas.draw(place(2, 0, Disposal::Clear, false), &pixel(3))), [1, 1, 3, 3]);
        assert_eq!(shown(canvas.draw(place(3, 0, Disposal::Keep, false), &pixel(4))), [1, 1, 0, 4]);
        let half = [[9, 0, 0, 255], [0, 0, 0, 0]].concat();
        assert_eq!(shown(canvas.draw(place(0, 0, Disposal::Keep, true), &half)), [9, 1, 0, 4]);
        assert_eq!(shown(canvas.draw(place(9, 9, Disposal::Restore, true), &half)), [9, 1, 0, 4]);
        assert_eq!(shown(canvas.draw(place(0, 0, Disposal::Keep, false), &half)), [9, 0, 0, 4]);
    }

    #[test]
    fn only_what_changes_is_found() {
        let before = vec![7; 6 * 5 * 4];
        assert_eq!(changed(&before, &before, (6, 5)), None);
        let mut after = before.clone();
        after[(2 * 6 + 1) * 4] = 8;
        after[(3 * 6 + 4) * 4 + 3] = 8;
        assert_eq!(changed(&before, &after, (6, 5)), Some((1, 2, 4, 2)));
    }

    #[test]
    fn durations_that_nobody_keeps_become_what_everybody_shows() {
        assert_eq!([0, 10, 11, 40].map(shown_ms), [100, 100, 11, 40]);
    }
}
