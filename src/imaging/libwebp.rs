//! The calls into libwebp, and the only unsafe code of the pictures: there is no maintained safe binding, and the safe
//! decoders are several times slower. Every buffer is a slice whose length is checked against the size given to the
//! library; the library keeps no pointer after a call returns.
#![expect(unsafe_code, reason = "libwebp is a C library; the calls are wrapped here and nowhere else")]

use std::ptr;

use libwebp_sys::{
    VP8StatusCode, WEBP_CSP_MODE, WebPConfig, WebPDecode, WebPDecoderConfig, WebPEncCSP, WebPEncode,
    WebPGetFeatures, WebPImageHint, WebPMemoryWrite, WebPMemoryWriter, WebPMemoryWriterClear,
    WebPMemoryWriterInit, WebPPicture, WebPPictureFree, WebPPictureImportRGB, WebPPictureImportRGBA,
    WebPRGBABuffer,
};

use super::error::Error;

const NAME: &str = "WebP";

/// Decodes a still picture of exactly that size to RGB, or RGBA if `alpha`.
pub(super) fn decode(bytes: &[u8], width: u32, height: u32, alpha: bool) -> Result<Vec<u8>, Error> {
    let failed = || Error::broken(NAME, "the library does not start");
    let (Ok(columns), Ok(rows)) = (i32::try_from(width), i32::try_from(height)) else {
        return Err(Error::broken(NAME, "an impossible size"));
    };
    let mut config = WebPDecoderConfig::new().map_err(|()| failed())?;
    // SAFETY: the pointer and length are those of a live slice; `input` is written only during the call.
    check(unsafe { WebPGetFeatures(bytes.as_ptr(), bytes.len(), &mut config.input) })?;
    if (config.input.width, config.input.height) != (columns, rows) || config.input.has_animation != 0 {
        return Err(Error::broken(NAME, "container and picture differ"));
    }
    let stride = width as usize * if alpha { 4 } else { 3 };
    let mut pixels = vec![0_u8; stride * height as usize];
    config.output.colorspace = if alpha { WEBP_CSP_MODE::MODE_RGBA } else { WEBP_CSP_MODE::MODE_RGB };
    config.output.is_external_memory = 1;
    let stride = i32::try_from(stride).map_err(|_| Error::broken(NAME, "an impossible size"))?;
    config.output.u.RGBA = WebPRGBABuffer { rgba: pixels.as_mut_ptr(), stride, size: pixels.len() };
    // SAFETY: the input is a live slice; the output is `pixels`, whose length is height times stride and is given to the
    // library, which checks it against the picture's size. External memory is never freed by the library.
    check(unsafe { WebPDecode(bytes.as_ptr(), bytes.len(), &mut config) })?;
    Ok(pixels)
}

fn check(status: VP8StatusCode) -> Result<(), Error> {
    match status {
        VP8StatusCode::VP8_STATUS_OK => Ok(()),
        VP8StatusCode::VP8_STATUS_NOT_ENOUGH_DATA | VP8StatusCode::VP8_STATUS_SUSPENDED => {
            Err(Error::Truncated { format: NAME })
        }
        VP8StatusCode::VP8_STATUS_UNSUPPORTED_FEATURE => Err(Error::unsupported(NAME, "an unknown feature")),
        VP8StatusCode::VP8_STATUS_OUT_OF_MEMORY => Err(Error::broken(NAME, "it needs too much memory")),
        _ => Err(Error::broken(NAME, "its compressed data is damaged")),
    }
}

/// Encodes planes of light and colour in studio range, colour of half the size rounded up; quality 0 to 100.
pub(super) fn encode_planes(
    [light, blue, red]: [&[u8]; 3],
    width: u32,
    height: u32,
    quality: f32,
) -> Result<Vec<u8>, Error> {
    let failed = |reason: &str| Error::encode(NAME, reason);
    let (Ok(columns), Ok(rows)) = (i32::try_from(width), i32::try_from(height)) else {
        return Err(failed("an impossible size"));
    };
    let colours = width.div_ceil(2) as usize * height.div_ceil(2) as usize;
    if light.len() != width as usize * height as usize || blue.len() != colours || red.len() != colours {
        return Err(failed("size and samples differ"));
    }
    let config = config(quality, false)?;
    let mut picture = Picture(WebPPicture::new().map_err(|()| failed("the library does not start"))?);
    picture.0.width = columns;
    picture.0.height = rows;
    picture.0.use_argb = 0;
    picture.0.colorspace = WebPEncCSP::WEBP_YUV420;
    // The library reads the planes and neither changes nor frees them, as it did not allocate them.
    picture.0.y = light.as_ptr().cast_mut();
    picture.0.u = blue.as_ptr().cast_mut();
    picture.0.v = red.as_ptr().cast_mut();
    picture.0.y_stride = columns;
    picture.0.uv_stride = (columns + 1) / 2;
    run(&config, &mut picture)
}

/// Encodes RGB, or RGBA if `alpha`; quality 0 to 100.
pub(super) fn encode(
    samples: &[u8],
    width: u32,
    height: u32,
    alpha: bool,
    quality: f32,
    lossless: bool,
) -> Result<Vec<u8>, Error> {
    let failed = |reason: &str| Error::encode(NAME, reason);
    let (Ok(columns), Ok(rows)) = (i32::try_from(width), i32::try_from(height)) else {
        return Err(failed("an impossible size"));
    };
    let stride = width as usize * if alpha { 4 } else { 3 };
    if samples.len() != stride * height as usize {
        return Err(failed("size and samples differ"));
    }
    let stride = i32::try_from(stride).map_err(|_| failed("an impossible size"))?;
    let config = config(quality, lossless)?;
    let mut picture = Picture(WebPPicture::new().map_err(|()| failed("the library does not start"))?);
    picture.0.width = columns;
    picture.0.height = rows;
    picture.0.use_argb = i32::from(lossless);
    // SAFETY: `samples` holds height rows of `stride` bytes, checked above; the library copies them.
    let imported = unsafe {
        if alpha {
            WebPPictureImportRGBA(&mut picture.0, samples.as_ptr(), stride)
        } else {
            WebPPictureImportRGB(&mut picture.0, samples.as_ptr(), stride)
        }
    };
    if imported == 0 {
        return Err(failed("out of memory"));
    }
    run(&config, &mut picture)
}

fn config(quality: f32, lossless: bool) -> Result<WebPConfig, Error> {
    let mut config = WebPConfig::new().map_err(|()| Error::encode(NAME, "the library does not start"))?;
    config.quality = quality;
    config.lossless = i32::from(lossless);
    config.image_hint = WebPImageHint::WEBP_HINT_PHOTO;
    // Lossless: transparent pixels keep their colour, as a picture that comes back has to be the same.
    config.exact = i32::from(lossless);
    // Method 4 is the library's default; 2 is half the time for 4 % more bytes.
    config.method = if lossless { 4 } else { 2 };
    Ok(config)
}

/// Encodes a picture whose pixels are in place.
fn run(config: &WebPConfig, picture: &mut Picture) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::new();
    picture.0.writer = Some(WebPMemoryWrite);
    picture.0.custom_ptr = ptr::from_mut(&mut *writer.0).cast();
    // SAFETY: configuration and picture were initialised by the library and outlive the call, as does the writer behind
    // `custom_ptr`, which is boxed and does not move.
    if unsafe { WebPEncode(config, &mut picture.0) } == 0 {
        return Err(Error::encode(NAME, format!("{:?}", picture.0.error_code)));
    }
    if writer.0.mem.is_null() {
        return Err(Error::encode(NAME, "nothing was written"));
    }
    // SAFETY: the writer owns `size` initialised bytes at `mem` until it is cleared.
    Ok(unsafe { std::slice::from_raw_parts(writer.0.mem, writer.0.size) }.to_vec())
}

/// A picture whose memory is given back to the library.
struct Picture(WebPPicture);

impl Drop for Picture {
    fn drop(&mut self) {
        // SAFETY: it was initialised by the library; freeing an empty one does nothing.
        unsafe { WebPPictureFree(&mut self.0) };
    }
}

/// The library's growing buffer.
struct Writer(Box<WebPMemoryWriter>);

impl Writer {
    fn new() -> Self {
        let mut writer =
            Box::new(WebPMemoryWriter { mem: ptr::null_mut(), size: 0, max_size: 0, pad: [0; 1] });
        // SAFETY: the library fills in a plain struct.
        unsafe { WebPMemoryWriterInit(&mut *writer) };
        Self(writer)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // SAFETY: it was initialised by the library and is cleared once.
        unsafe { WebPMemoryWriterClear(&mut *self.0) };
    }
}
