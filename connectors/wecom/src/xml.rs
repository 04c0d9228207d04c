//! The small XML of callbacks: one element with texts in it. Anything deeper is passed over.

use std::collections::BTreeMap;

use quick_xml::{Reader, events::Event};

/// Elements nested deeper than this are refused.
const MAX_DEPTH: usize = 16;
/// At most this many fields are read.
const MAX_FIELDS: usize = 200;

/// The texts of the elements directly below the root, by their names. `None` when it is no XML of
/// this kind: with a document type (and so with entities of its own), nested too deep, with a
/// field twice, or not well formed.
pub fn fields(text: &[u8]) -> Option<BTreeMap<String, String>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut reader = Reader::from_str(text);
    let mut fields = BTreeMap::new();
    let mut path: Vec<String> = Vec::new();
    let mut current = String::new();
    let mut rooted = false;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                if path.is_empty() && std::mem::replace(&mut rooted, true) {
                    return None;
                }
                if path.len() >= MAX_DEPTH {
                    return None;
                }
                path.push(String::from_utf8(start.name().as_ref().to_vec()).ok()?);
                if path.len() == 2 {
                    current.clear();
                }
            }
            Event::Empty(empty) => {
                let name = String::from_utf8(empty.name().as_ref().to_vec()).ok()?;
                if path.len() == 1 && fields.insert(name, String::new()).is_some() {
                    return None;
                }
            }
            Event::End(_) => {
                let name = path.pop()?;
                if path.len() == 1 {
                    let value = std::mem::take(&mut current);
                    if fields.len() >= MAX_FIELDS || fields.insert(name, value).is_some() {
                        return None;
                    }
                }
            }
            Event::Text(text) if path.len() == 2 => current.push_str(&text.decode().ok()?),
            Event::CData(text) if path.len() == 2 => current.push_str(&text.decode().ok()?),
            Event::GeneralRef(name) if path.len() == 2 => {
                let sign = match name.resolve_char_ref().ok()? {
                    Some(sign) => sign,
                    None => match &*name.decode().ok()? {
                        "lt" => '<',
                        "gt" => '>',
                        "amp" => '&',
                        "apos" => '\'',
                        "quot" => '"',
                        _ => return None,
                    },
                };
                current.push(sign);
            }
            Event::DocType(_) => return None,
            Event::Eof => return (rooted && path.is_empty()).then_some(fields),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_cdata_and_references() {
        let read = |t: &str| fields(t.as_bytes());
        let got = read("<?xml version='1.0'?><xml><A><![CDATA[一<二]]></A><B>x&amp;y&#65;</B><C/>\n<D><E>deep</E></D></xml>").unwrap();
        let got: Vec<_> = got.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(got, [("A", "一<二"), ("B", "x&yA"), ("C", ""), ("D", "")]);
        for bad in [
            "",
            "<xml>",
            "<xml><A>1</B></xml>",
            "<xml><A>1</A><A>2</A></xml>",
            "<xml/><xml/>x<",
            "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><xml><A>&e;</A></xml>",
            "<xml><A>&nbsp;</A></xml>",
            "<a></a><b></b>",
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
        let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
        assert!(read(&deep).is_none());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = fields(&bytes);
        }
        #[test]
        fn arbitrary_markup_does_not_panic(text in "(<[a-z/!?\\[\\]CDAT&;x0-9 ]{0,12}>?){0,20}") {
            let _ = fields(text.as_bytes());
        }
    }
}
