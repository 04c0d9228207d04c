//! `ListMetricRows`: what a value adds up from.

use std::collections::BTreeMap;

use jinke_types::Failure;

use super::{Api, excluded, query_metrics};
use crate::{
    access::Viewer,
    convert::{
        Check, answer,
        check::{decimal_out, time_out},
        parameters, pb,
    },
    facts::Frame,
    measures::{self, Context, Contribution, Subject},
    query,
    store::load,
};

const METHOD: &str = "ListMetricRows";

/// A page of contributions and the value all of them make.
struct Computed {
    page: Vec<Contribution>,
    total: usize,
    value: measures::Value,
}

/// The contributions to one measure in one period, in a fixed order.
pub async fn run(
    api: Api,
    viewer: Viewer,
    request: pb::ListMetricRowsRequest,
) -> Result<pb::ListMetricRowsResponse, Failure> {
    let mut check = Check::new();
    let p = parameters::parse(
        &mut check,
        "parameters",
        request.parameters.as_ref(),
        &api.core.defaults,
    );
    let measure = query_metrics::measure(&mut check, "measure".to_owned(), &request.measure);
    let list: Vec<_> = measure.into_iter().collect();
    let filter = query_metrics::filter(&mut check, &request.filter, &list);
    let period = query_metrics::window(
        &api,
        &mut check,
        request.start_date.as_ref(),
        request.end_date.as_ref(),
        &p,
        &list,
    );
    let size = check.page_size(request.page_size, 100, 1_000);
    check.done()?;
    let measure = measure.ok_or_else(|| Failure::internal("a checked measure is missing"))?;
    viewer.may_ask(&[], &filter)?;
    let bound = hex::encode(prost::Message::encode_to_vec(&pb::ListMetricRowsRequest {
        page_token: String::new(),
        page_size: 0,
        ..request.clone()
    }));
    let fingerprint = viewer.fingerprint();
    let parts = [METHOD, &viewer.caller.name, &fingerprint, &bound];
    let skip: usize = api
        .core
        .pages
        .cursor(&parts, &request.page_token)?
        .unwrap_or_default();
    let by_line = query::filters_lines(&filter);
    let frame = api.core.frame(&viewer.scope, by_line).await?;
    let computed = {
        let (frame, p) = (frame.clone(), p.clone());
        api.core
            .compute(move || {
                let mut context = Context::new(&frame, &p, period);
                context.by_line = by_line;
                let all = query::rows(&context, measure, &filter);
                Ok(Computed {
                    value: measures::aggregate(measure, &all),
                    total: all.len(),
                    page: all.into_iter().skip(skip).take(size).collect(),
                })
            })
            .await?
    };
    let names = subjects(&api, &frame, &computed.page).await?;
    let hidden = !viewer.sees(measure);
    let rows = computed
        .page
        .iter()
        .map(|c| row(&frame, c, &names, hidden))
        .collect();
    let more = skip + size < computed.total;
    Ok(pb::ListMetricRowsResponse {
        rows,
        next_page_token: if more {
            api.core.pages.token(&parts, &(skip + size))?
        } else {
            String::new()
        },
        total_size: i64::try_from(computed.total).unwrap_or(i64::MAX),
        value: Some(answer::value(measure, &computed.value, None, &viewer)),
        basis: Some(parameters::basis(
            &frame,
            &p,
            period.end,
            excluded(
                &frame,
                &p,
                p.zone.start(period.start),
                p.zone.end(period.end),
            ),
        )),
    })
}

fn row(
    frame: &Frame,
    c: &Contribution,
    names: &BTreeMap<i64, String>,
    hidden: bool,
) -> pb::list_metric_rows_response::Row {
    let customer = frame.customer(c.customer);
    let name = format!("customers/{}", customer.id);
    let (subject, time) = match c.subject {
        Subject::Customer => (name.clone(), None),
        Subject::Transaction(n) => fact(frame.transactions[n as usize].id, names)
            .zip_time(frame.transactions[n as usize].time),
        Subject::Line(n) => {
            let t = &frame.transactions[frame.lines[n as usize].transaction as usize];
            fact(t.id, names).zip_time(t.time)
        }
        Subject::Interaction(n) => fact(frame.interactions[n as usize].id, names)
            .zip_time(frame.interactions[n as usize].time),
        Subject::Opportunity(n) => {
            let o = &frame.opportunities[n as usize];
            format!("opportunities/{}", o.id).zip_time(o.outcome_time.unwrap_or(o.create_time))
        }
    };
    pb::list_metric_rows_response::Row {
        customer: name,
        display_name: customer.name.clone(),
        subject,
        time: time.map(time_out),
        numerator: (!hidden).then(|| decimal_out(c.num)),
        denominator: (!hidden && c.den != 0).then(|| decimal_out(c.den)),
        hidden,
    }
}

fn fact(id: i64, names: &BTreeMap<i64, String>) -> String {
    names
        .get(&id)
        .cloned()
        .unwrap_or_else(|| format!("activities/{}", -id))
}

/// Puts a time beside a name.
trait ZipTime {
    fn zip_time(self, time: jinke_types::Timestamp) -> (String, Option<jinke_types::Timestamp>);
}

impl ZipTime for String {
    fn zip_time(self, time: jinke_types::Timestamp) -> (String, Option<jinke_types::Timestamp>) {
        (self, Some(time))
    }
}

/// Names of the source records behind contributions, by record number.
async fn subjects(
    api: &Api,
    frame: &Frame,
    page: &[Contribution],
) -> Result<BTreeMap<i64, String>, Failure> {
    let ids: Vec<i64> = page
        .iter()
        .filter_map(|c| match c.subject {
            Subject::Transaction(n) => Some(frame.transactions[n as usize].id),
            Subject::Line(n) => {
                let transaction = frame.lines[n as usize].transaction;
                Some(frame.transactions[transaction as usize].id)
            }
            Subject::Interaction(n) => Some(frame.interactions[n as usize].id),
            Subject::Customer | Subject::Opportunity(_) => None,
        })
        .collect();
    record_names(api, &ids).await
}

/// `sources/{source}/records/{external id}` of facts, by record number.
pub(super) async fn record_names(api: &Api, ids: &[i64]) -> Result<BTreeMap<i64, String>, Failure> {
    let ids: Vec<i64> = ids.iter().copied().filter(|id| *id > 0).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    load::record_names(&mut *api.core.db.read().await?, &ids).await
}
