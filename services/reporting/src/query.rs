//! Questions: measures by dimensions, filtered, over time, compared; and the rows behind a value.

use std::{borrow::Cow, collections::BTreeMap};

use chrono::Datelike as _;
use jinke_types::{Code, Failure};

use crate::{
    calendar::Period,
    facts::Frame,
    measures::{self, Context, Contribution, Dimension, Measure, Subject, Value, profile::CLASSES},
    parameters::Parameters,
};

/// Most groups of an answer, over all periods.
pub const MAX_GROUPS: usize = 10_000;
/// Most periods of a window.
pub const MAX_PERIODS: usize = 200;

/// One term of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Dimension.
    pub dimension: &'static str,
    /// `=`, or `!=` when set.
    pub not: bool,
    /// Value compared with.
    pub value: String,
}

/// What is asked of one or more periods.
#[derive(Clone, Debug)]
pub struct Question {
    /// Measures, in order of the answer.
    pub measures: Vec<&'static Measure>,
    /// Dimensions, in order of the answer.
    pub dimensions: Vec<&'static Dimension>,
    /// All must hold.
    pub filter: Vec<Term>,
}

/// Values of one group: in order of the measures.
pub type Group = Vec<Value>;

/// Groups by values of the dimensions, for one period; and the total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// In order of the dimension values.
    pub groups: BTreeMap<Vec<String>, Group>,
    /// Over all groups.
    pub total: Group,
}

/// Answers a question for one period.
///
/// # Errors
/// `TOO_MANY_GROUPS`.
pub fn answer(
    frame: &Frame,
    parameters: &Parameters,
    period: Period,
    question: &Question,
) -> Result<Answer, Failure> {
    let mut context = Context::new(frame, parameters, period);
    context.by_line = needs_lines(question);
    let mut groups: BTreeMap<Vec<String>, Group> = BTreeMap::new();
    let mut total = Vec::with_capacity(question.measures.len());
    for (n, measure) in question.measures.iter().enumerate() {
        let list = rows(&context, measure, &question.filter);
        total.push(measures::aggregate(measure, &list));
        if question.dimensions.is_empty() {
            continue;
        }
        let mut by: BTreeMap<Vec<String>, Vec<&Contribution>> = BTreeMap::new();
        for c in &list {
            let key = question
                .dimensions
                .iter()
                .map(|d| dimension(&context, d.id, c).into_owned())
                .collect();
            by.entry(key).or_default().push(c);
            if by.len() > MAX_GROUPS {
                return Err(too_many());
            }
        }
        for (key, list) in by {
            let group = groups.entry(key).or_insert_with(|| {
                // A measure without a contribution in this group has no data there.
                question
                    .measures
                    .iter()
                    .map(|m| measures::aggregate(m, []))
                    .collect()
            });
            group[n] = measures::aggregate(measure, list);
        }
        if groups.len() > MAX_GROUPS {
            return Err(too_many());
        }
    }
    Ok(Answer { groups, total })
}

/// A question about more groups than an answer may have.
pub fn too_many() -> Failure {
    Failure::new(
        Code::ResourceExhausted,
        "TOO_MANY_GROUPS",
        format!(
            "the answer would have more than {MAX_GROUPS} groups; filter, or take fewer dimensions"
        ),
    )
}

/// Whether revenue must be split by lines.
pub fn needs_lines(question: &Question) -> bool {
    question.dimensions.iter().any(|d| is_of_lines(d.id)) || filters_lines(&question.filter)
}

/// Whether a filter looks at lines.
pub fn filters_lines(filter: &[Term]) -> bool {
    filter.iter().any(|term| is_of_lines(term.dimension))
}

fn is_of_lines(dimension: &str) -> bool {
    matches!(dimension, "product" | "product_category")
}

/// The contributions to a measure that satisfy the filter.
pub fn rows(context: &Context<'_>, measure: &Measure, filter: &[Term]) -> Vec<Contribution> {
    let mut list = measures::contributions(measure, context);
    if !filter.is_empty() {
        list.retain(|c| filter.iter().all(|term| holds(context, term, c)));
    }
    list
}

/// Whether a contribution satisfies a term.
fn holds(context: &Context<'_>, term: &Term, c: &Contribution) -> bool {
    let equal = if term.dimension == "tag" {
        context
            .frame
            .customer(c.customer)
            .tags
            .contains(&term.value)
    } else {
        dimension(context, term.dimension, c) == term.value
    };
    equal != term.not
}

/// Whether a customer satisfies the terms, which must all name dimensions of customers.
pub fn customer_holds(context: &Context<'_>, filter: &[Term], place: u32) -> bool {
    let c = Contribution::of_customer(place, 0);
    filter.iter().all(|term| holds(context, term, &c))
}

/// The value of a dimension for a contribution; empty when it has none.
pub fn dimension<'a>(context: &'a Context<'_>, id: &str, c: &'a Contribution) -> Cow<'a, str> {
    let frame = context.frame;
    let customer = frame.customer(c.customer);
    let profile = || &context.profiles()[c.customer as usize];
    let score = |of: fn(&measures::profile::Rfm) -> i32| match &profile().rfm {
        Some(rfm) => Cow::Owned(of(rfm).to_string()),
        None => Cow::Borrowed(""),
    };
    match id {
        "customer" => Cow::Owned(format!("customers/{}", customer.id)),
        "kind" if customer.person => Cow::Borrowed("person"),
        "kind" => Cow::Borrowed("organization"),
        "grade" => Cow::Borrowed(profile().grade_letter()),
        "lifecycle_stage" => Cow::Borrowed(profile().stage.as_str()),
        "rfm_segment" => Cow::Borrowed(profile().rfm.map_or("", |rfm| CLASSES[rfm.class()])),
        "r" => score(|x| x.r),
        "f" => score(|x| x.f),
        "m" => score(|x| x.m),
        "cohort" => match profile().first_order {
            Some(first) => {
                let day = context.parameters.zone.day(first);
                Cow::Owned(format!("{:04}-{:02}", day.year(), day.month()))
            }
            None => Cow::Borrowed(""),
        },
        "tag" => Cow::Borrowed(""),
        "field" | "stage" if c.label.is_some() => {
            Cow::Borrowed(c.label.as_deref().unwrap_or_default())
        }
        "source" | "org_unit" | "currency" | "product" | "product_category" | "person"
        | "channel" | "pipeline" | "stage" | "sales_owner" | "outcome_reason" => {
            Cow::Borrowed(of_subject(frame, id, c.subject))
        }
        "person_org_unit" => {
            let unit = frame.people.get(of_subject(frame, "person", c.subject));
            Cow::Borrowed(unit.map_or("", String::as_str))
        }
        other => Cow::Borrowed(customer.attributes.get(other).map_or("", String::as_str)),
    }
}

fn of_subject<'a>(frame: &'a Frame, id: &str, subject: Subject) -> &'a str {
    match subject {
        Subject::Transaction(n) => of_transaction(frame, id, n),
        Subject::Line(n) => {
            let line = &frame.lines[n as usize];
            let product = &frame.products[line.product as usize];
            match id {
                "product" => &product.key,
                "product_category" => &product.category,
                _ => of_transaction(frame, id, line.transaction),
            }
        }
        Subject::Interaction(n) => {
            let i = &frame.interactions[n as usize];
            match id {
                "channel" => &i.channel,
                "person" => &i.employee,
                _ => "",
            }
        }
        Subject::Opportunity(n) => {
            let o = &frame.opportunities[n as usize];
            match id {
                "pipeline" => &o.pipeline,
                "stage" => &o.stage,
                "sales_owner" | "person" => &o.owner,
                "outcome_reason" => &o.reason,
                "org_unit" => &o.org_unit,
                _ => "",
            }
        }
        Subject::Customer => "",
    }
}

fn of_transaction<'a>(frame: &'a Frame, id: &str, place: u32) -> &'a str {
    let t = &frame.transactions[place as usize];
    let source = || frame.sources.get(usize::from(t.source));
    match id {
        "source" => source().map_or("", |s| &s.id),
        "org_unit" => source().map_or("", |s| &s.org_unit),
        "currency" if t.has_amount => &frame.currencies[usize::from(t.currency)],
        "person" => frame.person(t),
        _ => "",
    }
}

/// Reads `dimension = "value" AND dimension != "value"`. At most 20 terms, 2,000 characters.
///
/// # Errors
/// What is wrong, for a violation.
pub fn parse_filter(text: &str) -> Result<Vec<Term>, String> {
    if text.chars().count() > 2_000 {
        return Err("has more than 2,000 characters".to_owned());
    }
    let mut rest = text.trim_start();
    let mut terms = Vec::new();
    while !rest.is_empty() {
        if !terms.is_empty() {
            rest = rest
                .strip_prefix("AND")
                .filter(|r| r.starts_with(char::is_whitespace))
                .ok_or("terms are joined with AND")?
                .trim_start();
        }
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let dimension = measures::find_dimension(name)
            .ok_or_else(|| format!("{name:?} is no dimension"))?
            .id;
        let after = after.trim_start();
        let (not, after) = match after.strip_prefix("!=") {
            Some(after) => (true, after),
            None => (
                false,
                after
                    .strip_prefix('=')
                    .ok_or_else(|| format!("{name} is compared with = or !="))?,
            ),
        };
        let (value, after) = quoted(after.trim_start())?;
        terms.push(Term {
            dimension,
            not,
            value,
        });
        if terms.len() > 20 {
            return Err("has more than 20 terms".to_owned());
        }
        rest = after.trim_start();
    }
    Ok(terms)
}

/// A text in double quotes, in which `\"` and `\\` are escaped, or a word.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        if word.is_empty() {
            return Err("a value is missing".to_owned());
        }
        return Ok((word.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &inner[at + 1..])),
            '\\' => match chars.next() {
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                _ => return Err("only \\\" and \\\\ are escaped".to_owned()),
            },
            c => value.push(c),
        }
    }
    Err("a quote is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_or_refused() {
        let terms = parse_filter(r#"province = "上海市" AND grade != A AND tag="a\"b""#).unwrap();
        assert_eq!(terms.len(), 3);
        assert_eq!(terms[0].value, "上海市");
        assert!(terms[1].not && terms[1].value == "A");
        assert_eq!(terms[2].value, "a\"b");
        assert_eq!(parse_filter("  "), Ok(Vec::new()));
        for wrong in [
            "grade",
            "grade =",
            "grade > \"A\"",
            "x = \"1\"",
            "grade = \"A",
            "grade = \"A\" grade = \"B\"",
            "grade = \"A\" AND",
            "grade = \"\\n\"",
            "é = 1",
        ] {
            assert!(parse_filter(wrong).is_err(), "{wrong}");
        }
    }
}
