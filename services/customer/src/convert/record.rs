//! Source records with their four bodies.

use jinke_types::{
    Body, Completeness, Interaction, InteractionKind, PartyKind, Relationship, SourceRecord,
    Transaction, TransactionKind, activity::TransactionLine,
};
use prost::Message as _;

use super::{
    check::{Check, join},
    number, pb,
    value::{self, MAX_LONG_TEXT, record_key, record_key_out, value_out},
};

/// Most bytes of one record as it came over the wire.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;
/// Most lines of one transaction.
pub const MAX_LINES: usize = 1_000;

/// A source record. `path` is its place in the request, e.g. `records[3]`.
pub fn source_record(
    check: &mut Check,
    path: &str,
    record: pb::SourceRecord,
) -> Option<SourceRecord> {
    if record.encoded_len() > MAX_RECORD_BYTES {
        return check.wrong(path, format!("is larger than {MAX_RECORD_BYTES} bytes"));
    }
    let key = record_key(check, &join(path, "key"), record.key);
    let update_time = number::optional_time(
        check,
        join(path, "source_update_time"),
        record.source_update_time,
    );
    let completeness = check
        .known_enum(
            join(path, "completeness"),
            "SourceRecord.Completeness",
            record.completeness,
        )
        .map(|c| match c {
            pb::source_record::Completeness::Unspecified
            | pb::source_record::Completeness::Full => Completeness::Full,
            pb::source_record::Completeness::Partial => Completeness::Partial,
        });
    let body = body(check, path, record.body, record.deleted);
    Some(SourceRecord {
        key: key?,
        source_revision: record.source_revision,
        update_time: update_time?,
        completeness: completeness?,
        deleted: record.deleted,
        body: body?,
    })
}

fn body(
    check: &mut Check,
    path: &str,
    body: Option<pb::source_record::Body>,
    deleted: bool,
) -> Option<Body> {
    use pb::source_record::Body as B;
    match body {
        // A deletion may say no more than what sort of record it deletes.
        Some(body) if deleted && is_bare(&body) => Some(bare(&body)),
        Some(B::Party(p)) => {
            let (kind, values) = party(check, &join(path, "party"), p)?;
            Some(Body::Party { kind, values })
        }
        Some(B::Relationship(r)) => {
            relationship(check, &join(path, "relationship"), r).map(Body::Relationship)
        }
        Some(B::Transaction(t)) => {
            transaction(check, &join(path, "transaction"), t).map(Body::Transaction)
        }
        Some(B::Interaction(i)) => {
            interaction(check, &join(path, "interaction"), i).map(Body::Interaction)
        }
        None => check.wrong(
            path,
            "one of party, relationship, transaction, interaction is required",
        ),
    }
}

/// Whether a body other than a party's names none of the parties it must name.
fn is_bare(body: &pb::source_record::Body) -> bool {
    use pb::source_record::Body as B;
    match body {
        B::Party(_) => false,
        B::Relationship(r) => {
            *r == pb::Relationship {
                kind: r.kind.clone(),
                ..Default::default()
            }
        }
        B::Transaction(t) => {
            *t == pb::Transaction {
                kind: t.kind,
                ..Default::default()
            }
        }
        B::Interaction(i) => {
            *i == pb::Interaction {
                kind: i.kind,
                ..Default::default()
            }
        }
    }
}

/// What stands for the body of a bare deletion. The state of the record stays what it was, so
/// nothing in it is ever read.
fn bare(body: &pb::source_record::Body) -> Body {
    use pb::source_record::Body as B;
    let nobody = || jinke_types::RecordKey::new("", "");
    let time = jinke_types::Timestamp(0);
    match body {
        B::Party(_) | B::Relationship(_) => Body::Relationship(Relationship {
            kind: String::new(),
            from: nobody(),
            to: nobody(),
            valid_from: None,
            valid_to: None,
            values: Vec::new(),
        }),
        B::Transaction(_) => Body::Transaction(Transaction {
            kind: TransactionKind::Order,
            party: nobody(),
            number: String::new(),
            status: String::new(),
            time,
            amount: None,
            lines: Vec::new(),
            text: String::new(),
            employee: String::new(),
        }),
        B::Interaction(_) => Body::Interaction(Interaction {
            kind: InteractionKind::Message,
            party: nobody(),
            time,
            channel: String::new(),
            inbound: false,
            subject: String::new(),
            text: String::new(),
            employee: String::new(),
        }),
    }
}

/// A party with its values.
pub fn party(
    check: &mut Check,
    path: &str,
    party: pb::Party,
) -> Option<(PartyKind, Vec<jinke_types::Value>)> {
    let kind = check
        .required_enum(join(path, "kind"), "PartyKind", party.kind)
        .and_then(party_kind);
    let values = value::values(check, path, party.values);
    Some((kind?, values?))
}

/// The kind of a party; `None` for the unspecified one.
pub const fn party_kind(kind: pb::PartyKind) -> Option<PartyKind> {
    match kind {
        pb::PartyKind::Unspecified => None,
        pb::PartyKind::Organization => Some(PartyKind::Organization),
        pb::PartyKind::Person => Some(PartyKind::Person),
    }
}

/// The kind of a party on its way out.
pub const fn party_kind_out(kind: PartyKind) -> pb::PartyKind {
    match kind {
        PartyKind::Organization => pb::PartyKind::Organization,
        PartyKind::Person => pb::PartyKind::Person,
    }
}

fn relationship(check: &mut Check, path: &str, r: pb::Relationship) -> Option<Relationship> {
    let named = (1..=64).contains(&r.kind.len())
        && r.kind.as_bytes()[0].is_ascii_lowercase()
        && r.kind
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !named {
        check.wrong::<()>(
            join(path, "kind"),
            "is not a lower snake case name of 1 to 64 characters",
        );
    }
    let from = record_key(check, &join(path, "from"), r.from);
    let to = record_key(check, &join(path, "to"), r.to);
    let valid_from = number::optional_time(check, join(path, "valid_from"), r.valid_from);
    let valid_to = number::optional_time(check, join(path, "valid_to"), r.valid_to);
    value::order(check, path, valid_from.flatten(), valid_to.flatten());
    let values = value::values(check, path, r.values);
    Some(Relationship {
        kind: r.kind,
        from: from?,
        to: to?,
        valid_from: valid_from?,
        valid_to: valid_to?,
        values: values?,
    })
}

fn transaction(check: &mut Check, path: &str, t: pb::Transaction) -> Option<Transaction> {
    use pb::transaction::Kind as K;
    let kind = check
        .required_enum(join(path, "kind"), "Transaction.Kind", t.kind)
        .and_then(|k| {
            Some(match k {
                K::Unspecified => return None,
                K::Order => TransactionKind::Order,
                K::Invoice => TransactionKind::Invoice,
                K::Payment => TransactionKind::Payment,
                K::Refund => TransactionKind::Refund,
                K::Receivable => TransactionKind::Receivable,
                K::Ticket => TransactionKind::Ticket,
            })
        });
    let party = record_key(check, &join(path, "party"), t.party);
    let number = check.line(join(path, "number"), t.number, 200);
    let status = check.line(join(path, "status"), t.status, 200);
    let time = number::time(check, join(path, "time"), t.time);
    let amount = optional_money(check, &join(path, "amount"), t.amount);
    let lines = lines(check, &join(path, "lines"), t.lines);
    let text = check.text(join(path, "text"), t.text, MAX_LONG_TEXT);
    let employee = check.line(join(path, "employee"), t.employee, 256);
    Some(Transaction {
        kind: kind?,
        party: party?,
        number: number?,
        status: status?,
        time: time?,
        amount: amount?,
        lines: lines?,
        text: text?,
        employee: employee?,
    })
}

fn optional_money(
    check: &mut Check,
    path: &str,
    money: Option<jinke_proto::google::r#type::Money>,
) -> Option<Option<jinke_types::Money>> {
    match money {
        None => Some(None),
        Some(money) => number::money(check, path, &money).map(Some),
    }
}

fn lines(
    check: &mut Check,
    path: &str,
    lines: Vec<pb::TransactionLine>,
) -> Option<Vec<TransactionLine>> {
    if lines.len() > MAX_LINES {
        return check.wrong(path, format!("holds more than {MAX_LINES} lines"));
    }
    let parsed: Vec<_> = lines
        .into_iter()
        .enumerate()
        .map(|(i, line)| {
            let path = format!("{path}[{i}]");
            let product = check.text(join(&path, "product"), line.product, 500);
            let quantity = match line.quantity {
                // A line without a quantity counts once.
                None => Some(rust_decimal::Decimal::ONE),
                Some(q) => number::decimal(check, join(&path, "quantity"), &q.value),
            };
            let unit = check.line(join(&path, "unit"), line.unit, 32);
            let amount = optional_money(check, &join(&path, "amount"), line.amount);
            let code = check.line(join(&path, "code"), line.code, 200);
            let category = check.line(join(&path, "category"), line.category, 200);
            Some(TransactionLine {
                product: product?,
                code: code?,
                category: category?,
                quantity: quantity?,
                unit: unit?,
                amount: amount?,
            })
        })
        .collect();
    parsed.into_iter().collect()
}

fn interaction(check: &mut Check, path: &str, i: pb::Interaction) -> Option<Interaction> {
    use pb::interaction::Kind as K;
    let kind = check
        .required_enum(join(path, "kind"), "Interaction.Kind", i.kind)
        .and_then(|k| {
            Some(match k {
                K::Unspecified => return None,
                K::Message => InteractionKind::Message,
                K::Call => InteractionKind::Call,
                K::Visit => InteractionKind::Visit,
                K::Meeting => InteractionKind::Meeting,
                K::Note => InteractionKind::Note,
                K::Event => InteractionKind::Event,
            })
        });
    let party = record_key(check, &join(path, "party"), i.party);
    let time = number::time(check, join(path, "time"), i.time);
    let channel = check.line(join(path, "channel"), i.channel, 64);
    let subject = check.text(join(path, "subject"), i.subject, 1_000);
    let text = check.text(join(path, "text"), i.text, MAX_LONG_TEXT);
    let employee = check.line(join(path, "employee"), i.employee, 256);
    Some(Interaction {
        kind: kind?,
        party: party?,
        time: time?,
        channel: channel?,
        inbound: i.inbound,
        subject: subject?,
        text: text?,
        employee: employee?,
    })
}

/// The kind of a transaction on its way out.
pub const fn transaction_kind_out(kind: TransactionKind) -> pb::transaction::Kind {
    use pb::transaction::Kind as K;
    match kind {
        TransactionKind::Order => K::Order,
        TransactionKind::Invoice => K::Invoice,
        TransactionKind::Payment => K::Payment,
        TransactionKind::Refund => K::Refund,
        TransactionKind::Receivable => K::Receivable,
        TransactionKind::Ticket => K::Ticket,
    }
}

/// A body on its way out.
pub fn body_out(body: &Body) -> pb::source_record::Body {
    use pb::source_record::Body as B;
    match body {
        Body::Party { kind, values } => B::Party(pb::Party {
            kind: party_kind_out(*kind).into(),
            values: values.iter().map(value_out).collect(),
        }),
        Body::Relationship(r) => B::Relationship(relationship_out(r)),
        Body::Transaction(t) => B::Transaction(transaction_out(t)),
        Body::Interaction(i) => B::Interaction(interaction_out(i)),
    }
}

/// A relationship on its way out.
pub fn relationship_out(r: &Relationship) -> pb::Relationship {
    pb::Relationship {
        kind: r.kind.clone(),
        from: Some(record_key_out(&r.from)),
        to: Some(record_key_out(&r.to)),
        valid_from: r.valid_from.map(number::time_out),
        valid_to: r.valid_to.map(number::time_out),
        values: r.values.iter().map(value_out).collect(),
    }
}

/// A transaction on its way out.
pub fn transaction_out(t: &Transaction) -> pb::Transaction {
    pb::Transaction {
        kind: transaction_kind_out(t.kind).into(),
        party: Some(record_key_out(&t.party)),
        number: t.number.clone(),
        status: t.status.clone(),
        time: Some(number::time_out(t.time)),
        amount: t.amount.as_ref().map(number::money_out),
        lines: t
            .lines
            .iter()
            .map(|line| pb::TransactionLine {
                product: line.product.clone(),
                code: line.code.clone(),
                category: line.category.clone(),
                quantity: Some(number::decimal_out(line.quantity)),
                unit: line.unit.clone(),
                amount: line.amount.as_ref().map(number::money_out),
            })
            .collect(),
        text: t.text.clone(),
        employee: t.employee.clone(),
    }
}

/// An interaction on its way out.
pub fn interaction_out(i: &Interaction) -> pb::Interaction {
    use pb::interaction::Kind as K;
    let kind = match i.kind {
        InteractionKind::Message => K::Message,
        InteractionKind::Call => K::Call,
        InteractionKind::Visit => K::Visit,
        InteractionKind::Meeting => K::Meeting,
        InteractionKind::Note => K::Note,
        InteractionKind::Event => K::Event,
    };
    pb::Interaction {
        kind: kind.into(),
        party: Some(record_key_out(&i.party)),
        time: Some(number::time_out(i.time)),
        channel: i.channel.clone(),
        inbound: i.inbound,
        subject: i.subject.clone(),
        text: i.text.clone(),
        employee: i.employee.clone(),
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
