//! Reading the ways people and programs write dates, amounts, numbers and truth.
//!
//! Every function is total: any text gives a value or an [`Unreadable`], and texts over
//! [`MAX_TEXT_BYTES`] are refused before they are looked at.

mod amount;
mod date;
mod number;

pub use amount::{Amount, amount, currency};
pub use date::{DateOrder, date, excel_serial, moment, offset};
pub use number::{boolean, code, exact, number};

/// Texts longer than this are no date, number or truth.
pub const MAX_TEXT_BYTES: usize = 200;

/// Why a text could not be read, lower-case, without the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub &'static str);

/// Whether a character is white space to a person: Unicode white space, and the characters
/// of no width that spreadsheets and web pages leave behind.
pub const fn is_space(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{3164}'
        )
}

/// The text without white space at its ends and with full-width forms of ASCII characters,
/// the ideographic space and full-width currency signs made half-width.
pub fn fold(text: &str) -> String {
    text.trim_matches(is_space).chars().map(fold_char).collect()
}

/// The half-width form of one character; itself when it has none.
pub const fn fold_char(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => match char::from_u32(c as u32 - 0xfee0) {
            Some(half) => half,
            None => c,
        },
        '\u{3000}' | '\u{a0}' | '\u{2007}' | '\u{202f}' => ' ',
        '\u{ffe5}' => '¥',
        '\u{ffe1}' => '£',
        '\u{2212}' => '-',
        _ => c,
    }
}

/// [`fold`], refused when it is blank or too long.
fn short(text: &str) -> Result<String, Unreadable> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Unreadable("is too long"));
    }
    let folded = fold(text);
    if folded.is_empty() {
        Err(Unreadable("is blank"))
    } else {
        Ok(folded)
    }
}
