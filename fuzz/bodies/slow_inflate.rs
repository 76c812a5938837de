//! RFC 1951 as slowly and as plainly as it can be written, bit by bit, and RFC 7692 §7.2.2 around
//! it. It shares no code with `protocol::deflate`, which it is there to contradict, nor with the
//! library that that uses.
//!
//! Where RFC 1951 leaves a judgement open, this one is zlib's, which most of the world's DEFLATE
//! data has been read by; those places begin with "Open:".

#![allow(dead_code, reason = "not every target needs all of it")]

use parlor::protocol::Violation;
use std::sync::LazyLock;

/// RFC 7692 §7.2.2: what is put back at the end of a message.
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
/// So many blocks of a message may be marked as the last one.
const FINAL_BLOCKS_MAX: usize = 64;

/// Why a message is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Defect {
    /// It comes to more than it may.
    TooLarge,
    /// Too many blocks are marked as the last one.
    TooManyFinalBlocks,
    /// It does not end where a block does.
    Cut,
    /// The four bytes at its end say something of the message, or end a block that is the last one.
    SaidByTail,
    /// §3.2.3: the type of a block is 11.
    BlockType,
    /// §3.2.4: a length and its complement are not that of each other.
    StoredLength,
    /// §3.2.7: there are lengths for literals that are none.
    TooManyLiterals,
    /// Open: §3.2.7 has room for 31 and 32 distances, §3.2.6 has 30.
    TooManyDistances,
    /// §3.2.7: the length before the first one is repeated.
    NothingToRepeat,
    /// §3.2.7: there are more lengths than were announced.
    TooManyLengths,
    /// §3.2.2: there are more codes than their lengths leave room for.
    Oversubscribed,
    /// Open: §3.2.7 knows of unused codes only where there is a single distance, or none. A single
    /// literal of one bit is taken, too; nothing else is.
    Incomplete,
    /// Open: §3.2.3 has a block end with a symbol that this one has no code for.
    NoEndOfBlock,
    /// The bits are no symbol's.
    NoSymbol,
    /// §3.2.6: 286 and 287, or the distances 30 and 31, which never occur.
    ReservedSymbol,
    /// §3.2.5: a distance from before the beginning.
    TooFarBack,
}

impl Defect {
    pub(crate) const ALL: [Defect; 16] = [
        Defect::TooLarge,
        Defect::TooManyFinalBlocks,
        Defect::Cut,
        Defect::SaidByTail,
        Defect::BlockType,
        Defect::StoredLength,
        Defect::TooManyLiterals,
        Defect::TooManyDistances,
        Defect::NothingToRepeat,
        Defect::TooManyLengths,
        Defect::Oversubscribed,
        Defect::Incomplete,
        Defect::NoEndOfBlock,
        Defect::NoSymbol,
        Defect::ReservedSymbol,
        Defect::TooFarBack,
    ];

    /// The row of the table of violations.
    pub(crate) fn violation(self) -> Violation {
        match self {
            Defect::TooLarge => Violation::MessageTooLarge,
            Defect::TooManyFinalBlocks => Violation::TooManyFinalBlocks,
            _ => Violation::NotDeflate,
        }
    }
}

/// One direction of a connection.
#[derive(Clone, Debug)]
pub(crate) struct SlowInflater {
    /// What a message may point back to.
    window: Vec<u8>,
    window_bytes_max: usize,
    farthest: usize,
}

impl SlowInflater {
    /// The window has 2^`bits` bytes, or none if the peer does not take over its context.
    pub(crate) fn new(takes_over: bool, bits: u8) -> SlowInflater {
        let window_bytes_max = if takes_over { 1 << bits } else { 0 };
        SlowInflater { window: Vec::new(), window_bytes_max, farthest: 0 }
    }

    /// What lies before the next message.
    pub(crate) fn window(&self) -> &[u8] {
        &self.window
    }

    /// What a message's whole payload comes to.
    pub(crate) fn inflate(&mut self, payload: &[u8], bytes_max: u64) -> Result<Vec<u8>, Defect> {
        let mut out = Output {
            bytes: self.window.clone(),
            before: self.window.len(),
            bytes_max,
            is_said_by_tail: false,
            farthest: self.farthest,
        };
        inflate(payload, &mut out)?;
        self.farthest = out.farthest;
        let message = out.bytes.split_off(out.before);
        self.window.extend(&message);
        self.window.drain(..self.window.len().saturating_sub(self.window_bytes_max));
        Ok(message)
    }

    /// The largest distance of all messages.
    pub(crate) fn farthest(&self) -> usize {
        self.farthest
    }
}

/// Inflates a whole message.
fn inflate(payload: &[u8], out: &mut Output) -> Result<(), Defect> {
    let bytes = [payload, &TAIL].concat();
    let mut bits = Bits { bytes: &bytes, place: 0, tail_place: payload.len() * 8 };
    let mut final_blocks = 0;
    while bits.place < bytes.len() * 8 {
        let is_last = bits.next()? == 1;
        match bits.number(2)? {
            0 => stored(&mut bits, out)?,
            1 => coded(&mut bits, out, &FIXED)?,
            2 => {
                let codes = dynamic(&mut bits)?;
                coded(&mut bits, out, &codes)?;
            }
            _ => return Err(Defect::BlockType),
        }
        // RFC 7692 §7.2.1: a sender may end a DEFLATE stream within a message. The next one begins
        // with the next byte.
        if is_last {
            bits.skip_to_byte();
            if bits.is_in_tail() {
                return Err(Defect::SaidByTail);
            }
            final_blocks += 1;
            if final_blocks > FINAL_BLOCKS_MAX {
                return Err(Defect::TooManyFinalBlocks);
            }
        }
    }
    if out.is_said_by_tail { Err(Defect::SaidByTail) } else { Ok(()) }
}

/// §3.1.1: the bits of a byte, beginning with the lowest.
struct Bits<'b> {
    bytes: &'b [u8],
    place: usize,
    /// Where the bytes begin that were put back.
    tail_place: usize,
}

impl Bits<'_> {
    fn next(&mut self) -> Result<usize, Defect> {
        let byte = *self.bytes.get(self.place / 8).ok_or(Defect::Cut)?;
        let bit = byte >> (self.place % 8) & 1;
        self.place += 1;
        Ok(usize::from(bit))
    }

    /// §3.1.1: a number, its lowest bit first.
    fn number(&mut self, len: u8) -> Result<usize, Defect> {
        let mut number = 0;
        for bit in 0..len {
            number |= self.next()? << bit;
        }
        Ok(number)
    }

    fn skip_to_byte(&mut self) {
        self.place = self.place.div_ceil(8) * 8;
    }

    /// Whether what was read last ended in what was put back.
    fn is_in_tail(&self) -> bool {
        self.place > self.tail_place
    }
}

struct Output {
    /// The window and the message.
    bytes: Vec<u8>,
    /// Bytes of the window.
    before: usize,
    bytes_max: u64,
    is_said_by_tail: bool,
    /// The largest distance so far.
    farthest: usize,
}

impl Output {
    fn push(&mut self, byte: u8, bits: &Bits<'_>) -> Result<(), Defect> {
        self.bytes.push(byte);
        self.is_said_by_tail |= bits.is_in_tail();
        let len = (self.bytes.len() - self.before) as u64;
        if len > self.bytes_max { Err(Defect::TooLarge) } else { Ok(()) }
    }
}

/// §3.2.4
fn stored(bits: &mut Bits<'_>, out: &mut Output) -> Result<(), Defect> {
    bits.skip_to_byte();
    let (len, complement) = (bits.number(16)?, bits.number(16)?);
    if len != !complement & 0xFFFF {
        return Err(Defect::StoredLength);
    }
    for _ in 0..len {
        let byte = bits.number(8)? as u8;
        out.push(byte, bits)?;
    }
    Ok(())
}

/// §3.2.5
fn coded(bits: &mut Bits<'_>, out: &mut Output, codes: &Codes) -> Result<(), Defect> {
    /// The shortest length and the number of extra bits of each code from 257 on.
    const LENGTHS: [usize; 29] = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115,
        131, 163, 195, 227, 258,
    ];
    const LENGTH_BITS: [u8; 29] =
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
    /// The shortest distance of each code; there are two codes for each number of extra bits, four
    /// for none.
    const DISTANCES: [usize; 30] = [
        1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
        2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
    ];
    loop {
        let symbol = codes.literals.read(bits)?;
        if let Ok(byte) = u8::try_from(symbol) {
            out.push(byte, bits)?;
            continue;
        }
        if symbol == 256 {
            return Ok(());
        }
        let code = symbol - 257;
        let shortest = LENGTHS.get(code).ok_or(Defect::ReservedSymbol)?;
        let len = shortest + bits.number(LENGTH_BITS[code])?;
        let code = codes.distances.read(bits)?;
        let shortest = DISTANCES.get(code).ok_or(Defect::ReservedSymbol)?;
        let distance = shortest + bits.number((code as u8 / 2).saturating_sub(1))?;
        if distance > out.bytes.len() {
            return Err(Defect::TooFarBack);
        }
        out.farthest = out.farthest.max(distance);
        for _ in 0..len {
            out.push(out.bytes[out.bytes.len() - distance], bits)?;
        }
    }
}

/// §3.2.7
fn dynamic(bits: &mut Bits<'_>) -> Result<Codes, Defect> {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let literals = bits.number(5)? + 257;
    let distances = bits.number(5)? + 1;
    let code_lengths = bits.number(4)? + 4;
    if literals > 286 {
        return Err(Defect::TooManyLiterals);
    }
    if distances > 30 {
        return Err(Defect::TooManyDistances);
    }
    let mut lengths_of_codes = [0; 19];
    for symbol in &ORDER[..code_lengths] {
        lengths_of_codes[*symbol] = bits.number(3)?;
    }
    let codes = Code::new(&lengths_of_codes)?;
    if !codes.is_complete() {
        return Err(Defect::Incomplete);
    }
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match codes.read(bits)? {
            16 => {
                let last = *lengths.last().ok_or(Defect::NothingToRepeat)?;
                (last, 3 + bits.number(2)?)
            }
            17 => (0, 3 + bits.number(3)?),
            18 => (0, 11 + bits.number(7)?),
            length => (length, 1),
        };
        lengths.extend(std::iter::repeat_n(length, times));
    }
    if lengths.len() > literals + distances {
        return Err(Defect::TooManyLengths);
    }
    if lengths[256] == 0 {
        return Err(Defect::NoEndOfBlock);
    }
    let codes = Codes {
        literals: Code::new(&lengths[..literals])?,
        distances: Code::new(&lengths[literals..])?,
    };
    if codes.literals.may_be_used() && codes.distances.may_be_used() {
        Ok(codes)
    } else {
        Err(Defect::Incomplete)
    }
}

struct Codes {
    literals: Code,
    distances: Code,
}

/// §3.2.6
static FIXED: LazyLock<Codes> = LazyLock::new(|| {
    let lengths = [[8; 144].as_slice(), &[9; 112], &[7; 24], &[8; 8]].concat();
    Codes { literals: Code::new(&lengths).unwrap(), distances: Code::new(&[5; 32]).unwrap() }
});

/// A Huffman code.
struct Code {
    /// The symbols whose codes have 0 (these have none), 1, … 15 bits, in order.
    symbols: [Vec<usize>; 16],
    /// The first code of each length.
    first: [usize; 16],
}

impl Code {
    /// §3.2.2
    fn new(lengths: &[usize]) -> Result<Code, Defect> {
        let mut code = Code { symbols: Default::default(), first: [0; 16] };
        for (symbol, length) in lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
            code.symbols[*length].push(symbol);
        }
        let mut next = 0;
        for length in 1..16 {
            next *= 2;
            code.first[length] = next;
            next += code.symbols[length].len();
            if next > 1 << length {
                return Err(Defect::Oversubscribed);
            }
        }
        Ok(code)
    }

    /// Whether all bits are some symbol's.
    fn is_complete(&self) -> bool {
        self.first[15] + self.symbols[15].len() == 1 << 15
    }

    /// Whether it is complete, has a single code of one bit, or none.
    fn may_be_used(&self) -> bool {
        let longer = &self.symbols[2..];
        self.is_complete() || self.symbols[1].len() <= 1 && longer.iter().all(Vec::is_empty)
    }

    /// §3.1.1: a code's bits come with the highest first.
    fn read(&self, bits: &mut Bits<'_>) -> Result<usize, Defect> {
        let mut code = 0;
        for length in 1..16 {
            code = code * 2 + bits.next()?;
            let place = code.checked_sub(self.first[length]);
            if let Some(symbol) = place.and_then(|place| self.symbols[length].get(place)) {
                return Ok(*symbol);
            }
        }
        Err(Defect::NoSymbol)
    }
}
