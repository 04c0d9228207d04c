//! Rows to records.

use std::collections::BTreeMap;

use jinke_sdk::{Effect, mapping::MAX_LINES};
use jinke_types::{
    Address, Body, Completeness, Datum, Money, PartyKind, RecordKey, Relationship, SourceRecord,
    Timestamp, Transaction, TransactionKind, Value, activity::TransactionLine, attribute,
};
use rust_decimal::Decimal;

use crate::{
    cells::{Cells, Faults},
    config::KingdeeConfig,
    forms::{self, Kind, Stream},
};

/// The form that contacts and receipts name when they belong to a customer.
const CUSTOMER_FORM: &str = "BD_Customer";

/// Codes of currencies by the names Kingdee ships (BD_Currency).
const CURRENCIES: &[(&str, &str)] = &[
    ("人民币", "CNY"),
    ("香港元", "HKD"),
    ("港币", "HKD"),
    ("港元", "HKD"),
    ("欧元", "EUR"),
    ("日本日圆", "JPY"),
    ("日元", "JPY"),
    ("新台币", "TWD"),
    ("新台币元", "TWD"),
    ("英镑", "GBP"),
    ("美元", "USD"),
    ("澳元", "AUD"),
    ("加拿大元", "CAD"),
    ("新加坡元", "SGD"),
    ("瑞士法郎", "CHF"),
    ("韩元", "KRW"),
    ("泰铢", "THB"),
    ("越南盾", "VND"),
    ("澳门元", "MOP"),
];

/// The records of one bill or base record; `rows` are its entry lines, one at least.
pub fn records(
    config: &KingdeeConfig,
    stream: &Stream,
    id: i64,
    rows: &[Cells],
    faults: &mut Faults,
) -> Vec<SourceRecord> {
    let Some(head) = rows.first() else {
        return Vec::new();
    };
    let body = match stream.kind {
        Kind::Customers => Some(customer(config, head, faults)),
        Kind::Contacts => Some(contact(head, faults)),
        Kind::Orders => document(config, head, "FCustId", TransactionKind::Order, faults)
            .and_then(|t| order(t, rows, faults)),
        Kind::Receivables => {
            let kind = TransactionKind::Receivable;
            document(config, head, "FCUSTOMERID", kind, faults).map(|t| receivable(t, rows, faults))
        }
        Kind::Receipts => document(
            config,
            head,
            "FCONTACTUNIT",
            TransactionKind::Payment,
            faults,
        )
        .map(|t| receipt(t, head, faults)),
    };
    let Some(body) = body else { return Vec::new() };
    let record = SourceRecord {
        key: RecordKey::new(&config.source, stream.external_id(id)),
        source_revision: None,
        update_time: faults.changed(head),
        completeness: Completeness::Full,
        // What was banned or called off stays as evidence and no longer counts.
        deleted: faults.text(head, "FForbidStatus") == "B"
            || faults.text(head, "FCancelStatus") == "B",
        body,
    };
    let link = (stream.kind == Kind::Contacts)
        .then(|| link(&record, head, faults))
        .flatten();
    std::iter::once(record).chain(link).collect()
}

/// Values under construction.
struct Values(Vec<Value>);

impl Values {
    fn text(&mut self, attribute: &str, text: String) {
        if !text.is_empty() {
            self.0.push(Value::text(attribute, text));
        }
    }

    fn phone(&mut self, scheme: &str, text: String) {
        if !text.is_empty() {
            self.0.push(Value {
                scheme: scheme.to_owned(),
                ..Value::text(attribute::PHONE, text)
            });
        }
    }

    fn address(&mut self, text: &str, postcode: String) {
        let address = Address {
            text: text.replace(['\r', '\n'], " "),
            postcode,
            ..Address::default()
        };
        if !address.text.is_empty() {
            let value = Value::of(attribute::ADDRESS, Datum::Address(address));
            self.0.push(value);
        }
    }
}

fn customer(config: &KingdeeConfig, row: &Cells, faults: &mut Faults) -> Body {
    let mut values = Values(Vec::new());
    let name = faults.text(row, "FName");
    values.text(attribute::NAME, name.clone());
    let short = faults.text(row, "FShortName");
    if short != name {
        values.text(attribute::SHORT_NAME, short);
    }
    let number = faults.text(row, "FNumber");
    let created_by = faults.text(row, "FCreateOrgId.FNumber");
    if !number.is_empty() {
        // A customer that was handed to other organizations has a row in each, with the same
        // number and creating organization. This value holds them together.
        let shared = format!("{created_by}/{number}");
        let scheme = format!("foreign:{}", config.source);
        values.0.push(Value::identifier(&scheme, shared));
    }
    values.text("x_code", number);
    values.text("x_status", faults.text(row, "FDocumentStatus"));
    let tax = faults.text(row, "FTAXREGISTERCODE");
    if !tax.is_empty() {
        let scheme = if uscc_holds(&tax) { "uscc" } else { "tax_no" };
        values.0.push(Value::identifier(scheme, tax));
    }
    values.phone("phone", faults.text(row, "FTEL"));
    values.text(attribute::WEBSITE, faults.text(row, "FWEBSITE"));
    let postcode = faults.text(row, "FZIP");
    values.address(&faults.text(row, "FADDRESS"), postcode);
    let title = faults.text(row, "FINVOICETITLE");
    if title != name {
        values.text("x_invoice_title", title);
    }
    values.text("x_bank", faults.text(row, "FINVOICEBANKNAME"));
    let account = faults.text(row, "FINVOICEBANKACCOUNT");
    values.text(attribute::BANK_ACCOUNT, account);
    let group = faults.text(row, "FGroup.FName");
    let person = config.person_groups.contains(&group);
    values.text(attribute::TAG, group);
    values.text(attribute::OWNER, faults.text(row, "FSELLER.FNumber"));
    let currency = faults.text(row, "FTRADINGCURRID.FName");
    values.text("x_trading_currency", currency);
    let used_by = faults.text(row, "FUseOrgId.FNumber");
    let terms = faults.text(row, "FRECCONDITIONID.FName");
    if !terms.is_empty() {
        values.0.push(Value {
            scope: config.org_units.get(&used_by).cloned().unwrap_or_default(),
            ..Value::text(attribute::PAYMENT_TERMS, terms)
        });
    }
    values.text("x_using_organization", used_by);
    values.text(attribute::ROLE, "customer".to_owned());
    Body::Party {
        kind: if person {
            PartyKind::Person
        } else {
            PartyKind::Organization
        },
        values: values.0,
    }
}

fn contact(row: &Cells, faults: &mut Faults) -> Body {
    let mut values = Values(Vec::new());
    values.text(attribute::NAME, faults.text(row, "FName"));
    values.text("x_code", faults.text(row, "FNumber"));
    values.phone("mobile", faults.text(row, "FMobile"));
    values.phone("phone", faults.text(row, "FTel"));
    values.text(attribute::EMAIL, faults.text(row, "FEmail"));
    values.text(attribute::TITLE, faults.text(row, "FPost"));
    values.address(&faults.text(row, "FBizAddress"), String::new());
    values.text(attribute::ROLE, "contact".to_owned());
    Body::Party {
        kind: PartyKind::Person,
        values: values.0,
    }
}

/// Whether a contact belongs to a customer, and to which.
pub fn company(row: &Cells, faults: &mut Faults) -> Option<i64> {
    let form = faults.text(row, "FCompanyType");
    form.eq_ignore_ascii_case(CUSTOMER_FORM)
        .then(|| faults.id(row, "FCompany"))
        .flatten()
}

fn link(contact: &SourceRecord, row: &Cells, faults: &mut Faults) -> Option<SourceRecord> {
    let customer = company(row, faults)?;
    let mut values = Values(Vec::new());
    values.text(attribute::TITLE, faults.text(row, "FPost"));
    let source = &contact.key.source;
    Some(SourceRecord {
        key: RecordKey::new(source, forms::contact_link(&contact.key.external_id)),
        body: Body::Relationship(Relationship {
            kind: "contact_of".to_owned(),
            from: contact.key.clone(),
            to: RecordKey::new(source, forms::customer(customer)),
            valid_from: None,
            valid_to: None,
            values: values.0,
        }),
        ..contact.clone()
    })
}

/// What all bills have; `None` with an error when it names no customer or has no date.
fn document(
    config: &KingdeeConfig,
    row: &Cells,
    party: &str,
    kind: TransactionKind,
    faults: &mut Faults,
) -> Option<Transaction> {
    let Some(customer) = faults.id(row, party) else {
        faults.add(party, "the customer is blank", Effect::RowSkipped);
        return None;
    };
    let date = match kind {
        TransactionKind::Order => faults.time(row, "FDate"),
        TransactionKind::Receivable => {
            let due = faults.time(row, "FENDDATE_H");
            due.or_else(|| faults.time(row, "FDATE"))
        }
        _ => faults.time(row, "FDATE"),
    };
    let Some(time) = date.or_else(|| faults.time(row, "FCreateDate")) else {
        faults.add("FDate", "no date says when it happened", Effect::RowSkipped);
        return None;
    };
    let status = match kind {
        TransactionKind::Order => faults.text(row, "FDocumentStatus"),
        _ => faults.text(row, "FDOCUMENTSTATUS"),
    };
    Some(Transaction {
        kind,
        party: RecordKey::new(&config.source, forms::customer(customer)),
        number: faults.text(row, "FBillNo"),
        status,
        time,
        amount: None,
        lines: Vec::new(),
        text: String::new(),
        employee: String::new(),
    })
}

/// The code of a currency by its name, or the name when it is a code. Another name is an error,
/// not a guess.
fn currency(row: &Cells, field: &str, faults: &mut Faults) -> Option<String> {
    let name = faults.text(row, field);
    if name.len() == 3 && name.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Some(name.to_ascii_uppercase());
    }
    let known = CURRENCIES.iter().find(|(n, _)| *n == name);
    if known.is_none() && !name.is_empty() {
        let why = "is a currency whose code is not known, so amounts are left out";
        faults.add(field, why, Effect::ValueLeftOut);
    }
    known.map(|(_, code)| (*code).to_owned())
}

fn money(amount: Option<Decimal>, currency: Option<&String>) -> Option<Money> {
    Some(Money {
        amount: amount?.normalize(),
        currency: currency?.clone(),
    })
}

/// The sum of a field over rows; `None` when one of them cannot be read.
fn sum(rows: &[Cells], field: &str, faults: &mut Faults) -> Option<Decimal> {
    let mut sum = None::<Decimal>;
    for row in rows {
        let amount = faults.decimal(row, field)?;
        sum = Some(sum.unwrap_or_default().checked_add(amount)?);
    }
    sum
}

fn order(mut order: Transaction, rows: &[Cells], faults: &mut Faults) -> Option<Body> {
    let head = rows.first()?;
    let code = currency(head, "FSettleCurrId.FName", faults);
    for row in rows {
        // A bill without entries is one row whose entry cells are empty.
        if row.get("FQty").is_none_or(serde_json::Value::is_null)
            && row
                .get("FMaterialId.FNumber")
                .is_none_or(serde_json::Value::is_null)
        {
            continue;
        }
        if order.lines.len() == MAX_LINES {
            faults.add(
                "FSaleOrderEntry",
                "has more lines than the limit",
                Effect::RowSkipped,
            );
            return None;
        }
        let number = faults.text(row, "FMaterialId.FNumber");
        let name = faults.text(row, "FMaterialId.FName");
        order.lines.push(TransactionLine {
            product: [number.as_str(), &name].join(" ").trim().to_owned(),
            code: number,
            category: String::new(),
            quantity: faults.decimal(row, "FQty").unwrap_or_default().normalize(),
            unit: faults.text(row, "FUnitID.FName"),
            amount: money(faults.decimal(row, "FAllAmount"), code.as_ref()),
        });
    }
    let total = faults.decimal(head, "FBillAllAmount");
    let total = total.or_else(|| sum(rows, "FAllAmount", faults));
    order.amount = money(total, code.as_ref());
    order.text = faults.text(head, "FNote");
    order.employee = faults.text(head, "FSalerId.FName");
    if faults.text(head, "FCloseStatus") == "B" {
        order.status.push_str(",closed");
    }
    Some(Body::Transaction(order))
}

/// What is still owed where the tenant's plan says it, else the amount of the bill.
fn receivable(mut bill: Transaction, rows: &[Cells], faults: &mut Faults) -> Body {
    let head = rows.first().cloned().unwrap_or_default();
    let code = currency(&head, "FCURRENCYID.FName", faults);
    let planned = rows.iter().all(|r| {
        r.get("FNOTWRITTENOFFAMOUNTFOR")
            .is_some_and(|v| !v.is_null())
    });
    let amount = if planned {
        sum(rows, "FNOTWRITTENOFFAMOUNTFOR", faults)
    } else {
        faults.decimal(&head, "FALLAMOUNTFOR")
    };
    bill.amount = money(amount, code.as_ref());
    Body::Transaction(bill)
}

fn receipt(mut bill: Transaction, row: &Cells, faults: &mut Faults) -> Body {
    let code = currency(row, "FCURRENCYID.FName", faults);
    let amount = faults.decimal(row, "FRECTOTALAMOUNTFOR");
    if amount.is_some_and(|a| a < Decimal::ZERO) {
        bill.kind = TransactionKind::Refund;
    }
    bill.amount = money(amount.map(|a| a.abs()), code.as_ref());
    bill.text = faults.text(row, "FREMARK");
    Body::Transaction(bill)
}

/// Whether a number is a unified social credit code with a right check character (GB 32100-2015:
/// the values of the first 17 characters times powers of 3, modulo 31).
fn uscc_holds(text: &str) -> bool {
    const SIGNS: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let values: Option<Vec<usize>> = text
        .to_ascii_uppercase()
        .chars()
        .map(|c| SIGNS.find(c))
        .collect();
    let Some([first @ .., last]) = values.as_deref() else {
        return false;
    };
    if first.len() != 17 {
        return false;
    }
    let sum = first
        .iter()
        .fold((0, 1), |(sum, weight), v| {
            (sum + v * weight, weight * 3 % 31)
        })
        .0;
    (31 - sum % 31) % 31 == *last
}

/// The time by which an incremental round knows a row; without one it always counts as new.
pub fn time_of(rows: &[Cells], faults: &mut Faults) -> Timestamp {
    let time = rows.first().and_then(|row| faults.changed(row));
    time.unwrap_or(Timestamp(i64::MAX))
}

/// Puts positional rows together by the id of their bill, in the order they came.
pub fn group(rows: Vec<(i64, Cells)>) -> Vec<(i64, Vec<Cells>)> {
    let mut groups: Vec<(i64, Vec<Cells>)> = Vec::new();
    for (id, row) in rows {
        match groups.last_mut() {
            Some((last, list)) if *last == id => list.push(row),
            _ => groups.push((id, vec![row])),
        }
    }
    groups
}

/// A row by position as cells by name.
pub fn cells(labels: &[String], row: Vec<serde_json::Value>) -> Cells {
    labels.iter().cloned().zip(row).collect::<BTreeMap<_, _>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uscc_is_known_by_its_check_character() {
        assert!(uscc_holds("91440300708461136T"));
        assert!(uscc_holds("91440300708461136t"));
        for text in [
            "",
            "91440300708461136",
            "91450300708461136T",
            "９1440300708461136T",
            "I1440300708461136T",
        ] {
            assert!(!uscc_holds(text), "{text}");
        }
    }

    #[test]
    fn rows_of_one_bill_come_together() {
        let row = |id| (id, Cells::new());
        let groups = group(vec![row(1), row(1), row(2), row(3), row(3)]);
        let sizes: Vec<_> = groups.iter().map(|(id, rows)| (*id, rows.len())).collect();
        assert_eq!(sizes, [(1, 2), (2, 1), (3, 2)]);
    }
}
