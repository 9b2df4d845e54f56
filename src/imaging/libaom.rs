//! The calls into libaom, which is AV1: there is no safe binding to it, and the encoder in Rust is nine times slower. Every
//! plane is a slice whose length is checked before it is copied; what the library hands out is copied before the next call.
#![expect(unsafe_code, reason = "libaom is a C library; the calls are wrapped here and nowhere else")]

use std::ffi::c_int;
use std::ptr;

use libaom_sys::{
    AOM_CODEC_CX_FRAME_PKT, AOM_CR_FULL_RANGE, AOM_DECODER_ABI_VERSION, AOM_ENCODER_ABI_VERSION,
    AOM_IMG_FMT_I420, AOM_Q, AOM_RC_ONE_PASS, AOM_USAGE_ALL_INTRA, AOME_SET_CPUUSED, AOME_SET_CQ_LEVEL,
    AV1E_SET_COLOR_PRIMARIES, AV1E_SET_COLOR_RANGE, AV1E_SET_MATRIX_COEFFICIENTS,
    AV1E_SET_TRANSFER_CHARACTERISTICS, aom_codec_av1_cx, aom_codec_av1_dx, aom_codec_control,
    aom_codec_ctx_t, aom_codec_dec_cfg_t, aom_codec_dec_init_ver, aom_codec_decode, aom_codec_destroy,
    aom_codec_enc_cfg_t, aom_codec_enc_config_default, aom_codec_enc_init_ver, aom_codec_encode,
    aom_codec_get_cx_data, aom_codec_get_frame, aom_image_t, aom_img_alloc, aom_img_free,
};

use super::error::Error;
use super::yuv::{self, Coding, Plane, PlaneSamples};

const NAME: &str = "AVIF";

/// The fastest way of coding a still picture; slower ones are smaller, by a tenth at five times the time.
const SPEED: c_int = 9;

/// Rec. 709's primaries, sRGB's curve and Rec. 601's matrix, which is JPEG's, as AV1 numbers them.
const PRIMARIES: c_int = 1;
const TRANSFER: c_int = 13;
const MATRIX: c_int = 6;

/// A picture of full range in planes, colour being of half the size rounded up. Without colour it is coded as gray.
#[derive(Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) light: &'a [u8],
    pub(super) colour: Option<[&'a [u8]; 2]>,
}

/// Encodes a still picture to AV1; `quantizer` from 0, the best, to 63.
pub(super) fn encode(frame: Frame<'_>, quantizer: u8) -> Result<Vec<u8>, Error> {
    let failed = |what: &str| Error::encode(NAME, what);
    let image = Picture::of(frame)?;
    // SAFETY: the interface is a constant of the library, and the configuration a plain struct that the call fills in; all
    // zeros are a valid value of it.
    let mut config: aom_codec_enc_cfg_t = unsafe { std::mem::zeroed() };
    let interface = unsafe { aom_codec_av1_cx() };
    // SAFETY: as above.
    if unsafe { aom_codec_enc_config_default(interface, &mut config, AOM_USAGE_ALL_INTRA) } != 0 {
        return Err(failed("the library does not start"));
    }
    config.g_w = frame.width;
    config.g_h = frame.height;
    config.g_threads = 1;
    // A single frame, which nothing follows and which is told so in its header.
    config.g_limit = 1;
    config.g_lag_in_frames = 0;
    config.g_pass = AOM_RC_ONE_PASS;
    config.full_still_picture_hdr = 0;
    config.rc_end_usage = AOM_Q;
    config.monochrome = u32::from(frame.colour.is_none());
    let mut encoder = Encoder::new(interface, &config).ok_or_else(|| failed("the library does not start"))?;
    for (control, value) in [
        (AOME_SET_CPUUSED, SPEED),
        (AOME_SET_CQ_LEVEL, c_int::from(quantizer.min(63))),
        (AV1E_SET_COLOR_RANGE, 1),
        (AV1E_SET_COLOR_PRIMARIES, PRIMARIES),
        (AV1E_SET_TRANSFER_CHARACTERISTICS, TRANSFER),
        (AV1E_SET_MATRIX_COEFFICIENTS, MATRIX),
    ] {
        // SAFETY: the context is initialised, and each of these controls takes one int.
        if unsafe { aom_codec_control(&mut *encoder.0, control as c_int, value) } != 0 {
            return Err(failed("a setting is not known"));
        }
    }
    let mut coded = Vec::new();
    // Once with the picture and once to say that there is no other.
    for picture in [image.0.cast_const(), ptr::null()] {
        // SAFETY: the context is initialised; the picture lives until the end of this function and has the size that the
        // configuration says.
        if unsafe { aom_codec_encode(&mut *encoder.0, picture, 0, 1, 0) } != 0 {
            return Err(failed("the encoder gave up"));
        }
        encoder.collect(&mut coded);
    }
    if coded.is_empty() {
        return Err(failed("nothing was written"));
    }
    Ok(coded)
}

/// An encoder that is given back to the library. It is boxed, as the library may point into it.
struct Encoder(Box<aom_codec_ctx_t>);

impl Encoder {
    fn new(interface: *const libaom_sys::aom_codec_iface, config: &aom_codec_enc_cfg_t) -> Option<Self> {
        // SAFETY: all zeros are a valid value of the plain struct, which the call fills in.
        let mut context: Box<aom_codec_ctx_t> = Box::new(unsafe { std::mem::zeroed() });
        let version = AOM_ENCODER_ABI_VERSION as c_int;
        // SAFETY: context and configuration are live; after a failure nothing has to be destroyed.
        let result = unsafe { aom_codec_enc_init_ver(&mut *context, interface, config, 0, version) };
        (result == 0).then_some(Self(context))
    }

    /// Takes over what has been written.
    fn collect(&mut self, coded: &mut Vec<u8>) {
        let mut position = ptr::null();
        loop {
            // SAFETY: the context is initialised, and the position one that the library gave.
            let packet = unsafe { aom_codec_get_cx_data(&mut *self.0, &mut position) };
            // SAFETY: a packet that is not null stays valid until the next call, and a packet of that kind holds a frame,
            // whose buffer has as many bytes as it says.
            let frame = match unsafe { packet.as_ref() } {
                None => return,
                Some(packet) if packet.kind == AOM_CODEC_CX_FRAME_PKT => unsafe { packet.data.frame },
                Some(_) => continue,
            };
            if !frame.buf.is_null() {
                // SAFETY: as above.
                coded.extend_from_slice(unsafe {
                    std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz)
                });
            }
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: it was initialised and is destroyed once.
        unsafe { aom_codec_destroy(&mut *self.0) };
    }
}

/// A picture in the library's memory, padded as it likes it.
struct Picture(*mut aom_image_t);

impl Picture {
    fn of(frame: Frame<'_>) -> Result<Self, Error> {
        let (width, height) = (frame.width as usize, frame.height as usize);
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let colours = frame.colour.map_or(0, |[blue, red]| blue.len().max(red.len()));
        let least = frame.colour.map_or(0, |[blue, red]| blue.len().min(red.len()));
        let expected = if frame.colour.is_some() { half_width * half_height } else { 0 };
        if frame.light.len() != width * height || colours != expected || least != expected {
            return Err(Error::encode(NAME, "size and samples differ"));
        }
        // SAFETY: the library checks the size and gives null if it can't.
        let image =
            unsafe { aom_img_alloc(ptr::null_mut(), AOM_IMG_FMT_I420, frame.width, frame.height, 32) };
        if image.is_null() {
            return Err(Error::encode(NAME, "out of memory"));
        }
        let this = Self(image);
        // SAFETY: just allocated, and nobody else has it.
        let fields = unsafe { &mut *image };
        fields.range = AOM_CR_FULL_RANGE;
        fields.monochrome = c_int::from(frame.colour.is_none());
        let [blue, red] = frame.colour.map_or([None, None], |planes| planes.map(Some));
        let planes = [
            (Some(frame.light), width, height),
            (blue, half_width, half_height),
            (red, half_width, half_height),
        ];
        for (index, (samples, width, height)) in planes.into_iter().enumerate() {
            let (start, stride) = (fields.planes[index], fields.stride[index] as usize);
            for row in 0..height {
                // SAFETY: a plane has `height` rows, `stride` apart, of at least `width` bytes: the size that it was
                // allocated for.
                let row_of_library =
                    unsafe { std::slice::from_raw_parts_mut(start.add(row * stride), width) };
                match samples {
                    Some(samples) => row_of_library.copy_from_slice(&samples[row * width..][..width]),
                    None => row_of_library.fill(128),
                }
            }
        }
        Ok(this)
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        // SAFETY: the library allocated it, and it is freed once.
        unsafe { aom_img_free(self.0) };
    }
}

/// Decodes the last frame of a coded still picture, and shows it with what it says about its colours. Whoever calls has
/// made sure that it is not too large.
pub(super) fn decode<T>(coded: &[u8], show: impl FnOnce(&yuv::Frame<'_>, Coding) -> T) -> Result<T, Error> {
    let mut decoder = Decoder::new().ok_or_else(|| Error::broken(NAME, "the decoder does not start"))?;
    // SAFETY: the context is initialised, and the bytes live until the end of this function.
    let result = unsafe { aom_codec_decode(&mut *decoder.0, coded.as_ptr(), coded.len(), ptr::null_mut()) };
    if result != 0 {
        return Err(Error::broken(
            NAME,
            format!("its compressed data can't be read (libaom's code {result})"),
        ));
    }
    let mut position = ptr::null();
    // SAFETY: the context is initialised, and the position is at the beginning.
    let image = unsafe { aom_codec_get_frame(&mut *decoder.0, &mut position) };
    // SAFETY: an image that is not null stays valid until the next call into the decoder, which is when it is destroyed.
    let image = unsafe { image.as_ref() }.ok_or_else(|| Error::broken(NAME, "there is no picture in it"))?;
    let coding = Coding {
        primaries: image.cp as u16,
        transfer: image.tc as u16,
        matrix: image.mc as u16,
        full_range: image.range == AOM_CR_FULL_RANGE,
    };
    let size = (image.d_w as usize, image.d_h as usize);
    let shifts = (image.x_chroma_shift.min(1) as u8, image.y_chroma_shift.min(1) as u8);
    let half = (size.0.div_ceil(1 << shifts.0), size.1.div_ceil(1 << shifts.1));
    let plane =
        |index, size| plane(image, index, size).ok_or_else(|| Error::broken(NAME, "a plane is missing"));
    let colour = match image.monochrome {
        0 => Some([plane(1, half)?, plane(2, half)?]),
        _ => None,
    };
    let depth = image.bit_depth as u8;
    let frame = yuv::Frame { width: size.0, height: size.1, depth, shifts, light: plane(0, size)?, colour };
    if !frame.is_sound() {
        return Err(Error::broken(NAME, "planes of different sizes"));
    }
    Ok(show(&frame, coding))
}

/// A plane of a picture of the library, of that many columns and rows.
fn plane(image: &aom_image_t, index: usize, (width, height): (usize, usize)) -> Option<Plane<'_>> {
    /// Set where samples take two bytes.
    const WIDE: u32 = 0x800;
    let (start, stride) = (image.planes[index], usize::try_from(image.stride[index]).ok()?);
    if start.is_null() || width == 0 || height == 0 {
        return None;
    }
    let is_wide = image.fmt & WIDE != 0;
    let stride = if is_wide { stride / 2 } else { stride };
    let length = (height - 1).checked_mul(stride)?.checked_add(width)?;
    if stride < width {
        return None;
    }
    let samples = if is_wide {
        // SAFETY: the library keeps `height` rows, `stride` apart, of at least `width` samples of two bytes, which it aligns
        // to more than that.
        PlaneSamples::U16(unsafe { std::slice::from_raw_parts(start.cast::<u16>(), length) })
    } else {
        // SAFETY: as above, with samples of one byte.
        PlaneSamples::U8(unsafe { std::slice::from_raw_parts(start.cast::<u8>(), length) })
    };
    Some(Plane { samples, stride })
}

/// A decoder that is given back to the library. It is boxed, as the library may point into it.
struct Decoder(Box<aom_codec_ctx_t>);

impl Decoder {
    fn new() -> Option<Self> {
        // SAFETY: all zeros are a valid value of the plain struct, which the call fills in.
        let mut context: Box<aom_codec_ctx_t> = Box::new(unsafe { std::mem::zeroed() });
        let config = aom_codec_dec_cfg_t { threads: 1, w: 0, h: 0, allow_lowbitdepth: 1 };
        let version = AOM_DECODER_ABI_VERSION as c_int;
        // SAFETY: context and configuration are live; after a failure nothing has to be destroyed.
        let result =
            unsafe { aom_codec_dec_init_ver(&mut *context, aom_codec_av1_dx(), &config, 0, version) };
        (result == 0).then_some(Self(context))
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: it was initialised and is destroyed once.
        unsafe { aom_codec_destroy(&mut *self.0) };
    }
}
