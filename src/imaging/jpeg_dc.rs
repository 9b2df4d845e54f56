//! An eighth of a JPEG (ITU-T T.81), many times faster than by decoding it: the first coefficient of a block is the mean
//! of its 64 pixels, and exactly what a decoder gives that reduces by eight. Of a baseline file the others only have to be
//! passed over, of a progressive one whole scans.
//!
//! This reads what cameras and programs write, and gives up at anything else: damage, arithmetic coding, 12 bits. Then
//! libjpeg-turbo reads the file and says what is wrong with it. It works on hostile bytes, so every index is checked.

use super::planes::Planes;

/// Bits that are looked up at once.
const LOOK_BITS: u32 = 12;

/// Scans of a progressive file; real ones have about ten.
const MAX_SCANS: u32 = 100;

/// Reads the first coefficients of a file, given its segments in front of the first scan and all bytes from that scan on.
/// Nothing if the file is unusual in any way.
pub(super) fn read(segments: &[u8], scans: &[u8]) -> Option<Planes> {
    let mut reader = Reader::default();
    reader.segments(segments.get(2..)?)?;
    reader.scans(scans)?;
    reader.planes()
}

#[derive(Default)]
struct Reader {
    frame: Option<Frame>,
    /// The first step of each quantisation table.
    steps: [Option<u16>; 4],
    dc_tables: [Option<Table>; 4],
    ac_tables: [Option<Table>; 4],
    restart_interval: usize,
}

struct Frame {
    width: usize,
    height: usize,
    progressive: bool,
    components: Vec<Component>,
    /// Units of interleaved scans across and down.
    units: (usize, usize),
}

struct Component {
    id: u8,
    across: usize,
    down: usize,
    table: usize,
    /// Blocks that hold pixels; interleaved scans have some more at the right and at the bottom.
    columns: usize,
    rows: usize,
    /// Blocks in a row of `means`.
    stride: usize,
    /// First coefficients, before dequantisation.
    means: Vec<i16>,
    /// The step by which they have to be multiplied, once there are any.
    step: Option<u16>,
}

/// What a scan says of one of its components.
struct Selected {
    component: usize,
    dc_table: usize,
    ac_table: usize,
}

impl Reader {
    /// Reads segments up to the end of `bytes`.
    fn segments(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let (marker, body, rest) = segment(bytes)?;
            self.segment(marker, body)?;
            bytes = rest;
        }
        Some(())
    }

    fn segment(&mut self, marker: u8, body: &[u8]) -> Option<()> {
        match marker {
            0xdb => self.quant_tables(body),
            0xc4 => self.huffman_tables(body),
            0xc0..=0xc2 => self.start_frame(body, marker == 0xc2),
            0xdd => {
                self.restart_interval = usize::from(u16::from_be_bytes([*body.first()?, *body.get(1)?]));
                Some(())
            }
            0xe0..=0xef | 0xfe => Some(()),
            _ => None,
        }
    }

    fn quant_tables(&mut self, mut body: &[u8]) -> Option<()> {
        while let [head, rest @ ..] = body {
            let bytes = if head >> 4 == 0 { 64 } else { 128 };
            let (values, rest) = rest.split_at_checked(bytes)?;
            let step =
                if bytes == 64 { u16::from(values[0]) } else { u16::from_be_bytes([values[0], values[1]]) };
            *self.steps.get_mut(usize::from(head & 15))? = Some(step);
            body = rest;
        }
        Some(())
    }

    fn huffman_tables(&mut self, mut body: &[u8]) -> Option<()> {
        while let [head, rest @ ..] = body {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let count = counts.iter().map(|count| usize::from(*count)).sum::<usize>();
            let (values, rest) = rest.split_at_checked(count)?;
            let tables = match head >> 4 {
                0 => &mut self.dc_tables,
                1 => &mut self.ac_tables,
                _ => return None,
            };
            *tables.get_mut(usize::from(head & 15))? = Some(Table::new(counts, values)?);
            body = rest;
        }
        Some(())
    }

    fn start_frame(&mut self, body: &[u8], progressive: bool) -> Option<()> {
        let [8, h1, h0, w1, w0, count, rest @ ..] = body else { return None };
        let (width, height) =
            (usize::from(u16::from_be_bytes([*w1, *w0])), usize::from(u16::from_be_bytes([*h1, *h0])));
        let usual = matches!(count, 1 | 3) && rest.len() == usize::from(*count) * 3;
        if self.frame.is_some() || !usual || width == 0 || height == 0 {
            return None;
        }
        let parts = rest.as_chunks::<3>().0;
        let factors = |part: &[u8; 3]| (usize::from(part[1] >> 4), usize::from(part[1] & 15));
        if parts
            .iter()
            .map(factors)
            .any(|(across, down)| !(1..=4).contains(&across) || !(1..=4).contains(&down))
        {
            return None;
        }
        let most_across = parts.iter().map(|part| factors(part).0).max()?;
        let most_down = parts.iter().map(|part| factors(part).1).max()?;
        let units = (width.div_ceil(8 * most_across), height.div_ceil(8 * most_down));
        let components = parts
            .iter()
            .map(|part| {
                let (across, down) = factors(part);
                let stride = units.0 * across;
                Component {
                    id: part[0],
                    across,
                    down,
                    table: usize::from(part[2]),
                    columns: (width * across).div_ceil(8 * most_across),
                    rows: (height * down).div_ceil(8 * most_down),
                    stride,
                    means: vec![0; stride * units.1 * down],
                    step: None,
                }
            })
            .collect();
        self.frame = Some(Frame { width, height, progressive, components, units });
        Some(())
    }

    /// Reads scans, and the segments between them, up to the end marker.
    fn scans(&mut self, mut bytes: &[u8]) -> Option<()> {
        let mut scans = 0;
        loop {
            if bytes.first_chunk::<2>()? == &[0xff, 0xd9] {
                return Some(());
            }
            let (marker, body, rest) = segment(bytes)?;
            bytes = rest;
            if marker != 0xda {
                self.segment(marker, body)?;
                continue;
            }
            scans += 1;
            if scans > MAX_SCANS {
                return None;
            }
            let used = self.scan(body, bytes)?;
            bytes = bytes.get(used..)?;
        }
    }

    /// Reads one scan and says how many bytes it has.
    fn scan(&mut self, header: &[u8], data: &[u8]) -> Option<usize> {
        let frame = self.frame.as_mut()?;
        let (count, rest) = header.split_first()?;
        let (parts, last) = rest.split_at_checked(usize::from(*count) * 2)?;
        let [first, end, approximation] = *last.first_chunk::<3>()?;
        let mut selected = Vec::new();
        for [id, tables] in parts.as_chunks::<2>().0 {
            let component = frame.components.iter().position(|component| component.id == *id)?;
            let (dc_table, ac_table) = (usize::from(tables >> 4), usize::from(tables & 15));
            if selected.iter().any(|other: &Selected| other.component == component) {
                return None;
            }
            selected.push(Selected { component, dc_table, ac_table });
        }
        if frame.progressive && first != 0 {
            return skip_scan(data);
        }
        let (high, low) = (approximation >> 4, approximation & 15);
        let usual =
            if frame.progressive { end == 0 && low <= 13 } else { (first, end, approximation) == (0, 63, 0) };
        if !usual || selected.is_empty() {
            return None;
        }
        for selected in &selected {
            let component = &mut frame.components[selected.component];
            if high == 0 {
                // A second time would be another picture.
                if component.step.is_some() {
                    return None;
                }
                component.step = Some((*self.steps.get(component.table)?)?);
            } else if component.step.is_none() {
                return None;
            }
        }
        let kind = match (frame.progressive, high) {
            (false, _) => Kind::Baseline,
            (true, 0) => Kind::First(low),
            (true, _) => Kind::Refinement(low),
        };
        let tables = (&self.dc_tables, &self.ac_tables);
        let mut bits = Bits::new(data);
        if let [one] = selected.as_slice() {
            decode_alone(frame, one, kind, tables, self.restart_interval, &mut bits)?;
        } else {
            decode_interleaved(frame, &selected, kind, tables, self.restart_interval, &mut bits)?;
        }
        bits.finish()
    }

    fn planes(self) -> Option<Planes> {
        let frame = self.frame?;
        let most_across = frame.components.iter().map(|component| component.across).max()?;
        let most_down = frame.components.iter().map(|component| component.down).max()?;
        let mut planes = frame.components.iter().map(Component::plane);
        let light = planes.next()??;
        let Some([first, second]) = frame.components.get(1..3).and_then(|rest| rest.first_chunk::<2>())
        else {
            let subsampling = (1, 1);
            return Some(Planes { light, colour: None, subsampling });
        };
        // Light has most samples, and both colours equally many, a whole part of those.
        let is_whole = (frame.components[0].across, frame.components[0].down) == (most_across, most_down)
            && (first.across, first.down) == (second.across, second.down)
            && most_across.is_multiple_of(first.across)
            && most_down.is_multiple_of(first.down);
        let subsampling = ((most_across / first.across) as u32, (most_down / first.down) as u32);
        let colour = [planes.next()??, planes.next()??];
        debug_assert!(light.width as usize == frame.width.div_ceil(8) || !is_whole);
        debug_assert!(light.height as usize == frame.height.div_ceil(8) || !is_whole);
        is_whole.then_some(Planes { light, colour: Some(colour), subsampling })
    }
}

impl Component {
    fn plane(&self) -> Option<super::pixels::Image> {
        let step = i32::from(self.step?);
        let mut samples = Vec::with_capacity(self.columns * self.rows);
        for row in self.means.chunks_exact(self.stride).take(self.rows) {
            // As libjpeg's inverse transform of a single coefficient does it.
            let level = |mean: &i16| (((i32::from(*mean) * step + 4) >> 3) + 128).clamp(0, 255) as u8;
            samples.extend(row.iter().take(self.columns).map(level));
        }
        Some(Planes::plane(self.columns as u32, self.rows as u32, samples))
    }
}

/// Takes the segment at the beginning of `bytes` apart: marker, body, rest.
fn segment(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [0xff, marker, l1, l0, rest @ ..] = bytes else { return None };
    let length = usize::from(u16::from_be_bytes([*l1, *l0])).checked_sub(2)?;
    let (body, rest) = rest.split_at_checked(length)?;
    (!matches!(marker, 0x00 | 0x01 | 0xd0..=0xd9 | 0xff)).then_some((*marker, body, rest))
}

/// Finds the marker behind the data of a scan.
fn skip_scan(data: &[u8]) -> Option<usize> {
    const STEP: usize = 64;
    let mut at = 0;
    loop {
        // In steps that the processor compares at once.
        while data
            .get(at..at + STEP)
            .is_some_and(|step| !step.iter().fold(false, |any, byte| any | (*byte == 0xff)))
        {
            at += STEP;
        }
        at += data.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        match data.get(at + 1)? {
            0x00 | 0xd0..=0xd7 => at += 2,
            0xff => at += 1,
            _ => return Some(at),
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Baseline,
    First(u8),
    Refinement(u8),
}

type Tables<'a> = (&'a [Option<Table>; 4], &'a [Option<Table>; 4]);

/// Decodes blocks of one component with its tables.
struct Decoder<'a> {
    kind: Kind,
    dc: Option<&'a Table>,
    ac: Option<&'a Table>,
    prediction: i32,
}

impl<'a> Decoder<'a> {
    fn new(selected: &Selected, kind: Kind, tables: Tables<'a>) -> Option<Self> {
        let dc = tables.0.get(selected.dc_table)?.as_ref();
        let ac = tables.1.get(selected.ac_table)?.as_ref();
        let complete = match kind {
            Kind::Baseline => dc.is_some() && ac.is_some(),
            Kind::First(_) => dc.is_some(),
            Kind::Refinement(_) => true,
        };
        complete.then_some(Self { kind, dc, ac, prediction: 0 })
    }

    #[inline(always)]
    fn block(&mut self, bits: &mut Bits<'_>, mean: &mut i16) -> Option<()> {
        match self.kind {
            Kind::Baseline => {
                self.difference(bits)?;
                *mean = i16::try_from(self.prediction).ok()?;
                pass_over(self.ac?, bits)
            }
            Kind::First(low) => {
                self.difference(bits)?;
                *mean = i16::try_from(self.prediction.checked_shl(u32::from(low))?).ok()?;
                Some(())
            }
            Kind::Refinement(low) => {
                bits.refill();
                if bits.take(1) != 0 {
                    *mean |= 1 << low;
                }
                Some(())
            }
        }
    }

    #[inline(always)]
    fn difference(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        bits.refill();
        let size = u32::from(self.dc?.symbol(bits)?);
        if size > 11 {
            return None;
        }
        if size > 0 {
            let value = bits.take(size) as i32;
            let negative = value < 1 << (size - 1);
            self.prediction += if negative { value - (1 << size) + 1 } else { value };
        }
        Some(())
    }
}

/// Passes over the 63 other coefficients of a block.
#[inline(always)]
fn pass_over(table: &Table, bits: &mut Bits<'_>) -> Option<()> {
    let mut at = 1;
    loop {
        bits.refill();
        let several = table.several[bits.look(LOOK_BITS) as usize];
        let advance = u32::from(several.advance);
        if several.bits != 0 && at + advance < 64 {
            bits.skip(u32::from(several.bits));
            at += advance;
            if several.ends {
                return Some(());
            }
            continue;
        }
        // Near the end of the block, what follows may be the next one's.
        let symbol = table.symbol(bits)?;
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 && run != 15 {
            return (run == 0).then_some(());
        }
        bits.skip(size);
        at += run + 1;
        if at >= 64 {
            return (at == 64).then_some(());
        }
    }
}

fn decode_interleaved(
    frame: &mut Frame,
    selected: &[Selected],
    kind: Kind,
    tables: Tables<'_>,
    restart_interval: usize,
    bits: &mut Bits<'_>,
) -> Option<()> {
    let mut decoders = Vec::new();
    for selected in selected {
        decoders.push((selected.component, Decoder::new(selected, kind, tables)?));
    }
    let (across, down) = frame.units;
    let mut until_restart = restart_interval;
    for y in 0..down {
        for x in 0..across {
            if restart_interval != 0 {
                if until_restart == 0 {
                    bits.restart()?;
                    decoders.iter_mut().for_each(|(_, decoder)| decoder.prediction = 0);
                    until_restart = restart_interval;
                }
                until_restart -= 1;
            }
            for (component, decoder) in &mut decoders {
                let component = &mut frame.components[*component];
                for row in 0..component.down {
                    let start = (y * component.down + row) * component.stride + x * component.across;
                    for mean in component.means.get_mut(start..start + component.across)? {
                        decoder.block(bits, mean)?;
                    }
                }
            }
        }
        bits.check()?;
    }
    Some(())
}

/// Decodes a scan of a single component, which has no padding.
fn decode_alone(
    frame: &mut Frame,
    selected: &Selected,
    kind: Kind,
    tables: Tables<'_>,
    restart_interval: usize,
    bits: &mut Bits<'_>,
) -> Option<()> {
    let mut decoder = Decoder::new(selected, kind, tables)?;
    let component = &mut frame.components[selected.component];
    let (columns, rows, stride) = (component.columns, component.rows, component.stride);
    let mut until_restart = restart_interval;
    for line in component.means.chunks_exact_mut(stride).take(rows) {
        for mean in line.iter_mut().take(columns) {
            if restart_interval != 0 {
                if until_restart == 0 {
                    bits.restart()?;
                    decoder.prediction = 0;
                    until_restart = restart_interval;
                }
                until_restart -= 1;
            }
            decoder.block(bits, mean)?;
        }
        bits.check()?;
    }
    Some(())
}

/// The bits of a scan, without the zeros that are stuffed behind 0xff.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, beginning at the uppermost. Behind those that count there may be some of the next byte.
    buffer: u64,
    count: u32,
    /// Bits among those counted that do not exist: there was a marker or the end.
    missing: u32,
    restarts: u8,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, buffer: 0, count: 0, missing: 0, restarts: 0 }
    }

    /// Makes sure that at least 32 bits are there, which is as many as a symbol with what follows it has.
    #[inline(always)]
    fn refill(&mut self) {
        if self.count >= 32 {
            return;
        }
        if let Some(next) = self.data.get(self.at..self.at + 8).and_then(|next| next.first_chunk::<8>()) {
            let next = u64::from_be_bytes(*next);
            // Whether one of the bytes is 0xff.
            if (!next).wrapping_sub(0x0101_0101_0101_0101) & next & 0x8080_8080_8080_8080 == 0 {
                self.buffer |= next >> self.count;
                let bytes = (63 - self.count) >> 3;
                self.at += bytes as usize;
                self.count += bytes * 8;
                return;
            }
        }
        self.refill_bytewise();
    }

    #[cold]
    fn refill_bytewise(&mut self) {
        while self.count <= 48 {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(0xff), Some(0)) => {
                    self.at += 2;
                    0xff
                }
                (Some(0xff), _) | (None, _) => {
                    self.missing += 8;
                    0
                }
                (Some(byte), _) => {
                    self.at += 1;
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline(always)]
    fn look(&self, bits: u32) -> u64 {
        self.buffer >> (64 - bits)
    }

    #[inline(always)]
    fn skip(&mut self, bits: u32) {
        self.buffer <<= bits;
        self.count = self.count.saturating_sub(bits);
    }

    #[inline(always)]
    fn take(&mut self, bits: u32) -> u64 {
        let value = self.look(bits);
        self.skip(bits);
        value
    }

    /// Fails if bits were used that do not exist.
    fn check(&self) -> Option<()> {
        (self.count >= self.missing).then_some(())
    }

    /// Goes behind the next restart marker, which has to be there.
    fn restart(&mut self) -> Option<()> {
        let at = self.end()?;
        (self.data.get(at + 1)? == &(0xd0 + self.restarts % 8)).then_some(())?;
        let restarts = (self.restarts + 1) % 8;
        *self = Self { at: at + 2, restarts, ..Self::new(self.data) };
        Some(())
    }

    /// Gives the position of the marker behind the data, which has to be used up.
    fn finish(&self) -> Option<usize> {
        self.end()
    }

    fn end(&self) -> Option<usize> {
        let left = self.count.checked_sub(self.missing)?;
        if left >= 8 || self.data.get(self.at)? != &0xff {
            return None;
        }
        let fill = self.data[self.at..].iter().take_while(|byte| **byte == 0xff).count();
        Some(self.at + fill - 1)
    }
}

/// A Huffman table.
struct Table {
    /// For the next bits: the length of the symbol's code, 0 if it is longer, and the symbol.
    short: Box<[(u8, u8); 1 << LOOK_BITS]>,
    /// For the next bits: what all symbols with their values that fit in them do together.
    several: Box<[Several; 1 << LOOK_BITS]>,
    /// For each longer length: the first code that is too large for it, and what to add to find the symbol.
    long: [(u32, i32); 17],
    symbols: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
struct Several {
    /// Bits of the codes and of the values behind them; 0 if not even one code fits.
    bits: u8,
    /// Coefficients that are passed over.
    advance: u8,
    /// Whether the last one ends the block.
    ends: bool,
}

impl Table {
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        if symbols.len() > 256 {
            return None;
        }
        let mut short = vec![(0, 0); 1 << LOOK_BITS];
        let mut long = [(0, 0); 17];
        let (mut code, mut index) = (0_u32, 0_usize);
        for length in 1..=16_u32 {
            let count = usize::from(counts[length as usize - 1]);
            if code + count as u32 > 1 << length {
                return None;
            }
            if length > LOOK_BITS {
                long[length as usize] = (code + count as u32, index as i32 - code as i32);
            } else {
                let spread = 1 << (LOOK_BITS - length);
                for symbol in &symbols[index..index + count] {
                    let start = code as usize * spread;
                    short.get_mut(start..start + spread)?.fill((length as u8, *symbol));
                    code += 1;
                }
            }
            if length > LOOK_BITS {
                code += count as u32;
            }
            index += count;
            code <<= 1;
        }
        let short: Box<[(u8, u8); 1 << LOOK_BITS]> = short.into_boxed_slice().try_into().ok()?;
        let several: Vec<_> = (0..1_usize << LOOK_BITS).map(|bits| Several::new(bits, &short)).collect();
        let several = several.into_boxed_slice().try_into().ok()?;
        Some(Self { short, several, long, symbols: symbols.to_vec() })
    }

    /// Takes the next symbol.
    #[inline(always)]
    fn symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        let (length, symbol) = self.short[bits.look(LOOK_BITS) as usize];
        if length != 0 {
            bits.skip(u32::from(length));
            return Some(symbol);
        }
        self.long_symbol(bits)
    }

    #[cold]
    fn long_symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        for length in LOOK_BITS + 1..=16 {
            let code = bits.look(length) as u32;
            let (end, offset) = self.long[length as usize];
            if code < end {
                bits.skip(length);
                return self.symbols.get(usize::try_from(code as i32 + offset).ok()?).copied();
            }
        }
        None
    }
}

impl Several {
    fn new(bits: usize, short: &[(u8, u8); 1 << LOOK_BITS]) -> Self {
        let mut this = Self::default();
        loop {
            let used = u32::from(this.bits);
            let (length, symbol) = short[(bits << used) & ((1 << LOOK_BITS) - 1)];
            if length == 0 || used + u32::from(length) > LOOK_BITS {
                return this;
            }
            let (run, size) = (symbol >> 4, symbol & 15);
            if size == 0 && run != 15 {
                // The end of the block; other symbols without a value do not exist in baseline files.
                if run == 0 {
                    this.bits += length;
                    this.ends = true;
                }
                return this;
            }
            let longer = used + u32::from(length) + u32::from(size) > LOOK_BITS;
            // The first one may have its value outside, since its length is known.
            if longer && used > 0 {
                return this;
            }
            this.bits += length + size;
            this.advance += run + 1;
            if longer || u32::from(this.bits) >= LOOK_BITS {
                return this;
            }
        }
    }
}
