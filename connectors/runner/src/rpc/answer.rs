//! What goes out: domain values as messages, masked where they are classed.

use jinke_proto::{
    google::rpc::Status as RpcStatus,
    jinke::{connector::v1 as pb, r#type::v1::FieldClass as PbClass},
};
use jinke_sdk::{
    Page, PartKind, Spec, StreamSchema, TextFormat, ValueType, Verification,
    directory::DirectoryEntry,
};
use jinke_types::{
    Body, Datum, FieldClass, FieldMask, InteractionKind, PartyKind, SourceRecord, Timestamp,
    TransactionKind, Value, class_of,
};

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

/// A preview: its records masked, departments and members as records.
pub fn preview(page: &Page, schema: pb::Stream, mask: &FieldMask) -> pb::PreviewMappingResponse {
    let entries = page.directory.iter();
    let entries = entries.filter_map(|entry| entry_preview(entry, mask));
    let errors = page.row_errors.iter().map(|e| {
        let effect = match e.effect {
            jinke_sdk::Effect::RowSkipped => pb::record_error::Effect::RowSkipped,
            jinke_sdk::Effect::ValueLeftOut => pb::record_error::Effect::ValueLeftOut,
        };
        pb::RecordError {
            stream: schema.stream.clone(),
            effect: effect.into(),
            file: e.location.file.clone(),
            sheet: e.location.sheet.clone().unwrap_or_default(),
            row: count(e.location.row),
            column: e.column.clone().unwrap_or_default(),
            message: e.reason.clone(),
            ..pb::RecordError::default()
        }
    });
    pb::PreviewMappingResponse {
        records: page
            .records
            .iter()
            .map(|r| record(r, mask))
            .chain(entries)
            .collect(),
        errors: errors.collect(),
        notes: page.notes.clone(),
        stream: Some(schema),
    }
}

const fn class(class: FieldClass) -> PbClass {
    match class {
        FieldClass::Public => PbClass::Public,
        FieldClass::PersonName => PbClass::PersonName,
        FieldClass::Contact => PbClass::Contact,
        FieldClass::Address => PbClass::Address,
        FieldClass::PersonIdentifier => PbClass::PersonIdentifier,
        FieldClass::Financial => PbClass::Financial,
        FieldClass::Sensitive => PbClass::Sensitive,
        FieldClass::Remark => PbClass::Remark,
        FieldClass::Conversation => PbClass::Conversation,
        FieldClass::Custom => PbClass::Custom,
    }
}

/// One value of a preview, empty when its class is hidden.
fn shown(
    attribute: impl Into<String>,
    text: String,
    of: FieldClass,
    mask: &FieldMask,
) -> pb::preview_record::Value {
    let hidden = !mask.allows(of);
    pb::preview_record::Value {
        attribute: attribute.into(),
        text: if hidden { String::new() } else { text },
        field_class: class(of).into(),
        hidden,
    }
}

fn datum(value: &Value) -> String {
    match &value.datum {
        Datum::Text(text) => text.clone(),
        Datum::Number(number) => number.to_string(),
        Datum::Date(y, m, d) => format!("{y:04}-{m:02}-{d:02}"),
        Datum::Address(a) => [&a.country, &a.province, &a.city, &a.district, &a.text]
            .into_iter()
            .filter(|part| !part.is_empty())
            .cloned()
            .collect::<Vec<_>>()
            .join(" "),
        Datum::Null => String::new(),
    }
}

fn values(list: &[Value], person: bool, mask: &FieldMask) -> Vec<pb::preview_record::Value> {
    list.iter()
        .map(|v| {
            let of = class_of(&v.attribute, &v.scheme, person);
            let name = if v.scheme.is_empty() {
                v.attribute.clone()
            } else {
                format!("{} {}", v.attribute, v.scheme)
            };
            shown(name, datum(v), of, mask)
        })
        .collect()
}

/// A record as a mapping reads it, masked.
pub fn record(record: &SourceRecord, mask: &FieldMask) -> pb::PreviewRecord {
    use FieldClass::{Conversation, Financial, Public, Remark};
    let (kind, values) = match &record.body {
        Body::Party { kind, values: list } => {
            let person = *kind == PartyKind::Person;
            let name = if person { "person" } else { "organization" };
            (name.to_owned(), values(list, person, mask))
        }
        Body::Relationship(r) => {
            let mut out = vec![
                shown("kind", r.kind.clone(), Public, mask),
                shown("from", r.from.external_id.clone(), Public, mask),
                shown("to", r.to.external_id.clone(), Public, mask),
            ];
            out.extend(values(&r.values, true, mask));
            ("relationship".to_owned(), out)
        }
        Body::Transaction(t) => {
            let amount = t.amount.as_ref();
            let amount = amount.map(|m| format!("{} {}", m.amount, m.currency));
            let out = vec![
                shown("party", t.party.external_id.clone(), Public, mask),
                shown("number", t.number.clone(), Public, mask),
                shown("status", t.status.clone(), Public, mask),
                shown("time", t.time.to_rfc3339(), Public, mask),
                shown("amount", amount.unwrap_or_default(), Financial, mask),
                shown("lines", t.lines.len().to_string(), Financial, mask),
                shown("text", t.text.clone(), Remark, mask),
            ];
            (transaction(t.kind).to_owned(), out)
        }
        Body::Interaction(i) => {
            let out = vec![
                shown("party", i.party.external_id.clone(), Public, mask),
                shown("time", i.time.to_rfc3339(), Public, mask),
                shown("channel", i.channel.clone(), Public, mask),
                shown("subject", i.subject.clone(), Conversation, mask),
                shown("text", i.text.clone(), Conversation, mask),
            ];
            (interaction(i.kind).to_owned(), out)
        }
    };
    pb::PreviewRecord {
        external_id: record.key.external_id.clone(),
        kind,
        deleted: record.deleted,
        source_update_time: time(record.update_time),
        values,
    }
}

/// A department or member; a mark of a round is none.
fn entry_preview(entry: &DirectoryEntry, mask: &FieldMask) -> Option<pb::PreviewRecord> {
    use FieldClass::{Contact, PersonName, Public};
    let (kind, deleted, values) = match entry {
        DirectoryEntry::RoundBegan | DirectoryEntry::RoundEnded => return None,
        DirectoryEntry::Department(d) => (
            "department",
            !d.active,
            vec![
                shown("name", d.name.clone(), Public, mask),
                shown("parent", d.parent.clone().unwrap_or_default(), Public, mask),
            ],
        ),
        DirectoryEntry::Member(m) => (
            "member",
            !m.active,
            vec![
                shown("name", m.name.clone(), PersonName, mask),
                shown("email", m.email.clone(), Contact, mask),
                shown("mobile", m.mobile.clone(), Contact, mask),
                shown("departments", m.departments.join("、"), Public, mask),
            ],
        ),
    };
    Some(pb::PreviewRecord {
        external_id: entry.external_id().to_owned(),
        kind: kind.to_owned(),
        deleted,
        source_update_time: None,
        values,
    })
}

const fn transaction(kind: TransactionKind) -> &'static str {
    match kind {
        TransactionKind::Order => "order",
        TransactionKind::Invoice => "invoice",
        TransactionKind::Payment => "payment",
        TransactionKind::Refund => "refund",
        TransactionKind::Receivable => "receivable",
        TransactionKind::Ticket => "ticket",
    }
}

const fn interaction(kind: InteractionKind) -> &'static str {
    match kind {
        InteractionKind::Message => "message",
        InteractionKind::Call => "call",
        InteractionKind::Visit => "visit",
        InteractionKind::Meeting => "meeting",
        InteractionKind::Note => "note",
        InteractionKind::Event => "event",
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
