//! Where leads go: the pipeline service. A lead is nobody's customer yet, so it takes another door
//! than records do.
//!
//! Rows are sent with a request id that depends only on what is sent and where it comes from; the
//! service knows each lead by its key, so that rows which are sent again make none twice.

use std::time::Duration;

use async_trait::async_trait;
use jinke_proto::jinke::{
    customer::v1::ingest_result::Outcome,
    pipeline::v1::{self as pb, ingest_leads_response, lead_service_client::LeadServiceClient},
};
use jinke_sdk::Lead;
use jinke_types::{Entropy, Failure};
use tonic::{
    Code, Status,
    client::GrpcService,
    codegen::{Body, Bytes, StdError},
};

use crate::{
    backoff::Backoff,
    batch::{Origin, request_id},
    convert::{optional_money, timestamp},
    deliver::{Attempts, DEADLINE, Delivered, is_retryable, rejected, within},
    report::Rejected,
};

/// Rows of one call. Each is looked for among the customers and given to somebody, one after the
/// other, so a call with many would run into its deadline.
pub const MAX_ROWS: usize = 50;

/// The door of the pipeline service.
#[async_trait]
pub trait LeadDoor: Send + Sync {
    /// `LeadService.IngestLeads`.
    async fn ingest(
        &self,
        request: pb::IngestLeadsRequest,
    ) -> Result<pb::IngestLeadsResponse, Status>;
}

/// The pipeline service over a transport that authenticates the calls.
#[derive(Clone, Debug)]
pub struct PipelineDoor<T>(LeadServiceClient<T>);

impl<T> PipelineDoor<T>
where
    T: GrpcService<tonic::body::Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    /// The door behind `transport`.
    pub fn new(transport: T) -> Self {
        Self(LeadServiceClient::new(transport))
    }
}

#[async_trait]
impl<T> LeadDoor for PipelineDoor<T>
where
    T: GrpcService<tonic::body::Body> + Clone + Send + Sync + 'static,
    T::Error: Into<StdError>,
    T::Future: Send,
    T::ResponseBody: Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as Body>::Error: Into<StdError> + Send,
{
    async fn ingest(
        &self,
        request: pb::IngestLeadsRequest,
    ) -> Result<pb::IngestLeadsResponse, Status> {
        let mut client = self.0.clone();
        let mut request = tonic::Request::new(request);
        request.set_timeout(DEADLINE);
        let answer = within("pipeline", client.ingest_leads(request)).await?;
        Ok(answer.into_inner())
    }
}

/// A lead as a message; `org_unit` is where a new one belongs.
///
/// # Errors
/// An amount that does not fit `google.type.Money`.
pub fn row(lead: &Lead, org_unit: &str) -> Result<pb::LeadRow, Failure> {
    let s = &lead.stated;
    let estimate = optional_money(s.estimate.as_ref(), || "lead.estimate".to_owned())?;
    Ok(pb::LeadRow {
        lead: Some(pb::Lead {
            company: s.company.clone(),
            person_name: s.person_name.clone(),
            title: s.title.clone(),
            phones: s.phones.clone(),
            emails: s.emails.clone(),
            uscc: s.uscc.clone(),
            region: s.region.clone(),
            interest: s.interest.clone(),
            remark: s.remark.clone(),
            estimate,
            first_touch: Some(pb::FirstTouch {
                channel: s.channel.clone(),
                campaign: s.campaign.clone(),
                touch_time: s.time.map(timestamp),
            }),
            source: format!("sources/{}", lead.key.source),
            external_id: lead.key.external_id.clone(),
            org_unit: org_unit.to_owned(),
            ..pb::Lead::default()
        }),
        source_revision: lead.source_revision,
        source_update_time: lead.update_time.map(timestamp),
        deleted: lead.deleted,
    })
}

const fn outcome(told: ingest_leads_response::Outcome) -> Outcome {
    use ingest_leads_response::Outcome as Told;
    match told {
        Told::Created => Outcome::Created,
        Told::Updated => Outcome::Updated,
        Told::Unchanged => Outcome::Unchanged,
        Told::Superseded => Outcome::Superseded,
        Told::Rejected | Told::Unspecified => Outcome::Rejected,
    }
}

/// Sends leads, pulled after `cursor`, until the service has answered for each. They are of one
/// stream, in the order of its system.
pub(crate) async fn deliver_leads(
    door: &dyn LeadDoor,
    (backoff, entropy): (Backoff, &dyn Entropy),
    origin: &Origin,
    cursor: Option<&str>,
    org_unit: &str,
    leads: &[Lead],
    on_wait: &mut (dyn FnMut(Duration, &Status) + Send),
) -> Result<Delivered, Status> {
    let mut done = Delivered {
        outcomes: vec![Outcome::Unspecified; leads.len()],
        ..Delivered::default()
    };
    let mut rows = Vec::with_capacity(leads.len());
    for (place, lead) in leads.iter().enumerate() {
        match row(lead, org_unit) {
            Ok(row) => rows.push((place, row)),
            Err(failure) => {
                let rejected = Rejected {
                    source: lead.key.source.clone(),
                    external_id: lead.key.external_id.clone(),
                    reason: failure.reason.to_owned(),
                    message: failure.message,
                };
                done.refuse(place, rejected);
            }
        }
    }
    for some in rows.chunks(MAX_ROWS) {
        let mut some = some.to_vec();
        let mut attempts = Attempts::new(backoff, entropy);
        while !some.is_empty() {
            let sent: Vec<pb::LeadRow> = some.iter().map(|(_, row)| row.clone()).collect();
            let request = pb::IngestLeadsRequest {
                request_id: request_id(origin, cursor, &sent, false),
                rows: sent,
            };
            let answered = match door.ingest(request).await {
                Ok(answer) => again(&mut done, leads, &mut some, answer)?,
                Err(status) => Some(status),
            };
            // Rows that could not be taken just now go again, by themselves: another body, so
            // another request id.
            if let Some(status) = answered {
                let shown = status.clone();
                let wait = attempts.next(status)?;
                done.retries += 1;
                on_wait(wait, &shown);
                tokio::time::sleep(wait).await;
            }
        }
    }
    Ok(done)
}

/// Notes what became of rows; those that are to be sent again stay in `some`, and why is told.
fn again(
    done: &mut Delivered,
    leads: &[Lead],
    some: &mut Vec<(usize, pb::LeadRow)>,
    answer: pb::IngestLeadsResponse,
) -> Result<Option<Status>, Status> {
    if answer.results.len() != some.len() {
        return Err(Status::data_loss(format!(
            "the service answered {} results for {} leads",
            answer.results.len(),
            some.len()
        )));
    }
    let mut cause = None;
    for ((place, row), result) in std::mem::take(some).into_iter().zip(answer.results) {
        let told = outcome(result.outcome());
        if told == Outcome::Rejected {
            let error = result.error.unwrap_or_default();
            let code = Code::from_i32(error.code);
            if is_retryable(code) && code != Code::Unknown {
                cause = Some(Status::new(code, error.message));
                some.push((place, row));
                continue;
            }
            let key = &leads[place].key;
            done.refuse(
                place,
                rejected(&key.source, key.external_id.clone(), &error),
            );
            continue;
        }
        done.outcomes[place] = told;
        match told {
            Outcome::Created => done.counts.created += 1,
            Outcome::Updated => done.counts.updated += 1,
            Outcome::Superseded => done.counts.superseded += 1,
            _ => done.counts.unchanged += 1,
        }
    }
    Ok(cause)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jinke_proto::google::rpc;
    use jinke_sdk::lead::Stated;
    use jinke_types::{Money, RecordKey, SeededEntropy, Timestamp};

    use super::*;

    fn lead(id: usize) -> Lead {
        Lead {
            key: RecordKey::new("expo", id.to_string()),
            source_revision: Some(3),
            update_time: Some(Timestamp::from_secs(5)),
            deleted: false,
            stated: Stated {
                company: "甲公司".to_owned(),
                ..Stated::default()
            },
        }
    }

    /// Which places are refused with which code, or the answer to the whole call.
    type Scripted = Result<Vec<(usize, i32)>, Status>;

    /// Answers what it is scripted to, then takes everything.
    #[derive(Default)]
    struct Fake {
        script: Mutex<Vec<Scripted>>,
        asked: Mutex<Vec<(String, Vec<String>)>>,
    }

    #[async_trait]
    impl LeadDoor for Fake {
        async fn ingest(
            &self,
            request: pb::IngestLeadsRequest,
        ) -> Result<pb::IngestLeadsResponse, Status> {
            let ids = |row: &pb::LeadRow| row.lead.as_ref().unwrap().external_id.clone();
            let asked = request.rows.iter().map(ids).collect();
            self.asked.lock().unwrap().push((request.request_id, asked));
            let mut script = self.script.lock().unwrap();
            let refused = if script.is_empty() {
                vec![]
            } else {
                script.remove(0)?
            };
            let result = |(i, _): (usize, pb::LeadRow)| {
                let error = refused.iter().find(|(at, _)| *at == i);
                let outcome = match error {
                    Some(_) => ingest_leads_response::Outcome::Rejected,
                    None => ingest_leads_response::Outcome::Created,
                };
                pb::ingest_leads_response::Result {
                    outcome: outcome.into(),
                    lead: String::new(),
                    error: error.map(|(_, code)| rpc::Status {
                        code: *code,
                        message: "no".to_owned(),
                        details: vec![],
                    }),
                }
            };
            Ok(pb::IngestLeadsResponse {
                results: request.rows.into_iter().enumerate().map(result).collect(),
            })
        }
    }

    async fn deliver(fake: &Fake, leads: &[Lead]) -> Result<Delivered, Status> {
        let backoff = Backoff {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(1),
            attempts: 3,
        };
        let origin = Origin {
            source: "expo".to_owned(),
            digest: "d".to_owned(),
            run: 1,
            stream: "leads.csv".to_owned(),
        };
        let entropy = SeededEntropy::new(1);
        let how = (backoff, &entropy as &dyn Entropy);
        deliver_leads(fake, how, &origin, Some("c"), "", leads, &mut |_, _| {}).await
    }

    #[tokio::test]
    async fn rows_go_in_order_and_again_under_the_same_id() {
        let fake = Fake::default();
        let away = || Err(Status::unavailable("away"));
        *fake.script.lock().unwrap() = vec![away(), away()];
        let leads: Vec<Lead> = (0..120).map(lead).collect();
        let done = deliver(&fake, &leads).await.unwrap();
        assert_eq!((done.counts.created, done.retries), (120, 2));
        let asked = fake.asked.lock().unwrap().clone();
        let sizes: Vec<usize> = asked.iter().map(|(_, ids)| ids.len()).collect();
        assert_eq!(sizes, [50, 50, 50, 50, 20]);
        assert!(asked[0] == asked[1] && asked[1] == asked[2]);
        assert_ne!(asked[2].0, asked[3].0);
        let all: Vec<String> = asked[2..].iter().flat_map(|(_, ids)| ids.clone()).collect();
        assert_eq!(all, (0..120).map(|i| i.to_string()).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn refused_rows_are_told_apart_and_passing_ones_go_again() {
        let fake = Fake::default();
        let (invalid, aborted) = (Code::InvalidArgument as i32, Code::Aborted as i32);
        *fake.script.lock().unwrap() = vec![Ok(vec![(1, invalid), (2, aborted)])];
        let mut leads: Vec<Lead> = (0..4).map(lead).collect();
        leads[3].stated.estimate = Some(Money {
            currency: "CNY".to_owned(),
            amount: "0.0000000001".parse().unwrap(),
        });
        let done = deliver(&fake, &leads).await.unwrap();
        assert_eq!((done.counts.created, done.counts.rejected), (2, 2));
        let refused: Vec<usize> = done.rejected.iter().map(|(place, _)| *place).collect();
        assert_eq!(refused, [3, 1]);
        assert_eq!(fake.asked.lock().unwrap()[1].1, ["2"]);
        use Outcome::{Created, Rejected};
        assert_eq!(done.outcomes, [Created, Rejected, Created, Rejected]);
    }

    #[tokio::test]
    async fn what_no_repeat_mends_ends_it() {
        let fake = Fake::default();
        *fake.script.lock().unwrap() = vec![Err(Status::permission_denied("no"))];
        let status = deliver(&fake, &[lead(1)]).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(fake.asked.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_lead_keeps_all_it_says() {
        let mut full = lead(7);
        full.stated = Stated {
            company: "甲公司".to_owned(),
            person_name: "张伟".to_owned(),
            title: "经理".to_owned(),
            phones: vec!["1".to_owned(), "2".to_owned()],
            emails: vec!["a@b.example".to_owned()],
            uscc: "U".to_owned(),
            region: "浙江省".to_owned(),
            interest: "三台".to_owned(),
            remark: "急".to_owned(),
            estimate: Some(Money {
                currency: "CNY".to_owned(),
                amount: "1.5".parse().unwrap(),
            }),
            channel: "expo".to_owned(),
            campaign: "华东展".to_owned(),
            time: Some(Timestamp::from_secs(9)),
        };
        let row = row(&full, "orgUnits/east").unwrap();
        let l = row.lead.unwrap();
        assert_eq!(
            (row.source_revision, row.source_update_time.unwrap().seconds),
            (Some(3), 5)
        );
        assert_eq!(
            (
                l.source.as_str(),
                l.external_id.as_str(),
                l.org_unit.as_str()
            ),
            ("sources/expo", "7", "orgUnits/east")
        );
        assert_eq!(
            (l.company, l.person_name, l.title),
            (
                full.stated.company,
                full.stated.person_name,
                full.stated.title
            )
        );
        assert_eq!(
            (l.phones, l.emails),
            (full.stated.phones, full.stated.emails)
        );
        assert_eq!((l.uscc, l.region), (full.stated.uscc, full.stated.region));
        assert_eq!(
            (l.interest, l.remark),
            (full.stated.interest, full.stated.remark)
        );
        assert_eq!(l.estimate.unwrap().nanos, 500_000_000);
        let touch = l.first_touch.unwrap();
        assert_eq!(
            (touch.channel.as_str(), touch.campaign.as_str()),
            ("expo", "华东展")
        );
        assert_eq!(touch.touch_time.unwrap().seconds, 9);
        assert_eq!((l.owner, l.customer), (String::new(), String::new()));
    }
}
