//! Writing customers and sales orders: Save, Submit, Audit.
//!
//! Each step looks first where the bill stands there, by our key or by its id, and does what
//! comes next from there. So a step whose answer was lost is not done twice, and a person who
//! submitted the bill in between is no obstacle.
//!
//! | the bill is | next |
//! |---|---|
//! | not there | `Save`, with our key as its number or in the tenant's `key_field` |
//! | draft, created, or to be reviewed again (Z, A, D) | `Submit` |
//! | in review (B) | `Audit` |
//! | reviewed (C) | nothing; it is done |
//!
//! A change of a bill that is there (field `id`) begins with `UnAudit` when it was reviewed,
//! because Kingdee saves no reviewed bill.

use async_trait::async_trait;
use jinke_sdk::{
    Message, Outbound, PullError, PullErrorKind, Push, PushState, PushStep, SendError,
    SendErrorKind, Sent, incremental, outbound::not_offered,
};
use jinke_types::{Code, Failure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    api::{Query, whole},
    cells::quoted,
    config::Until,
    forms::{self, Stream},
    model,
    pull::KingdeeConnector,
};

/// The steps, by their names in [`PushState::done`].
const UNAUDIT: &str = "unaudit";
const SAVE: &str = "save";
const SUBMIT: &str = "submit";
const AUDIT: &str = "audit";

/// What is remembered between steps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    id: i64,
    number: String,
}

/// A bill as it stands there.
#[derive(Clone, Debug)]
struct Standing {
    id: i64,
    number: String,
    status: String,
}

/// Our key as a number: short enough for every form, and of signs that every coding rule takes.
pub fn number_of(key: &str) -> String {
    let high = incremental::hash(&[b"number", key.as_bytes()]);
    let low = incremental::hash(&[b"check", key.as_bytes()]);
    format!("JK{high:016X}{:04X}", low & 0xffff)
}

fn refused(reason: &'static str, message: &str) -> SendError {
    SendError::new(
        SendErrorKind::Refused,
        Failure::new(Code::FailedPrecondition, reason, message),
    )
}

impl KingdeeConnector {
    async fn standing(
        &self,
        stream: &Stream,
        push: &Push,
        id: Option<i64>,
    ) -> Result<Option<Standing>, SendError> {
        let form = self.api.form(stream.form).await?;
        let theirs = |name: &str| form.spelled(name);
        let fields = [stream.id, stream.number, "FDocumentStatus"].map(theirs);
        let filter = match (id, &self.config.key_field) {
            (Some(id), _) => format!("{} = {id}", fields[0]),
            (None, Some(field)) => format!("{} = {}", theirs(field), quoted(&push.key)),
            (None, None) => format!("{} = {}", fields[1], quoted(&number_of(&push.key))),
        };
        let rows = self
            .api
            .objects(Query {
                form: stream.form,
                fields: &fields,
                filter,
                order: fields[0].clone(),
                start: 0,
                limit: 2,
            })
            .await?;
        let text = |row: &serde_json::Map<String, Value>, at: usize| {
            let cell = row.get(&fields[at]).and_then(Value::as_str);
            cell.unwrap_or_default().to_owned()
        };
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let id = row.get(&fields[0]).and_then(whole).filter(|id| *id > 0);
        let id =
            id.ok_or_else(|| SendError::from(jinke_sdk::http::unreadable("a bill has no id")))?;
        // One customer may have a row in each organization that uses it; the first was ours.
        Ok(Some(Standing {
            id,
            number: text(row, 1),
            status: text(row, 2),
        }))
    }

    /// Does an operation; when its answer was lost, the next attempt looks what became of it.
    async fn operate(
        &self,
        operation: &str,
        stream: &Stream,
        data: &Value,
    ) -> Result<(), SendError> {
        let done = self.api.operate(operation, stream.form, data).await;
        done.map(|_| ()).map_err(SendError::from)
    }

    async fn save(&self, stream: &Stream, push: &Push, id: i64) -> Result<Standing, SendError> {
        let mut bill = model::of(push, &self.config)?;
        bill.insert(stream.id.to_owned(), json!(id));
        if id == 0 {
            match &self.config.key_field {
                Some(field) => bill.insert(field.clone(), json!(push.key)),
                None => bill.insert(stream.number.to_owned(), json!(number_of(&push.key))),
            };
        }
        let changed: Vec<&String> = if id == 0 {
            Vec::new()
        } else {
            bill.keys().collect()
        };
        let data = json!({
            "NeedUpDateFields": changed, "NeedReturnFields": [stream.number],
            // Entries that we do not name stay.
            "IsDeleteEntry": "False", "IsAutoSubmitAndAudit": "False", "Model": bill,
        });
        match self.api.operate("Save", stream.form, &data).await {
            Ok(done) => match done.bills.into_iter().next() {
                Some((id, number)) => Ok(Standing {
                    id,
                    number,
                    status: "A".to_owned(),
                }),
                None => Err(jinke_sdk::http::unreadable("the answer to Save names no bill").into()),
            },
            // A Save whose answer was lost may have come through while this one was under way:
            // Kingdee then refuses the number as taken.
            Err(error) if error.kind == PullErrorKind::Unreadable => {
                let there = (id == 0).then_some(self.standing(stream, push, None));
                match there {
                    Some(look) => look.await?.ok_or_else(|| error.into()),
                    None => Err(error.into()),
                }
            }
            Err(error) => Err(lost(error)),
        }
    }
}

/// A call whose answer was lost. It is looked at before anything is done again, so it may be
/// tried again.
fn lost(error: PullError) -> SendError {
    error.into()
}

#[async_trait]
impl Outbound for KingdeeConnector {
    async fn send(&self, _: &Message) -> Result<Sent, SendError> {
        Err(not_offered("Kingdee takes records and no messages"))
    }

    async fn push(&self, push: &Push, state: &PushState) -> Result<PushStep, SendError> {
        let stream = forms::written(&push.kind).ok_or_else(|| {
            refused(
                "PUSH_KIND_UNKNOWN",
                "the connector writes customer and order",
            )
        })?;
        let memory: Memory = serde_json::from_value(state.memory.clone()).unwrap_or_default();
        let done = |step: &str| state.done.iter().any(|d| d == step);
        let change = model::changed(push)?;
        let known = change.or((memory.id > 0).then_some(memory.id));
        let there = self.standing(stream, push, known).await?;
        let (standing, step) = match (there, change) {
            (None, None) if !done(SAVE) => (self.save(stream, push, 0).await?, SAVE),
            (None, _) => {
                return Err(refused(
                    "FOREIGN_GONE",
                    "the bill is no longer there; somebody deleted it",
                ));
            }
            (Some(there), Some(id)) if !done(SAVE) => match &*there.status {
                "B" => {
                    return Err(refused(
                        "FOREIGN_BUSY",
                        "the bill is in review there and cannot be changed now",
                    ));
                }
                "C" => {
                    let data = json!({"Ids": id.to_string()});
                    self.operate("UnAudit", stream, &data).await?;
                    (there, UNAUDIT)
                }
                _ => (self.save(stream, push, id).await?, SAVE),
            },
            (Some(there), _) => {
                let data = json!({"Ids": there.id.to_string()});
                let next = match &*there.status {
                    "C" => AUDIT,
                    "B" if self.config.write_until < Until::Audit => SUBMIT,
                    "B" => {
                        self.operate("Audit", stream, &data).await?;
                        AUDIT
                    }
                    _ if self.config.write_until < Until::Submit => SAVE,
                    _ => {
                        self.operate("Submit", stream, &data).await?;
                        SUBMIT
                    }
                };
                (there, next)
            }
        };
        Ok(self.after(state, standing, step, stream))
    }
}

impl KingdeeConnector {
    fn after(&self, state: &PushState, at: Standing, step: &str, stream: &Stream) -> PushStep {
        let mut done = state.done.clone();
        // Where somebody else was quicker, the steps before are done too.
        let before: &[&str] = match step {
            AUDIT => &[SAVE, SUBMIT, AUDIT],
            SUBMIT => &[SAVE, SUBMIT],
            SAVE => &[SAVE],
            _ => &[UNAUDIT],
        };
        for name in before {
            if !done.iter().any(|d| d == name) {
                done.push((*name).to_owned());
            }
        }
        let ends = match self.config.write_until {
            Until::Save => step == SAVE,
            Until::Submit => step == SUBMIT,
            Until::Audit => false,
        } || step == AUDIT;
        let sent = Sent {
            foreign_id: Some(stream.external_id(at.id)),
        };
        let memory = Memory {
            id: at.id,
            number: at.number,
        };
        let state = PushState {
            done,
            memory: json!(memory),
        };
        if ends {
            PushStep::Done(state, sent)
        } else {
            PushStep::Next(state)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_makes_one_number_of_plain_signs() {
        let number = number_of("push-1");
        assert_eq!(number, number_of("push-1"));
        assert_ne!(number, number_of("push-2"));
        assert_eq!(number.len(), 22);
        assert!(number.bytes().all(|b| b.is_ascii_alphanumeric()));
    }
}
