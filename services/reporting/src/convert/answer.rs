//! Answers: values, insights, reasons.

use super::{
    check::{decimal_out, time_out},
    pb,
};
use crate::{
    access::Viewer,
    churn::{Reason, Sign},
    measures::{Aggregation, Measure, Value, profile::Stage, registry},
    number,
};

/// A measure as the contract states it.
pub fn measure(m: &Measure) -> pb::Measure {
    pb::Measure {
        name: format!("measures/{}", m.id),
        display_name: m.name.to_owned(),
        display_name_zh: m.zh.to_owned(),
        formula: m.formula.to_owned(),
        formula_zh: m.formula_zh.to_owned(),
        version: m.version,
        unit: m.unit.as_str().to_owned(),
        aggregation: match m.aggregation {
            Aggregation::Sum => pb::Aggregation::Sum,
            Aggregation::Ratio => pb::Aggregation::Ratio,
            Aggregation::Median => pb::Aggregation::Median,
            Aggregation::P90 => pb::Aggregation::P90,
        }
        .into(),
        parameters: m.parameters.iter().map(|p| (*p).to_owned()).collect(),
        dimensions: registry::DIMENSIONS
            .iter()
            .filter(|d| m.splits_by(d))
            .map(|d| format!("dimensions/{}", d.id))
            .collect(),
        splits_by_grain: true,
    }
}

/// A value as the viewer may see it, beside the one it is compared with.
pub fn value(
    m: &Measure,
    v: &Value,
    compared: Option<&Value>,
    viewer: &Viewer,
) -> pb::MeasureValue {
    let mut out = pb::MeasureValue {
        measure: format!("measures/{}", m.id),
        version: m.version,
        unit: m.unit.as_str().to_owned(),
        ..pb::MeasureValue::default()
    };
    if !viewer.sees(m) {
        out.null_reason = "HIDDEN".to_owned();
        return out;
    }
    out.numerator = v.num.map(decimal_out);
    out.denominator = v.den.map(decimal_out);
    match v.value {
        Ok(value) => out.value = Some(decimal_out(value)),
        Err(reason) => out.null_reason = reason.to_owned(),
    }
    if let Some(Ok(before)) = compared.map(|c| c.value) {
        out.compared = Some(decimal_out(before));
        if let Ok(value) = v.value {
            out.change = change(value, before).map(decimal_out);
        }
    }
    out
}

/// value / before - 1.
pub fn change(value: i128, before: i128) -> Option<i128> {
    number::ratio(value, before)?.checked_sub(number::ONE)
}

/// A value that belongs to one customer.
pub fn plain(m: &Measure, value: Option<i128>, viewer: &Viewer) -> pb::MeasureValue {
    let v = Value {
        value: value.ok_or("NO_DATA"),
        num: None,
        den: None,
    };
    self::value(m, &v, None, viewer)
}

/// A lifecycle stage.
pub fn stage(stage: Stage) -> pb::LifecycleStage {
    match stage {
        Stage::Potential => pb::LifecycleStage::Potential,
        Stage::New => pb::LifecycleStage::New,
        Stage::Active => pb::LifecycleStage::Active,
        Stage::Loyal => pb::LifecycleStage::Loyal,
        Stage::Dormant => pb::LifecycleStage::Dormant,
        Stage::Lost => pb::LifecycleStage::Lost,
    }
}

/// A reason, with the names of the records it rests on.
pub fn reason(r: &Reason, evidence: Vec<String>) -> pb::ChurnReason {
    use pb::churn_reason::Kind;
    pb::ChurnReason {
        kind: match r.sign {
            Sign::NoOrder => Kind::NoOrder,
            Sign::Complaint => Kind::Complaint,
            Sign::SatisfactionFalls => Kind::SatisfactionFalls,
            Sign::Overdue => Kind::OverdueByOwnCycle,
        }
        .into(),
        text_zh: r.text_zh.clone(),
        text: r.text.clone(),
        since: Some(time_out(r.since)),
        evidence,
    }
}
