//! Which encoding a CSV file has: UTF-8, GB18030, of which GBK is a part, or Windows-1252, of
//! which Latin-1 is a part.
//!
//! A file that is UTF-8 throughout is UTF-8. Of any other all bytes are looked at, as each
//! encoding, before one row of it counts: one broken byte among a million rows of UTF-8 makes no
//! file in GBK of it. Letters of Western languages are known by standing among ASCII alone or in
//! twos. What fits none is refused with the place that does not fit; nothing is read as U+FFFD.

use std::borrow::Cow;

use encoding_rs::{DecoderResult, GB18030};

/// As what a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// UTF-8, until a byte says otherwise.
    Utf8,
    /// GB18030, while its bytes are counted.
    Gb,
    /// Windows-1252, as all of its bytes say.
    Western,
}

/// Broken sequences: how many, and where in the file the first begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Broken {
    count: u64,
    first: Option<u64>,
}

impl Broken {
    fn note(&mut self, at: u64) {
        self.count += 1;
        self.first.get_or_insert(at);
    }

    fn add(&mut self, other: Self) {
        self.count += other.count;
        let both = self.first.into_iter().chain(other.first);
        self.first = both.min();
    }
}

/// What the bytes of a file are in either encoding.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    utf8: Broken,
    /// Whole characters of UTF-8 of two bytes, and of more.
    two: u64,
    more: u64,
    gb: Broken,
    /// Characters of GB18030 beyond ASCII, and those of them that are in GB 2312, as most of any
    /// Chinese text are.
    foreign: u64,
    common: u64,
    big5: Big5,
    western: Western,
}

/// What the bytes are in Windows-1252.
#[derive(Clone, Copy, Debug, Default)]
struct Western {
    /// Bytes that are no character there, or a control of Latin-1.
    broken: u64,
    /// Bytes beyond ASCII, and those of them in runs of one or two.
    foreign: u64,
    apart: u64,
}

/// What the bytes are in Big5: text in it mostly passes for GBK, as characters nobody uses.
#[derive(Clone, Copy, Debug, Default)]
struct Big5 {
    broken: u64,
    foreign: u64,
    /// Those of its first plane, as nearly all of any text are.
    common: u64,
}

/// Why a file is not read: what is wrong with it, and at which byte.
pub struct Refused {
    pub message: String,
    pub at: u64,
}

impl Evidence {
    /// Looks at a piece of a file that begins `offset` bytes into it and ends with a row: no
    /// sequence goes beyond it. The text is there when the piece is GB18030.
    pub fn of(bytes: &[u8], offset: u64) -> (Self, Option<Cow<'_, str>>) {
        let mut this = Self::default();
        this.look_as_utf8(bytes, offset);
        this.look_as_gb(bytes);
        this.look_as_big5(bytes);
        this.look_as_western(bytes);
        let text = GB18030.decode_without_bom_handling_and_without_replacement(bytes);
        if text.is_none() {
            this.gb = broken_gb(bytes, offset);
        }
        (this, text)
    }

    /// Counts as the standard library parts whole from broken sequences, but faster where nearly
    /// all are broken, as in text in GBK.
    fn look_as_utf8(&mut self, bytes: &[u8], offset: u64) {
        let mut i = 0;
        while let Some(&lead) = bytes.get(i) {
            if lead < 0x80 {
                i += 1;
                continue;
            }
            // How long the sequence is to be, and what its second byte may be.
            let (length, second) = match lead {
                0xc2..=0xdf => (2, 0x80..=0xbf),
                0xe0 => (3, 0xa0..=0xbf),
                0xed => (3, 0x80..=0x9f),
                0xe1..=0xef => (3, 0x80..=0xbf),
                0xf0 => (4, 0x90..=0xbf),
                0xf1..=0xf3 => (4, 0x80..=0xbf),
                0xf4 => (4, 0x80..=0x8f),
                _ => (0, 0..=0),
            };
            let mut found = 1;
            if length > 1 && bytes.get(i + 1).is_some_and(|b| second.contains(b)) {
                found = 2;
                while found < length && matches!(bytes.get(i + found), Some(0x80..=0xbf)) {
                    found += 1;
                }
            }
            if found != length {
                self.utf8.note(offset + i as u64);
            } else if length == 2 {
                self.two += 1;
            } else {
                self.more += 1;
            }
            i += found;
        }
    }

    fn look_as_gb(&mut self, bytes: &[u8]) {
        let mut i = 0;
        while let Some(&lead) = bytes.get(i) {
            i += 1;
            if lead < 0x80 {
                continue;
            }
            let trail = bytes.get(i).copied().unwrap_or_default();
            self.foreign += 1;
            match trail {
                0x30..=0x39 => i += 3,
                0x40.. => i += 1,
                _ => {}
            }
            let in_gb_2312 = matches!(lead, 0xa1..=0xa9 | 0xb0..=0xf7) && trail >= 0xa1;
            self.common += u64::from(in_gb_2312);
        }
    }

    fn look_as_big5(&mut self, bytes: &[u8]) {
        let mut i = 0;
        while let Some(&lead) = bytes.get(i) {
            i += 1;
            if lead < 0x80 {
                continue;
            }
            match (lead, bytes.get(i)) {
                (0xa1..=0xf9, Some(0x40..=0x7e | 0xa1..=0xfe)) => {
                    self.big5.foreign += 1;
                    self.big5.common += u64::from(lead <= 0xc6);
                    i += 1;
                }
                _ => self.big5.broken += 1,
            }
        }
    }

    fn look_as_western(&mut self, bytes: &[u8]) {
        for run in bytes.split(u8::is_ascii).filter(|r| !r.is_empty()) {
            let n = run.len() as u64;
            let unassigned = |b: &&u8| matches!(b, 0x81 | 0x8d | 0x8f | 0x90 | 0x9d);
            self.western.broken += run.iter().filter(unassigned).count() as u64;
            self.western.foreign += n;
            self.western.apart += if n <= 2 { n } else { 0 };
        }
    }

    /// Adds what another piece of the file is.
    pub fn add(&mut self, other: &Self) {
        self.utf8.add(other.utf8);
        self.gb.add(other.gb);
        self.two += other.two;
        self.more += other.more;
        self.foreign += other.foreign;
        self.common += other.common;
        self.big5.broken += other.big5.broken;
        self.big5.foreign += other.big5.foreign;
        self.big5.common += other.big5.common;
        self.western.broken += other.western.broken;
        self.western.foreign += other.western.foreign;
        self.western.apart += other.western.apart;
    }

    /// What a file is that is not UTF-8 throughout: GB18030 or Windows-1252.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn decide(&self, is_marked: bool) -> Result<Reading, Refused> {
        let refused = |what: &str, broken: Broken| {
            Err(Refused {
                message: format!("{what}; broken sequences: {}", broken.count),
                at: broken.first.unwrap_or_default(),
            })
        };
        if is_marked {
            return refused("begins as UTF-8 but is not UTF-8 throughout", self.utf8);
        }
        // Text in GBK hardly ever holds three bytes that are a character of UTF-8; two that are
        // it holds, one where four or more are none.
        if self.more >= self.utf8.count || self.two + self.more > 4 * self.utf8.count {
            return refused("looks like UTF-8 but is not throughout", self.utf8);
        }
        let (big5, gb) = (self.big5, self.common * 10);
        if big5.broken == 0 && big5.common * 20 >= big5.foreign * 19 && gb < self.foreign * 7 {
            return refused("looks like Big5 and not like UTF-8", self.utf8);
        }
        // In Latin-1 too most bytes beyond ASCII pass for GBK with the letter behind, but the
        // characters they then are hardly ever stand in a text.
        let is_chinese = self.common * 10 >= self.foreign * 3;
        if is_chinese && self.gb.count == 0 {
            return Ok(Reading::Gb);
        }
        if is_chinese && self.gb.count * 4 < self.foreign {
            return refused("looks like GBK but is not throughout", self.gb);
        }
        let western = self.western;
        if western.broken == 0 && western.apart * 10 >= western.foreign * 9 {
            return Ok(Reading::Western);
        }
        refused("is neither UTF-8 nor GBK", self.utf8)
    }
}

fn broken_gb(bytes: &[u8], offset: u64) -> Broken {
    let mut broken = Broken::default();
    let mut decoder = GB18030.new_decoder_without_bom_handling();
    let mut out = [0; 4096];
    let mut at = 0;
    loop {
        let (result, read, _) =
            decoder.decode_to_utf8_without_replacement(&bytes[at..], &mut out, true);
        at += read;
        match result {
            DecoderResult::InputEmpty => return broken,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(length, beyond) => {
                let back = usize::from(length) + usize::from(beyond);
                broken.note(offset + at.saturating_sub(back) as u64);
            }
        }
    }
}

/// Whether the byte at `i`, one that delimits fields, is a character of its own in text in
/// GB18030: `|` is also what some characters of two bytes end with.
pub fn stands_alone(bytes: &[u8], i: usize) -> bool {
    if bytes[i] != b'|' {
        return true;
    }
    // No character of several bytes holds one below '0'.
    let from = bytes[..i].iter().rposition(|b| *b < b'0');
    let run = &bytes[from.map_or(0, |f| f + 1)..=i];
    GB18030.decode_without_bom_handling(run).0.ends_with('|')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> Result<Reading, (String, u64)> {
        let (evidence, _) = Evidence::of(bytes, 0);
        evidence.decide(false).map_err(|r| (r.message, r.at))
    }

    const TEXT: &str = "编号,名称,电话\n1,杭州金客科技有限公司,0571\n2,镕基堃喆,138\n";

    #[test]
    fn gbk_is_gbk_and_a_broken_byte_makes_no_gbk_of_utf8() {
        let gbk = GB18030.encode(TEXT).0;
        assert_eq!(told(&gbk), Ok(Reading::Gb));
        // A byte wrong anywhere in text in UTF-8.
        for at in 0..TEXT.len() {
            for wrong in [0x80, 0xb0, 0xe6, 0xff] {
                let mut bytes = TEXT.as_bytes().to_vec();
                bytes[at] = wrong;
                if std::str::from_utf8(&bytes).is_ok() {
                    continue;
                }
                let (message, place) = told(&bytes).unwrap_err();
                assert!(message.contains("looks like UTF-8"), "{message}");
                assert!(place <= at as u64 && place + 4 > at as u64, "{place} {at}");
            }
        }
    }

    #[test]
    fn what_fits_neither_is_refused_with_its_place() {
        let mut gbk = GB18030.encode(TEXT).0.into_owned();
        let end = gbk.len();
        gbk.extend_from_slice(b"3,\xff,\xff\n");
        let (message, at) = told(&gbk).unwrap_err();
        assert!(message.contains("looks like GBK"), "{message}");
        assert!(message.ends_with("broken sequences: 2"), "{message}");
        assert_eq!(at, end as u64 + 2);
        let cyrillic = b"id,name\n1,\xcf\xf0\xe8\xe2\xe5\xf2 \xec\xe8\xf0\xf3 \x81\n";
        assert!(told(cyrillic).is_err());
        for latin in [
            &b"id,name\n1,caf\xe9 Andr\xe9s\n2,M\xfcller\n"[..],
            b"title\nna\xefve \x93quoted\x94 \x96 \xa9 1999\n",
            b"x\nWei\xdf\nStra\xdfe 5\xba\n\xc5\xe5\n",
        ] {
            assert_eq!(told(latin), Ok(Reading::Western));
        }
        assert!(told(b"\xff\xfe\x80,\x81").is_err());
        let taiwan = "name\n臺灣積體電路製造股份有限公司\n鴻海精密工業股份有限公司\n";
        let (message, _) = told(&encoding_rs::BIG5.encode(taiwan).0).unwrap_err();
        assert!(message.contains("looks like Big5"), "{message}");
        assert_eq!(told(&GB18030.encode(taiwan).0), Ok(Reading::Gb));
        // Few characters in much ASCII are Chinese still.
        assert_eq!(
            told(&GB18030.encode("id,name\n1,abc 金 ltd\n2,杭 x\n").0),
            Ok(Reading::Gb)
        );
    }

    #[test]
    fn sequences_are_parted_as_the_standard_library_parts_them() {
        let odd = [
            b'a', 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe4, 0xed, 0xef,
            0xf0, 0xf1, 0xf4, 0xf5, 0xff,
        ];
        for seed in 0..20_000_u64 {
            let mut x = seed;
            let letter = |_| {
                x = jinke_resolution::batch::parallel::mix(x);
                odd[(x % odd.len() as u64) as usize]
            };
            let bytes: Vec<u8> = (0..seed % 12).map(letter).collect();
            let mut found = Evidence::default();
            found.look_as_utf8(&bytes, 0);
            let (mut broken, mut at, mut chars) = (Broken::default(), 0, 0);
            for chunk in bytes.utf8_chunks() {
                at += chunk.valid().len() as u64;
                chars += chunk.valid().chars().filter(|c| !c.is_ascii()).count() as u64;
                if !chunk.invalid().is_empty() {
                    broken.note(at);
                    at += chunk.invalid().len() as u64;
                }
            }
            assert_eq!(found.utf8, broken, "{bytes:x?}");
            assert_eq!(found.two + found.more, chars, "{bytes:x?}");
        }
    }

    #[test]
    fn pieces_add_up_to_the_file() {
        let mut gbk = GB18030.encode(TEXT).0.into_owned();
        gbk.extend_from_slice(b"3,\xff\n4,\xff\n");
        let (whole, _) = Evidence::of(&gbk, 0);
        let mut sum = Evidence::default();
        let mut offset = 0;
        for line in gbk.split_inclusive(|b| *b == b'\n') {
            let (piece, _) = Evidence::of(line, offset);
            sum.add(&piece);
            offset += line.len() as u64;
        }
        assert_eq!(format!("{whole:?}"), format!("{sum:?}"));
    }

    #[test]
    fn a_bar_may_be_half_a_character() {
        let text = GB18030.encode("a|皘|皘").0;
        let alone: Vec<bool> = (0..text.len())
            .filter(|i| text[*i] == b'|')
            .map(|i| stands_alone(&text, i))
            .collect();
        let bars = text.iter().filter(|b| **b == b'|').count();
        assert_eq!(alone.iter().filter(|a| **a).count(), 2, "{text:x?}");
        assert!(bars > 2, "the character ends with a bar: {text:x?}");
    }
}
