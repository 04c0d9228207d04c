//! Looking through a workbook's archive before anything of it is kept: an XLSX file is a
//! ZIP archive, and a few kilobytes of it can unpack to gigabytes.
//!
//! Sizes are checked twice: as the archive declares them, and as they come out when every
//! part is unpacked into nothing while counting, since declared sizes can lie. On the way
//! the longest element or text, the number of shared strings and of merged regions are
//! checked too, because the parser keeps one element, all shared strings and all merged
//! regions of a sheet in memory.

use std::io::{Read, Seek};

use jinke_types::Failure;

use crate::{
    error::{too_large, unreadable},
    limits::Limits,
};

/// Under this size a ratio says nothing: small parts of many equal cells pack well.
const RATIO_FROM: u64 = 16 << 20;

/// Refuses an archive that is over a limit, damaged, or no workbook.
pub fn check(file: &str, input: impl Read + Seek, limits: &Limits) -> Result<(), Failure> {
    let damaged = |_| unreadable(file, "is a damaged or incomplete workbook");
    let mut archive = zip::ZipArchive::new(input).map_err(damaged)?;
    if archive.len() > limits.parts {
        return Err(too_large(file, format!("has over {} parts", limits.parts)));
    }
    let mut declared = 0_u64;
    for index in 0..archive.len() {
        let part = archive.by_index_raw(index).map_err(damaged)?;
        declared = declared.saturating_add(part.size());
        check_size(
            file,
            part.name(),
            part.size(),
            part.compressed_size(),
            limits,
        )?;
        if part.encrypted() {
            return Err(unreadable(file, "is encrypted; save it without a password"));
        }
    }
    check_total(file, declared, limits)?;
    let mut total = 0;
    let mut counts = Counts::default();
    let mut workbook = false;
    let mut buffer = vec![0; 1 << 16];
    for index in 0..archive.len() {
        let mut part = archive.by_index(index).map_err(damaged)?;
        let name = part.name().to_lowercase();
        workbook |= name == "xl/workbook.xml";
        let packed = part.compressed_size();
        let xml = is_xml(&name);
        let mut tokens = Tokens::default();
        let mut size = 0;
        loop {
            let read = part
                .read(&mut buffer)
                .map_err(|_| unreadable(file, "is a damaged or incomplete workbook"))?;
            if read == 0 {
                break;
            }
            size += read as u64;
            total += read as u64;
            check_size(file, &name, size, packed, limits)?;
            check_total(file, total, limits)?;
            if xml {
                tokens.feed(&buffer[..read], &mut counts);
                counts.check(file, tokens.longest, limits)?;
            }
        }
    }
    if !workbook {
        return Err(unreadable(file, "is a ZIP archive but no XLSX workbook"));
    }
    Ok(())
}

fn is_xml(name: &str) -> bool {
    !name.starts_with("xl/media/") && !name.starts_with("xl/embeddings/")
}

fn check_total(file: &str, bytes: u64, limits: &Limits) -> Result<(), Failure> {
    if bytes > limits.unpacked_bytes {
        let most = limits.unpacked_bytes;
        return Err(too_large(
            file,
            format!("unpacks to over {most} bytes; export it as CSV"),
        ));
    }
    Ok(())
}

fn check_size(
    file: &str,
    name: &str,
    size: u64,
    packed: u64,
    limits: &Limits,
) -> Result<(), Failure> {
    if size > RATIO_FROM && size / packed.max(1) > limits.ratio {
        let most = limits.ratio;
        return Err(too_large(
            file,
            format!("has a part packed more than {most} to 1"),
        ));
    }
    let name = name.to_lowercase();
    let most = if name.starts_with("xl/sharedstrings") {
        limits.shared_bytes
    } else if name.starts_with("xl/worksheets/")
        || name.starts_with("xl/drawings/")
        || !is_xml(&name)
    {
        limits.unpacked_bytes
    } else {
        limits.part_bytes
    };
    if size > most {
        return Err(too_large(
            file,
            format!("has a part that unpacks to over {most} bytes"),
        ));
    }
    Ok(())
}

#[derive(Default)]
struct Counts {
    strings: u64,
    merged: u64,
}

impl Counts {
    fn check(&self, file: &str, longest: u64, limits: &Limits) -> Result<(), Failure> {
        if longest > limits.token_bytes {
            let most = limits.token_bytes;
            return Err(too_large(
                file,
                format!("has an element or text of over {most} bytes"),
            ));
        }
        if self.strings > limits.shared_strings {
            let most = limits.shared_strings;
            return Err(too_large(file, format!("has over {most} different texts")));
        }
        if self.merged > limits.merged_regions {
            let most = limits.merged_regions;
            return Err(too_large(file, format!("has over {most} merged regions")));
        }
        Ok(())
    }
}

/// Measures the longest stretch the parser would keep at once: from one `<` to the next,
/// or a whole comment, CDATA section or declaration, in which `<` begins nothing.
#[derive(Default)]
struct Tokens {
    run: u64,
    longest: u64,
    /// The first bytes behind the last `<`.
    name: Vec<u8>,
    /// Within `<!…`: what ends it.
    until: Option<&'static [u8]>,
    /// The last three bytes, to see the end.
    tail: [u8; 3],
}

const NAME_BYTES: usize = 12;

impl Tokens {
    fn feed(&mut self, bytes: &[u8], counts: &mut Counts) {
        for byte in bytes {
            self.tail = [self.tail[1], self.tail[2], *byte];
            if *byte == b'<' && self.until.is_none() {
                self.run = 0;
                self.name.clear();
                continue;
            }
            self.run += 1;
            self.longest = self.longest.max(self.run);
            if let Some(end) = self.until {
                if self.tail.ends_with(end) {
                    self.until = None;
                }
                continue;
            }
            if self.name.len() < NAME_BYTES {
                self.name.push(*byte);
                match self.name.as_slice() {
                    b"!--" => self.until = Some(b"-->"),
                    b"![CDATA[" => self.until = Some(b"]]>"),
                    // Prefixed names count too, such as `x:si`.
                    name if name.ends_with(b"mergeCell ") => counts.merged += 1,
                    [.., b's', b'i', b'>' | b' ' | b'/'] if is_si(&self.name) => {
                        counts.strings += 1;
                    }
                    _ => {}
                }
            }
        }
    }
}

fn is_si(name: &[u8]) -> bool {
    let own = name.rsplit(|b| *b == b':').next().unwrap_or_default();
    !name.starts_with(b"/") && own.len() == 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(xml: &str) -> (u64, u64, u64) {
        let (mut tokens, mut counts) = (Tokens::default(), Counts::default());
        for byte in xml.bytes() {
            tokens.feed(&[byte], &mut counts);
        }
        (tokens.longest, counts.strings, counts.merged)
    }

    #[test]
    fn strings_and_merged_regions_are_counted_and_the_longest_token_found() {
        let (longest, strings, merged) = measure(
            "<sst><si><t>ab</t></si><x:si/><si xml:space='p'></si><six/></sst>\
             <mergeCells count='1'><mergeCell ref='A1:B2'/></mergeCells>",
        );
        assert_eq!((strings, merged), (3, 1));
        assert_eq!(longest, "mergeCell ref='A1:B2'/>".len() as u64);
    }

    #[test]
    fn a_comment_cannot_hide_its_length() {
        let (longest, strings, _) = measure(&format!("<a><!--{}--></a>", "<si>".repeat(100)));
        assert!(longest > 400);
        assert_eq!(strings, 0);
        let (longest, ..) = measure(&format!("<a><![CDATA[{}]]></a>", "<b>".repeat(100)));
        assert!(longest > 300);
    }
}
