//! Rows to records.

use chrono::{FixedOffset, NaiveDate, NaiveTime};
use jinke_sdk::{Effect, Location, RowError, mapping::MAX_LINES};
use jinke_types::{
    Address, Body, Completeness, Datum, Money, PartyKind, RecordKey, Relationship, SourceRecord,
    Timestamp, Transaction, TransactionKind, Value as Said, activity::TransactionLine, attribute,
};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::{
    api::Entity,
    wire::{date, decimal, moment, padded, plain, time_of_day, together},
};

/// A text is at most this long, in bytes; a longer one is left out and reported.
pub const MAX_TEXT_BYTES: usize = 65_536;
/// A partner has at most this many contacts; the others are left out and reported.
pub const MAX_CONTACTS: usize = 200;
/// Characters of a name in one property; a name that fills it goes on in the next.
const NAME_PART: usize = 40;
/// Characters of the full name; a longer name is cut there.
const FULL_NAME: usize = 81;

/// The set of partners.
pub const PARTNERS: &str = "A_BusinessPartner";
/// The set of orders.
pub const ORDERS: &str = "A_SalesOrder";

/// What is wrong with one row, collected while it is read.
#[derive(Debug)]
pub struct Reader<'a> {
    /// Id of the source.
    pub source: &'a str,
    /// The set.
    pub set: &'static str,
    /// The system's zone.
    pub zone: FixedOffset,
    /// Number of the row.
    pub row: u64,
    /// The errors so far.
    pub errors: Vec<RowError>,
}

impl Reader<'_> {
    fn add(&mut self, property: &str, reason: &str, effect: Effect) {
        self.errors.push(RowError {
            location: Location {
                file: self.set.to_owned(),
                sheet: None,
                row: self.row,
            },
            column: Some(property.to_owned()),
            reason: reason.to_owned(),
            effect,
        });
    }

    fn text(&mut self, row: &Entity, property: &str) -> String {
        match row.get(property) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) if text.len() <= MAX_TEXT_BYTES => {
                text.replace('\0', "").trim().to_owned()
            }
            Some(Value::String(_)) => {
                self.add(property, "is longer than the limit", Effect::ValueLeftOut);
                String::new()
            }
            Some(_) => {
                self.add(property, "is no text", Effect::ValueLeftOut);
                String::new()
            }
        }
    }

    fn read<T>(
        &mut self,
        row: &Entity,
        property: &str,
        reason: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = row.get(property).filter(|v| !v.is_null())?;
        let got = read(value);
        if got.is_none() {
            self.add(property, reason, Effect::ValueLeftOut);
        }
        got
    }

    fn date(&mut self, row: &Entity, property: &str) -> Option<NaiveDate> {
        self.read(row, property, "is no date", date)
    }

    fn flag(&mut self, row: &Entity, property: &str) -> bool {
        self.read(row, property, "is neither yes nor no", Value::as_bool)
            .unwrap_or(false)
    }

    fn amount(&mut self, row: &Entity, property: &str) -> Option<Decimal> {
        let why = "is no number that can be read exactly";
        self.read(row, property, why, decimal)
    }

    /// The later of a last change and a creation, each of a date and a time of day.
    fn changed(&mut self, row: &Entity) -> Option<Timestamp> {
        let mut at = |day: &str, time: &str| {
            let day = self.date(row, day)?;
            let time = self.read(row, time, "is no time", time_of_day);
            Some(together(day, time.unwrap_or(NaiveTime::MIN), self.zone))
        };
        let pair = at("LastChangeDate", "LastChangeTime").max(at("CreationDate", "CreationTime"));
        pair.max(self.read(row, "LastChangeDateTime", "is no time", moment))
    }

    /// The rows that an expanded link lists, in the order of `key`, so that a record does not
    /// depend on how SAP sorts them.
    fn rows<'r>(&mut self, row: &'r Entity, link: &str, key: &str) -> Vec<&'r Entity> {
        let Some(value) = row.get(link).filter(|v| !v.is_null()) else {
            return Vec::new();
        };
        if value.get("__deferred").is_some() {
            return Vec::new();
        }
        let list = value.get("results").unwrap_or(value).as_array();
        let rows: Option<Vec<&Entity>> =
            list.and_then(|l| l.iter().map(Value::as_object).collect());
        let Some(mut rows) = rows else {
            self.add(link, "is no list of rows", Effect::ValueLeftOut);
            return Vec::new();
        };
        let by = |row: &Entity| row.get(key).and_then(Value::as_str).map(str::to_owned);
        rows.sort_by_cached_key(|row| by(row).map(|k| (k.len(), k)));
        rows
    }
}

fn push(values: &mut Vec<Said>, attribute: &str, text: String) {
    if !text.is_empty() {
        values.push(Said::text(attribute, text));
    }
}

/// The external id of a partner.
pub fn partner_id(number: &str) -> String {
    format!("{PARTNERS},{}", padded(number))
}

/// The external id of the link to a contact person.
fn contact_id(partner: &str, person: &str) -> String {
    format!("{partner}#contact_of:{}", padded(person))
}

/// The record of a partner, and one for each of its contact persons.
pub fn partner(reader: &mut Reader<'_>, row: &Entity, number: &str) -> Vec<SourceRecord> {
    let category = reader.text(row, "BusinessPartnerCategory");
    let person = category == "1";
    let mut values = Vec::new();
    push(&mut values, attribute::NAME, name(reader, row, person));
    push(&mut values, "x_code", plain(number).to_owned());
    if category == "3" {
        push(&mut values, attribute::TAG, "partner group".to_owned());
    }
    let customer = reader.text(row, "Customer");
    let supplier = reader.text(row, "Supplier");
    if !customer.is_empty() {
        push(&mut values, attribute::ROLE, "customer".to_owned());
        push(
            &mut values,
            "x_customer_number",
            plain(&customer).to_owned(),
        );
    }
    if !supplier.is_empty() {
        push(&mut values, attribute::ROLE, "supplier".to_owned());
    }
    push(
        &mut values,
        "x_search_term",
        reader.text(row, "SearchTerm1"),
    );
    push(
        &mut values,
        attribute::INDUSTRY,
        reader.text(row, "Industry"),
    );
    if reader.flag(row, "BusinessPartnerIsBlocked") {
        push(&mut values, "x_blocked", "true".to_owned());
    }
    if person && let Some(day) = reader.date(row, "BirthDate") {
        use chrono::Datelike as _;
        let day = Datum::Date(day.year(), day.month() as u8, day.day() as u8);
        values.push(Said::of(attribute::DATE_OF_BIRTH, day));
    }
    for tax in reader.rows(row, "to_BusinessPartnerTax", "BPTaxType") {
        values.extend(tax_number(reader, tax));
    }
    for address in reader.rows(row, "to_BusinessPartnerAddress", "AddressID") {
        place(reader, address, &mut values);
    }
    for bank in reader.rows(row, "to_BusinessPartnerBank", "BankIdentification") {
        let iban = reader.text(bank, "IBAN");
        let account = reader.text(bank, "BankAccount");
        let account = if iban.is_empty() { account } else { iban };
        push(&mut values, attribute::BANK_ACCOUNT, account);
    }
    let record = SourceRecord {
        key: RecordKey::new(reader.source, partner_id(number)),
        source_revision: None,
        update_time: reader.changed(row),
        completeness: Completeness::Full,
        deleted: reader.flag(row, "IsMarkedForArchiving"),
        body: Body::Party {
            kind: if person {
                PartyKind::Person
            } else {
                PartyKind::Organization
            },
            values,
        },
    };
    let mut records = vec![record];
    contacts(reader, row, number, &mut records);
    records
}

/// A name is in one property of 81 characters, cut when it is longer, and in four of 40.
fn name(reader: &mut Reader<'_>, row: &Entity, person: bool) -> String {
    let full = reader.text(row, "BusinessPartnerFullName");
    if person {
        let told = reader.text(row, "PersonFullName");
        return if told.is_empty() { full } else { told };
    }
    if !full.is_empty() && full.chars().count() < FULL_NAME {
        return full;
    }
    let mut name = String::new();
    let mut filled = true;
    for i in 1..=4 {
        let part = reader.text(row, &format!("OrganizationBPName{i}"));
        if part.is_empty() {
            break;
        }
        // A part that ends before its end was meant as a part; Latin words then need a blank.
        let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        if !filled && latin(name.chars().next_back()) && latin(part.chars().next()) {
            name.push(' ');
        }
        filled = part.chars().count() >= NAME_PART;
        name.push_str(&part);
    }
    if name.is_empty() { full } else { name }
}

/// A tax number by its type, whose first two letters are the country: `CN5` is the unified social
/// credit code when its check character is right, `…0` is a VAT number of the European Union.
fn tax_number(reader: &mut Reader<'_>, row: &Entity) -> Option<Said> {
    let long = reader.text(row, "BPTaxLongNumber");
    let short = reader.text(row, "BPTaxNumber");
    let number = if long.is_empty() { short } else { long };
    if number.is_empty() {
        return None;
    }
    let kind = reader.text(row, "BPTaxType");
    let country = kind.get(..2).unwrap_or_default().to_ascii_uppercase();
    let value = if country == "CN" && uscc_holds(&number) {
        Said::identifier("uscc", number)
    } else if kind.ends_with('0') && country != "CN" {
        Said::identifier("vat", number)
    } else {
        Said::identifier("tax_no", number)
    };
    Some(Said { country, ..value })
}

fn place(reader: &mut Reader<'_>, row: &Entity, values: &mut Vec<Said>) {
    let street = [
        reader.text(row, "StreetPrefixName"),
        reader.text(row, "StreetName"),
        reader.text(row, "HouseNumber"),
        reader.text(row, "StreetSuffixName"),
    ];
    let address = Address {
        country: reader.text(row, "Country"),
        province: reader.text(row, "Region"),
        city: reader.text(row, "CityName"),
        district: reader.text(row, "District"),
        text: street.concat(),
        postcode: reader.text(row, "PostalCode"),
    };
    let only_country = Address {
        country: String::new(),
        ..address.clone()
    };
    if !only_country.is_blank() {
        values.push(Said::of(attribute::ADDRESS, Datum::Address(address)));
    }
    for (link, scheme) in [
        ("to_PhoneNumber", "phone"),
        ("to_MobilePhoneNumber", "mobile"),
    ] {
        for phone in reader.rows(row, link, "OrdinalNumber") {
            let number = reader.text(phone, "PhoneNumber");
            let extension = reader.text(phone, "PhoneNumberExtension");
            let text = if extension.is_empty() {
                number
            } else {
                format!("{number}-{extension}")
            };
            if !text.is_empty() {
                values.push(Said {
                    scheme: scheme.to_owned(),
                    ..Said::text(attribute::PHONE, text)
                });
            }
        }
    }
    for mail in reader.rows(row, "to_EmailAddress", "OrdinalNumber") {
        push(values, attribute::EMAIL, reader.text(mail, "EmailAddress"));
    }
    for page in reader.rows(row, "to_URLAddress", "OrdinalNumber") {
        push(values, attribute::WEBSITE, reader.text(page, "WebsiteURL"));
    }
}

fn contacts(reader: &mut Reader<'_>, row: &Entity, number: &str, records: &mut Vec<SourceRecord>) {
    let Some(partner) = records.first().cloned() else {
        return;
    };
    let listed = reader.rows(row, "to_BusinessPartnerContact", "BusinessPartnerPerson");
    if listed.len() > MAX_CONTACTS {
        let why = "has more contacts than the limit";
        reader.add("to_BusinessPartnerContact", why, Effect::ValueLeftOut);
    }
    for contact in listed.into_iter().take(MAX_CONTACTS) {
        let person = reader.text(contact, "BusinessPartnerPerson");
        let company = reader.text(contact, "BusinessPartnerCompany");
        // The link is listed by the person too; it is told once, by the company.
        if person.is_empty() || padded(&company) != padded(number) {
            continue;
        }
        let begin = |day: Option<NaiveDate>, reader: &Reader<'_>| {
            day.map(|d| together(d, NaiveTime::MIN, reader.zone))
        };
        let from = reader.date(contact, "ValidityStartDate");
        // The last day counts; 9999-12-31 is SAP's word for open.
        let to = reader
            .date(contact, "ValidityEndDate")
            .filter(|d| *d < NaiveDate::from_ymd_opt(9_999, 12, 31).unwrap_or(NaiveDate::MAX))
            .and_then(|d| d.succ_opt());
        let key = contact_id(&partner.key.external_id, &person);
        if records.iter().any(|r| r.key.external_id == key) {
            continue;
        }
        records.push(SourceRecord {
            key: RecordKey::new(reader.source, key),
            body: Body::Relationship(Relationship {
                kind: "contact_of".to_owned(),
                from: RecordKey::new(reader.source, partner_id(&person)),
                to: partner.key.clone(),
                valid_from: begin(from, reader),
                valid_to: begin(to, reader),
                values: Vec::new(),
            }),
            ..partner.clone()
        });
    }
}

/// The record of an order; `partner` is the number of the partner who is the sold-to party.
pub fn order(
    reader: &mut Reader<'_>,
    row: &Entity,
    number: &str,
    partner: Option<&str>,
) -> Option<SourceRecord> {
    let Some(partner) = partner else {
        reader.add(
            "SoldToParty",
            "the sold-to party is blank",
            Effect::RowSkipped,
        );
        return None;
    };
    let day = reader.date(row, "SalesOrderDate");
    let day = day.or_else(|| reader.date(row, "CreationDate"));
    let changed = reader.changed(row);
    let time = day
        .map(|d| together(d, NaiveTime::MIN, reader.zone))
        .or(changed);
    let Some(time) = time else {
        reader.add(
            "SalesOrderDate",
            "no date says when it happened",
            Effect::RowSkipped,
        );
        return None;
    };
    let code = reader.text(row, "TransactionCurrency");
    let currency = (code.len() == 3).then_some(code);
    let money = |amount: Option<Decimal>| {
        Some(Money {
            amount: amount?.normalize(),
            currency: currency.clone()?,
        })
    };
    let items = reader.rows(row, "to_Item", "SalesOrderItem");
    if items.len() > MAX_LINES {
        reader.add(
            "to_Item",
            "has more lines than the limit",
            Effect::RowSkipped,
        );
        return None;
    }
    let mut lines = Vec::new();
    for item in items {
        // An item that was refused is not sold.
        if !reader.text(item, "SalesDocumentRjcnReason").is_empty() {
            continue;
        }
        let code = reader.text(item, "Material");
        let product = [code.clone(), reader.text(item, "SalesOrderItemText")];
        let quantity = reader.amount(item, "RequestedQuantity").unwrap_or_default();
        lines.push(TransactionLine {
            product: product.join(" ").trim().to_owned(),
            code,
            category: String::new(),
            quantity: quantity.normalize(),
            unit: reader.text(item, "RequestedQuantityUnit"),
            amount: money(reader.amount(item, "NetAmount")),
        });
    }
    Some(SourceRecord {
        key: RecordKey::new(reader.source, format!("{ORDERS},{}", padded(number))),
        source_revision: None,
        update_time: changed,
        completeness: Completeness::Full,
        // All items were refused.
        deleted: reader.text(row, "OverallSDDocumentRejectionSts") == "C",
        body: Body::Transaction(Transaction {
            kind: TransactionKind::Order,
            party: RecordKey::new(reader.source, partner_id(partner)),
            number: plain(number).to_owned(),
            status: reader.text(row, "OverallSDProcessStatus"),
            time,
            amount: money(reader.amount(row, "TotalNetAmount")),
            lines,
            text: reader.text(row, "PurchaseOrderByCustomer"),
            employee: String::new(),
        }),
    })
}

/// The time by which a round knows a row; without one it always counts as new.
pub fn time_of(reader: &mut Reader<'_>, row: &Entity) -> Option<Timestamp> {
    let known = reader.errors.len();
    let time = reader.changed(row);
    reader.errors.truncate(known);
    time
}

/// Whether a number is a unified social credit code with a right check character (GB 32100-2015:
/// the values of the first 17 characters times powers of 3, modulo 31).
fn uscc_holds(text: &str) -> bool {
    const SIGNS: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let text = text.to_ascii_uppercase();
    let values: Vec<usize> = text.chars().filter_map(|c| SIGNS.find(c)).collect();
    if text.len() != 18 || values.len() != 18 {
        return false;
    }
    let mut weight = 1;
    let mut sum = 0;
    for value in &values[..17] {
        sum += value * weight;
        weight = weight * 3 % 31;
    }
    (31 - sum % 31) % 31 == values[17]
}
