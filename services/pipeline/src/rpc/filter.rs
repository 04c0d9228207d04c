//! Filters of lists: AIP-160 in small.
//!
//! ```text
//! filter = term { "AND" term }
//! term   = field op value
//! op     = "=" | "<" | "<=" | ">" | ">="
//! value  = a word of letters, digits and _ - . : / + @, or "text" with \" and \\
//! ```
//!
//! A filter has at most [`MAX_FILTER`] characters and [`MAX_TERMS`] terms; a field may be named as
//! often as wanted, since terms only narrow.

use jinke_store::Arg;
use jinke_types::{Failure, Timestamp};

use crate::{
    convert::check::number_of,
    store::list::{Condition, Order},
};

/// Most characters of a filter.
pub const MAX_FILTER: usize = 2_000;
/// Most terms of a filter.
pub const MAX_TERMS: usize = 20;

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// One term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Field.
    pub field: String,
    /// How.
    pub op: Op,
    /// With what.
    pub value: String,
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Op(Op),
}

fn wrong(why: impl Into<String>) -> Failure {
    Failure::field("filter", why)
}

/// The terms of a filter.
///
/// # Errors
/// `INVALID_FIELD`, field `filter`.
pub fn parse(text: &str) -> Result<Vec<Term>, Failure> {
    if text.len() > MAX_FILTER * 4 || text.chars().count() > MAX_FILTER {
        return Err(wrong(format!("is longer than {MAX_FILTER} characters")));
    }
    let tokens = tokens(text)?;
    let mut terms = Vec::new();
    let mut rest = tokens.as_slice();
    if rest.is_empty() {
        return Ok(terms);
    }
    loop {
        let [Token::Word(field), Token::Op(op), value, after @ ..] = rest else {
            return Err(wrong("a term has the form field = value"));
        };
        let (Token::Word(value) | Token::Text(value)) = value else {
            return Err(wrong(format!("{field} is compared with nothing")));
        };
        terms.push(Term {
            field: field.clone(),
            op: *op,
            value: value.clone(),
        });
        if terms.len() > MAX_TERMS {
            return Err(wrong(format!("has more than {MAX_TERMS} terms")));
        }
        match after {
            [] => return Ok(terms),
            [Token::Word(and), more @ ..] if and == "AND" => rest = more,
            _ => return Err(wrong("terms are joined with AND")),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, Failure> {
    let is_word =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/' | '+' | '@');
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '=' => out.push(Token::Op(Op::Equal)),
            '<' | '>' => {
                let or_equal = chars.next_if_eq(&'=').is_some();
                out.push(Token::Op(match (c, or_equal) {
                    ('<', false) => Op::Less,
                    ('<', true) => Op::LessOrEqual,
                    (_, false) => Op::Greater,
                    (_, true) => Op::GreaterOrEqual,
                }));
            }
            '"' => {
                let mut quoted = String::new();
                loop {
                    match chars.next() {
                        None => return Err(wrong("a text is not closed with \"")),
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\')) => quoted.push(c),
                            _ => return Err(wrong("\\ stands before \" or \\ only")),
                        },
                        Some('\0') => return Err(wrong("holds a NUL character")),
                        Some(c) => quoted.push(c),
                    }
                }
                out.push(Token::Text(quoted));
            }
            c if is_word(c) => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| is_word(*c)) {
                    word.push(c);
                }
                out.push(Token::Word(word));
            }
            _ => return Err(wrong("put text that is not a plain word between \"")),
        }
    }
    Ok(out)
}

/// Conditions of the five operators on one column.
pub type Column = [&'static str; 5];

/// The texts of a column's conditions: `compared!("t.due_time")`.
macro_rules! compared {
    ($name:literal) => {
        [
            concat!($name, " = ?"),
            concat!($name, " < ?"),
            concat!($name, " <= ?"),
            concat!($name, " > ?"),
            concat!($name, " >= ?"),
        ]
    };
}

pub(super) use compared;

impl Op {
    const fn index(self) -> usize {
        match self {
            Self::Equal => 0,
            Self::Less => 1,
            Self::LessOrEqual => 2,
            Self::Greater => 3,
            Self::GreaterOrEqual => 4,
        }
    }
}

impl Term {
    /// Refuses another operator than `=`.
    ///
    /// # Errors
    /// `INVALID_FIELD`.
    pub fn equal(&self) -> Result<&str, Failure> {
        if self.op == Op::Equal {
            Ok(&self.value)
        } else {
            Err(wrong(format!("{} can only be compared with =", self.field)))
        }
    }

    /// Text equal to a column.
    ///
    /// # Errors
    /// `INVALID_FIELD`.
    pub fn text(&self, condition: &'static str) -> Result<Condition, Failure> {
        Ok((condition, vec![Arg::from(self.equal()?)]))
    }

    /// A time, RFC 3339 or a date.
    ///
    /// # Errors
    /// `INVALID_FIELD`.
    pub fn time(&self, column: Column) -> Result<Condition, Failure> {
        let time = Timestamp::parse(&self.value)
            .ok_or_else(|| wrong(format!("{} is compared with an RFC 3339 time", self.field)))?;
        Ok((column[self.op.index()], vec![Arg::from(time)]))
    }

    /// A date `YYYY-MM-DD` against a column of such text.
    ///
    /// # Errors
    /// `INVALID_FIELD`.
    pub fn date(&self, column: Column) -> Result<Condition, Failure> {
        if chrono::NaiveDate::parse_from_str(&self.value, "%Y-%m-%d").is_err()
            || self.value.len() != 10
        {
            return Err(wrong(format!("{} is compared with YYYY-MM-DD", self.field)));
        }
        Ok((column[self.op.index()], vec![Arg::from(&self.value)]))
    }

    /// The number in a resource name.
    ///
    /// # Errors
    /// `INVALID_FIELD`.
    pub fn number(&self, collection: &str) -> Result<i64, Failure> {
        number_of(self.equal()?, collection)
            .ok_or_else(|| wrong(format!("{} has the form \"{collection}/…\"", self.field)))
    }

    /// One of these words, each with a number.
    ///
    /// # Errors
    /// `INVALID_FIELD`.
    pub fn word(&self, words: &[(&str, i64)]) -> Result<i64, Failure> {
        let value = self.equal()?;
        words
            .iter()
            .find(|(word, _)| *word == value)
            .map(|(_, n)| *n)
            .ok_or_else(|| {
                let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                wrong(format!("{} is one of {}", self.field, all.join(", ")))
            })
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// `INVALID_FIELD`.
    pub fn truth(&self) -> Result<bool, Failure> {
        Ok(self.word(&[("true", 1), ("false", 0)])? == 1)
    }

    /// A field that is none of the list's.
    pub fn unknown(&self, fields: &str) -> Failure {
        wrong(format!("the fields are {fields}"))
    }
}

/// The order of a list: a field of `fields`, with ` desc` behind it or not; by id when empty.
///
/// # Errors
/// `INVALID_FIELD`, field `order_by`.
pub fn order(
    text: &str,
    fields: &[(&str, &'static str)],
    texts: &[&'static str],
) -> Result<Order, Failure> {
    let names = || {
        let all: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
        let why = format!(
            "is one of name, {}, with desc behind it or not",
            all.join(", ")
        );
        Failure::field("order_by", why)
    };
    if text.len() > 100 {
        return Err(names());
    }
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or("name");
    let descending = match (words.next(), words.next()) {
        (None, _) | (Some("asc"), None) => false,
        (Some("desc"), None) => true,
        _ => return Err(names()),
    };
    if first == "name" {
        return Ok(Order {
            descending,
            ..Order::ID
        });
    }
    let (_, column) = fields
        .iter()
        .find(|(name, _)| *name == first)
        .ok_or_else(names)?;
    Ok(Order {
        column: Some(column),
        text: texts.contains(column),
        descending,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read() {
        let terms =
            parse("owner = \"users/li.lei\" AND close_date<=2026-06-30 AND stale = true").unwrap();
        assert_eq!(terms.len(), 3);
        assert_eq!(
            (terms[0].field.as_str(), terms[0].value.as_str()),
            ("owner", "users/li.lei")
        );
        assert_eq!(terms[1].op, Op::LessOrEqual);
        assert_eq!(parse(" ").unwrap(), Vec::new());
        assert_eq!(parse("a = \"x\\\"y\"").unwrap()[0].value, "x\"y");
    }

    #[test]
    fn hostile_filters_are_refused() {
        let many = vec!["a = true"; 30].join(" AND ");
        let long = format!("a = \"{}\"", "字".repeat(10_000));
        for bad in [
            "a",
            "a =",
            "= =",
            "a = b OR c = d",
            "AND",
            "a = b AND",
            "a = b c = d",
            "a = \"open",
            "a = \"x\\n\"",
            "a = 'x'",
            "a = = b",
            "a = \"a\0b\"",
            "a = (\"x\")",
            "1=1; DROP TABLE leads",
            &many,
            &long,
        ] {
            let failure = parse(bad).expect_err(bad);
            assert_eq!(failure.violations[0].field, "filter");
        }
    }

    #[test]
    fn orders_are_listed() {
        let fields = [("create_time", "create_time"), ("close_date", "close_date")];
        let by = |text| order(text, &fields, &["close_date"]);
        assert_eq!(by("").unwrap(), Order::ID);
        assert!(by("close_date desc").unwrap().text);
        for bad in [
            "phone",
            "create_time down",
            "name desc desc",
            "name; --",
            &"x".repeat(1_000),
        ] {
            assert!(by(bad).is_err(), "{bad}");
        }
    }
}
