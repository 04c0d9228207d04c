//! A customer service that does what a test says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jinke_proto::{
    google::rpc::{ErrorInfo, Status as RecordStatus},
    jinke::customer::v1 as customer,
};
use jinke_runner::Door;
use prost::Message as _;
use tonic::Status;

/// One version that the customer service has of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    pub second_micros: i64,
    pub deleted: bool,
    pub bytes: Vec<u8>,
}

/// What the customer service has and does.
#[derive(Default)]
pub struct Customers {
    pub sources: BTreeMap<String, customer::Source>,
    /// Versions by external id, distinct ones.
    pub records: BTreeMap<String, Vec<Version>>,
    /// External ids that are refused.
    pub refused: Vec<String>,
    /// External ids that are refused the first time.
    pub refused_once: Vec<String>,
    /// So many calls are answered with this code.
    pub away: usize,
    pub calls: usize,
    /// Every call behind so many is answered with the same.
    pub away_behind: Option<usize>,
    /// A single record takes so much longer than many.
    pub slow_single: Duration,
    /// External ids and texts of the versions, in the order in which they arrived.
    pub arrived: Vec<(String, String)>,
}

impl Customers {
    /// The version of a record that counts.
    pub fn newest(&self, id: &str) -> Option<&Version> {
        self.records.get(id)?.iter().max_by_key(|v| v.second_micros)
    }
    pub fn alive(&self) -> usize {
        let ids = self.records.keys();
        ids.filter(|id| self.newest(id).is_some_and(|v| !v.deleted))
            .count()
    }
}

/// The door to it; clones share it.
#[derive(Clone, Default)]
pub struct FakeDoor(pub Arc<Mutex<Customers>>);

impl FakeDoor {
    pub fn lock(&self) -> MutexGuard<'_, Customers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Door for FakeDoor {
    async fn get_source(&self, name: String) -> Result<customer::Source, Status> {
        let found = self.lock().sources.get(&name).cloned();
        found.ok_or_else(|| Status::not_found("no such source"))
    }
    async fn create_source(
        &self,
        request: customer::CreateSourceRequest,
    ) -> Result<customer::Source, Status> {
        let name = format!("sources/{}", request.source_id);
        let source = request.source.unwrap_or_default();
        self.lock().sources.insert(name, source.clone());
        Ok(source)
    }
    async fn ingest(
        &self,
        request: customer::IngestSourceRecordsRequest,
    ) -> Result<customer::IngestSourceRecordsResponse, Status> {
        use customer::ingest_result::Outcome;
        if request.records.len() == 1 {
            let slow = self.lock().slow_single;
            tokio::time::sleep(slow).await;
        }
        let mut all = self.lock();
        all.calls += 1;
        if all.away > 0 || all.away_behind.is_some_and(|calls| all.calls > calls) {
            all.away = all.away.saturating_sub(1);
            return Err(Status::unavailable("away"));
        }
        let mut results = Vec::new();
        for record in request.records {
            let key = record.key.clone().unwrap_or_default();
            let mut result = customer::IngestResult {
                key: Some(key.clone()),
                ..Default::default()
            };
            let once = all.refused_once.iter().position(|r| *r == key.external_id);
            let once = once.map(|at| all.refused_once.swap_remove(at));
            if once.is_some() || all.refused.contains(&key.external_id) {
                let info = ErrorInfo {
                    reason: "INVALID_FIELD".to_owned(),
                    ..ErrorInfo::default()
                };
                result.outcome = Outcome::Rejected.into();
                result.error = Some(RecordStatus {
                    code: 3,
                    message: "the name is not to our liking".to_owned(),
                    details: vec![prost_types::Any {
                        type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(),
                        value: info.encode_to_vec(),
                    }],
                });
                results.push(result);
                continue;
            }
            all.arrived
                .push((key.external_id.clone(), text_of(&record)));
            let time = record.source_update_time.unwrap_or_default();
            let version = Version {
                second_micros: time.seconds * 1_000_000 + i64::from(time.nanos / 1_000),
                deleted: record.deleted,
                bytes: record.encode_to_vec(),
            };
            let versions = all.records.entry(key.external_id.clone()).or_default();
            let outcome = if versions.contains(&version) {
                Outcome::Unchanged
            } else if versions.is_empty() {
                Outcome::Created
            } else if versions
                .iter()
                .any(|v| v.second_micros > version.second_micros)
            {
                Outcome::Superseded
            } else {
                Outcome::Updated
            };
            if outcome != Outcome::Unchanged {
                versions.push(version);
            }
            result.outcome = outcome.into();
            results.push(result);
        }
        Ok(customer::IngestSourceRecordsResponse { results })
    }
}

fn text_of(record: &customer::SourceRecord) -> String {
    use customer::{source_record::Body, value::Datum};
    let Some(Body::Party(party)) = &record.body else {
        return String::new();
    };
    let texts = party.values.iter().filter_map(|v| match &v.datum {
        Some(Datum::Text(text)) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}
