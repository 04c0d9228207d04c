//! Records as a mapping reads them, masked where they are classed.

use jinke_proto::jinke::{connector::v1 as pb, r#type::v1::FieldClass as PbClass};
use jinke_sdk::{Lead, Page, directory::DirectoryEntry};
use jinke_types::{
    Body, Datum, FieldClass, FieldMask, InteractionKind, PartyKind, SourceRecord, TransactionKind,
    Value, class_of,
};

use super::{count, time};

/// A preview: its records masked; leads, departments and members as records.
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
            .chain(page.leads.iter().map(|l| lead(l, mask)))
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
        FieldClass::SalesAmount => PbClass::SalesAmount,
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

/// A lead as a mapping reads it, masked.
pub fn lead(lead: &Lead, mask: &FieldMask) -> pb::PreviewRecord {
    use FieldClass::{Contact, PersonName, Public, Remark, SalesAmount};
    let s = &lead.stated;
    let estimate = s.estimate.as_ref();
    let estimate = estimate.map(|m| format!("{} {}", m.amount, m.currency));
    let time = s.time.map(|t| t.to_rfc3339());
    let all = [
        ("company", s.company.clone(), Public),
        ("person_name", s.person_name.clone(), PersonName),
        ("title", s.title.clone(), PersonName),
        ("phones", s.phones.join("、"), Contact),
        ("emails", s.emails.join("、"), Contact),
        ("uscc", s.uscc.clone(), Public),
        ("region", s.region.clone(), Public),
        ("interest", s.interest.clone(), Remark),
        ("remark", s.remark.clone(), Remark),
        ("estimate", estimate.unwrap_or_default(), SalesAmount),
        ("channel", s.channel.clone(), Public),
        ("campaign", s.campaign.clone(), Public),
        ("time", time.unwrap_or_default(), Public),
    ];
    pb::PreviewRecord {
        external_id: lead.key.external_id.clone(),
        kind: jinke_sdk::lead::LEAD.to_owned(),
        deleted: lead.deleted,
        source_update_time: super::time(lead.update_time),
        values: all
            .into_iter()
            .filter(|(_, text, _)| !text.is_empty())
            .map(|(name, text, class)| shown(name, text, class, mask))
            .collect(),
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
