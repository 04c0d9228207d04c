//! `ListMeasures` and `QueryMetrics`.

use std::{collections::BTreeMap, sync::Arc};

use jinke_types::Failure;

use super::{Api, excluded, labels};
use crate::{
    access::Viewer,
    calendar::{Grain, Period, add_months, cut, next, previous},
    convert::{Check, answer, check::date_out, parameters, pb},
    measures::{self, Dimension, Measure, registry},
    query::{self, Answer, MAX_GROUPS, MAX_PERIODS, Question, Term},
};

const METHOD: &str = "QueryMetrics";
/// Most measures of a question.
const MAX_MEASURES: usize = 10;
/// Most dimensions of a question.
const MAX_DIMENSIONS: usize = 3;

/// All definitions.
pub async fn list_measures(
    api: Api,
    _viewer: Viewer,
    _request: pb::ListMeasuresRequest,
) -> Result<pb::ListMeasuresResponse, Failure> {
    Ok(pb::ListMeasuresResponse {
        measures: registry::MEASURES.iter().map(answer::measure).collect(),
        dimensions: registry::DIMENSIONS
            .iter()
            .map(|d| pb::Dimension {
                name: format!("dimensions/{}", d.id),
                display_name: d.name.to_owned(),
                display_name_zh: d.zh.to_owned(),
            })
            .collect(),
        default_parameters: Some(parameters::write(&api.core.defaults)),
    })
}

/// A measure by name.
pub(super) fn measure(check: &mut Check, field: String, name: &str) -> Option<&'static Measure> {
    let found = measures::find(name);
    if found.is_none() {
        check.wrong(field, "is no measure; see ListMeasures");
    }
    found
}

/// A filter, whose terms the measures must know.
pub(super) fn filter(check: &mut Check, text: &str, measures: &[&'static Measure]) -> Vec<Term> {
    match query::parse_filter(text) {
        Ok(terms) => {
            for term in &terms {
                let Some(d) = measures::find_dimension(term.dimension) else {
                    continue;
                };
                if let Some(m) = measures.iter().find(|m| !d.of_customer && !m.splits_by(d)) {
                    check.wrong("filter", format!("{} has no dimension {}", m.id, d.id));
                }
            }
            terms
        }
        Err(why) => {
            check.wrong("filter", why);
            Vec::new()
        }
    }
}

/// The window a question is about. Unless it says otherwise: the twelve months up to today; the twelve
/// months from today on when all of its measures look ahead.
pub(super) fn window(
    api: &Api,
    check: &mut Check,
    start: Option<&jinke_proto::google::r#type::Date>,
    end: Option<&jinke_proto::google::r#type::Date>,
    p: &crate::parameters::Parameters,
    measures: &[&'static Measure],
) -> Period {
    let today = api.core.today(p);
    let ahead = !measures.is_empty() && measures.iter().all(|m| m.looks_ahead());
    let start = check.date("start_date", start);
    let end = match check.date("end_date", end) {
        Some(end) => end,
        None if ahead => previous(add_months(start.unwrap_or(today).max(today), 12)),
        None => today,
    };
    let start = start.unwrap_or_else(|| {
        if ahead && today <= end {
            today
        } else {
            next(add_months(end, -12))
        }
    });
    if start > end {
        check.wrong("start_date", "must not be after end_date");
    }
    Period {
        start,
        end: end.max(start),
    }
}

fn dimensions(
    check: &mut Check,
    names: &[String],
    measures: &[&Measure],
) -> Vec<&'static Dimension> {
    if names.len() > MAX_DIMENSIONS {
        check.wrong("dimensions", format!("must be at most {MAX_DIMENSIONS}"));
        return Vec::new();
    }
    let mut out: Vec<&'static Dimension> = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let field = format!("dimensions[{n}]");
        match measures::find_dimension(name) {
            None => check.wrong(field, "is no dimension; see ListMeasures"),
            Some(d) if out.iter().any(|o| o.id == d.id) => check.wrong(field, "must not repeat"),
            Some(d) => {
                if let Some(m) = measures.iter().find(|m| !m.splits_by(d)) {
                    check.wrong(field, format!("{} has no dimension {}", m.id, d.id));
                }
                out.push(d);
            }
        }
    }
    out
}

struct Asked {
    question: Question,
    periods: Vec<Period>,
    window: Period,
    comparison: pb::Comparison,
    by_value: bool,
    size: usize,
    parameters: crate::parameters::Parameters,
}

fn read(api: &Api, request: &pb::QueryMetricsRequest) -> Result<Asked, Failure> {
    let mut check = Check::new();
    let parameters = parameters::parse(
        &mut check,
        "parameters",
        request.parameters.as_ref(),
        &api.core.defaults,
    );
    if request.measures.is_empty() || request.measures.len() > MAX_MEASURES {
        check.wrong("measures", format!("must be 1 to {MAX_MEASURES}"));
    }
    let measures: Vec<_> = request
        .measures
        .iter()
        .take(MAX_MEASURES)
        .enumerate()
        .filter_map(|(n, name)| measure(&mut check, format!("measures[{n}]"), name))
        .collect();
    let dimensions = dimensions(&mut check, &request.dimensions, &measures);
    let filter = filter(&mut check, &request.filter, &measures);
    let window = window(
        api,
        &mut check,
        request.start_date.as_ref(),
        request.end_date.as_ref(),
        &parameters,
        &measures,
    );
    let grain = match request.grain() {
        pb::TimeGrain::Unspecified => Grain::Whole,
        pb::TimeGrain::Day => Grain::Day,
        pb::TimeGrain::Week => Grain::Week,
        pb::TimeGrain::Month => Grain::Month,
        pb::TimeGrain::Quarter => Grain::Quarter,
        pb::TimeGrain::Year => Grain::Year,
    };
    let periods = cut(window, grain, MAX_PERIODS).unwrap_or_else(|| {
        check.wrong(
            "grain",
            format!("cuts the window into more than {MAX_PERIODS} periods"),
        );
        Vec::new()
    });
    let by_value = match request.order_by.trim() {
        "" => false,
        "value desc" => true,
        _ => {
            check.wrong("order_by", "must be empty or \"value desc\"");
            false
        }
    };
    let size = check.page_size(request.page_size, 1_000, MAX_GROUPS);
    let comparison = request.comparison();
    check.done()?;
    Ok(Asked {
        question: Question {
            measures,
            dimensions,
            filter,
        },
        periods,
        window,
        comparison,
        by_value,
        size,
        parameters,
    })
}

/// Measures of groups in periods.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::QueryMetricsRequest,
) -> Result<pb::QueryMetricsResponse, Failure> {
    let asked = read(&api, &request)?;
    viewer.may_ask(&asked.question.dimensions, &asked.question.filter)?;
    if asked.by_value {
        for m in asked.question.measures.iter().take(1) {
            if let Some(class) = m.class {
                viewer.needs(class, m.id)?;
            }
        }
    }
    let bound = bound(&request);
    let fingerprint = viewer.fingerprint();
    let parts = [METHOD, &viewer.caller.name, &fingerprint, &bound];
    let skip: usize = api
        .core
        .pages
        .cursor(&parts, &request.page_token)?
        .unwrap_or_default();
    let lines = query::needs_lines(&asked.question);
    let frame = api.core.frame(&viewer.scope, lines).await?;
    let size = asked.size;
    let (facts, shown) = (Arc::clone(&frame), viewer.clone());
    let dimensions = asked.question.dimensions.clone();
    let (mut rows, totals, basis) = api
        .core
        .compute(move || compute(&facts, &asked, &shown))
        .await?;
    let more = rows.len() > skip.saturating_add(size);
    let next_page_token = if more {
        api.core.pages.token(&parts, &(skip + size))?
    } else {
        String::new()
    };
    rows = rows.into_iter().skip(skip).take(size).collect();
    labels::put(&api, &viewer, &frame, &dimensions, &mut rows).await?;
    Ok(pb::QueryMetricsResponse {
        rows,
        next_page_token,
        totals,
        basis: Some(basis),
    })
}

/// The request without what a page changes.
fn bound(request: &pb::QueryMetricsRequest) -> String {
    let bare = pb::QueryMetricsRequest {
        page_token: String::new(),
        page_size: 0,
        ..request.clone()
    };
    hex::encode(prost::Message::encode_to_vec(&bare))
}

type Computed = (Vec<pb::MetricRow>, Vec<pb::MetricRow>, pb::Basis);

fn compute(
    frame: &crate::facts::Frame,
    asked: &Asked,
    viewer: &Viewer,
) -> Result<Computed, Failure> {
    let p = &asked.parameters;
    let (mut rows, mut totals) = (Vec::new(), Vec::new());
    for period in &asked.periods {
        let now = query::answer(frame, p, *period, &asked.question)?;
        let before = match asked.comparison {
            pb::Comparison::Unspecified => None,
            pb::Comparison::PreviousPeriod => Some(period.before()),
            pb::Comparison::PreviousYear => Some(period.year_before()),
        };
        let before = before
            .map(|period| query::answer(frame, p, period, &asked.question))
            .transpose()?;
        let total = before.as_ref().map(|b| b.total.as_slice());
        totals.push(row(asked, *period, &[], &now.total, total, viewer));
        if !asked.question.dimensions.is_empty() {
            rows.extend(groups(asked, *period, &now, before.as_ref(), viewer));
        }
        if rows.len() > MAX_GROUPS {
            return Err(query::too_many());
        }
    }
    if asked.question.dimensions.is_empty() {
        rows.clone_from(&totals);
    }
    let excluded = excluded(
        frame,
        p,
        p.zone.start(asked.window.start),
        p.zone.end(asked.window.end),
    );
    Ok((
        rows,
        totals,
        parameters::basis(frame, p, asked.window.end, excluded),
    ))
}

/// The groups of a period and of the one it is compared with, in order of their values, or of the
/// first measure. A group that is in one of the two only has nothing in the other: a customer who
/// bought last year and not this year is what a comparison is asked for.
fn groups(
    asked: &Asked,
    period: Period,
    now: &Answer,
    before: Option<&Answer>,
    viewer: &Viewer,
) -> Vec<pb::MetricRow> {
    let nothing: Vec<measures::Value> = asked
        .question
        .measures
        .iter()
        .map(|m| measures::aggregate(m, []))
        .collect();
    let mut both = BTreeMap::new();
    for key in before.into_iter().flat_map(|b| b.groups.keys()) {
        both.insert(key, &nothing);
    }
    both.extend(&now.groups);
    let mut list: Vec<_> = both.into_iter().collect();
    if asked.by_value {
        // Stable: equal values stay in order of the dimensions. Nothing known comes last.
        list.sort_by_key(|(_, group)| {
            let value = group.first().and_then(|v| v.value.ok());
            std::cmp::Reverse(value)
        });
    }
    list.into_iter()
        .map(|(key, group)| {
            let compared = before.map(|b| b.groups.get(key).unwrap_or(&nothing).as_slice());
            row(asked, period, key, group, compared, viewer)
        })
        .collect()
}

fn row(
    asked: &Asked,
    period: Period,
    key: &[String],
    group: &[measures::Value],
    compared: Option<&[measures::Value]>,
    viewer: &Viewer,
) -> pb::MetricRow {
    let values = asked
        .question
        .measures
        .iter()
        .zip(group)
        .enumerate()
        .map(|(n, (m, v))| answer::value(m, v, compared.and_then(|c| c.get(n)), viewer))
        .collect();
    pb::MetricRow {
        dimension_values: key.to_vec(),
        dimension_labels: Vec::new(),
        start_date: Some(date_out(period.start)),
        end_date: Some(date_out(period.end)),
        values,
    }
}
