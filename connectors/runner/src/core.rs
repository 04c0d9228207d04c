//! What the parts of the service share: database, keys, registry, opened connectors, doors.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use jinke_kit::Shutdown;
use jinke_sdk::{CallbackEvent, Connector, PushState};
use jinke_store::{
    Database,
    keys::{DataKey, KeyRing},
};
use jinke_types::{Body, Clock, Code, Entropy, Failure};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Notify;

use crate::{
    config::Limits,
    deliver::Door,
    directory::DirectoryDoor,
    domain::{Connection, Delivery, KnownRecord, Payload, Refused, aad},
    leads::LeadDoor,
    numbers::Numbers,
    registry::Registry,
    store::{connections, deliveries, known::KnownRow},
};

/// Everything a [`Core`] is made of.
pub struct Parts {
    /// The service's own database.
    pub db: Database,
    /// Its keys.
    pub ring: Arc<KeyRing>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The kinds of connectors.
    pub registry: Registry,
    /// The numbers to work by.
    pub limits: Limits,
    /// The customer service.
    pub door: Arc<dyn Door>,
    /// The pipeline service, to which leads go.
    pub leads: Arc<dyn LeadDoor>,
    /// Where departments and members go; none: their streams fail with `DIRECTORY_NOT_OFFERED`.
    pub directory: Option<Arc<dyn DirectoryDoor>>,
    /// Metrics.
    pub numbers: Numbers,
    /// The word to stop.
    pub shutdown: Shutdown,
}

/// A connector that was opened for a revision of its connection.
struct Opened {
    uid: i64,
    revision: i64,
    connector: Arc<dyn Connector>,
}

struct Inner {
    parts: Parts,
    opened: Mutex<BTreeMap<String, Opened>>,
    wake: Notify,
    holder: String,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Core(Arc<Inner>);

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("holder", &self.0.holder)
            .finish_non_exhaustive()
    }
}

impl std::ops::Deref for Core {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0.parts
    }
}

impl Core {
    /// From its parts.
    pub fn new(parts: Parts) -> Self {
        let mut tail = [0; 8];
        parts.entropy.fill(&mut tail);
        Self(Arc::new(Inner {
            holder: format!("{}-{}", std::process::id(), hex::encode(tail)),
            opened: Mutex::default(),
            wake: Notify::new(),
            parts,
        }))
    }

    /// The name under which this process holds leases.
    pub fn holder(&self) -> &str {
        &self.0.holder
    }

    /// Lets the supervisor look now instead of at its next turn.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    pub(crate) async fn woken(&self) {
        self.0.wake.notified().await;
    }

    /// One connection.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn connection(&self, id: &str) -> Result<Connection, Failure> {
        let found = connections::get(&mut *self.db.read().await?, id).await?;
        found.ok_or_else(|| Failure::not_found(format!("connections/{id}")))
    }

    /// The connector of a connection, opened once for each revision of it.
    ///
    /// # Errors
    /// As [`Registry::open`]; `DATA_LOSS` when its secrets cannot be opened.
    pub fn open(&self, connection: &Connection) -> Result<Arc<dyn Connector>, Failure> {
        let lock = || self.0.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let (uid, revision) = (connection.uid, connection.revision);
        if let Some(opened) = lock().get(&connection.id)
            && (opened.uid, opened.revision) == (uid, revision)
        {
            return Ok(opened.connector.clone());
        }
        let connector = self.registry.open(
            &connection.connector,
            &connection.source.id,
            self.settings(connection)?,
        )?;
        let opened = Opened {
            uid,
            revision,
            connector: connector.clone(),
        };
        lock().insert(connection.id.clone(), opened);
        Ok(connector)
    }

    /// Forgets an opened connector.
    pub fn close(&self, id: &str) {
        let mut opened = self.0.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.remove(id);
    }

    /// Settings and secrets in one table.
    pub fn settings(&self, connection: &Connection) -> Result<toml::Table, Failure> {
        let mut table = toml::Table::new();
        for (key, value) in &connection.settings {
            table.insert(key.clone(), toml_value(value)?);
        }
        for (key, value) in self.secrets(connection)? {
            table.insert(key, toml::Value::String(value));
        }
        Ok(table)
    }

    /// The secret values.
    pub fn secrets(&self, connection: &Connection) -> Result<BTreeMap<String, String>, Failure> {
        let key = self.ring.unwrap(&connection.data_key)?;
        unseal(&key, &connection.aad("secrets"), &connection.secrets)
    }

    /// Seals secret values under a connection's key.
    pub fn seal_secrets(
        &self,
        connection: &Connection,
        secrets: &BTreeMap<String, String>,
    ) -> Result<Vec<u8>, Failure> {
        let key = self.ring.unwrap(&connection.data_key)?;
        self.seal(&key, &connection.aad("secrets"), secrets)
    }

    /// The key of a connection with what it seals.
    pub fn sealer(&self, connection: &Connection) -> Result<Sealer, Failure> {
        Ok(Sealer {
            core: self.clone(),
            key: Arc::new(self.ring.unwrap(&connection.data_key)?),
            connection: connection.id.clone(),
            uid: connection.uid,
        })
    }

    fn seal(&self, key: &DataKey, aad: &[u8], value: &impl Serialize) -> Result<Vec<u8>, Failure> {
        let plain = serde_json::to_vec(value).map_err(Failure::internal)?;
        Ok(key.seal(aad, &plain, &*self.entropy))
    }
}

fn unseal<T: DeserializeOwned>(key: &DataKey, aad: &[u8], sealed: &[u8]) -> Result<T, Failure> {
    let plain = key.open(aad, sealed)?;
    serde_json::from_slice(&plain).map_err(|_| {
        Failure::new(
            Code::DataLoss,
            "STORED_DAMAGED",
            "a sealed value cannot be read",
        )
    })
}

/// A setting from JSON as the connectors read it.
fn toml_value(value: &serde_json::Value) -> Result<toml::Value, Failure> {
    use serde_json::Value as Json;
    Ok(match value {
        Json::Null => {
            return Err(Failure::field(
                "connection.settings",
                "holds a null; leave the key out",
            ));
        }
        Json::Bool(truth) => toml::Value::Boolean(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => toml::Value::Integer(whole),
            None => toml::Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => toml::Value::String(text.clone()),
        Json::Array(list) => {
            toml::Value::Array(list.iter().map(toml_value).collect::<Result<_, _>>()?)
        }
        Json::Object(map) => {
            let mut table = toml::Table::new();
            for (key, value) in map {
                table.insert(key.clone(), toml_value(value)?);
            }
            toml::Value::Table(table)
        }
    })
}

/// The data key of one connection and what is sealed under it. Every value says what it is and
/// where it belongs, so none can be moved to another place.
#[derive(Clone)]
pub struct Sealer {
    core: Core,
    key: Arc<DataKey>,
    connection: String,
    uid: i64,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sealer").field(&self.connection).finish()
    }
}

impl Sealer {
    fn aad(&self, what: &str) -> Vec<u8> {
        aad(&self.connection, self.uid, what)
    }

    /// A refused record or lead.
    pub fn seal_refused(&self, stream: &str, refused: &Refused) -> Result<Vec<u8>, Failure> {
        let what = format!("record/{stream}/{}", refused.key().external_id);
        self.core.seal(&self.key, &self.aad(&what), refused)
    }
    /// See [`Self::seal_refused`].
    pub fn open_refused(
        &self,
        stream: &str,
        external_id: &str,
        sealed: &[u8],
    ) -> Result<Refused, Failure> {
        let what = format!("record/{stream}/{external_id}");
        unseal(&self.key, &self.aad(&what), sealed)
    }

    /// A known record.
    pub fn seal_known(&self, stream: &str, record: &KnownRecord) -> Result<KnownRow, Failure> {
        let what = format!("known/{stream}/{}", record.external_id);
        Ok(KnownRow {
            external_id: record.external_id.clone(),
            source_revision: record.source_revision,
            source_time: record.update_time,
            skeleton: self.core.seal(&self.key, &self.aad(&what), &record.body)?,
            gone: record.gone,
        })
    }
    /// See [`Self::seal_known`].
    pub fn open_known(&self, stream: &str, row: KnownRow) -> Result<KnownRecord, Failure> {
        let what = format!("known/{stream}/{}", row.external_id);
        let body: Body = unseal(&self.key, &self.aad(&what), &row.skeleton)?;
        Ok(KnownRecord {
            external_id: row.external_id,
            source_revision: row.source_revision,
            update_time: row.source_time,
            body,
            gone: row.gone,
        })
    }

    /// What goes out.
    pub fn seal_payload(&self, number: i64, payload: &Payload) -> Result<Vec<u8>, Failure> {
        let what = format!("delivery/{number}");
        self.core.seal(&self.key, &self.aad(&what), payload)
    }
    /// What a push remembers between two steps.
    pub fn seal_memory(&self, number: i64, memory: &serde_json::Value) -> Result<Vec<u8>, Failure> {
        let what = format!("delivery/{number}/memory");
        self.core.seal(&self.key, &self.aad(&what), memory)
    }
    /// A delivery, opened.
    pub fn open_delivery(&self, d: deliveries::Stored) -> Result<Delivery, Failure> {
        let what = format!("delivery/{}", d.number);
        let payload = unseal(&self.key, &self.aad(&what), &d.payload)?;
        let memory = match &d.memory {
            Some(sealed) => {
                let what = format!("delivery/{}/memory", d.number);
                unseal(&self.key, &self.aad(&what), sealed)?
            }
            None => serde_json::Value::Null,
        };
        Ok(Delivery {
            connection: d.connection,
            number: d.number,
            state: d.state,
            key: d.key,
            payload,
            push: PushState {
                done: d.done_steps,
                memory,
            },
            foreign_id: d.foreign_id,
            attempts: d.attempts,
            error: d.error,
            creator: d.creator,
            retry_time: d.retry_time,
            create_time: d.create_time,
            end_time: d.end_time,
        })
    }

    /// An event.
    pub fn seal_event(&self, number: i64, event: &CallbackEvent) -> Result<Vec<u8>, Failure> {
        let what = format!("event/{number}");
        self.core.seal(&self.key, &self.aad(&what), event)
    }
    /// See [`Self::seal_event`].
    pub fn open_event(&self, number: i64, sealed: &[u8]) -> Result<CallbackEvent, Failure> {
        let what = format!("event/{number}");
        unseal(&self.key, &self.aad(&what), sealed)
    }
}
