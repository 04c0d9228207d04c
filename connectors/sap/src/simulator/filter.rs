//! Filters of OData V2: comparisons of a property with a literal, `and`, `or`, `not`, brackets.

use serde_json::Value;

use super::Row;

/// A filter.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Always true: none was given.
    All,
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// One of both.
    Or(Box<Filter>, Box<Filter>),
    /// Not.
    Not(Box<Filter>),
    /// Property, operator, literal.
    Compare(String, String, Key),
}

/// What values are compared by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Nothing.
    Null,
    /// A number, or milliseconds of a time.
    Number(i128),
    /// A text.
    Text(String),
}

/// What a value is compared by.
pub fn key(value: &Value) -> Key {
    match value {
        Value::Null => Key::Null,
        Value::Bool(yes) => Key::Number(i128::from(*yes)),
        Value::String(text) => {
            let inner = text
                .strip_prefix("/Date(")
                .and_then(|t| t.strip_suffix(")/"));
            let number = inner.and_then(|t| t.split('+').next()?.parse().ok());
            number.map_or_else(|| Key::Text(text.clone()), Key::Number)
        }
        other => Key::Text(other.to_string()),
    }
}

fn words(text: &str) -> Option<Vec<String>> {
    let mut out: Vec<String> = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let mut end = 0;
        if "()".contains(first) {
            end = 1;
        } else {
            let mut quoted = false;
            for (at, c) in rest.char_indices() {
                if c == '\'' {
                    quoted = !quoted;
                } else if !quoted && (c.is_whitespace() || "()".contains(c)) {
                    break;
                }
                end = at + c.len_utf8();
            }
            if quoted {
                return None;
            }
        }
        out.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    Some(out)
}

fn literal(word: &str) -> Option<Key> {
    let inner = |prefix: &str| {
        word.strip_prefix(prefix)?
            .strip_prefix('\'')?
            .strip_suffix('\'')
    };
    if let Some(text) = inner("datetimeoffset").or_else(|| inner("datetime")) {
        let text = text.trim_end_matches('Z');
        let at = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").ok()?;
        return Some(Key::Number(at.and_utc().timestamp_millis().into()));
    }
    if let Some(text) = inner("") {
        return Some(Key::Text(text.replace("''", "'")));
    }
    match word {
        "null" => Some(Key::Null),
        "true" => Some(Key::Number(1)),
        "false" => Some(Key::Number(0)),
        number => number.parse().ok().map(Key::Number),
    }
}

struct Parser(std::iter::Peekable<std::vec::IntoIter<String>>);

impl Parser {
    fn is(&mut self, word: &str) -> bool {
        let is = self.0.peek().is_some_and(|w| w == word);
        if is {
            self.0.next();
        }
        is
    }
    fn any(&mut self) -> Option<Filter> {
        let mut left = self.all()?;
        while self.is("or") {
            left = Filter::Or(Box::new(left), Box::new(self.all()?));
        }
        Some(left)
    }
    fn all(&mut self) -> Option<Filter> {
        let mut left = self.one()?;
        while self.is("and") {
            left = Filter::And(Box::new(left), Box::new(self.one()?));
        }
        Some(left)
    }
    fn one(&mut self) -> Option<Filter> {
        if self.is("not") {
            return Some(Filter::Not(Box::new(self.one()?)));
        }
        if self.is("(") {
            let inner = self.any()?;
            return self.is(")").then_some(inner);
        }
        let name = self.0.next()?;
        let sign = self.0.next()?;
        let known = ["eq", "ne", "gt", "ge", "lt", "le"].contains(&&*sign);
        let value = literal(&self.0.next()?)?;
        known.then_some(Filter::Compare(name, sign, value))
    }
}

/// Reads a filter; `None` when it is none.
pub fn parse(text: &str) -> Option<Filter> {
    if text.trim().is_empty() {
        return Some(Filter::All);
    }
    let mut parser = Parser(words(text)?.into_iter().peekable());
    let filter = parser.any()?;
    parser.0.next().is_none().then_some(filter)
}

impl Filter {
    /// The properties it names.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::All => Vec::new(),
            Self::And(a, b) | Self::Or(a, b) => [a.names(), b.names()].concat(),
            Self::Not(a) => a.names(),
            Self::Compare(name, ..) => vec![name],
        }
    }

    /// Whether a row meets it; a comparison with nothing holds only as `eq` and `ne` say.
    pub fn holds(&self, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::And(a, b) => a.holds(row) && b.holds(row),
            Self::Or(a, b) => a.holds(row) || b.holds(row),
            Self::Not(a) => !a.holds(row),
            Self::Compare(name, sign, want) => {
                let is = key(row.get(name).unwrap_or(&Value::Null));
                let both = is != Key::Null && *want != Key::Null;
                match &**sign {
                    "eq" => is == *want,
                    "ne" => is != *want,
                    "gt" => both && is > *want,
                    "ge" => both && is >= *want,
                    "lt" => both && is < *want,
                    _ => both && is <= *want,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_hold_as_they_say() {
        let row =
            json!({"Id": "0001", "Day": "/Date(1794528000000)/", "None": null, "Name": "a'b c"});
        let row = row.as_object().unwrap();
        for (text, want) in [
            ("", true),
            (
                "Id gt '0000' and (Day ge datetime'2026-11-13T00:00:00' or Id eq 'x')",
                true,
            ),
            ("Day ge datetime'2026-11-14T00:00:00'", false),
            ("Day ge datetimeoffset'2026-11-13T00:00:00Z'", true),
            ("None ge datetime'2026-01-01T00:00:00'", false),
            ("None eq null and Day ne null", true),
            ("not (Name eq 'a''b c')", false),
        ] {
            assert_eq!(parse(text).map(|f| f.holds(row)), Some(want), "{text}");
        }
        for text in [
            "Id",
            "Id eq",
            "Id like 'x'",
            "(Id eq 'x'",
            "Id eq 'x",
            "Id eq 'x' or",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
