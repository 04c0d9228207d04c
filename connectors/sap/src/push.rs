//! Writing business partners and sales orders.
//!
//! SAP takes no key of a caller's own, so ours stands in a property that people use for the same
//! purpose: the partner's number in another system (`BusinessPartnerIDByExtSystem`, 20
//! characters), and the customer's own number of the order (`PurchaseOrderByCustomer`), which is
//! ours only when the push names none. Before a row is created it is looked for by it, so an
//! answer that was lost leads to no second one.
//!
//! | `partner` | `order` |
//! |---|---|
//! | `name` (needed; of a person the family name or all of it), `person` (yes or no), `first_name`, `grouping`, `country`, `city`, `postcode`, `street`, `phone`, `email`, `tax_type`, `tax_no`, `search_term` | `customer` (its number, needed), `type`, `organization`, `channel`, `division` (needed), `customer_reference`, `currency`, `date`, `lines` of `product`, `quantity` (both needed), `unit`, `text` |
//!
//! `id`, the external id or number of a row that is there, changes its own properties: of a
//! partner `name`, `search_term`; of an order `customer_reference`, `date`. The row's `ETag` goes
//! along, so a change of somebody else in between is not overwritten.

use async_trait::async_trait;
use jinke_sdk::{
    Message, Outbound, Push, PushState, PushStep, SendError, SendErrorKind, Sent, incremental,
    outbound::not_offered,
};
use jinke_types::{Code, Failure, Violation};
use serde_json::{Map, Value, json};

use crate::{
    api::{Entity, properties},
    pull::SapConnector,
    streams::{ORDER, PARTNER, Stream},
    wire::{decimal, escaped, padded, quoted},
};

/// An order has at most this many lines.
pub const MAX_LINES: usize = 500;

/// Our key as a number that every property takes: 20 signs, capitals.
pub fn number_of(key: &str) -> String {
    let high = incremental::hash(&[b"number", key.as_bytes()]);
    let low = incremental::hash(&[b"check", key.as_bytes()]);
    format!("JK{high:016X}{:02X}", low & 0xff)
}

fn refused(reason: &'static str, message: &str) -> SendError {
    SendError::new(
        SendErrorKind::Refused,
        Failure::new(Code::FailedPrecondition, reason, message),
    )
}

/// Reads the fields of a push.
struct Fields<'a> {
    place: String,
    given: &'a Map<String, Value>,
    violations: Vec<Violation>,
}

impl Fields<'_> {
    fn bad(&mut self, name: &str, why: &str) {
        self.violations.push(Violation {
            field: format!("{}{name}", self.place),
            description: why.to_owned(),
        });
    }

    fn text(&mut self, name: &str, most: usize, needed: bool) -> Option<String> {
        let text = match self.given.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(n)) => n.to_string(),
            Some(_) => {
                self.bad(name, "must be text");
                return None;
            }
        };
        if text.chars().count() > most {
            self.bad(name, &format!("must be at most {most} characters"));
        } else if text.is_empty() && needed {
            self.bad(name, "must be given");
        }
        Some(text).filter(|t| !t.is_empty())
    }

    fn value(&mut self, name: &str, most: usize) -> Value {
        self.text(name, most, false)
            .map_or(Value::Null, Value::from)
    }

    fn only(&mut self, names: &[&str]) {
        let unknown: Vec<String> = self
            .given
            .keys()
            .filter(|k| !names.contains(&&***k))
            .cloned()
            .collect();
        for name in unknown {
            self.bad(&name, "is no field of this kind");
        }
    }

    fn end(self) -> Result<(), SendError> {
        if self.violations.is_empty() {
            return Ok(());
        }
        let failure = Failure::fields(self.violations);
        Err(SendError::new(SendErrorKind::Refused, failure))
    }
}

fn fields(push: &Push) -> Fields<'_> {
    Fields {
        place: "fields.".to_owned(),
        given: &push.fields,
        violations: Vec::new(),
    }
}

/// A name in the properties of 40 characters that SAP has for it.
fn name_parts(name: &str) -> [Value; 4] {
    let signs: Vec<char> = name.chars().collect();
    let part = |i: usize| {
        let part: String = signs.iter().skip(40 * i).take(40).collect();
        if part.is_empty() {
            Value::Null
        } else {
            Value::from(part)
        }
    };
    [part(0), part(1), part(2), part(3)]
}

fn new_partner(push: &Push) -> Result<Value, SendError> {
    let mut read = fields(push);
    read.only(&[
        "name",
        "person",
        "grouping",
        "country",
        "city",
        "postcode",
        "street",
        "phone",
        "email",
        "tax_type",
        "tax_no",
        "search_term",
        "first_name",
    ]);
    let person = push
        .fields
        .get("person")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    let name = read
        .text("name", if person { 40 } else { 160 }, true)
        .unwrap_or_default();
    let [one, two, three, four] = name_parts(&name);
    let list = |value: Value| {
        let blank = value.as_object().is_none_or(Map::is_empty);
        if blank {
            Value::Null
        } else {
            json!({"results": [value]})
        }
    };
    let phone = list(properties([("PhoneNumber", read.value("phone", 30))]));
    let mail = list(properties([("EmailAddress", read.value("email", 241))]));
    let country = read
        .text("country", 3, false)
        .unwrap_or_else(|| "CN".to_owned());
    let address = properties([
        ("Country", json!(country)),
        ("CityName", read.value("city", 40)),
        ("PostalCode", read.value("postcode", 10)),
        ("StreetName", read.value("street", 60)),
        ("to_PhoneNumber", phone),
        ("to_EmailAddress", mail),
    ]);
    let number = read.text("tax_no", 60, false);
    let tax = number.map_or(Value::Null, |number| {
        let kind = read
            .text("tax_type", 4, false)
            .unwrap_or_else(|| "CN5".to_owned());
        let long = number.chars().count() > 20;
        let property = if long {
            "BPTaxLongNumber"
        } else {
            "BPTaxNumber"
        };
        list(json!({"BPTaxType": kind, property: number}))
    });
    let row = properties([
        (
            "BusinessPartnerCategory",
            json!(if person { "1" } else { "2" }),
        ),
        ("BusinessPartnerGrouping", read.value("grouping", 4)),
        ("BusinessPartnerIDByExtSystem", json!(number_of(&push.key))),
        (
            "OrganizationBPName1",
            if person { Value::Null } else { one.clone() },
        ),
        ("OrganizationBPName2", two),
        ("OrganizationBPName3", three),
        ("OrganizationBPName4", four),
        ("LastName", if person { one } else { Value::Null }),
        ("FirstName", read.value("first_name", 40)),
        ("SearchTerm1", read.value("search_term", 20)),
        ("to_BusinessPartnerAddress", list(address)),
        ("to_BusinessPartnerTax", tax),
    ]);
    read.end()?;
    Ok(row)
}

/// The customer's own number of an order.
fn reference(push: &Push) -> String {
    let given = push
        .fields
        .get("customer_reference")
        .and_then(Value::as_str);
    let given = given.map(str::trim).filter(|g| !g.is_empty());
    given.map_or_else(|| number_of(&push.key), str::to_owned)
}

/// A day as an OData date.
fn day(read: &mut Fields<'_>, name: &str) -> Value {
    let Some(text) = read.text(name, 10, false) else {
        return Value::Null;
    };
    match text.parse::<chrono::NaiveDate>() {
        Ok(day) => {
            let midnight = day.and_time(chrono::NaiveTime::MIN).and_utc();
            json!(format!("/Date({})/", midnight.timestamp_millis()))
        }
        Err(_) => {
            read.bad(name, "must be a date like 2026-11-20");
            Value::Null
        }
    }
}

fn new_order(push: &Push) -> Result<Value, SendError> {
    let mut read = fields(push);
    read.only(&[
        "customer",
        "type",
        "organization",
        "channel",
        "division",
        "customer_reference",
        "currency",
        "date",
        "lines",
    ]);
    let lines = push.fields.get("lines").and_then(Value::as_array);
    let lines = lines.filter(|l| !l.is_empty() && l.len() <= MAX_LINES);
    if lines.is_none() {
        read.bad("lines", "must be a list of 1 to 500 lines");
    }
    let mut items = Vec::new();
    for (i, line) in lines.into_iter().flatten().enumerate() {
        let Some(given) = line.as_object() else {
            read.bad(&format!("lines[{i}]"), "must be an object");
            continue;
        };
        let mut item = Fields {
            place: format!("fields.lines[{i}]."),
            given,
            violations: Vec::new(),
        };
        item.only(&["product", "quantity", "unit", "text"]);
        let quantity = item.text("quantity", 20, true);
        let exact = quantity
            .as_ref()
            .is_none_or(|q| decimal(&json!(q)).is_some());
        if !exact {
            item.bad("quantity", "must be a number");
        }
        let product = item.text("product", 40, true);
        items.push(properties([
            ("Material", json!(product)),
            ("RequestedQuantity", json!(quantity)),
            ("RequestedQuantityUnit", item.value("unit", 3)),
            ("SalesOrderItemText", item.value("text", 40)),
        ]));
        read.violations.extend(item.violations);
    }
    let customer = read.text("customer", 10, true).map(|c| padded(&c));
    let mut part = |name: &str, most: usize, usual: &str| {
        let given = read.text(name, most, usual.is_empty());
        json!(given.unwrap_or_else(|| usual.to_owned()))
    };
    let (kind, organization) = (part("type", 4, "OR"), part("organization", 4, ""));
    let (channel, division) = (part("channel", 2, ""), part("division", 2, ""));
    let row = properties([
        ("SalesOrderType", kind),
        ("SalesOrganization", organization),
        ("DistributionChannel", channel),
        ("OrganizationDivision", division),
        ("SoldToParty", json!(customer)),
        ("PurchaseOrderByCustomer", json!(reference(push))),
        ("TransactionCurrency", read.value("currency", 5)),
        ("SalesOrderDate", day(&mut read, "date")),
        ("to_Item", json!({"results": items})),
    ]);
    if reference(push).chars().count() > 35 {
        read.bad("customer_reference", "must be at most 35 characters");
    }
    read.end()?;
    Ok(row)
}

fn changes(push: &Push) -> Result<Value, SendError> {
    let mut read = fields(push);
    let row = if push.kind == "order" {
        read.only(&["id", "customer_reference", "date"]);
        properties([
            (
                "PurchaseOrderByCustomer",
                read.value("customer_reference", 35),
            ),
            ("SalesOrderDate", day(&mut read, "date")),
        ])
    } else {
        read.only(&["id", "name", "search_term"]);
        let name = read.text("name", 160, false);
        let [one, two, three, four] = name.as_deref().map_or_else(Default::default, name_parts);
        // The parts that a shorter name leaves are emptied.
        let rest = |part: Value| {
            if name.is_some() && part.is_null() {
                json!("")
            } else {
                part
            }
        };
        properties([
            ("OrganizationBPName1", one),
            ("OrganizationBPName2", rest(two)),
            ("OrganizationBPName3", rest(three)),
            ("OrganizationBPName4", rest(four)),
            ("SearchTerm1", read.value("search_term", 20)),
        ])
    };
    if row.as_object().is_none_or(Map::is_empty) {
        read.bad("id", "nothing is changed");
    }
    read.end()?;
    Ok(row)
}

impl SapConnector {
    /// The first row that meets a filter.
    async fn first(&self, stream: &Stream, filter: String) -> Result<Option<Entity>, SendError> {
        let options = [("$filter", filter), ("$top", "1".to_owned())];
        let list = self.api.list(stream.service, stream.set, &options).await?;
        Ok(list.rows.into_iter().next())
    }

    /// The row that a push made, if it did.
    async fn made(&self, stream: &Stream, push: &Push) -> Result<Option<Entity>, SendError> {
        let filter = if push.kind == "order" {
            let customer = push.fields.get("customer").map(|c| match c {
                Value::String(text) => padded(text),
                other => padded(&other.to_string()),
            });
            format!(
                "PurchaseOrderByCustomer eq {} and SoldToParty eq {}",
                quoted(&reference(push)),
                quoted(&customer.unwrap_or_default())
            )
        } else {
            format!(
                "BusinessPartnerIDByExtSystem eq {}",
                quoted(&number_of(&push.key))
            )
        };
        self.first(stream, filter).await
    }
}

#[async_trait]
impl Outbound for SapConnector {
    async fn send(&self, _: &Message) -> Result<Sent, SendError> {
        Err(not_offered("SAP takes records and no messages"))
    }

    async fn push(&self, push: &Push, state: &PushState) -> Result<PushStep, SendError> {
        let stream = match &*push.kind {
            "partner" => &PARTNER,
            "order" => &ORDER,
            _ => {
                return Err(refused(
                    "PUSH_KIND_UNKNOWN",
                    "the connector writes partner and order",
                ));
            }
        };
        let done = |number: &str, step: &str| {
            let mut state = state.clone();
            state.done.push(step.to_owned());
            let foreign_id = Some(stream.external_id(number));
            Ok(PushStep::Done(state, Sent { foreign_id }))
        };
        let number = |row: &Entity| {
            row.get(stream.key)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        if let Some(id) = push.fields.get("id").filter(|v| !v.is_null()) {
            let id = id.as_str().unwrap_or_default();
            let wanted = padded(stream.number_of(id).unwrap_or(id));
            let change = changes(push)?;
            // An order's number may be shorter than the field that others are filled up to.
            let filter = format!(
                "{key} eq {} or {key} eq {}",
                quoted(&wanted),
                quoted(crate::wire::plain(&wanted)),
                key = stream.key
            );
            let row = self.first(stream, filter).await?;
            let row = row.ok_or_else(|| refused("FOREIGN_GONE", "the row is no longer there"))?;
            let number = number(&row).unwrap_or(wanted);
            let etag = row.get("__metadata").and_then(|m| m.get("etag")?.as_str());
            let path = format!("{}('{}')", stream.set, escaped(&number.replace('\'', "''")));
            self.api
                .change(stream.service, &path, etag.unwrap_or("*"), &change)
                .await?;
            return done(&number, "change");
        }
        let row = if push.kind == "order" {
            new_order(push)?
        } else {
            new_partner(push)?
        };
        let made = match self.made(stream, push).await? {
            Some(made) => made,
            None => self.api.create(stream.service, stream.set, &row).await?,
        };
        match number(&made) {
            Some(number) => done(&number, "create"),
            None => Err(jinke_sdk::http::unreadable("a created row has no number").into()),
        }
    }
}
