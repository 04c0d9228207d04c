//! Orders, invoices, payments and receivables.

use chrono::{FixedOffset, NaiveDate, NaiveTime, TimeZone as _};
use jinke_sdk::{Effect, mapping::MAX_LINES};
use jinke_types::{
    Body, Completeness, Money, RecordKey, SourceRecord, Timestamp, Transaction, TransactionKind,
    activity::TransactionLine,
};
use rust_decimal::Decimal;

use crate::{
    cells::{Cells, Faults},
    streams::{Kind, Stream, external_id},
};

/// What documents need beside their row.
pub struct Place<'a> {
    /// Id of the source.
    pub source: &'a str,
    /// The stream.
    pub stream: &'a Stream,
    /// Minutes east of UTC at which a date begins.
    pub utc_offset_minutes: i32,
}

/// The record of a document; `None` with an error when it names no party or has no time.
pub fn document(
    place: &Place<'_>,
    row: &Cells,
    id: i64,
    faults: &mut Faults,
) -> Option<SourceRecord> {
    let mut changed = faults.changed(row);
    for link in place.stream.links.iter().filter(|l| l.part) {
        for part in faults.many(row, link.field) {
            changed = changed.max(faults.changed(part));
        }
    }
    let Some(party) = faults.id(row, "party") else {
        faults.add("party", "the party is blank", Effect::RowSkipped);
        return None;
    };
    let party = RecordKey::new(place.source, external_id("party.party", party));
    let body = match place.stream.kind {
        Kind::Parties => return None,
        Kind::Orders => sale(place, row, TransactionKind::Order, "sale_date", faults),
        Kind::Invoices => sale(place, row, TransactionKind::Invoice, "invoice_date", faults),
        Kind::InvoicePayments => invoice_payment(place, row, faults),
        Kind::Payments => payment(place, row, faults),
        Kind::Receivables => receivable(place, row, faults),
    };
    let mut body = Transaction {
        party,
        ..body.or_else(|| {
            faults.add("lines", "has more lines than the limit", Effect::RowSkipped);
            None
        })?
    };
    let key = place.stream.external_id(id);
    if body.number.is_empty() {
        body.number.clone_from(&key);
    }
    if body.time == NO_TIME {
        faults.add(
            "create_date",
            "no date says when it happened",
            Effect::RowSkipped,
        );
        return None;
    }
    Some(SourceRecord {
        key: RecordKey::new(place.source, key),
        source_revision: None,
        update_time: changed,
        completeness: Completeness::Full,
        deleted: false,
        body: Body::Transaction(body),
    })
}

/// A document without any date; it is then left out.
const NO_TIME: Timestamp = Timestamp(i64::MIN);

impl Place<'_> {
    /// The first of the dates that is there, at its beginning in the company's zone; else the
    /// time of creation.
    fn time(&self, row: &Cells, columns: &[&str], faults: &mut Faults) -> Timestamp {
        for column in columns {
            if let Some(date) = faults.date(row, column) {
                return begin(date, self.utc_offset_minutes);
            }
        }
        let created = row.get("create_date").map(crate::wire::datetime);
        created.and_then(Result::ok).unwrap_or(NO_TIME)
    }

    fn blank(&self, kind: TransactionKind) -> Transaction {
        Transaction {
            kind,
            party: RecordKey::new("", ""),
            number: String::new(),
            status: String::new(),
            time: NO_TIME,
            amount: None,
            lines: Vec::new(),
            text: String::new(),
            employee: String::new(),
        }
    }
}

fn begin(date: NaiveDate, offset_minutes: i32) -> Timestamp {
    let local = date.and_time(NaiveTime::MIN);
    let zone = FixedOffset::east_opt(offset_minutes.saturating_mul(60));
    let at = zone.and_then(|z| z.from_local_datetime(&local).single());
    Timestamp(at.map_or(local.and_utc().timestamp_micros(), |t| t.timestamp_micros()))
}

/// The code of the currency that `column.…` names.
fn currency(row: &Cells, column: &str, faults: &mut Faults) -> Option<String> {
    let code = faults.one(row, column)?;
    let code = faults.text(code, "code");
    (code.len() == 3).then(|| code.to_ascii_uppercase())
}

fn money(amount: Option<Decimal>, currency: Option<&String>) -> Option<Money> {
    Some(Money {
        amount: amount?.normalize(),
        currency: currency?.clone(),
    })
}

/// The first of the texts that is not blank.
fn first(row: &Cells, columns: &[&str], faults: &mut Faults) -> String {
    let mut texts = columns.iter().map(|c| faults.text(row, c));
    texts.find(|t| !t.is_empty()).unwrap_or_default()
}

/// A sale or an invoice; `None` when it has too many lines.
fn sale(
    place: &Place<'_>,
    row: &Cells,
    kind: TransactionKind,
    date: &str,
    faults: &mut Faults,
) -> Option<Transaction> {
    let code = currency(row, "currency", faults);
    let mut lines: Vec<(Option<i64>, TransactionLine)> = Vec::new();
    for line in faults.many(row, "lines") {
        // Titles, comments and subtotals are lines too, and sell nothing.
        let kind = faults.text(line, "type");
        if !matches!(kind.as_str(), "" | "line") {
            continue;
        }
        let product = faults.one(line, "product");
        let named = product
            .map(|p| faults.text(p, "rec_name"))
            .unwrap_or_default();
        let unit = faults.one(line, "unit");
        lines.push((
            faults.id(line, "id"),
            TransactionLine {
                code: code_of(&named).to_owned(),
                category: String::new(),
                product: if named.is_empty() {
                    faults.text(line, "description")
                } else {
                    named
                },
                quantity: faults
                    .decimal(line, "quantity")
                    .unwrap_or_default()
                    .normalize(),
                unit: unit.map(|u| faults.text(u, "symbol")).unwrap_or_default(),
                amount: money(faults.decimal(line, "amount"), code.as_ref()),
            },
        ));
        if lines.len() > MAX_LINES {
            return None;
        }
    }
    lines.sort_by_key(|(id, _)| *id);
    Some(Transaction {
        number: first(row, &["number", "reference"], faults),
        status: faults.text(row, "state"),
        time: place.time(row, &[date], faults),
        amount: money(faults.decimal(row, "total_amount"), code.as_ref()),
        lines: lines.into_iter().map(|(_, line)| line).collect(),
        text: faults.text(row, "description"),
        ..place.blank(kind)
    })
}

/// The code in a product's `rec_name`, which is `[code] name` where it has one.
fn code_of(named: &str) -> &str {
    let inner = named
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    inner.map_or("", |(code, _)| code)
}

/// What the party owes by a line: debit less credit, in the company's currency.
fn balance(row: &Cells, faults: &mut Faults) -> Option<Decimal> {
    let debit = faults.decimal(row, "debit")?;
    debit.checked_sub(faults.decimal(row, "credit")?)
}

fn company_currency(row: &Cells, faults: &mut Faults) -> Option<String> {
    let company = faults.one(row, "company")?;
    currency(company, "currency", faults)
}

fn invoice_payment(place: &Place<'_>, row: &Cells, faults: &mut Faults) -> Option<Transaction> {
    let balance = balance(row, faults);
    // What a customer pays stands in credit; a debit gives money back.
    let kind = match balance {
        Some(amount) if amount > Decimal::ZERO => TransactionKind::Refund,
        _ => TransactionKind::Payment,
    };
    let move_row = faults.one(row, "move");
    let code = company_currency(row, faults);
    let mut invoices: Vec<String> = Vec::new();
    for invoice in faults.many(row, "invoice_payments") {
        invoices.push(faults.text(invoice, "number"));
    }
    invoices.sort();
    let description = faults.text(row, "description");
    let text = [invoices.join("、"), description];
    Some(Transaction {
        number: move_row
            .map(|m| faults.text(m, "number"))
            .unwrap_or_default(),
        status: move_row
            .map(|m| faults.text(m, "state"))
            .unwrap_or_default(),
        time: place.time(row, &["date"], faults),
        amount: money(balance.map(|b| b.abs()), code.as_ref()),
        text: text.join(" ").trim().to_owned(),
        ..place.blank(kind)
    })
}

fn payment(place: &Place<'_>, row: &Cells, faults: &mut Faults) -> Option<Transaction> {
    let code = currency(row, "currency", faults);
    Some(Transaction {
        number: faults.text(row, "number"),
        status: faults.text(row, "state"),
        time: place.time(row, &["date"], faults),
        amount: money(faults.decimal(row, "amount"), code.as_ref()),
        text: faults.text(row, "reference"),
        ..place.blank(TransactionKind::Payment)
    })
}

/// A line of a receivable account. Reconciled, it is no longer owed: its amount is then zero, so
/// that the sum of a party's lines is what Tryton shows as its receivable.
fn receivable(place: &Place<'_>, row: &Cells, faults: &mut Faults) -> Option<Transaction> {
    let open = faults.id(row, "reconciliation").is_none();
    let code = company_currency(row, faults);
    let owed = balance(row, faults).map(|b| if open { b } else { Decimal::ZERO });
    let move_row = faults.one(row, "move");
    Some(Transaction {
        number: move_row
            .map(|m| faults.text(m, "number"))
            .unwrap_or_default(),
        status: if open { "open" } else { "reconciled" }.to_owned(),
        time: place.time(row, &["maturity_date", "date"], faults),
        amount: money(owed, code.as_ref()),
        text: faults.text(row, "description"),
        ..place.blank(TransactionKind::Receivable)
    })
}
