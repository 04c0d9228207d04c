//! `CreateReport`, `GetReport`, `ListReports`, `DownloadReport`, `DeleteReport`.

use std::sync::Arc;

use chrono::{Datelike as _, NaiveDate};
use jinke_store::counter;
use jinke_types::{Code, Failure, FieldClass, RowScope};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Api, excluded, request_id};
use crate::{
    access::Viewer,
    calendar::{add_months, next},
    convert::{
        Check, answer,
        check::{date_out, time_out},
        parameters, pb,
    },
    measures::{self, Value},
    report::{Language, html, model, words, xlsx},
    store::reports::{self as rows, ReportRow},
};

const METHOD: &str = "ListReports";
/// Classes of what a report tells.
const TOLD: [FieldClass; 2] = [FieldClass::Financial, FieldClass::SalesAmount];
/// Largest file: what a client takes by default, with room for the rest of the message.
const MAX_FILE: usize = 3 * 1024 * 1024;

/// What is stored of a report: the model, and what it was computed from as an encoded message.
#[derive(Serialize, Deserialize)]
struct Content {
    report: model::Report,
    basis: Vec<u8>,
}

/// Computes and keeps one.
pub async fn create(
    api: Api,
    viewer: Viewer,
    request: pb::CreateReportRequest,
) -> Result<pb::Report, Failure> {
    let mut check = Check::new();
    let p = parameters::parse(
        &mut check,
        "parameters",
        request.parameters.as_ref(),
        &api.core.defaults,
    );
    let date = api.day(&mut check, "date", request.date.as_ref(), &p);
    let given = check.request_id(&request.request_id);
    check.done()?;
    for class in TOLD {
        viewer.needs(class, "a customer asset report")?;
    }
    let frame = api.core.frame(&viewer.scope, false).await?;
    let content = {
        let p = p.clone();
        api.core
            .compute(move || {
                let report = model::build(&frame, &p, date)?;
                let from = p.zone.start(next(add_months(date, -12)));
                let left_out = excluded(&frame, &p, from, p.zone.end(date));
                let basis = parameters::basis(&frame, &p, date, left_out);
                Ok(Content {
                    report,
                    basis: basis.encode_to_vec(),
                })
            })
            .await?
    };
    let bytes = serde_json::to_vec(&content).map_err(Failure::internal)?;
    let request_id = request_id(given, &viewer, "CreateReport", &request);
    let (core, now, request_id) = (&api.core, api.core.clock.now(), request_id.as_ref());
    let new = &ReportRow {
        id: 0,
        day: i64::from((date - NaiveDate::default()).num_days() as i32),
        creator: viewer.caller.name.clone(),
        scope: viewer.fingerprint(),
        hash: hash(&content.report)?,
        content: bytes,
        create_time: now,
    };
    let row = core
        .db
        .write(async |mut tx| {
            let tx = &mut tx;
            if let Some(name) = core.claim(tx, request_id, now).await? {
                let id = name.rsplit('/').next().and_then(|n| n.parse().ok());
                let row = match id {
                    Some(id) => rows::get(tx, id).await?,
                    None => None,
                };
                return row.ok_or_else(|| Failure::not_found(name));
            }
            let row = ReportRow {
                id: counter::take(tx, "reports", 1).await?,
                ..new.clone()
            };
            rows::put(tx, &row).await?;
            core.complete(tx, request_id, &format!("reports/{}", row.id), 1)
                .await?;
            Ok(row)
        })
        .await?;
    one(&row, &viewer)
}

/// Of everything that the pages show and nothing else: where the feeds stand is no content.
fn hash(report: &model::Report) -> Result<String, Failure> {
    let mut shown = report.clone();
    shown.positions = [0; 3];
    let bytes = serde_json::to_vec(&shown).map_err(Failure::internal)?;
    Ok(hex::encode(Sha256::digest(bytes)))
}

/// One that the viewer may read: his own under the rights he made it with, or any for one who sees
/// everything.
async fn visible(api: &Api, viewer: &Viewer, id: i64) -> Result<ReportRow, Failure> {
    let row = rows::get(&mut *api.core.db.read().await?, id).await?;
    row.filter(|row| may_read(viewer, row))
        .ok_or_else(|| Failure::not_found(format!("reports/{id}")))
}

fn may_read(viewer: &Viewer, row: &ReportRow) -> bool {
    let own = row.creator == viewer.caller.name && row.scope == viewer.fingerprint();
    let reads = TOLD.iter().all(|class| viewer.mask.allows(*class));
    reads && (own || viewer.scope == RowScope::All)
}

fn content(row: &ReportRow) -> Result<Content, Failure> {
    serde_json::from_slice(&row.content).map_err(|_| {
        Failure::new(
            Code::DataLoss,
            "REPORT_DAMAGED",
            "the stored report cannot be read",
        )
    })
}

fn one(row: &ReportRow, viewer: &Viewer) -> Result<pb::Report, Failure> {
    let content = content(row)?;
    let basis = pb::Basis::decode(content.basis.as_slice()).map_err(Failure::internal)?;
    let values = content
        .report
        .kpis
        .iter()
        .filter_map(|kpi| {
            let value = |v: &Option<String>| Value {
                value: words::read(v).ok_or("NO_DATA"),
                num: None,
                den: None,
            };
            let measure = measures::find(&kpi.measure)?;
            let before = value(&kpi.before);
            Some(answer::value(
                measure,
                &value(&kpi.value),
                Some(&before),
                viewer,
            ))
        })
        .collect();
    Ok(pb::Report {
        name: format!("reports/{}", row.id),
        uid: row.id.to_string(),
        date: Some(date_out(content.report.date)),
        parameters: basis.parameters.clone(),
        creator: row.creator.clone(),
        create_time: Some(time_out(row.create_time)),
        basis: Some(basis),
        content_hash: row.hash.clone(),
        values,
    })
}

fn id_of(check: &mut Check, name: &str) -> i64 {
    check.number_in("name", name, "reports/", "")
}

/// One by name.
pub async fn get(
    api: Api,
    viewer: Viewer,
    request: pb::GetReportRequest,
) -> Result<pb::Report, Failure> {
    let mut check = Check::new();
    let id = id_of(&mut check, &request.name);
    check.done()?;
    one(&visible(&api, &viewer, id).await?, &viewer)
}

/// Newest first.
pub async fn list(
    api: Api,
    viewer: Viewer,
    request: pb::ListReportsRequest,
) -> Result<pb::ListReportsResponse, Failure> {
    let mut check = Check::new();
    let size = check.page_size(request.page_size, 20, 100);
    check.done()?;
    let fingerprint = viewer.fingerprint();
    let parts = [METHOD, viewer.caller.name.as_str(), &fingerprint];
    let before: i64 = api
        .core
        .pages
        .cursor(&parts, &request.page_token)?
        .unwrap_or(i64::MAX);
    let creator = if viewer.scope == RowScope::All {
        ""
    } else {
        viewer.caller.name.as_str()
    };
    let mut found = rows::list(&mut *api.core.db.read().await?, before, creator, size + 1).await?;
    let more = found.len() > size;
    found.truncate(size);
    let next_page_token = match found.last() {
        Some(last) if more => api.core.pages.token(&parts, &last.id)?,
        _ => String::new(),
    };
    Ok(pb::ListReportsResponse {
        reports: found
            .iter()
            .filter(|row| may_read(&viewer, row))
            .map(|row| one(row, &viewer))
            .collect::<Result<_, _>>()?,
        next_page_token,
    })
}

/// The file.
pub async fn download(
    api: Api,
    viewer: Viewer,
    request: pb::DownloadReportRequest,
) -> Result<pb::DownloadReportResponse, Failure> {
    let mut check = Check::new();
    let id = id_of(&mut check, &request.name);
    check.done()?;
    let row = visible(&api, &viewer, id).await?;
    let language = match request.language() {
        pb::ReportLanguage::En => Language::En,
        pb::ReportLanguage::Zh | pb::ReportLanguage::Unspecified => Language::Zh,
    };
    let report = Arc::new(content(&row)?.report);
    let date = report.date;
    let (bytes, content_type, end) = match request.format() {
        pb::ReportFormat::Xlsx => (
            api.core
                .compute(move || xlsx::write(&report, language))
                .await?,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "xlsx",
        ),
        pb::ReportFormat::Html | pb::ReportFormat::Unspecified => (
            api.core
                .compute(move || Ok(html::write(&report, language).into_bytes()))
                .await?,
            "text/html; charset=utf-8",
            "html",
        ),
    };
    if bytes.len() > MAX_FILE {
        return Err(Failure::new(
            Code::ResourceExhausted,
            "REPORT_TOO_LARGE",
            "the file would be larger than 3 MiB",
        ));
    }
    let stem = language.pick("客户资产报告", "customer-asset-report");
    Ok(pb::DownloadReportResponse {
        content: bytes,
        content_type: content_type.to_owned(),
        file_name: format!(
            "{stem}-{:04}-{:02}-{:02}.{end}",
            date.year(),
            date.month(),
            date.day()
        ),
    })
}

/// Removes one.
pub async fn delete(
    api: Api,
    viewer: Viewer,
    request: pb::DeleteReportRequest,
) -> Result<pb::DeleteReportResponse, Failure> {
    let mut check = Check::new();
    let id = id_of(&mut check, &request.name);
    let given = check.request_id(&request.request_id);
    check.done()?;
    let request_id = request_id(given, &viewer, "DeleteReport", &request);
    let (core, now, request_id) = (&api.core, api.core.clock.now(), request_id.as_ref());
    let viewer = &viewer;
    core.db
        .write(async |mut tx| {
            let tx = &mut tx;
            if core.claim(tx, request_id, now).await?.is_some() {
                return Ok(());
            }
            let row = rows::get(tx, id).await?;
            if row.is_none_or(|row| !may_read(viewer, &row)) {
                return Err(Failure::not_found(format!("reports/{id}")));
            }
            rows::remove(tx, id).await?;
            core.complete(tx, request_id, &format!("reports/{id}"), 1)
                .await
        })
        .await?;
    Ok(pb::DeleteReportResponse {})
}
