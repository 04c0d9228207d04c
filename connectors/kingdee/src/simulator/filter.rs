//! The SQL-like conditions of queries: comparisons, `in`, `like`, `is null`, `and`, `or`, `not`
//! and brackets over names, texts and numbers.

use std::cmp::Ordering;

use serde_json::Value;

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Always true: no condition was given.
    All,
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// One of both.
    Or(Box<Filter>, Box<Filter>),
    /// Not.
    Not(Box<Filter>),
    /// A comparison of a field with a value: one of `= <> > >= < <=`.
    Compare(String, String, Value),
    /// The field is one of the values.
    In(String, Vec<Value>),
    /// The field is like the text, with `%` for anything.
    Like(String, String),
    /// The field is empty.
    Null(String),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(String),
    Sign(String),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
        } else if first == '\'' {
            let mut value = String::new();
            let mut chars = rest[1..].char_indices().peekable();
            let end = loop {
                let (at, c) = chars.next()?;
                if c != '\'' {
                    value.push(c);
                } else if chars.peek().is_some_and(|(_, next)| *next == '\'') {
                    value.push('\'');
                    chars.next();
                } else {
                    break at;
                }
            };
            out.push(Token::Text(value));
            rest = &rest[1 + end + 1..];
        } else if first.is_ascii_alphabetic() || first == '_' {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            out.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else if first.is_ascii_digit() || first == '-' {
            let end = rest[1..].find(|c: char| !c.is_ascii_digit() && c != '.');
            let end = end.map_or(rest.len(), |e| e + 1);
            out.push(Token::Number(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            let two = ["<>", ">=", "<=", "!="];
            let sign = two.iter().find(|s| rest.starts_with(**s));
            let sign = sign.map_or_else(|| first.to_string(), |s| (*s).to_owned());
            if sign.len() == 1 && !"=<>(),".contains(first) {
                return None;
            }
            rest = &rest[sign.len()..];
            out.push(Token::Sign(sign));
        }
    }
    Some(out)
}

struct Parser(std::iter::Peekable<std::vec::IntoIter<Token>>);

impl Parser {
    fn word(&mut self, word: &str) -> bool {
        let is = matches!(self.0.peek(), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word));
        if is {
            self.0.next();
        }
        is
    }

    fn sign(&mut self, sign: &str) -> bool {
        let is = matches!(self.0.peek(), Some(Token::Sign(s)) if s == sign);
        if is {
            self.0.next();
        }
        is
    }

    fn value(&mut self) -> Option<Value> {
        match self.0.next()? {
            Token::Text(text) => Some(Value::String(text)),
            Token::Number(text) => serde_json::from_str(&text).ok(),
            _ => None,
        }
    }

    fn any(&mut self) -> Option<Filter> {
        let mut left = self.all()?;
        while self.word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.all()?));
        }
        Some(left)
    }

    fn all(&mut self) -> Option<Filter> {
        let mut left = self.one()?;
        while self.word("and") {
            left = Filter::And(Box::new(left), Box::new(self.one()?));
        }
        Some(left)
    }

    fn one(&mut self) -> Option<Filter> {
        if self.word("not") {
            return Some(Filter::Not(Box::new(self.one()?)));
        }
        if self.sign("(") {
            let inner = self.any()?;
            return self.sign(")").then_some(inner);
        }
        let Token::Word(name) = self.0.next()? else {
            return None;
        };
        if self.word("in") {
            let mut list = Vec::new();
            if !self.sign("(") {
                return None;
            }
            loop {
                list.push(self.value()?);
                if self.sign(")") {
                    return Some(Filter::In(name, list));
                }
                if !self.sign(",") {
                    return None;
                }
            }
        }
        if self.word("like") {
            let text = self.value()?;
            return Some(Filter::Like(name, text.as_str()?.to_owned()));
        }
        if self.word("is") {
            let not = self.word("not");
            let null = self.word("null").then_some(Filter::Null(name))?;
            return Some(if not {
                Filter::Not(Box::new(null))
            } else {
                null
            });
        }
        let Token::Sign(sign) = self.0.next()? else {
            return None;
        };
        let sign = if sign == "!=" { "<>".to_owned() } else { sign };
        if !["=", "<>", ">", ">=", "<", "<="].contains(&&*sign) {
            return None;
        }
        Some(Filter::Compare(name, sign, self.value()?))
    }
}

/// Reads a condition; `None` when it is none.
pub fn parse(text: &str) -> Option<Filter> {
    if text.trim().is_empty() {
        return Some(Filter::All);
    }
    let mut parser = Parser(tokens(text)?.into_iter().peekable());
    let filter = parser.any()?;
    parser.0.next().is_none().then_some(filter)
}

/// How two values compare; times as texts without their fraction's trailing part and with a
/// blank for the `T`.
pub fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    let number = |v: &Value| match v {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.parse::<f64>().ok(),
        _ => None,
    };
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => None,
        (Value::Number(_), _) | (_, Value::Number(_)) => number(a)?.partial_cmp(&number(b)?),
        (Value::String(a), Value::String(b)) => {
            let plain = |text: &str| text.replacen('T', " ", usize::from(text.len() > 10));
            Some(plain(a).cmp(&plain(b)))
        }
        _ => None,
    }
}

impl Filter {
    /// The fields it names.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::All => Vec::new(),
            Self::And(a, b) | Self::Or(a, b) => [a.names(), b.names()].concat(),
            Self::Not(a) => a.names(),
            Self::Compare(name, ..)
            | Self::In(name, _)
            | Self::Like(name, _)
            | Self::Null(name) => {
                vec![name]
            }
        }
    }

    /// Whether a row meets it; `of` tells the value of a field.
    pub fn holds(&self, of: &dyn Fn(&str) -> Value) -> bool {
        match self {
            Self::All => true,
            Self::And(a, b) => a.holds(of) && b.holds(of),
            Self::Or(a, b) => a.holds(of) || b.holds(of),
            Self::Not(a) => !a.holds(of),
            Self::Null(name) => of(name).is_null(),
            Self::In(name, list) => {
                let value = of(name);
                list.iter()
                    .any(|v| compare(&value, v) == Some(Ordering::Equal))
            }
            Self::Like(name, text) => {
                let value = of(name);
                let value = value.as_str().unwrap_or_default();
                let parts: Vec<&str> = text.split('%').collect();
                let mut rest = value;
                let last = parts.len() - 1;
                parts.iter().enumerate().all(|(i, part)| {
                    let at = match i {
                        0 => rest.starts_with(part).then_some(0),
                        _ if i == last && !part.is_empty() => {
                            rest.ends_with(part).then(|| rest.len() - part.len())
                        }
                        _ => rest.find(part),
                    };
                    at.inspect(|at| rest = &rest[at + part.len()..]).is_some()
                }) && (last > 0 || rest.is_empty())
            }
            Self::Compare(name, sign, value) => {
                let Some(order) = compare(&of(name), value) else {
                    return false;
                };
                match &**sign {
                    "=" => order.is_eq(),
                    "<>" => order.is_ne(),
                    ">" => order.is_gt(),
                    ">=" => order.is_ge(),
                    "<" => order.is_lt(),
                    _ => order.is_le(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(text: &str) -> Option<bool> {
        let of = |name: &str| match name {
            "FID" => json!(7),
            "FName" => json!("甲'乙"),
            "FModifyDate" => json!("2026-11-20T08:00:00.5"),
            _ => Value::Null,
        };
        Some(parse(text)?.holds(&of))
    }

    #[test]
    fn conditions_hold_as_they_say() {
        for (text, want) in [
            ("", true),
            ("FID > 6 and FID <= 7", true),
            ("FID in (1,2) or (FID = 7 and not FID <> 7)", true),
            ("FName = '甲''乙'", true),
            (
                "FName like '甲%' and FName like '%乙' and FName like '%''%'",
                true,
            ),
            ("FName like '乙'", false),
            ("FModifyDate >= '2026-11-20 08:00:00'", true),
            ("FModifyDate >= '2026-11-20 08:00:01'", false),
            ("FApproveDate >= '2026-01-01 00:00:00'", false),
            ("FApproveDate is null and FID is not null", true),
        ] {
            assert_eq!(holds(text), Some(want), "{text}");
        }
        for text in [
            "FID",
            "FID =",
            "FID = 'x",
            "FID ; drop",
            "(FID = 7",
            "FID = 7 FID = 7",
            "= 7",
        ] {
            assert_eq!(holds(text), None, "{text}");
        }
    }
}
