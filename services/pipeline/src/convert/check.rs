//! Collects what is wrong with a request; the checks that every field needs.

use jinke_types::{Failure, Violation};

/// Most violations reported for one request.
pub const MAX_VIOLATIONS: usize = 50;
/// Most bytes of a request id.
pub const MAX_REQUEST_ID: usize = 128;
/// Most characters of an external id.
pub const MAX_EXTERNAL_ID: usize = 256;

/// The violations of one request. A parser gives `None` after it noted one.
#[derive(Debug, Default)]
pub struct Check(Vec<Violation>);

impl Check {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that `field` is wrong.
    pub fn wrong<T>(&mut self, field: impl Into<String>, why: impl Into<String>) -> Option<T> {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push(Violation {
                field: field.into(),
                description: why.into(),
            });
        }
        None
    }

    /// What was parsed, or `INVALID_ARGUMENT`.
    ///
    /// # Errors
    /// When something was noted, or nothing parsed.
    pub fn finish<T>(self, parsed: Option<T>) -> Result<T, Failure> {
        match parsed {
            Some(parsed) if self.0.is_empty() => Ok(parsed),
            _ if self.0.is_empty() => Err(Failure::field("", "is not valid")),
            _ => Err(Failure::fields(self.0)),
        }
    }

    /// Text of at most `max` characters, without NUL; line breaks and tabs are let through.
    pub fn text(&mut self, field: &str, text: String, max: usize) -> Option<String> {
        // Bytes first: a megabyte is refused without being counted.
        if text.len() > max * 4 || text.chars().count() > max {
            return self.wrong(field, format!("is longer than {max} characters"));
        }
        let unprintable = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if text.chars().any(unprintable) {
            return self.wrong(field, "holds a control character");
        }
        Some(text)
    }

    /// Text of one line, without blanks around it.
    pub fn line(&mut self, field: &str, text: String, max: usize) -> Option<String> {
        let text = self.text(field, text, max)?;
        if text.chars().any(char::is_control) {
            return self.wrong(field, "holds a line break");
        }
        Some(text.trim().to_owned())
    }

    /// A line that is not empty.
    pub fn required(&mut self, field: &str, text: String, max: usize) -> Option<String> {
        let text = self.line(field, text, max)?;
        if text.is_empty() {
            return self.wrong(field, "is required");
        }
        Some(text)
    }

    /// A word of `a-z 0-9 _ -`, up to 63; may be empty.
    pub fn word(&mut self, field: &str, word: String) -> Option<String> {
        let plain =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
        if word.len() <= 63 && word.bytes().all(plain) {
            return Some(word);
        }
        self.wrong(field, "is not up to 63 of a-z 0-9 _ -")
    }

    /// One of a list; empty only when `optional`.
    pub fn one_of(
        &mut self,
        field: &str,
        word: String,
        list: &[&str],
        optional: bool,
    ) -> Option<String> {
        if (optional && word.is_empty()) || list.contains(&word.as_str()) {
            return Some(word);
        }
        self.wrong(field, format!("is none of {}", list.join(", ")))
    }

    /// The number in `<collection>/<number>`.
    pub fn numbered(&mut self, field: &str, name: &str, collection: &str) -> Option<i64> {
        match number_of(name, collection) {
            Some(n) => Some(n),
            None => self.wrong(
                field,
                format!("does not have the form {collection}/{{number}}"),
            ),
        }
    }

    /// As [`Check::numbered`], or none when empty.
    pub fn optional_number(
        &mut self,
        field: &str,
        name: &str,
        collection: &str,
    ) -> Option<Option<i64>> {
        if name.is_empty() {
            return Some(None);
        }
        self.numbered(field, name, collection).map(Some)
    }

    /// The id in `<collection>/<id>`, the id 1 to 63 of `a-z 0-9 -`, starting with a letter.
    pub fn named(&mut self, field: &str, name: &str, collection: &str) -> Option<String> {
        let id = name
            .strip_prefix(collection)
            .and_then(|rest| rest.strip_prefix('/'))
            .filter(|id| is_id(id));
        match id {
            Some(id) => Some(id.to_owned()),
            None => self.wrong(field, format!("does not have the form {collection}/{{id}}")),
        }
    }

    /// An id of its own: 1 to 63 of `a-z 0-9 -`, starting with a letter.
    pub fn id(&mut self, field: &str, id: &str) -> Option<String> {
        if is_id(id) {
            return Some(id.to_owned());
        }
        self.wrong(field, "is not 1 to 63 of a-z 0-9 -, starting with a letter")
    }

    /// `users/…` or `serviceAccounts/…`; empty only when `optional`.
    pub fn member(&mut self, field: &str, name: &str, optional: bool) -> Option<String> {
        let id = name
            .strip_prefix("users/")
            .or_else(|| name.strip_prefix("serviceAccounts/"));
        if (optional && name.is_empty()) || id.is_some_and(is_member_id) {
            return Some(name.to_owned());
        }
        self.wrong(field, "does not have the form users/{user}")
    }

    /// `orgUnits/…`, or empty for the enterprise.
    pub fn org_unit(&mut self, field: &str, name: &str) -> Option<String> {
        let id = name.strip_prefix("orgUnits/");
        if name.is_empty() || id.is_some_and(is_member_id) {
            return Some(name.to_owned());
        }
        self.wrong(
            field,
            "is not empty and does not have the form orgUnits/{orgUnit}",
        )
    }

    /// A foreign key: both parts or neither.
    pub fn foreign(
        &mut self,
        path: &str,
        source: &str,
        external_id: &str,
    ) -> Option<Option<(String, String)>> {
        if source.is_empty() && external_id.is_empty() {
            return Some(None);
        }
        let source = self.named(&format!("{path}source"), source, "sources");
        let field = format!("{path}external_id");
        let external_id = self.required(&field, external_id.to_owned(), MAX_EXTERNAL_ID);
        source.zip(external_id).map(Some)
    }

    /// A page size: `default` when 0.
    pub fn page_size(&mut self, size: i32, default: u32, max: u32) -> Option<u32> {
        match u32::try_from(size) {
            Ok(0) => Some(default),
            Ok(n) if n <= max => Some(n),
            _ => self.wrong("page_size", format!("is not between 0 and {max}")),
        }
    }

    /// A request id: empty, or printable ASCII.
    pub fn request_id(&mut self, id: &str) -> Option<Option<String>> {
        if id.is_empty() {
            return Some(None);
        }
        if id.len() <= MAX_REQUEST_ID && id.bytes().all(|b| b.is_ascii_graphic()) {
            return Some(Some(id.to_owned()));
        }
        let why = format!("is not 1 to {MAX_REQUEST_ID} printable ASCII characters");
        self.wrong("request_id", why)
    }

    /// The number of a known enum value; `zero` for 0, or a violation when there is none.
    pub fn choice<E: TryFrom<i32>>(
        &mut self,
        field: &str,
        value: i32,
        zero: Option<i64>,
    ) -> Option<i64> {
        match (value, zero) {
            (0, Some(zero)) => Some(zero),
            (0, None) => self.wrong(field, "is required"),
            (n, _) if E::try_from(n).is_ok() => Some(i64::from(n)),
            (n, _) => self.wrong(field, format!("{n} is not one of its values")),
        }
    }

    /// Paths of an update mask; all of `fields` when it is empty. A path that is none of them is a
    /// violation.
    pub fn paths(
        &mut self,
        mask: Option<prost_types::FieldMask>,
        fields: &'static [&'static str],
        all: &[&'static str],
    ) -> Paths {
        let mut paths = Vec::new();
        for path in mask.map(|m| m.paths).unwrap_or_default() {
            match fields.iter().find(|f| **f == path) {
                Some(field) => paths.push(*field),
                None => {
                    let why = format!("its paths are {}", fields.join(", "));
                    self.wrong::<()>("update_mask", why);
                    break;
                }
            }
        }
        if paths.is_empty() {
            paths = all.to_vec();
        }
        Paths(paths)
    }
}

/// Which fields an update names.
#[derive(Clone, Debug)]
pub struct Paths(Vec<&'static str>);

impl Paths {
    /// Whether this one.
    pub fn has(&self, field: &str) -> bool {
        self.0.contains(&field)
    }
    /// The value when this field is named; nothing, and no check, when not.
    pub fn when<T>(&self, field: &str, value: impl FnOnce() -> Option<T>) -> Option<Option<T>> {
        if self.has(field) {
            value().map(Some)
        } else {
            Some(None)
        }
    }
}

/// The number in `<collection>/<number>`, in its one spelling.
pub fn number_of(name: &str, collection: &str) -> Option<i64> {
    let digits = name.strip_prefix(collection)?.strip_prefix('/')?;
    let plain = (1..=19).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

fn is_id(id: &str) -> bool {
    id.len() <= 63
        && id.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_member_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        for bad in [
            "",
            "leads/",
            "leads/0",
            "leads/01",
            "leads/+1",
            "leads/-1",
            "leads/1/x",
            "lead/1",
            "leads/9223372036854775808",
            "leads/\u{ff11}",
            "leads/1 ",
        ] {
            assert_eq!(Check::new().numbered("name", bad, "leads"), None, "{bad}");
        }
        assert_eq!(Check::new().numbered("name", "leads/42", "leads"), Some(42));
        for bad in ["users/", "users/a b", "users/../x", "ana", "users/王"] {
            assert_eq!(Check::new().member("owner", bad, false), None, "{bad}");
        }
        assert_eq!(
            Check::new()
                .member("owner", "users/li.lei", false)
                .as_deref(),
            Some("users/li.lei")
        );
    }

    #[test]
    fn long_and_unprintable_text_is_refused_and_reports_are_bounded() {
        let mut check = Check::new();
        assert_eq!(check.text("a", "名".repeat(11), 10), None);
        assert_eq!(check.text("b", "x\0y".to_owned(), 10), None);
        assert_eq!(check.line("c", "a\nb".to_owned(), 10), None);
        assert_eq!(
            check.text("d", "a\nb".to_owned(), 10).as_deref(),
            Some("a\nb")
        );
        for _ in 0..1_000 {
            check.wrong::<()>("e", "is wrong");
        }
        let failure = check.finish(Some(())).unwrap_err();
        assert_eq!(failure.violations.len(), MAX_VIOLATIONS);
    }

    #[test]
    fn an_unknown_path_is_named() {
        let mut check = Check::new();
        let mask = prost_types::FieldMask {
            paths: vec!["owner".to_owned()],
        };
        check.paths(Some(mask), &["a", "b"], &["a"]);
        assert!(check.finish(Some(())).is_err());
        let mut check = Check::new();
        let paths = check.paths(None, &["a", "b"], &["a"]);
        assert!(paths.has("a") && !paths.has("b"));
    }
}
