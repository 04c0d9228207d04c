//! What goes out: domain values as messages, masked where they are classed.

mod preview;

use jinke_proto::{google::rpc::Status as RpcStatus, jinke::connector::v1 as pb};
use jinke_sdk::{PartKind, Spec, StreamSchema, TextFormat, ValueType, Verification};
use jinke_types::{FieldClass, FieldMask, Timestamp};

pub use preview::{lead, preview, record};

use crate::{
    convert::timestamp,
    domain::{
        Connection, DeadLetter, Delivery, LetterKind, Payload, RecordError, Run, StoredEvent,
        StreamProgress,
    },
    problem::Problem,
    registry::Kind,
    schedule::Schedule,
};

fn time(time: Option<Timestamp>) -> Option<prost_types::Timestamp> {
    time.map(timestamp)
}

fn error(problem: Option<&Problem>) -> Option<RpcStatus> {
    problem.map(Problem::status)
}

fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

const fn verification(found: Verification) -> pb::Verification {
    match found {
        Verification::RealServer => pb::Verification::RealServer,
        Verification::OfficialSdk => pb::Verification::OfficialSdk,
        Verification::DocumentationOnly => pb::Verification::DocumentationOnly,
        Verification::Unverified => pb::Verification::Unverified,
    }
}

const fn capability(kind: PartKind) -> pb::Capability {
    match kind {
        PartKind::Stream => pb::Capability::Pull,
        PartKind::Directory => pb::Capability::Directory,
        PartKind::Sweep => pb::Capability::Sweep,
        PartKind::Message => pb::Capability::Message,
        PartKind::Push => pb::Capability::Push,
        PartKind::Callback => pb::Capability::Callback,
    }
}

/// A kind of connector.
pub fn connector(kind: &Kind) -> pb::Connector {
    let spec = &kind.spec;
    let mut capabilities: Vec<PartKind> = spec.parts.iter().map(|p| p.kind).collect();
    capabilities.sort_unstable();
    capabilities.dedup();
    pb::Connector {
        name: format!("connectors/{}", spec.kind),
        display_name: spec.display_name.to_owned(),
        about: spec.about.to_owned(),
        keys: spec
            .keys
            .iter()
            .map(|key| pb::connector::ConfigKey {
                name: key.name.to_owned(),
                about: key.about.to_owned(),
                value_type: match key.value {
                    ValueType::Text => pb::connector::config_key::ValueType::Text,
                    ValueType::Integer => pb::connector::config_key::ValueType::Integer,
                    ValueType::Boolean => pb::connector::config_key::ValueType::Boolean,
                    ValueType::Tables => pb::connector::config_key::ValueType::Tables,
                }
                .into(),
                // The connection gives the source.
                required: key.required && key.name != "source",
                secret: key.secret,
                default_value: key.default.unwrap_or_default().to_owned(),
            })
            .collect(),
        parts: spec
            .parts
            .iter()
            .map(|part| pb::connector::Part {
                name: part.name.to_owned(),
                about: part.about.to_owned(),
                verification: verification(part.verification).into(),
                evidence: part.evidence.to_owned(),
            })
            .collect(),
        capabilities: capabilities
            .into_iter()
            .map(|kind| capability(kind).into())
            .collect(),
    }
}

fn schedule(schedule: &Schedule) -> pb::Schedule {
    use pb::schedule::When;
    match schedule {
        Schedule::Interval { seconds } => pb::Schedule {
            when: Some(When::Interval(prost_types::Duration {
                seconds: count(*seconds),
                nanos: 0,
            })),
            time_zone: String::new(),
        },
        Schedule::Cron { line, zone } => pb::Schedule {
            when: Some(When::Cron(line.clone())),
            time_zone: zone.clone(),
        },
    }
}

fn object(map: &serde_json::Map<String, serde_json::Value>) -> prost_types::Struct {
    fn value(found: &serde_json::Value) -> prost_types::Value {
        use prost_types::value::Kind;
        use serde_json::Value as Json;
        let kind = match found {
            Json::Null => Kind::NullValue(0),
            Json::Bool(b) => Kind::BoolValue(*b),
            Json::Number(n) => Kind::NumberValue(n.as_f64().unwrap_or_default()),
            Json::String(s) => Kind::StringValue(s.clone()),
            Json::Array(list) => Kind::ListValue(prost_types::ListValue {
                values: list.iter().map(value).collect(),
            }),
            Json::Object(map) => Kind::StructValue(object(map)),
        };
        prost_types::Value { kind: Some(kind) }
    }
    prost_types::Struct {
        fields: map.iter().map(|(k, v)| (k.clone(), value(v))).collect(),
    }
}

/// A connection, without its secrets: they are in no answer.
pub fn connection(c: &Connection, last: Option<&Run>, spec: Option<&Spec>) -> pb::Connection {
    let state = if c.paused {
        pb::connection::State::Paused
    } else {
        pb::connection::State::Active
    };
    let called = spec.is_some_and(|s| s.parts.iter().any(|p| p.kind == PartKind::Callback));
    pb::Connection {
        name: c.name(),
        uid: c.uid.to_string(),
        display_name: c.display_name.clone(),
        connector: format!("connectors/{}", c.connector),
        settings: Some(object(&c.settings)),
        secrets: Default::default(),
        secret_keys: c.secret_keys.clone(),
        source: Some(pb::connection::SourceSettings {
            source: format!("sources/{}", c.source.id),
            display_name: c.source.display_name.clone(),
            trust: c.source.trust,
            walled: c.source.walled,
        }),
        org_unit: c.org_unit.clone(),
        schedule: c.schedule.as_ref().map(schedule),
        sweep: Some(pb::connection::SweepSettings {
            schedule: c.sweep.schedule.as_ref().map(schedule),
            limit_percent: c.sweep.limit_percent,
            limit_at_least: c.sweep.limit_at_least,
        }),
        streams: c.streams.clone(),
        state: state.into(),
        next_run_time: time(c.next_run.filter(|_| !c.paused)),
        last_run: c
            .last_run
            .map(|n| format!("connections/{}/runs/{n}", c.id))
            .unwrap_or_default(),
        last_run_state: last.map(|r| r.state as i32).unwrap_or_default(),
        problem: error(c.problem.as_ref()),
        callback_path: if called {
            format!("/callbacks/{}", c.id)
        } else {
            String::new()
        },
        etag: etag(c.revision),
        create_time: Some(timestamp(c.create_time)),
        update_time: Some(timestamp(c.update_time)),
    }
}

/// The etag of a revision.
pub fn etag(revision: i64) -> String {
    format!("\"{revision}\"")
}

fn progress(p: &StreamProgress) -> pb::run::StreamProgress {
    pb::run::StreamProgress {
        stream: p.stream.clone(),
        state: p.state as i32,
        done_units: count(p.done_units),
        total_units: count(p.total_units),
        created: count(p.created),
        updated: count(p.updated),
        unchanged: count(p.unchanged),
        superseded: count(p.superseded),
        rejected: count(p.rejected),
        deleted: count(p.deleted),
        directory_entries: count(p.directory_entries),
        row_errors: count(p.row_errors),
        notes: p.notes.clone(),
        error: error(p.error.as_ref()),
    }
}

/// A run.
pub fn run(run: &Run) -> pb::Run {
    pb::Run {
        name: run.name(),
        kind: run.kind as i32,
        trigger: run.trigger as i32,
        state: run.state as i32,
        streams: run.progress.iter().map(progress).collect(),
        attempts: i32::try_from(run.attempts).unwrap_or(i32::MAX),
        retries: run.retries,
        error: error(run.error.as_ref()),
        findings: run
            .findings
            .iter()
            .map(|f| pb::run::SweepFinding {
                stream: f.stream.clone(),
                gone_at_least: count(f.gone_at_least),
                known: count(f.known),
                may_vanish: count(f.may_vanish),
            })
            .collect(),
        retry_time: time(run.retry_time),
        create_time: Some(timestamp(run.create_time)),
        start_time: time(run.start_time),
        update_time: Some(timestamp(run.update_time)),
        end_time: time(run.end_time),
        creator: run.creator.clone(),
        etag: etag(run.revision),
    }
}

/// A stream, with what its connector says of it.
pub fn stream(schema: &StreamSchema, spec: &Spec) -> pb::Stream {
    let named = spec.parts.iter().find(|p| p.name == schema.stream);
    // The streams of files have the files' names; one part speaks for all of them.
    let any = || {
        let mut streams = spec
            .parts
            .iter()
            .filter(|p| matches!(p.kind, PartKind::Stream | PartKind::Directory));
        streams.next().filter(|_| streams.next().is_none())
    };
    let found = named.or_else(any).map(|p| verification(p.verification));
    pb::Stream {
        stream: schema.stream.clone(),
        kind: schema.kind.clone(),
        columns: schema
            .columns
            .iter()
            .map(|c| pb::stream::Column {
                name: c.name.clone(),
                mapped: c.mapped,
            })
            .collect(),
        notes: schema.notes.clone(),
        verification: found.unwrap_or(pb::Verification::Unverified).into(),
    }
}

/// An error.
pub fn record_error(e: &RecordError) -> pb::RecordError {
    pb::RecordError {
        name: format!("connections/{}/recordErrors/{}", e.connection, e.number),
        stream: e.stream.clone(),
        effect: i32::try_from(e.effect).unwrap_or_default(),
        external_id: e.external_id.clone(),
        file: e.file.clone(),
        sheet: e.sheet.clone(),
        row: e.row,
        column: e.column.clone(),
        reason: e.reason.clone(),
        message: e.message.clone(),
        run: if e.run > 0 {
            format!("connections/{}/runs/{}", e.connection, e.run)
        } else {
            String::new()
        },
        attempts: i32::try_from(e.attempts).unwrap_or(i32::MAX),
        create_time: Some(timestamp(e.create_time)),
        update_time: Some(timestamp(e.update_time)),
        retry_time: time(e.retry_time),
    }
}

/// A dead letter; its record is put in by GetDeadLetter only.
pub fn dead_letter(letter: &DeadLetter) -> pb::DeadLetter {
    pb::DeadLetter {
        name: format!(
            "connections/{}/deadLetters/{}",
            letter.connection, letter.number
        ),
        kind: letter.kind as i32,
        stream: letter.stream.clone(),
        external_id: letter.external_id.clone(),
        delivery: if letter.kind == LetterKind::Delivery {
            format!(
                "connections/{}/deliveries/{}",
                letter.connection, letter.subject
            )
        } else {
            String::new()
        },
        reason: letter.reason.clone(),
        message: letter.message.clone(),
        attempts: i32::try_from(letter.attempts).unwrap_or(i32::MAX),
        create_time: Some(timestamp(letter.create_time)),
        update_time: Some(timestamp(letter.update_time)),
        record: None,
    }
}

/// A delivery, masked.
pub fn delivery(d: &Delivery, mask: &FieldMask) -> pb::Delivery {
    let mut out = pb::Delivery {
        name: format!("connections/{}/deliveries/{}", d.connection, d.number),
        state: d.state as i32,
        done_steps: d.push.done.clone(),
        foreign_id: d.foreign_id.clone(),
        attempts: i32::try_from(d.attempts).unwrap_or(i32::MAX),
        error: error(d.error.as_ref()),
        retry_time: time(d.retry_time),
        create_time: Some(timestamp(d.create_time)),
        end_time: time(d.end_time),
        creator: d.creator.clone(),
        ..pb::Delivery::default()
    };
    match &d.payload {
        Payload::Message(message) => {
            out.kind = pb::delivery::Kind::Message.into();
            out.markdown = message.format == TextFormat::Markdown;
            if mask.allows(FieldClass::Contact) {
                out.recipient.clone_from(&message.recipient);
            }
            if mask.allows(FieldClass::Conversation) {
                out.title.clone_from(&message.title);
                out.text.clone_from(&message.text);
            }
        }
        Payload::Push(push) => {
            out.kind = pb::delivery::Kind::Push.into();
            out.record_kind.clone_from(&push.kind);
        }
    }
    out
}

/// An event.
pub fn event(e: &StoredEvent) -> pb::CallbackEvent {
    pb::CallbackEvent {
        name: format!("connections/{}/callbackEvents/{}", e.connection, e.number),
        topic: e.topic.clone(),
        key: e.key.clone(),
        state: i32::try_from(e.state).unwrap_or_default(),
        attempts: i32::try_from(e.attempts).unwrap_or(i32::MAX),
        error: error(e.error.as_ref()),
        create_time: Some(timestamp(e.create_time)),
        end_time: time(e.end_time),
    }
}
