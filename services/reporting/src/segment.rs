//! Segments: conditions in CEL over what is known of a customer.
//!
//! All conditions must hold. A condition over a value that a customer does not have cannot be
//! evaluated and does not hold, so that nobody is in a segment by what is not known of him.
//! Amounts are whole millionths, compared with `amount("…")`, so that no float decides.
//!
//! Expressions are untrusted: their length and nesting are bounded before they are parsed, and
//! loops (`all`, `exists`, `map`, …) and floats are refused, so that an evaluation costs no more than
//! the expression is long.

use std::sync::Arc;

use cel::{
    Context as CelContext, ExecutionError, Program, Value,
    common::ast::{Expr, IdedExpr, LiteralValue},
};
use chrono::NaiveDate;

use crate::{
    calendar::days_between,
    facts::kind,
    measures::{Context, profile::CLASSES},
    number,
};

/// Most conditions of a segment.
pub const MAX_CONDITIONS: usize = 20;
/// Most characters of a condition.
pub const MAX_CONDITION: usize = 2_000;
/// Deepest nesting of brackets and prefixes.
const MAX_DEPTH: usize = 20;

/// A variable of conditions.
#[derive(Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Its CEL type.
    pub kind: &'static str,
    /// What it is.
    pub text: &'static str,
    /// 说明.
    pub zh: &'static str,
    /// Tells of amounts.
    pub financial: bool,
}

macro_rules! variables {
    ($($name:ident $kind:literal $financial:literal $text:literal $zh:literal;)*) => {
        /// All variables, in order of the list for people.
        pub const VARIABLES: &[Variable] = &[$(Variable {
            name: stringify!($name), kind: $kind, text: $text, zh: $zh, financial: $financial,
        }),*];
    };
}

variables! {
    kind "string" false "organization or person" "organization 或 person";
    province "string" false "province" "省份";
    city "string" false "city" "城市";
    industry "string" false "industry" "行业";
    size "string" false "size" "规模";
    owner "string" false "owner" "负责人";
    tags "list(string)" false "tags" "标签";
    grade "string" false "A, B, C or empty" "等级：A、B、C 或空";
    lifecycle_stage "string" false "potential new active loyal dormant lost" "生命周期阶段：potential new active loyal dormant lost";
    rfm_segment "string" true "RFM segment, e.g. 重要价值" "RFM 分层，如 重要价值";
    r "int" false "recency score 1 to 5" "R 分，1–5";
    f "int" false "frequency score 1 to 5" "F 分，1–5";
    m "int" true "monetary score 1 to 5" "M 分，1–5";
    recency_days "int" false "days since the last order" "距最近一单天数";
    first_order_days "int" false "days since the first order" "距首单天数";
    order_count "int" false "orders ever" "累计订单数";
    window_order_count "int" false "orders in the RFM window, also those without an amount" "RFM 窗口内订单数，含无金额的订单";
    net_revenue "int" true "net revenue ever; compare with amount(\"…\")" "累计净收入，用 amount(\"…\") 比较";
    window_net_revenue "int" true "net revenue in the RFM window" "RFM 窗口内净收入";
    clv_simple "int" true "CLV, simple" "客户终身价值（简单）";
    clv_discounted "int" true "CLV, discounted" "客户终身价值（折现）";
    complaint_count "int" false "tickets ever" "累计投诉数";
    interaction_count "int" false "interactions ever" "累计互动数";
    last_interaction_days "int" false "days since the last interaction" "距最近互动天数";
    open_opportunity_count "int" false "open opportunities" "在谈商机数";
}

/// Conditions that can be evaluated.
#[derive(Debug)]
pub struct Rule {
    conditions: Vec<(String, Program, Vec<&'static Variable>)>,
}

/// What came of one condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcomes {
    /// The condition.
    pub expression: String,
    /// It holds.
    pub holds: bool,
    /// Values it names; none when there is none.
    pub values: Vec<(&'static str, Option<String>)>,
    /// Why it could not be evaluated.
    pub error: Option<String>,
}

impl Rule {
    /// Reads conditions.
    ///
    /// # Errors
    /// The place of the wrong condition and what is wrong with it.
    pub fn parse(conditions: &[String]) -> Result<Self, (usize, String)> {
        if conditions.is_empty() || conditions.len() > MAX_CONDITIONS {
            return Err((0, format!("there must be 1 to {MAX_CONDITIONS} conditions")));
        }
        let mut parsed = Vec::with_capacity(conditions.len());
        for (n, condition) in conditions.iter().enumerate() {
            let (program, variables) = parse(condition).map_err(|why| (n, why))?;
            parsed.push((condition.clone(), program, variables));
        }
        Ok(Self { conditions: parsed })
    }

    /// Whether a condition names something that tells of amounts.
    pub fn financial(&self) -> bool {
        self.variables().any(|v| v.financial)
    }

    /// Variables named, each once per condition.
    pub fn variables(&self) -> impl Iterator<Item = &'static Variable> + '_ {
        self.conditions.iter().flat_map(|c| c.2.iter().copied())
    }

    /// Whether all conditions hold for a customer.
    pub fn holds(&self, context: &Context<'_>, place: u32) -> bool {
        self.conditions.iter().all(|(_, program, variables)| {
            let cel = bind(context, place, variables);
            program.execute(&cel) == Ok(Value::Bool(true))
        })
    }

    /// What came of each condition for a customer.
    pub fn explain(&self, context: &Context<'_>, place: u32) -> Vec<Outcomes> {
        self.conditions
            .iter()
            .map(|(expression, program, variables)| {
                let result = program.execute(&bind(context, place, variables));
                let values: Vec<_> = variables
                    .iter()
                    .map(|v| (v.name, shown(v.name, &value(context, place, v.name))))
                    .collect();
                let error = match &result {
                    Ok(Value::Bool(_)) => None,
                    Ok(_) => Some("is neither true nor false".to_owned()),
                    Err(e) => Some(why(e, &values)),
                };
                Outcomes {
                    expression: expression.clone(),
                    holds: result == Ok(Value::Bool(true)),
                    values,
                    error,
                }
            })
            .collect()
    }

    /// The values of all variables named, for a list of members.
    pub fn values(&self, context: &Context<'_>, place: u32) -> Vec<(&'static str, Option<String>)> {
        let mut seen = std::collections::BTreeSet::new();
        self.variables()
            .filter(|v| seen.insert(v.name))
            .map(|v| (v.name, shown(v.name, &value(context, place, v.name))))
            .collect()
    }
}

fn why(error: &ExecutionError, values: &[(&'static str, Option<String>)]) -> String {
    match values.iter().find(|(_, value)| value.is_none()) {
        Some((name, _)) => format!("{name} is not known"),
        None => error.to_string(),
    }
}

fn parse(condition: &str) -> Result<(Program, Vec<&'static Variable>), String> {
    if condition.trim().is_empty() || condition.chars().count() > MAX_CONDITION {
        return Err(format!("must have 1 to {MAX_CONDITION} characters"));
    }
    if depth(condition) > MAX_DEPTH {
        return Err(format!("is nested deeper than {MAX_DEPTH}"));
    }
    let program = Program::compile(condition).map_err(|e| {
        let text = e.to_string();
        format!("is no CEL: {}", text.lines().next().unwrap_or_default())
    })?;
    refuse(program.expression())?;
    let references = program.references();
    let mut names = references.variables();
    names.sort_unstable();
    let mut variables = Vec::new();
    for name in names {
        let known = VARIABLES.iter().find(|v| v.name == name);
        variables.push(known.ok_or_else(|| format!("{name} is no variable"))?);
    }
    Ok((program, variables))
}

/// Deepest nesting of brackets, with runs of prefix operators and ternaries.
fn depth(text: &str) -> usize {
    let (mut open, mut deepest, mut run, mut chained) = (0_usize, 0, 0_usize, 0_usize);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            '?' => chained += 1,
            _ => {}
        }
        run = match c {
            '!' | '-' => run + 1,
            c if c.is_whitespace() => run,
            _ => 0,
        };
        deepest = deepest.max(open + run + chained);
    }
    deepest
}

/// Refuses loops and floats.
fn refuse(expr: &IdedExpr) -> Result<(), String> {
    match &expr.expr {
        Expr::Comprehension(_) => Err("must not loop".to_owned()),
        Expr::Struct(_) | Expr::Map(_) => Err("must not build maps or messages".to_owned()),
        Expr::Literal(LiteralValue::Double(_)) => {
            Err("must not have a float; compare amounts with amount(\"…\")".to_owned())
        }
        Expr::Call(call) => {
            if call.func_name == "double" {
                return Err("must not have a float".to_owned());
            }
            if let Some(target) = &call.target {
                refuse(target)?;
            }
            call.args.iter().try_for_each(refuse)
        }
        Expr::List(list) => list.elements.iter().try_for_each(refuse),
        Expr::Select(select) => refuse(&select.operand),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Ok(()),
    }
}

fn bind<'v>(
    context: &Context<'_>,
    place: u32,
    variables: &[&'static Variable],
) -> CelContext<'v, 'v> {
    let mut cel = CelContext::default();
    // The name is free, so that adding it cannot fail.
    let _ = cel.add_function("amount", amount);
    for variable in variables {
        cel.add_variable_from_value(variable.name, value(context, place, variable.name));
    }
    cel
}

/// `amount("12.5")` in millionths.
fn amount(text: Arc<String>) -> Result<Value, ExecutionError> {
    number::parse(&text)
        .and_then(|v| number::divide(v, 1_000))
        .and_then(|v| i64::try_from(v).ok())
        .map(Value::Int)
        .ok_or_else(|| ExecutionError::function_error("amount", "is no amount"))
}

/// Billionths as whole millionths, half to even; what does not fit stays at the end of the range.
fn millionths(value: Option<i128>) -> Value {
    match value.and_then(|v| number::divide(v, 1_000)) {
        Some(v) => Value::Int(i64::try_from(v).unwrap_or(if v < 0 { i64::MIN } else { i64::MAX })),
        None => Value::Null,
    }
}

fn int(value: Option<i64>) -> Value {
    value.map_or(Value::Null, Value::Int)
}

fn string(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

/// The value of a variable for a customer; null when there is none.
fn value(context: &Context<'_>, place: u32, name: &str) -> Value {
    let frame = context.frame;
    let customer = frame.customer(place);
    let profile = &context.profiles()[place as usize];
    let zone = context.parameters.zone;
    let today: NaiveDate = context.period.end;
    let days = |time: jinke_types::Timestamp| days_between(zone.day(time), today);
    let rfm = profile.rfm.as_ref();
    let interactions = || {
        let all = frame.interactions_of(place);
        &all[..all.partition_point(|i| i.time < context.to)]
    };
    let count = |n: usize| Value::Int(i64::try_from(n).unwrap_or(i64::MAX));
    match name {
        "kind" => string(if customer.person {
            "person"
        } else {
            "organization"
        }),
        "tags" => Value::List(Arc::new(customer.tags.iter().map(|t| string(t)).collect())),
        "grade" => string(profile.grade_letter()),
        "lifecycle_stage" => string(profile.stage.as_str()),
        "rfm_segment" => string(rfm.map_or("", |x| CLASSES[x.class()])),
        "r" => int(rfm.map(|x| i64::from(x.r))),
        "f" => int(rfm.map(|x| i64::from(x.f))),
        "m" => int(rfm.map(|x| i64::from(x.m))),
        "recency_days" => int(profile.last_order.map(days)),
        "first_order_days" => int(profile.first_order.map(days)),
        "order_count" => Value::Int(profile.orders),
        "window_order_count" => Value::Int(profile.window_orders),
        "net_revenue" => millionths(profile.revenue),
        "window_net_revenue" => millionths(rfm.map(|x| x.monetary)),
        "clv_simple" => millionths(profile.clv_simple),
        "clv_discounted" => millionths(profile.clv_discounted),
        "complaint_count" => count(
            frame
                .transactions_of(place)
                .iter()
                .filter(|t| t.kind == kind::TICKET && !t.cancelled && t.time < context.to)
                .count(),
        ),
        "interaction_count" => count(interactions().len()),
        "last_interaction_days" => int(interactions().last().map(|i| days(i.time))),
        "open_opportunity_count" => Value::Int(context.open_opportunities()[place as usize]),
        other => match customer.attributes.get(other) {
            Some(text) => string(text),
            None => Value::Null,
        },
    }
}

/// Variables that conditions compare as whole millionths; people are shown the amount.
const AMOUNTS: [&str; 4] = [
    "net_revenue",
    "window_net_revenue",
    "clv_simple",
    "clv_discounted",
];

/// The value of a variable for people; none when there is none.
fn shown(name: &str, value: &Value) -> Option<String> {
    match value {
        Value::Int(n) if AMOUNTS.contains(&name) => Some(number::text(i128::from(*n) * 1_000)),
        other => text(other),
    }
}

/// A value for people; none when there is none.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(s) => Some(s.to_string()),
        Value::Int(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::List(list) => Some(list.iter().filter_map(text).collect::<Vec<_>>().join(", ")),
        _ => Some("?".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        calendar::Period,
        facts::{Customer, Frame, Transaction},
        parameters::Parameters,
    };
    use jinke_types::Timestamp;

    fn frame() -> Frame {
        let customer = |id, province: &str, tags: &[&str]| Customer {
            id,
            tags: tags.iter().map(|t| (*t).to_owned()).collect(),
            attributes: [("province", province.to_owned())].into(),
            ..Customer::default()
        };
        Frame {
            customers: vec![
                customer(1, "上海市", &["大客户"]),
                customer(2, "浙江省", &[]),
            ],
            transactions: vec![Transaction {
                person: 0,
                id: 1,
                customer: 0,
                source: 0,
                currency: 0,
                kind: kind::ORDER,
                cancelled: false,
                has_amount: true,
                nanos: 500_000_000,
                units: 100,
                time: Timestamp::parse("2026-01-01T00:00:00Z").unwrap(),
            }],
            currencies: vec!["CNY".to_owned()],
            ..Frame::default()
        }
    }

    fn holds(conditions: &[&str]) -> Vec<bool> {
        let frame = frame();
        let parameters = Parameters::default();
        let day = "2026-01-31".parse().unwrap();
        let context = Context::new(
            &frame,
            &parameters,
            Period {
                start: day,
                end: day,
            },
        );
        let list: Vec<String> = conditions.iter().map(|c| (*c).to_owned()).collect();
        let rule = Rule::parse(&list).unwrap();
        (0..2)
            .map(|place| {
                let explained = rule.explain(&context, place);
                let all = rule.holds(&context, place);
                assert_eq!(all, explained.iter().all(|e| e.holds), "{explained:?}");
                all
            })
            .collect()
    }

    #[test]
    fn conditions_hold_for_whom_they_should() {
        assert_eq!(holds(&[r#"province == "上海市""#]), [true, false]);
        assert_eq!(holds(&[r#""大客户" in tags"#]), [true, false]);
        assert_eq!(holds(&[r#"net_revenue == amount("100.5")"#]), [true, false]);
        assert_eq!(holds(&[r#"net_revenue > amount("100.5")"#]), [false, false]);
        assert_eq!(holds(&["recency_days == 30", "r == 1"]), [true, false]);
        // What is not known holds neither way.
        assert_eq!(holds(&["recency_days > 0"]), [true, false]);
        assert_eq!(holds(&["!(recency_days > 0)"]), [false, false]);
        assert_eq!(holds(&["order_count"]), [false, false]);
        assert_eq!(
            holds(&[r#"lifecycle_stage in ["new", "potential"] && province.startsWith("浙")"#]),
            [false, true]
        );
    }

    #[test]
    fn what_could_hurt_is_refused() {
        let parsed = |text: &str| Rule::parse(&[text.to_owned()]);
        let deep = format!("{}true{}", "(".repeat(50), ")".repeat(50));
        let bangs = format!("{}true", "!".repeat(500));
        let long = "a".repeat(MAX_CONDITION + 1);
        for wrong in [
            "",
            "grade ==",
            "unknown == 1",
            "[1,2].all(x, x > 0)",
            "tags.exists(t, t == \"a\")",
            "recency_days > 1.5",
            "double(recency_days) > 1",
            "{\"a\": 1}.a == 1",
            &deep,
            &bangs,
            &long,
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        assert!(Rule::parse(&[]).is_err());
        assert!(parsed("m > 3").unwrap().financial());
        assert!(!parsed("r > 3").unwrap().financial());
    }
}
