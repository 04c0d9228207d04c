//! Path templates of `google.api.http`: `/v1/{parent=customers/*}/revisions`, `/v1/{name=a/**}:do`.
//!
//! A path is split at `/` before anything is decoded, and a verb is what stands behind the last
//! `:` of the last segment, so `%2F` and `%3A` are data. A variable of one segment is decoded
//! whole; in one of several segments `%2F` stays as it is, because decoded it could not be told
//! from a separator. An empty segment matches no wildcard.

use std::fmt;

use jinke_types::Failure;
use percent_encoding::percent_decode_str;

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// This text.
    Literal(String),
    /// `*`: one segment that is not empty.
    One,
    /// `**`: the rest of the path, none included. Only at the end.
    Rest,
}

/// A part of the path that is bound to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Path of the field in the request message: `["user", "name"]`.
    pub field: Vec<String>,
    /// First segment.
    pub start: usize,
    /// Segment after the last one.
    pub end: usize,
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// What the path consists of.
    pub segments: Vec<Segment>,
    /// What stands behind the last `:`.
    pub verb: Option<String>,
    /// What is bound, in order.
    pub variables: Vec<Variable>,
}

/// A value of the path, decoded; `None` when it is not UTF-8.
pub type Captured = Option<String>;

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// `INTERNAL` with the place when the text does not follow the grammar.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        Parser {
            text,
            at: 0,
            out: Self {
                segments: Vec::new(),
                verb: None,
                variables: Vec::new(),
            },
        }
        .run()
    }

    /// The values of the variables, in order, when `path` (as it came, not decoded) matches.
    pub fn capture(&self, path: &str) -> Option<Vec<Captured>> {
        let mut path = path.strip_prefix('/')?;
        if let Some(verb) = &self.verb {
            let (rest, found) = path.rsplit_once(':')?;
            if found.contains('/') || found != verb {
                return None;
            }
            path = rest;
        }
        let raw: Vec<&str> = path.split('/').collect();
        let rest = self.segments.last() == Some(&Segment::Rest);
        let fixed = self.segments.len() - usize::from(rest);
        if raw.len() < fixed || (!rest && raw.len() > fixed) {
            return None;
        }
        for (segment, raw) in self.segments.iter().zip(&raw) {
            let fits = match segment {
                Segment::Literal(text) => {
                    raw == text || decoded(raw, false).as_deref() == Some(text)
                }
                Segment::One => !raw.is_empty(),
                Segment::Rest => true,
            };
            if !fits {
                return None;
            }
        }
        let values = self.variables.iter().map(|variable| {
            let open = rest && variable.end == self.segments.len();
            let end = if open { raw.len() } else { variable.end };
            let parts = raw.get(variable.start..end).unwrap_or_default();
            let single = variable.end - variable.start == 1 && !open;
            let parts: Option<Vec<_>> = parts.iter().map(|p| decoded(p, !single)).collect();
            parts.map(|p| p.join("/"))
        });
        Some(values.collect())
    }

    /// What decides which of two templates that match a path is meant: literals before wildcards,
    /// a verb before none.
    pub fn rank(&self) -> impl Ord + use<> {
        let kinds: Vec<u8> = self
            .segments
            .iter()
            .map(|s| match s {
                Segment::Literal(_) => 0,
                Segment::One => 1,
                Segment::Rest => 2,
            })
            .collect();
        (self.verb.is_none(), kinds)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::One => write!(f, "/*")?,
                Segment::Rest => write!(f, "/**")?,
            }
        }
        match &self.verb {
            Some(verb) => write!(f, ":{verb}"),
            None => Ok(()),
        }
    }
}

/// Decodes percent escapes; with `keep_slash`, `%2F` stays. `None` when the result is not UTF-8 or
/// an escape is broken.
fn decoded(raw: &str, keep_slash: bool) -> Option<String> {
    if !raw.contains('%') {
        return Some(raw.to_owned());
    }
    let well_formed = raw.split('%').skip(1).all(|after| {
        let hex = after.as_bytes();
        hex.len() >= 2 && hex[..2].iter().all(u8::is_ascii_hexdigit)
    });
    if !well_formed {
        return None;
    }
    let raw = if keep_slash {
        raw.replace("%2F", "%252F").replace("%2f", "%252f")
    } else {
        raw.to_owned()
    };
    percent_decode_str(&raw)
        .decode_utf8()
        .ok()
        .map(|s| s.into_owned())
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    out: Template,
}

impl Parser<'_> {
    fn run(mut self) -> Result<Template, Failure> {
        self.expect('/')?;
        self.segments(true)?;
        if self.take(':') {
            let verb = self.word();
            if verb.is_empty() {
                return Err(self.wrong("an empty verb"));
            }
            self.out.verb = Some(verb);
        }
        if self.at < self.text.len() {
            return Err(self.wrong("something behind the end"));
        }
        let rest = self.out.segments.iter().position(|s| *s == Segment::Rest);
        if rest.is_some_and(|at| at + 1 < self.out.segments.len()) {
            return Err(self.wrong("** before the end"));
        }
        Ok(self.out)
    }

    fn segments(&mut self, variables: bool) -> Result<(), Failure> {
        loop {
            if self.take('*') {
                let segment = if self.take('*') {
                    Segment::Rest
                } else {
                    Segment::One
                };
                self.out.segments.push(segment);
            } else if self.take('{') {
                if !variables {
                    return Err(self.wrong("a variable within a variable"));
                }
                self.variable()?;
            } else {
                let literal = self.word();
                if literal.is_empty() {
                    return Err(self.wrong("an empty segment"));
                }
                self.out.segments.push(Segment::Literal(literal));
            }
            if !self.take('/') {
                return Ok(());
            }
        }
    }

    fn variable(&mut self) -> Result<(), Failure> {
        let name = self.word();
        let field: Vec<String> = name.split('.').map(str::to_owned).collect();
        if field.iter().any(String::is_empty) {
            return Err(self.wrong("a variable without a name"));
        }
        let start = self.out.segments.len();
        if self.take('=') {
            self.segments(false)?;
        } else {
            self.out.segments.push(Segment::One);
        }
        self.expect('}')?;
        let end = self.out.segments.len();
        self.out.variables.push(Variable { field, start, end });
        Ok(())
    }

    fn word(&mut self) -> String {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| "/{}*=:".contains(c)).unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.text[self.at..].starts_with(c);
        self.at += usize::from(found) * c.len_utf8();
        found
    }

    fn expect(&mut self, c: char) -> Result<(), Failure> {
        if self.take(c) {
            Ok(())
        } else {
            Err(self.wrong(&format!("no {c:?}")))
        }
    }

    fn wrong(&self, what: &str) -> Failure {
        Failure::internal(format!(
            "path template {:?}: {what} at {}",
            self.text, self.at
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `template | path -> values` or `-` for no match.
    #[test]
    fn templates_match_paths() {
        let table = [
            ("/v1/customers", "/v1/customers", Some(vec![])),
            ("/v1/customers", "/v1/customers/", None),
            ("/v1/customers", "/v1/customers/1", None),
            ("/v1/customers", "//v1/customers", None),
            ("/v1/customers", "v1/customers", None),
            (
                "/v1/{name=customers/*}",
                "/v1/customers/7",
                Some(vec![Some("customers/7")]),
            ),
            ("/v1/{name=customers/*}", "/v1/customers/", None),
            ("/v1/{name=customers/*}", "/v1/Customers/7", None),
            (
                "/v1/{name=customers/*}",
                "/v1/customers/7:merge",
                Some(vec![Some("customers/7:merge")]),
            ),
            (
                "/v1/{name=customers/*}",
                "/v1/customers/a%2Fb",
                Some(vec![Some("customers/a%2Fb")]),
            ),
            (
                "/v1/{name=customers/*}",
                "/v1/customers/%E9%87%91",
                Some(vec![Some("customers/金")]),
            ),
            (
                "/v1/{name=customers/*}",
                "/v1/customers/%FF",
                Some(vec![None]),
            ),
            (
                "/v1/{name=customers/*}",
                "/v1/customers/%zz",
                Some(vec![None]),
            ),
            (
                "/v1/{name=customers/*}",
                "/v1/customers/%",
                Some(vec![None]),
            ),
            (
                "/v1/{name=customers/*}",
                "/v1/customers/..",
                Some(vec![Some("customers/..")]),
            ),
            (
                "/v1/{name=customers/*}:un",
                "/v1/customers/7:un",
                Some(vec![Some("customers/7")]),
            ),
            (
                "/v1/{name=customers/*}:un",
                "/v1/customers/a:b:un",
                Some(vec![Some("customers/a:b")]),
            ),
            ("/v1/{name=customers/*}:un", "/v1/customers/7%3Aun", None),
            ("/v1/{name=customers/*}:un", "/v1/customers/:un", None),
            ("/v1/customers:search", "/v1/customers:search", Some(vec![])),
            ("/v1/customers:search", "/v1/customers", None),
            (
                "/v1/{user.name=users/*}",
                "/v1/users/li",
                Some(vec![Some("users/li")]),
            ),
            ("/v1/{id}", "/v1/a%2Fb%20c", Some(vec![Some("a/b c")])),
            (
                "/v1/{a}/x/{b}",
                "/v1/1/x/2",
                Some(vec![Some("1"), Some("2")]),
            ),
            (
                "/v1/{n=a/*/b/*}",
                "/v1/a/1/b/2",
                Some(vec![Some("a/1/b/2")]),
            ),
            ("/v1/{rest=**}", "/v1/a/b/c", Some(vec![Some("a/b/c")])),
            (
                "/v1/{rest=a/**}:go",
                "/v1/a/b/c:go",
                Some(vec![Some("a/b/c")]),
            ),
            ("/v1/*/x", "/v1/anything/x", Some(vec![])),
        ];
        for (template, path, want) in table {
            let want = want.map(|w: Vec<Option<&str>>| {
                w.into_iter()
                    .map(|v| v.map(str::to_owned))
                    .collect::<Vec<_>>()
            });
            assert_eq!(
                Template::parse(template).unwrap().capture(path),
                want,
                "{template} | {path}"
            );
        }
    }

    #[test]
    fn templates_that_are_wrong_are_refused() {
        for wrong in [
            "",
            "v1",
            "/",
            "/v1/",
            "/v1//a",
            "/v1/{name",
            "/v1/{}",
            "/v1/{a.}",
            "/v1/{a={b}}",
            "/v1/**/a",
            "/v1/a:",
            "/v1/a}b",
            "/v1/{a=}",
        ] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn literals_come_before_wildcards_and_verbs_before_none() {
        let order = ["/v1/a:x", "/v1/*:x", "/v1/a", "/v1/*", "/v1/**"];
        let mut sorted = order.map(|t| Template::parse(t).unwrap());
        sorted.reverse();
        sorted.sort_by_key(Template::rank);
        assert_eq!(sorted.map(|t| t.to_string()), order);
    }
}
