//! Finding out in which encoding a text file is, in one pass over the whole of it.
//!
//! A guess from the head is not enough: exports often begin with thousands of ASCII rows.
//! The order of evidence is: byte order mark, valid UTF-8 throughout, then which of UTF-8,
//! GB18030 and the detector's guess leaves fewer broken sequences. GBK is read as GB18030,
//! of which it is a part. Rows that do not fit the decision are reported one by one.

use std::io::{self, Read};

use chardetng::EncodingDetector;
use encoding_rs::{BIG5, Decoder, DecoderResult, Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};
use sha2::{Digest, Sha256};

/// What decided the encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The settings name it.
    Settings,
    /// The file begins with a byte order mark.
    Mark,
    /// The whole file is valid in it.
    Valid,
    /// It breaks fewer sequences than the others.
    Likeliest,
}

/// The encoding of a file and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How the file is read.
    pub encoding: &'static Encoding,
    /// Why.
    pub evidence: Evidence,
    /// Sequences that are broken in it; 0 when not counted.
    pub broken: u64,
    /// Length of the byte order mark.
    pub mark: usize,
}

impl Decision {
    /// A sentence for people.
    pub fn note(&self) -> String {
        let name = self.encoding.name();
        match self.evidence {
            Evidence::Settings => format!("encoding {name}, as the settings say"),
            Evidence::Mark => format!("encoding {name}, by its byte order mark"),
            Evidence::Valid => format!("encoding {name}, valid throughout"),
            Evidence::Likeliest => {
                format!(
                    "encoding {name}, the likeliest; {} broken sequences",
                    self.broken
                )
            }
        }
    }
}

/// What one pass over a file found.
#[derive(Clone, Debug)]
pub struct Scan {
    /// SHA-256 of the bytes, in hex.
    pub digest: String,
    /// Length in bytes.
    pub bytes: u64,
    /// The encoding.
    pub decision: Decision,
}

/// So many characters tell whether a text is Chinese.
const SAMPLE: u64 = 100_000;

/// One encoding tried on the whole file.
struct Trial {
    encoding: &'static Encoding,
    decoder: Decoder,
    broken: u64,
    /// Characters beyond ASCII that decoded.
    foreign: u64,
    /// So many of the first [`SAMPLE`] of those are common ones.
    common: u64,
    out: String,
}

impl Trial {
    fn new(encoding: &'static Encoding) -> Self {
        Self {
            encoding,
            decoder: encoding.new_decoder_without_bom_handling(),
            broken: 0,
            foreign: 0,
            common: 0,
            out: String::with_capacity(1 << 16),
        }
    }

    fn feed(&mut self, mut input: &[u8], last: bool) {
        loop {
            self.out.clear();
            let (result, read) =
                self.decoder
                    .decode_to_string_without_replacement(input, &mut self.out, last);
            input = &input[read..];
            for c in self.out.chars().filter(|c| !c.is_ascii()) {
                if self.foreign < SAMPLE {
                    self.common += u64::from(is_common(c, self.encoding));
                }
                self.foreign += 1;
            }
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => self.broken += 1,
            }
        }
    }
}

/// Whether a character is one that everyday text in the encoding is made of: in GB 2312, or
/// in the first plane of Big5.
fn is_common(c: char, encoding: &'static Encoding) -> bool {
    let mut buffer = [0; 4];
    let (bytes, _, unmappable) = encoding.encode(c.encode_utf8(&mut buffer));
    match *bytes {
        _ if unmappable => false,
        [lead, _] if encoding == BIG5 => (0xa1..=0xc6).contains(&lead),
        [lead, trail] => (0xa1..=0xf7).contains(&lead) && trail >= 0xa1,
        _ => false,
    }
}

/// Reads `input` to its end. `named` is an encoding the settings name.
pub fn scan(mut input: impl Read, named: Option<&'static Encoding>) -> io::Result<Scan> {
    let mut hash = Sha256::new();
    let mut bytes = 0_u64;
    let mut detector = EncodingDetector::new();
    let mut trials = [Trial::new(UTF_8), Trial::new(GB18030), Trial::new(BIG5)];
    let mut marked = None;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = fill(&mut input, &mut buffer)?;
        let (chunk, last) = (&buffer[..read], read < buffer.len());
        if bytes == 0 {
            marked = Encoding::for_bom(chunk);
        }
        hash.update(chunk);
        if marked.is_none() && named.is_none() {
            detector.feed(chunk, last);
            for trial in &mut trials {
                trial.feed(chunk, last);
            }
        }
        bytes += read as u64;
        if last {
            break;
        }
    }
    let decision = match (named, marked) {
        (Some(encoding), marked) => {
            let mark = marked
                .filter(|(by, _)| *by == encoding)
                .map_or(0, |(_, length)| length);
            Decision {
                encoding,
                evidence: Evidence::Settings,
                broken: 0,
                mark,
            }
        }
        (None, Some((encoding, mark))) => Decision {
            encoding,
            evidence: Evidence::Mark,
            broken: 0,
            mark,
        },
        (None, None) => decide(&trials, detector.guess(Some(b"cn"), true)),
    };
    Ok(Scan {
        digest: hex::encode(hash.finalize()),
        bytes,
        decision,
    })
}

fn decide([utf8, gb, big5]: &[Trial; 3], guess: &'static Encoding) -> Decision {
    let by = |encoding, trial: &Trial| Decision {
        encoding,
        evidence: if trial.broken == 0 {
            Evidence::Valid
        } else {
            Evidence::Likeliest
        },
        broken: trial.broken,
        mark: 0,
    };
    // Other encodings are hardly ever valid UTF-8 by chance. A few broken rows in a file
    // that has many whole sequences are damage, not another encoding.
    if utf8.broken == 0 || utf8.foreign / 4 > utf8.broken {
        return by(UTF_8, utf8);
    }
    // Text in one of the two Chinese encodings decodes in the other as well, but to
    // characters of which many are rare.
    let share = |t: &Trial| t.common * 100 / t.foreign.clamp(1, SAMPLE);
    if big5.broken == 0 && share(big5) >= 95 && share(gb) < 70 {
        return by(BIG5, big5);
    }
    // European names in a one-byte encoding also decode as GB18030, but to rare characters.
    let chinese = share(gb) >= 70 && gb.foreign / 4 >= gb.broken;
    if !chinese && guess.is_single_byte() {
        return Decision {
            encoding: guess,
            evidence: Evidence::Likeliest,
            broken: 0,
            mark: 0,
        };
    }
    by(GB18030, gb)
}

fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Turns UTF-16 into UTF-8 while it is read, so that rows can be parted by bytes; anything
/// else passes unchanged. A broken sequence becomes the byte 0xFF, which is valid nowhere
/// in UTF-8, so that the row it stands in is found.
pub struct Utf8Bytes<R> {
    input: R,
    decoder: Option<Decoder>,
    chunk: Vec<u8>,
    ready: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> Utf8Bytes<R> {
    /// A reader of `input` in `encoding`, from behind the byte order mark on. Returns the
    /// encoding that the bytes then have.
    pub fn new(input: R, encoding: &'static Encoding) -> (Self, &'static Encoding) {
        let wide = encoding == UTF_16LE || encoding == UTF_16BE;
        let decoder = wide.then(|| encoding.new_decoder_without_bom_handling());
        let chunk = if wide { vec![0; 1 << 14] } else { Vec::new() };
        let this = Self {
            input,
            decoder,
            chunk,
            ready: Vec::new(),
            at: 0,
            ended: false,
        };
        (this, if wide { UTF_8 } else { encoding })
    }
}

impl<R: Read> Read for Utf8Bytes<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(decoder) = &mut self.decoder else {
            return self.input.read(out);
        };
        while self.at == self.ready.len() && !self.ended {
            let read = fill(&mut self.input, &mut self.chunk)?;
            self.ended = read < self.chunk.len();
            self.ready.clear();
            self.at = 0;
            let mut input = &self.chunk[..read];
            let mut text = String::with_capacity(1 << 16);
            loop {
                let (result, used) =
                    decoder.decode_to_string_without_replacement(input, &mut text, self.ended);
                input = &input[used..];
                self.ready.extend_from_slice(text.as_bytes());
                text.clear();
                match result {
                    DecoderResult::InputEmpty => break,
                    DecoderResult::OutputFull => {}
                    DecoderResult::Malformed(..) => self.ready.push(0xff),
                }
            }
        }
        let length = out.len().min(self.ready.len() - self.at);
        out[..length].copy_from_slice(&self.ready[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
