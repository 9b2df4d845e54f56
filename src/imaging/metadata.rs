//! What a camera wrote into its EXIF block (CIPA DC-008), as far as a library of pictures wants to know. A broken block
//! never fails: it just says less.

use exif::{Exif, Field, In, Rational, Reader, Tag, Value};
use jiff::civil::DateTime;
use serde::Serialize;

/// The part of the metadata that is searched and sorted by.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Metadata {
    /// Who made the camera.
    pub camera_make: Option<String>,
    /// Which camera.
    pub camera_model: Option<String>,
    /// Which lens.
    pub lens: Option<String>,
    /// Exposure time in seconds.
    pub exposure_s: Option<f64>,
    /// Aperture as the number under f.
    pub f_number: Option<f64>,
    /// Sensitivity.
    pub iso: Option<u32>,
    /// Focal length in millimetres, of the lens itself.
    pub focal_length_mm: Option<f64>,
    /// When the shutter was open.
    pub taken_at: Option<TakenAt>,
    /// Where.
    pub position: Option<Position>,
    /// Program that wrote the file.
    pub software: Option<String>,
    /// Caption.
    pub description: Option<String>,
    /// Photographer.
    pub artist: Option<String>,
    /// Copyright notice.
    pub copyright: Option<String>,
}

/// A camera's clock: the time it showed, and if it knew, how far that was from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TakenAt {
    /// Local time.
    pub local: DateTime,
    /// Seconds east of UTC; most cameras before 2016 don't say.
    pub offset_s: Option<i32>,
}

impl TakenAt {
    /// Milliseconds since 1970 in UTC; a clock without an offset counts as UTC, so that pictures of one camera keep their
    /// order.
    pub fn utc_millis(self) -> i64 {
        let local = self.local.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_millis();
        let local = i64::try_from(local).unwrap_or(0);
        local - i64::from(self.offset_s.unwrap_or(0)) * 1000
    }
}

/// A place on earth (WGS 84).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Position {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
    /// Metres above the sea.
    pub altitude_m: Option<f64>,
}

/// One tag for display.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MetadataEntry {
    /// Which directory it stands in: `image`, `exif`, `gps`, `interop` or `thumbnail`.
    pub group: &'static str,
    /// The standard's name of the tag.
    pub name: String,
    /// The value in words, with its unit.
    pub value: String,
}

/// Values longer than this are tables for programs, not for people.
const MAX_DISPLAY_BYTES: usize = 1000;

impl Metadata {
    /// Reads an EXIF block that begins with its TIFF header.
    pub fn read(block: &[u8]) -> Self {
        let Some(exif) = parse(block) else { return Self::default() };
        let text = |tag| text(find(&exif, tag)?);
        let number = |tag| {
            let value = match &find(&exif, tag)?.value {
                Value::Rational(values) => ratio(values.first()?)?,
                value => f64::from(value.get_uint(0)?),
            };
            (value.is_finite() && value > 0.0).then_some(value)
        };
        let iso = find(&exif, Tag::PhotographicSensitivity).and_then(|field| field.value.get_uint(0));
        Self {
            camera_make: text(Tag::Make),
            camera_model: text(Tag::Model),
            lens: text(Tag::LensModel),
            exposure_s: number(Tag::ExposureTime),
            f_number: number(Tag::FNumber),
            iso: iso.filter(|iso| *iso > 0),
            focal_length_mm: number(Tag::FocalLength),
            taken_at: taken_at(&exif),
            position: position(&exif),
            software: text(Tag::Software),
            description: text(Tag::ImageDescription),
            artist: text(Tag::Artist),
            copyright: text(Tag::Copyright),
        }
    }
}

/// Lists every tag that people can read.
pub fn metadata_entries(block: &[u8]) -> Vec<MetadataEntry> {
    let Some(exif) = parse(block) else { return Vec::new() };
    exif.fields()
        .filter(|field| field.tag != Tag::MakerNote && value_bytes(&field.value) <= MAX_DISPLAY_BYTES)
        .map(|field| MetadataEntry {
            group: group(field),
            name: field.tag.to_string(),
            value: clean(&match text(field) {
                Some(text) => text,
                None => field.display_value().with_unit(&exif).to_string(),
            }),
        })
        .filter(|entry| !entry.value.is_empty())
        .collect()
}

fn parse(block: &[u8]) -> Option<Exif> {
    let result = Reader::new().continue_on_error(true).read_raw(block.to_vec());
    result.or_else(|error| error.distill_partial_result(|_| {})).ok()
}

fn find(exif: &Exif, tag: Tag) -> Option<&Field> {
    exif.get_field(tag, In::PRIMARY)
}

fn group(field: &Field) -> &'static str {
    if field.ifd_num != In::PRIMARY {
        return "thumbnail";
    }
    match field.tag.context() {
        exif::Context::Exif => "exif",
        exif::Context::Gps => "gps",
        exif::Context::Interop => "interop",
        _ => "image",
    }
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::Byte(values) | Value::Undefined(values, _) => values.len(),
        Value::Ascii(values) => values.iter().map(Vec::len).sum(),
        Value::SByte(values) => values.len(),
        Value::Short(values) => values.len() * 2,
        Value::SShort(values) => values.len() * 2,
        Value::Long(values) => values.len() * 4,
        Value::SLong(values) => values.len() * 4,
        Value::Float(values) => values.len() * 4,
        Value::Rational(values) => values.len() * 8,
        Value::SRational(values) => values.len() * 8,
        Value::Double(values) => values.len() * 8,
        Value::Unknown(..) => usize::MAX,
    }
}

/// A text without padding and control characters; nothing if nothing is left.
fn text(field: &Field) -> Option<String> {
    let Value::Ascii(lines) = &field.value else { return None };
    let joined = lines.iter().map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().join(" ");
    Some(clean(&joined)).filter(|text| !text.is_empty())
}

fn clean(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        // Marks that turn the writing direction of what follows have no place in a caption.
        .filter(|letter| !matches!(*letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .take(MAX_DISPLAY_BYTES)
        .collect();
    text.trim().to_owned()
}

fn ratio(value: &Rational) -> Option<f64> {
    (value.denom != 0).then(|| f64::from(value.num) / f64::from(value.denom))
}

fn taken_at(exif: &Exif) -> Option<TakenAt> {
    let pairs = [
        (Tag::DateTimeOriginal, Tag::OffsetTimeOriginal),
        (Tag::DateTimeDigitized, Tag::OffsetTimeDigitized),
    ];
    pairs.into_iter().find_map(|(time, offset)| {
        let local = date_time(&text(find(exif, time)?)?)?;
        let offset = find(exif, offset).or_else(|| find(exif, Tag::OffsetTime));
        Some(TakenAt { local, offset_s: offset.and_then(text).and_then(|offset| offset_seconds(&offset)) })
    })
}

/// `2004:02:29 13:45:10`; cameras whose clock was never set write zeros or blanks.
fn date_time(text: &str) -> Option<DateTime> {
    let mut numbers = text.split([':', ' ', '-', '/', 'T', '.']).map(|part| part.parse::<i16>());
    let mut next = || numbers.next()?.ok();
    let year = next().filter(|year| *year > 0)?;
    let mut small = || i8::try_from(next()?).ok();
    let (month, day) = (small()?, small()?);
    let (hour, minute) = (small().unwrap_or(0), small().unwrap_or(0));
    // A leap second is not a time of day that anything else can hold.
    let second = small().unwrap_or(0).min(59);
    DateTime::new(year, month, day, hour, minute, second, 0).ok()
}

/// `+02:00`, `-03:30` or `Z`.
fn offset_seconds(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes) = (hours.parse::<i32>().ok()?, minutes.parse::<i32>().ok()?);
    ((0..=14).contains(&hours) && (0..60).contains(&minutes)).then_some(sign * (hours * 3600 + minutes * 60))
}

fn position(exif: &Exif) -> Option<Position> {
    let degrees = |tag, reference, negative: &str, limit: f64| {
        let Value::Rational(parts) = &find(exif, tag)?.value else { return None };
        let part = |index: usize| parts.get(index).map_or(Some(0.0), ratio);
        let degrees = part(0)? + part(1)? / 60.0 + part(2)? / 3600.0;
        let negative = find(exif, reference).and_then(text).is_some_and(|text| text.starts_with(negative));
        (degrees <= limit).then_some(if negative { -degrees } else { degrees })
    };
    let latitude = degrees(Tag::GPSLatitude, Tag::GPSLatitudeRef, "S", 90.0)?;
    let longitude = degrees(Tag::GPSLongitude, Tag::GPSLongitudeRef, "W", 180.0)?;
    let altitude_m = find(exif, Tag::GPSAltitude).and_then(|field| {
        let Value::Rational(values) = &field.value else { return None };
        let metres = ratio(values.first()?)?;
        let below = find(exif, Tag::GPSAltitudeRef).and_then(|field| field.value.get_uint(0)) == Some(1);
        Some(if below { -metres } else { metres })
    });
    // Exactly nowhere is what receivers write that have not found themselves yet.
    (latitude != 0.0 || longitude != 0.0).then_some(Position { latitude, longitude, altitude_m })
}
