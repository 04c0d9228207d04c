//! A pipeline service that does what a test says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jinke_proto::{google::rpc::Status as RowStatus, jinke::pipeline::v1 as pb};
use jinke_runner::LeadDoor;
use tonic::Status;

/// What it has and does.
#[derive(Default)]
pub struct Leads {
    /// Rows by external id, distinct ones, in the order of arrival.
    pub rows: BTreeMap<String, Vec<pb::LeadRow>>,
    /// External ids that are refused.
    pub refused: Vec<String>,
    /// So many calls are answered with the status.
    pub away: usize,
    pub answer: Option<Status>,
    pub calls: usize,
    /// Ids of requests, and how often each came.
    pub requests: BTreeMap<String, usize>,
}

impl Leads {
    /// Companies by external id, as they were stated last.
    pub fn companies(&self) -> BTreeMap<&str, &str> {
        self.rows
            .iter()
            .filter_map(|(id, rows)| {
                let lead = rows.last()?.lead.as_ref()?;
                Some((id.as_str(), lead.company.as_str()))
            })
            .collect()
    }
}

/// The door to it; clones share it.
#[derive(Clone, Default)]
pub struct FakeLeads(Arc<Mutex<Leads>>);

impl FakeLeads {
    pub fn lock(&self) -> MutexGuard<'_, Leads> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl LeadDoor for FakeLeads {
    async fn ingest(
        &self,
        request: pb::IngestLeadsRequest,
    ) -> Result<pb::IngestLeadsResponse, Status> {
        use pb::ingest_leads_response::{Outcome, Result as Told};
        let mut all = self.lock();
        all.calls += 1;
        *all.requests.entry(request.request_id).or_default() += 1;
        if all.away > 0 {
            all.away -= 1;
            let away = || Status::unavailable("away");
            return Err(all.answer.clone().unwrap_or_else(away));
        }
        let mut results = Vec::new();
        for row in request.rows {
            let id = row.lead.clone().unwrap_or_default().external_id;
            if all.refused.contains(&id) {
                results.push(Told {
                    outcome: Outcome::Rejected.into(),
                    lead: String::new(),
                    error: Some(RowStatus {
                        code: 3,
                        message: "the region is not to our liking".to_owned(),
                        details: vec![],
                    }),
                });
                continue;
            }
            let rows = all.rows.entry(id).or_default();
            let outcome = if rows.contains(&row) {
                Outcome::Unchanged
            } else if rows.is_empty() {
                Outcome::Created
            } else {
                Outcome::Updated
            };
            if outcome != Outcome::Unchanged {
                rows.push(row);
            }
            results.push(Told {
                outcome: outcome.into(),
                ..Told::default()
            });
        }
        Ok(pb::IngestLeadsResponse { results })
    }
}
