//! Identifiers and their check characters.

use smol_str::SmolStr;

use super::text::fold;

/// The schemes with a standard form and check of their own. Others are folded text.
pub const USCC: &str = "uscc";

const USCC_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// An identifier in standard form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parsed {
    /// Letters and digits only, upper-case.
    pub text: SmolStr,
    /// The scheme's check holds, or the scheme has none and the length is plausible.
    pub valid: bool,
}

fn alnum(text: &str) -> SmolStr {
    let upper = |t: &str| -> SmolStr {
        let kept = t.chars().filter(char::is_ascii_alphanumeric);
        kept.map(|c| c.to_ascii_uppercase()).collect()
    };
    // Folding leaves these as they are, or they fall away.
    if text.len() <= 64 && text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return upper(text);
    }
    upper(&fold(text, 64))
}

/// Whether `text` is 18 characters with a right check character (GB 32100-2015).
pub fn uscc_holds(text: &str) -> bool {
    let t = text.as_bytes();
    let Some((last, body)) = t.split_last() else {
        return false;
    };
    if body.len() != 17 {
        return false;
    }
    let mut sum = 0;
    let mut factor = 1;
    for c in body {
        let Some(v) = USCC_ALPHABET.iter().position(|x| x == c) else {
            return false;
        };
        sum = (sum + v * factor) % 31;
        factor = factor * 3 % 31;
    }
    USCC_ALPHABET[(31 - sum) % 31] == *last
}

/// Standard form of a USCC. The alphabet lacks I, O, S, V and Z, so I is read as 1, O as 0,
/// S as 5, Z as 2.
pub fn uscc(text: &str) -> Parsed {
    let text: SmolStr = alnum(text)
        .chars()
        .map(|c| match c {
            'I' => '1',
            'O' => '0',
            'S' => '5',
            'Z' => '2',
            c => c,
        })
        .collect();
    Parsed {
        valid: uscc_holds(&text),
        text,
    }
}

/// Whether `text` is 9 characters with a right check character (GB 11714-1997).
pub fn org_code_holds(text: &str) -> bool {
    const WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
    let t: Vec<char> = text.chars().collect();
    let [body @ .., last] = t.as_slice() else {
        return false;
    };
    if body.len() != 8 {
        return false;
    }
    let mut sum = 0;
    for (c, w) in body.iter().zip(WEIGHTS) {
        let Some(v) = c.to_digit(36) else {
            return false;
        };
        sum += v * w;
    }
    let check = match 11 - sum % 11 {
        10 => 'X',
        11 => '0',
        n => char::from_digit(n, 10).unwrap_or('?'),
    };
    check == *last
}

/// Whether `text` is an 18-digit resident identity number with a plausible date and a right
/// check character (GB 11643-1999).
pub fn id_card_holds(text: &str) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let t: Vec<char> = text.chars().collect();
    let [body @ .., last] = t.as_slice() else {
        return false;
    };
    if body.len() != 17 {
        return false;
    }
    let mut sum = 0;
    for (c, w) in body.iter().zip(WEIGHTS) {
        let Some(v) = c.to_digit(10) else {
            return false;
        };
        sum += v * w;
    }
    let number = |from: usize, to: usize| -> u32 {
        body[from..to]
            .iter()
            .fold(0, |n, c| n * 10 + c.to_digit(10).unwrap_or(0))
    };
    let plausible = (1800..2200).contains(&number(6, 10))
        && (1..=12).contains(&number(10, 12))
        && (1..=31).contains(&number(12, 14));
    plausible && "10X98765432".chars().nth((sum % 11) as usize) == Some(*last)
}

/// Whether `text` is a 20-character legal entity identifier (ISO 17442, ISO 7064 mod 97-10).
pub fn lei_holds(text: &str) -> bool {
    if text.len() != 20 {
        return false;
    }
    let mut rest = 0_u32;
    for c in text.chars() {
        let Some(v) = c.to_digit(36) else {
            return false;
        };
        rest = if v < 10 {
            rest * 10 + v
        } else {
            rest * 100 + v
        } % 97;
    }
    rest == 1
}

/// Whether the digits satisfy the Luhn check of payment cards. A sign of quality only:
/// account numbers of companies have no such check.
pub fn luhn_holds(digits: &str) -> bool {
    let mut sum = 0;
    for (i, c) in digits.chars().rev().enumerate() {
        let Some(d) = c.to_digit(10) else {
            return false;
        };
        sum += match (i % 2, d * 2) {
            (0, _) => d,
            (_, n) if n > 9 => n - 9,
            (_, n) => n,
        };
    }
    !digits.is_empty() && sum % 10 == 0
}

/// Standard form of an identifier of any scheme; `None` when nothing remains.
pub fn parse(scheme: &str, text: &str) -> Option<Parsed> {
    let raw = if scheme == USCC {
        SmolStr::default()
    } else {
        alnum(text)
    };
    let parsed = match scheme {
        USCC => uscc(text),
        "org_code" => Parsed {
            valid: org_code_holds(&raw),
            text: raw,
        },
        "id_card" => {
            // The old form of 15 digits has no check; only its length tells.
            let old = raw.len() == 15 && raw.bytes().all(|b| b.is_ascii_digit());
            Parsed {
                valid: old || id_card_holds(&raw),
                text: raw,
            }
        }
        // Tax numbers have been USCC since 2015; before, 15 to 20 characters.
        "tax_no" => Parsed {
            valid: (15..=20).contains(&raw.len()),
            text: raw,
        },
        "reg_no" => Parsed {
            valid: (raw.len() == 15 || raw.len() == 13) && raw.bytes().all(|b| b.is_ascii_digit()),
            text: raw,
        },
        "duns" => Parsed {
            valid: raw.len() == 9 && raw.bytes().all(|b| b.is_ascii_digit()),
            text: raw,
        },
        "lei" => Parsed {
            valid: lei_holds(&raw),
            text: raw,
        },
        "vat" => Parsed {
            valid: (4..=15).contains(&raw.len()),
            text: raw,
        },
        "passport" => Parsed {
            valid: (6..=12).contains(&raw.len()),
            text: raw,
        },
        _ => {
            // A foreign system's number may be of any shape; blanks and case do not matter.
            let text: SmolStr = fold(text, 64)
                .chars()
                .filter(|c| !c.is_whitespace())
                .collect();
            Parsed {
                valid: !text.is_empty(),
                text,
            }
        }
    };
    // A number of one repeated character is a placeholder typed to get past a form.
    let first = parsed.text.chars().next()?;
    let placeholder = parsed.text.chars().count() >= 4 && parsed.text.chars().all(|c| c == first);
    Some(Parsed {
        valid: parsed.valid && !placeholder,
        ..parsed
    })
}

/// The organization code inside a USCC (characters 9 to 17).
pub fn org_code_of_uscc(uscc: &str) -> Option<&str> {
    uscc.get(8..17)
}
