//! The filter and the order of `ListCustomers`: AIP-160 in small.
//!
//! ```text
//! filter = term { "AND" term }
//! term   = field op value
//! op     = "=" | "<" | "<=" | ">" | ">="
//! value  = a word of letters, digits and _ - . : / +, or "text" with \" and \\
//! ```
//!
//! | field | ops | value |
//! |---|---|---|
//! | `kind` | `=` | `ORGANIZATION`, `PERSON` |
//! | `source` | `=` | `"sources/{source}"`; may be named several times |
//! | `tag` | `=` | text; may be named several times |
//! | `deleted` | `=` | `true`, `false` |
//! | `display_name` | `=` | text, compared with the name the caller sees |
//! | `create_time`, `update_time` | all | RFC 3339 or `YYYY-MM-DD` |
//!
//! A filter has at most [`MAX_FILTER`] characters and [`MAX_TERMS`] terms.

use jinke_types::{Code, Failure, PartyKind, Timestamp};

use crate::{
    convert::check::is_source_id,
    store::query::{CustomerFilter, CustomerOrder, OrderField, TimeOp},
};

/// Most characters of a filter.
pub const MAX_FILTER: usize = 2_000;
/// Most terms of a filter.
pub const MAX_TERMS: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Op(TimeOp),
}

/// Parses the filter; an empty one lets everything through.
pub fn parse_filter(text: &str) -> Result<CustomerFilter, Failure> {
    let wrong = |why: String| Failure::field("filter", why);
    if text.len() > MAX_FILTER * 4 || text.chars().count() > MAX_FILTER {
        return Err(wrong(format!("is longer than {MAX_FILTER} characters")));
    }
    let tokens = tokens(text).map_err(wrong)?;
    let mut filter = CustomerFilter::default();
    if tokens.is_empty() {
        return Ok(filter);
    }
    let mut rest = tokens.as_slice();
    for _ in 0..MAX_TERMS {
        let [Token::Word(field), Token::Op(op), value, after @ ..] = rest else {
            return Err(wrong("a term has the form field = value".to_owned()));
        };
        term(&mut filter, field, *op, value).map_err(wrong)?;
        match after {
            [] => return Ok(filter),
            [Token::Word(and), more @ ..] if and == "AND" => rest = more,
            _ => return Err(wrong("terms are joined with AND".to_owned())),
        }
    }
    Err(wrong(format!("has more than {MAX_TERMS} terms")))
}

fn term(f: &mut CustomerFilter, field: &str, op: TimeOp, value: &Token) -> Result<(), String> {
    let text = match value {
        Token::Word(text) | Token::Text(text) => text,
        Token::Op(_) => return Err(format!("{field} is compared with nothing")),
    };
    let only_equal = || {
        if op == TimeOp::Equal {
            Ok(())
        } else {
            Err(format!("{field} can only be compared with ="))
        }
    };
    match field {
        "kind" => {
            only_equal()?;
            let kind = match text.as_str() {
                "ORGANIZATION" | "PARTY_KIND_ORGANIZATION" => PartyKind::Organization,
                "PERSON" | "PARTY_KIND_PERSON" => PartyKind::Person,
                _ => return Err("kind is ORGANIZATION or PERSON".to_owned()),
            };
            once(&mut f.kind, field, kind)
        }
        "source" => {
            only_equal()?;
            match text.strip_prefix("sources/") {
                Some(id) if is_source_id(id) => f.sources.push(id.to_owned()),
                _ => return Err("source has the form \"sources/{source}\"".to_owned()),
            }
            Ok(())
        }
        "tag" => {
            only_equal()?;
            f.tags.push(text.clone());
            Ok(())
        }
        "deleted" => {
            only_equal()?;
            match text.as_str() {
                "true" => once(&mut f.deleted, field, true),
                "false" => once(&mut f.deleted, field, false),
                _ => Err("deleted is true or false".to_owned()),
            }
        }
        "display_name" => {
            only_equal()?;
            if text.trim().chars().count() < 2 {
                return Err("display_name needs at least two characters".to_owned());
            }
            once(&mut f.display_name, field, text.trim().to_owned())
        }
        "create_time" | "update_time" => {
            let time = Timestamp::parse(text)
                .ok_or_else(|| format!("{field} is compared with an RFC 3339 time"))?;
            let list = if field == "create_time" {
                &mut f.create_time
            } else {
                &mut f.update_time
            };
            list.push((op, time));
            Ok(())
        }
        _ => Err(
            "the fields are kind, source, tag, deleted, display_name, create_time, \
                  update_time"
                .to_owned(),
        ),
    }
}

fn once<T>(slot: &mut Option<T>, field: &str, value: T) -> Result<(), String> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{field} is named twice")),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '=' => out.push(Token::Op(TimeOp::Equal)),
            '<' | '>' => {
                let or_equal = chars.next_if_eq(&'=').is_some();
                out.push(Token::Op(match (c, or_equal) {
                    ('<', false) => TimeOp::Less,
                    ('<', true) => TimeOp::LessOrEqual,
                    (_, false) => TimeOp::Greater,
                    (_, true) => TimeOp::GreaterOrEqual,
                }));
            }
            '"' => {
                let mut quoted = String::new();
                loop {
                    match chars.next() {
                        None => return Err("a text is not closed with \"".to_owned()),
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\')) => quoted.push(c),
                            _ => return Err("\\ stands before \" or \\ only".to_owned()),
                        },
                        Some('\0') => return Err("holds a NUL character".to_owned()),
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
            _ => return Err("put text that is not a plain word between \"".to_owned()),
        }
    }
    Ok(out)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/' | '+')
}

/// Parses `order_by`: one of `name`, `create_time`, `update_time`, `display_name`, and ` desc`.
///
/// A field that is stored sealed has no order: `SEALED_FIELD`. The names of organizations are
/// plain, so `display_name` is allowed when the filter says `kind = ORGANIZATION`.
pub fn parse_order(text: &str, filter: &CustomerFilter) -> Result<CustomerOrder, Failure> {
    let mut words = text.split_whitespace();
    let field = match words.next() {
        None | Some("name") => OrderField::Name,
        Some("create_time") => OrderField::CreateTime,
        Some("update_time") => OrderField::UpdateTime,
        Some("display_name") if filter.kind == Some(PartyKind::Organization) => {
            OrderField::DisplayName
        }
        Some(field) if is_sealed(field) => {
            let mut failure = Failure::new(
                Code::InvalidArgument,
                "SEALED_FIELD",
                "order_by: this field is stored sealed and has no order; display_name can be \
                 ordered by when the filter says kind = ORGANIZATION",
            );
            failure.violations = Failure::field("order_by", "names a sealed field").violations;
            return Err(failure);
        }
        Some(_) => {
            return Err(Failure::field(
                "order_by",
                "is one of name, create_time, update_time, display_name, with desc behind it or not",
            ));
        }
    };
    let descending = match (words.next(), words.next()) {
        (None, _) | (Some("asc"), None) => false,
        (Some("desc"), None) => true,
        _ => {
            return Err(Failure::field(
                "order_by",
                "has one field, and desc behind it or not",
            ));
        }
    };
    Ok(CustomerOrder { field, descending })
}

/// Attributes that exist, but only sealed.
fn is_sealed(field: &str) -> bool {
    field == "display_name"
        || jinke_types::attribute::is_valid(field)
        || field.starts_with("values")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read() {
        let f = parse_filter(
            "kind = ORGANIZATION AND source=\"sources/erp\" AND update_time > \
             \"2026-01-01T00:00:00Z\" AND create_time<=2026-02-01 AND deleted = false AND \
             tag = \"大\\\"客户\" AND display_name = \"杭州\"",
        )
        .unwrap();
        assert_eq!(f.kind, Some(PartyKind::Organization));
        assert_eq!(f.sources, ["erp"]);
        assert_eq!(f.tags, ["大\"客户"]);
        assert_eq!(f.deleted, Some(false));
        assert_eq!(f.display_name.as_deref(), Some("杭州"));
        let (op, time) = f.update_time[0];
        assert_eq!(
            (op, time.to_rfc3339().as_str()),
            (TimeOp::Greater, "2026-01-01T00:00:00Z")
        );
        assert_eq!(f.create_time[0].0, TimeOp::LessOrEqual);
        assert_eq!(parse_filter(" ").unwrap(), CustomerFilter::default());
    }

    #[test]
    fn hostile_filters_are_refused() {
        let many = vec!["deleted = true"; 30].join(" AND ");
        let long = format!("tag = \"{}\"", "字".repeat(10_000));
        for bad in [
            "kind",
            "kind =",
            "kind = X",
            "= =",
            "kind = PERSON OR deleted = true",
            "AND",
            "kind = PERSON AND",
            "kind = PERSON kind = PERSON",
            "kind = PERSON AND kind = PERSON",
            "tag = \"open",
            "tag = \"a\\n\"",
            "tag = 'x'",
            "phone = 1",
            "tag > \"x\"",
            "source = erp",
            "update_time > yesterday",
            "display_name = \"x\"",
            "kind = = PERSON",
            "tag = \"a\0b\"",
            "tag = (\"x\")",
            "1=1; DROP TABLE customers",
            &many,
            &long,
        ] {
            let failure = parse_filter(bad).expect_err(bad);
            assert_eq!(failure.violations[0].field, "filter");
        }
    }

    #[test]
    fn sealed_fields_have_no_order() {
        let any = CustomerFilter::default();
        let organizations = CustomerFilter {
            kind: Some(PartyKind::Organization),
            ..CustomerFilter::default()
        };
        for field in ["display_name", "phone desc", "email", "values", "address"] {
            assert_eq!(
                parse_order(field, &any).unwrap_err().reason,
                "SEALED_FIELD",
                "{field}"
            );
        }
        assert_eq!(
            parse_order("display_name desc", &organizations).unwrap(),
            CustomerOrder {
                field: OrderField::DisplayName,
                descending: true
            }
        );
        assert_eq!(parse_order("", &any).unwrap().field, OrderField::Name);
        for bad in [
            "name desc desc",
            "name,uid",
            "revision",
            "name; --",
            "create_time down",
        ] {
            assert_eq!(
                parse_order(bad, &any).unwrap_err().reason,
                "INVALID_FIELD",
                "{bad}"
            );
        }
    }
}
