//! `GetCustomerInsight`, `ListCustomerInsights`, `PublishInsights`.

use std::{collections::BTreeMap, sync::Arc};

use jinke_types::Failure;
use prost::Message as _;

use super::{Api, excluded, list_metric_rows::record_names, query_metrics};
use crate::{
    access::Viewer,
    calendar::Period,
    churn::{self, Reason},
    convert::{
        Check, answer,
        check::{date_out, decimal_out, time_out},
        parameters, pb,
    },
    facts::{Frame, Outcome},
    measures::{self, Context, profile::CLASSES},
    number::{self, ONE},
    parameters::Parameters,
    publish, query,
    store::episodes,
};

const METHOD: &str = "ListCustomerInsights";

/// An insight with the reasons whose evidence is still to be named.
type Insight = (pb::CustomerInsight, Vec<Reason>);

/// Of one customer.
pub async fn get(
    api: Api,
    viewer: Viewer,
    request: pb::GetCustomerInsightRequest,
) -> Result<pb::CustomerInsight, Failure> {
    let mut check = Check::new();
    let address = check.number_in("name", &request.name, "customers/", "/insight");
    let p = parameters::parse(
        &mut check,
        "parameters",
        request.parameters.as_ref(),
        &api.core.defaults,
    );
    let day = api.day(&mut check, "as_of", request.as_of.as_ref(), &p);
    check.done()?;
    let frame = api.core.frame(&viewer.scope, false).await?;
    let place = frame
        .resolve(address)
        .ok_or_else(|| Failure::not_found(format!("customers/{address}")))?;
    let (insights, _) = compute(&api, &viewer, &frame, p, day, move |_| vec![place]).await?;
    let mut insights = finish(&api, &frame, insights).await?;
    insights
        .pop()
        .ok_or_else(|| Failure::internal("an insight was asked for and not made"))
}

/// Of many, in order of id.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListCustomerInsightsRequest,
) -> Result<pb::ListCustomerInsightsResponse, Failure> {
    let mut check = Check::new();
    let p = parameters::parse(
        &mut check,
        "parameters",
        request.parameters.as_ref(),
        &api.core.defaults,
    );
    let day = api.day(&mut check, "as_of", request.as_of.as_ref(), &p);
    let size = check.page_size(request.page_size, 50, 1_000);
    let count: Vec<_> = measures::find("customer_count").into_iter().collect();
    let filter = query_metrics::filter(&mut check, &request.filter, &count);
    check.done()?;
    viewer.may_ask(&[], &filter)?;
    let bound = hex::encode(
        pb::ListCustomerInsightsRequest {
            page_token: String::new(),
            page_size: 0,
            ..request.clone()
        }
        .encode_to_vec(),
    );
    let fingerprint = viewer.fingerprint();
    let parts = [METHOD, &viewer.caller.name, &fingerprint, &bound];
    let after: i64 = api
        .core
        .pages
        .cursor(&parts, &request.page_token)?
        .unwrap_or(i64::MIN);
    let frame = api.core.frame(&viewer.scope, false).await?;
    let (mut insights, total) = compute(&api, &viewer, &frame, p, day, move |context| {
        context
            .population()
            .filter(|place| query::customer_holds(context, &filter, *place))
            .collect()
    })
    .await
    .map(|(all, total)| {
        let rest: Vec<_> = all
            .into_iter()
            .filter(|(i, _)| id(&i.customer) > after)
            .take(size + 1)
            .collect();
        (rest, total)
    })?;
    let more = insights.len() > size;
    insights.truncate(size);
    let next_page_token = match insights.last() {
        Some((last, _)) if more => api.core.pages.token(&parts, &id(&last.customer))?,
        _ => String::new(),
    };
    Ok(pb::ListCustomerInsightsResponse {
        insights: finish(&api, &frame, insights).await?,
        next_page_token,
        total_size: i64::try_from(total).unwrap_or(i64::MAX),
    })
}

fn id(name: &str) -> i64 {
    name.strip_prefix("customers/")
        .and_then(|id| id.parse().ok())
        .unwrap_or_default()
}

/// Insights of the places that `choose` names, and how many these are.
async fn compute(
    api: &Api,
    viewer: &Viewer,
    frame: &Arc<Frame>,
    p: Parameters,
    day: chrono::NaiveDate,
    choose: impl FnOnce(&Context<'_>) -> Vec<u32> + Send + 'static,
) -> Result<(Vec<Insight>, usize), Failure> {
    let (frame, viewer) = (Arc::clone(frame), viewer.clone());
    api.core
        .compute(move || {
            let period = Period {
                start: day,
                end: day,
            };
            let context = Context::new(&frame, &p, period);
            let places = choose(&context);
            let list = places
                .iter()
                .map(|place| insight(&context, *place, &viewer))
                .collect();
            Ok((list, places.len()))
        })
        .await
}

fn insight(c: &Context<'_>, place: u32, viewer: &Viewer) -> Insight {
    let frame = c.frame;
    let customer = frame.customer(place);
    let profile = &c.profiles()[place as usize];
    let reasons = churn::reasons(c, place);
    let interactions = frame.interactions_of(place);
    let seen = interactions.partition_point(|i| i.time < c.to);
    let name = format!("customers/{}", customer.id);
    let message = pb::CustomerInsight {
        name: format!("{name}/insight"),
        customer: name,
        display_name: customer.name.clone(),
        lifecycle_stage: answer::stage(profile.stage).into(),
        stage_since: profile.since.map(date_out),
        grade: i32::from(profile.grade),
        grade_points: profile.points.unwrap_or_default(),
        rfm: profile.rfm.map(|rfm| pb::Rfm {
            recency_days: i32::try_from(rfm.recency_days).unwrap_or(i32::MAX),
            frequency: i32::try_from(rfm.frequency).unwrap_or(i32::MAX),
            monetary: Some(decimal_out(rfm.monetary)),
            r: rfm.r,
            f: rfm.f,
            m: rfm.m,
            segment: CLASSES[rfm.class()].to_owned(),
        }),
        values: values(c, place, viewer),
        first_order_time: profile.first_order.map(time_out),
        last_order_time: profile.last_order.map(time_out),
        last_interaction_time: interactions[..seen].last().map(|i| time_out(i.time)),
        churn_reasons: Vec::new(),
        churn_episode: String::new(),
        basis: Some(parameters::basis(
            frame,
            c.parameters,
            c.period.end,
            Vec::new(),
        )),
    };
    (message, reasons)
}

fn values(c: &Context<'_>, place: u32, viewer: &Viewer) -> Vec<pb::MeasureValue> {
    let profile = &c.profiles()[place as usize];
    let orders = i128::from(profile.orders) * ONE;
    let average = match (profile.revenue, profile.orders) {
        (Some(revenue), 1..) => number::ratio(revenue, orders),
        _ => None,
    };
    let interval = match (profile.first_order, profile.last_order, profile.orders) {
        (Some(first), Some(last), 2..) => {
            let zone = c.parameters.zone;
            let days = crate::calendar::days_between(zone.day(first), zone.day(last));
            number::ratio(i128::from(days), i128::from(profile.orders - 1))
        }
        _ => None,
    };
    let open: Vec<i128> = c
        .frame
        .opportunities
        .iter()
        .filter(|o| o.customer == place && o.outcome == Outcome::Open)
        .filter_map(|o| {
            let (amount, currency) = o.amount?;
            let amount = c.rates.convert(amount, currency)?;
            number::divide(amount.checked_mul(i128::from(o.probability))?, 100)
        })
        .collect();
    let forecast = (!open.is_empty()).then(|| open.iter().sum());
    [
        ("net_revenue", profile.revenue),
        ("order_count", Some(orders)),
        ("average_order_value", average),
        ("repurchase_interval_days", interval),
        ("clv_simple", profile.clv_simple),
        ("clv_discounted", profile.clv_discounted),
        ("forecast_amount", forecast),
    ]
    .into_iter()
    .filter_map(|(id, value)| Some(answer::plain(measures::find(id)?, value, viewer)))
    .collect()
}

/// Names the evidence of reasons and the open episodes.
async fn finish(
    api: &Api,
    frame: &Frame,
    insights: Vec<Insight>,
) -> Result<Vec<pb::CustomerInsight>, Failure> {
    let anchors: Vec<i64> = insights
        .iter()
        .flat_map(|(_, reasons)| reasons.iter().map(|r| r.anchor))
        .collect();
    let names = record_names(api, &anchors).await?;
    let mut open: BTreeMap<u32, i64> = BTreeMap::new();
    {
        let mut conn = api.core.db.read().await?;
        let listed = episodes::before(&mut conn, i64::MAX, episodes::OPEN, 100_000).await?;
        for episode in listed {
            if let Some(place) = frame.resolve(episode.address) {
                open.insert(place, episode.id);
            }
        }
    }
    Ok(insights
        .into_iter()
        .map(|(mut message, reasons)| {
            message.churn_reasons = reasons
                .iter()
                .map(|r| answer::reason(r, names.get(&r.anchor).cloned().into_iter().collect()))
                .collect();
            let place = frame.find(id(&message.customer));
            message.churn_episode = place
                .and_then(|place| open.get(&place))
                .map(|id| format!("churnEpisodes/{id}"))
                .unwrap_or_default();
            message
        })
        .collect())
}

/// Writes grade and lifecycle stage back as tags.
pub async fn publish(
    api: Api,
    viewer: Viewer,
    request: pb::PublishInsightsRequest,
) -> Result<pb::PublishInsightsResponse, Failure> {
    let mut check = Check::new();
    check.request_id(&request.request_id);
    check.done()?;
    // It is done to every customer, whoever asks.
    whole(&viewer)?;
    let (done, frame) = publish::publish(&api.core, &api.outside, request.validate_only).await?;
    let p = &api.core.defaults;
    let today = api.core.today(p);
    let none = excluded(&frame, p, p.zone.start(today), p.zone.end(today));
    Ok(pb::PublishInsightsResponse {
        customers: done.customers,
        added: done.added,
        removed: done.removed,
        basis: Some(parameters::basis(&frame, p, today, none)),
    })
}

/// Refuses a caller who does not see every row what is done to all of them.
///
/// # Errors
/// `OUTSIDE_SCOPE`.
pub(super) fn whole(viewer: &Viewer) -> Result<(), Failure> {
    if viewer.scope == jinke_types::RowScope::All {
        return Ok(());
    }
    Err(Failure::new(
        jinke_types::Code::PermissionDenied,
        "OUTSIDE_SCOPE",
        "this concerns the whole enterprise, and you act in some org units only",
    ))
}
