//! Collecting what is wrong with a request, and the checks every field needs.

use jinke_types::{Failure, Violation};

/// Most violations reported for one request; the rest would only repeat them.
pub const MAX_VIOLATIONS: usize = 50;
/// Most characters of an external id.
pub const MAX_EXTERNAL_ID: usize = 256;
/// Most characters of a `request_id`.
pub const MAX_REQUEST_ID: usize = 128;

/// Collects the violations of one request.
///
/// Parsing functions return an `Option`: `None` means that a violation was recorded.
#[derive(Debug, Default)]
pub struct Check {
    violations: Vec<Violation>,
    failed: bool,
}

/// A path with a field name after it; the empty path gives the name alone.
pub fn join(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

impl Check {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records that `field` is wrong. Returns `None`, so that a parser can end with it.
    pub fn wrong<T>(&mut self, field: impl Into<String>, why: impl Into<String>) -> Option<T> {
        self.failed = true;
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation {
                field: field.into(),
                description: why.into(),
            });
        }
        None
    }

    /// Whether something was wrong.
    pub const fn failed(&self) -> bool {
        self.failed
    }

    /// `INVALID_ARGUMENT` when something was wrong.
    pub fn done(self) -> Result<(), Failure> {
        if self.failed {
            Err(Failure::fields(self.violations))
        } else {
            Ok(())
        }
    }

    /// The parsed value, or `INVALID_ARGUMENT` when something was wrong.
    pub fn finish<T>(mut self, parsed: Option<T>) -> Result<T, Failure> {
        match parsed {
            Some(parsed) if !self.failed => Ok(parsed),
            _ => {
                if !self.failed {
                    self.wrong::<()>("", "is not valid");
                }
                Err(Failure::fields(self.violations))
            }
        }
    }

    /// Text of at most `max` characters without NUL.
    pub fn text(&mut self, field: impl Into<String>, text: String, max: usize) -> Option<String> {
        // Bytes first: counting the characters of a name of 10 MB is work for nothing.
        if text.len() > max.saturating_mul(4) || text.chars().count() > max {
            return self.wrong(field, format!("is longer than {max} characters"));
        }
        if text.contains('\0') {
            return self.wrong(field, "holds a NUL character");
        }
        Some(text)
    }

    /// Text as [`Check::text`], and without control characters: it is shown on one line.
    pub fn line(&mut self, field: impl Into<String>, text: String, max: usize) -> Option<String> {
        let field = field.into();
        let text = self.text(field.clone(), text, max)?;
        if text.chars().any(char::is_control) {
            return self.wrong(field, "holds a control character");
        }
        Some(text)
    }

    /// A word of at most `max` characters of `a-z A-Z 0-9` and `extra`; may be empty.
    pub fn word(
        &mut self,
        field: impl Into<String>,
        word: String,
        max: usize,
        extra: &str,
    ) -> Option<String> {
        let field = field.into();
        let word = self.text(field.clone(), word, max)?;
        if !word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
        {
            return self.wrong(field, format!("may hold a-z, A-Z, 0-9 and {extra} only"));
        }
        Some(word)
    }

    /// The id in `sources/{source}`.
    pub fn source_name(&mut self, field: impl Into<String>, name: &str) -> Option<String> {
        let field = field.into();
        if name.is_empty() {
            return self.wrong(field, "is required, in the form sources/{source}");
        }
        match name.strip_prefix("sources/") {
            Some(id) if is_source_id(id) => Some(id.to_owned()),
            _ => self.wrong(field, "must have the form sources/{source}"),
        }
    }

    /// The number in `customers/{customer}`.
    pub fn customer_name(&mut self, field: impl Into<String>, name: &str) -> Option<i64> {
        let field = field.into();
        if name.is_empty() {
            return self.wrong(field, "is required, in the form customers/{customer}");
        }
        match name.strip_prefix("customers/").and_then(id_number) {
            Some(n) => Some(n),
            None => self.wrong(field, "must have the form customers/{customer}"),
        }
    }

    /// The number in `judgements/{judgement}`.
    pub fn judgement_name(&mut self, field: impl Into<String>, name: &str) -> Option<i64> {
        let field = field.into();
        match name.strip_prefix("judgements/").and_then(id_number) {
            Some(n) => Some(n),
            None => self.wrong(field, "must have the form judgements/{judgement}"),
        }
    }

    /// A page size: `default` when 0.
    pub fn page_size(&mut self, size: i32, default: u32, max: u32) -> Option<u32> {
        match u32::try_from(size) {
            Ok(0) => Some(default),
            Ok(n) if n <= max => Some(n),
            _ => self.wrong("page_size", format!("must be between 0 and {max}")),
        }
    }

    /// A request id: empty, or up to [`MAX_REQUEST_ID`] printable ASCII characters.
    pub fn request_id(&mut self, id: &str) -> Option<Option<String>> {
        if id.is_empty() {
            return Some(None);
        }
        if id.len() > MAX_REQUEST_ID || !id.bytes().all(|b| b.is_ascii_graphic()) {
            return self.wrong(
                "request_id",
                format!("must be 1 to {MAX_REQUEST_ID} printable ASCII characters"),
            );
        }
        Some(Some(id.to_owned()))
    }

    /// A known enum value other than 0.
    pub fn required_enum<E: TryFrom<i32> + Default + PartialEq>(
        &mut self,
        field: impl Into<String>,
        enum_name: &str,
        number: i32,
    ) -> Option<E> {
        let field = field.into();
        let value: E = self.known_enum(field.clone(), enum_name, number)?;
        if value == E::default() {
            return self.wrong(field, format!("a value of {enum_name} is required"));
        }
        Some(value)
    }

    /// A known enum value; 0 is let through. A newer client's value is refused by name and
    /// number, because taking it for something else would store a wrong fact.
    pub fn known_enum<E: TryFrom<i32>>(
        &mut self,
        field: impl Into<String>,
        enum_name: &str,
        number: i32,
    ) -> Option<E> {
        match E::try_from(number) {
            Ok(value) => Some(value),
            Err(_) => self.wrong(field, format!("{number} is not a value of {enum_name}")),
        }
    }
}

/// Whether `id` is 1 to 63 of `a-z 0-9 -`, starting with a letter.
pub fn is_source_id(id: &str) -> bool {
    id.len() <= 63
        && id.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A positive number in its one spelling: no sign, no leading zero.
pub fn id_number(text: &str) -> Option<i64> {
    let plain = !text.is_empty()
        && text.len() <= 19
        && !text.starts_with('0')
        && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::pb;

    #[test]
    fn names_have_one_spelling() {
        for bad in [
            "",
            "customers/",
            "customers/0",
            "customers/01",
            "customers/+1",
            "customers/-1",
            "customers/9223372036854775808",
            "customers/1/x",
            "customer/1",
            "customers/１",
        ] {
            assert_eq!(Check::new().customer_name("name", bad), None, "{bad}");
        }
        assert_eq!(Check::new().customer_name("name", "customers/42"), Some(42));
        for bad in [
            "",
            "sources/",
            "sources/1erp",
            "sources/ERP",
            "sources/a b",
            "erp",
        ] {
            assert_eq!(Check::new().source_name("name", bad), None, "{bad}");
        }
        assert_eq!(
            Check::new().source_name("name", "sources/erp-1"),
            Some("erp-1".to_owned())
        );
    }

    #[test]
    fn unknown_enum_values_are_named() {
        let mut check = Check::new();
        assert_eq!(
            check.required_enum::<pb::PartyKind>("kind", "PartyKind", 99),
            None
        );
        assert_eq!(
            check.required_enum::<pb::PartyKind>("kind", "PartyKind", 0),
            None
        );
        let failure = check.done().unwrap_err();
        assert_eq!(
            failure.violations[0].description,
            "99 is not a value of PartyKind"
        );
        assert_eq!(
            failure.violations[1].description,
            "a value of PartyKind is required"
        );
    }

    #[test]
    fn long_text_and_nul_are_refused_and_reports_are_bounded() {
        let mut check = Check::new();
        assert_eq!(check.text("a", "名".repeat(11), 10), None);
        assert_eq!(check.text("b", "x\0y".to_owned(), 10), None);
        assert_eq!(check.text("c", "名".repeat(10), 10), Some("名".repeat(10)));
        assert_eq!(check.line("d", "a\nb".to_owned(), 10), None);
        for _ in 0..1_000 {
            check.wrong::<()>("e", "is wrong");
        }
        assert_eq!(check.done().unwrap_err().violations.len(), MAX_VIOLATIONS);
    }

    #[test]
    fn a_parser_that_gave_nothing_is_an_error_even_without_a_violation() {
        assert!(Check::new().finish(None::<()>).is_err());
        assert_eq!(Check::new().finish(Some(7)), Ok(7));
    }
}
