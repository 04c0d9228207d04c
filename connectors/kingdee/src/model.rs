//! What we write, in Kingdee's words.
//!
//! | `customer` | `order` |
//! |---|---|
//! | `name` (needed), `short_name`, `tax_no`, `phone`, `address`, `website`, `invoice_title`, `bank`, `bank_account` | `customer` (its number, needed), `date` (needed), `note` |
//! | numbers: `create_org`, `use_org`, `group`, `seller`, `currency`, `terms` | numbers: `org`, `bill_type`, `currency`, `seller` |
//! | | `lines`: `product` (number), `quantity` (both needed), `unit`, `price` (with tax), `delivery_date`, `note` |
//!
//! In both, `id` is the external id or the plain id of a bill that is to be changed, and a key
//! that starts with `F` is passed on as it is, for fields of the tenant's own.

use jinke_sdk::{Push, SendError, SendErrorKind};
use jinke_types::{Failure, Violation};
use serde_json::{Map, Value, json};

use crate::{
    config::{KingdeeConfig, is_field_name},
    forms,
};

/// An order has at most this many lines.
pub const MAX_LINES: usize = 1_000;

/// How a value is written.
#[derive(Clone, Copy)]
enum Form {
    /// As text.
    Text,
    /// As `{"FNumber": …}`.
    Number,
    /// As a number, exactly as given.
    Amount,
}

type Names = &'static [(&'static str, &'static str, Form, bool)];

const CUSTOMER: Names = &[
    ("name", "FName", Form::Text, true),
    ("short_name", "FShortName", Form::Text, false),
    ("tax_no", "FTAXREGISTERCODE", Form::Text, false),
    ("phone", "FTEL", Form::Text, false),
    ("address", "FADDRESS", Form::Text, false),
    ("website", "FWEBSITE", Form::Text, false),
    ("invoice_title", "FINVOICETITLE", Form::Text, false),
    ("bank", "FINVOICEBANKNAME", Form::Text, false),
    ("bank_account", "FINVOICEBANKACCOUNT", Form::Text, false),
    ("create_org", "FCreateOrgId", Form::Number, false),
    ("use_org", "FUseOrgId", Form::Number, false),
    ("group", "FGroup", Form::Number, false),
    ("seller", "FSELLER", Form::Number, false),
    ("currency", "FTRADINGCURRID", Form::Number, false),
    ("terms", "FRECCONDITIONID", Form::Number, false),
];

const ORDER: Names = &[
    ("customer", "FCustId", Form::Number, true),
    ("date", "FDate", Form::Text, true),
    ("note", "FNote", Form::Text, false),
    ("org", "FSaleOrgId", Form::Number, false),
    ("bill_type", "FBillTypeID", Form::Number, false),
    ("seller", "FSalerId", Form::Number, false),
];

const LINE: Names = &[
    ("product", "FMaterialId", Form::Number, true),
    ("quantity", "FQty", Form::Amount, true),
    ("unit", "FUnitID", Form::Number, false),
    ("price", "FTaxPrice", Form::Amount, false),
    ("delivery_date", "FDeliveryDate", Form::Text, false),
    ("note", "FEntryNote", Form::Text, false),
];

/// Texts are at most this many characters.
const MAX_TEXT: usize = 2_000;

struct Reader {
    violations: Vec<Violation>,
}

impl Reader {
    fn bad(&mut self, field: String, why: &str) {
        self.violations.push(Violation {
            field,
            description: why.to_owned(),
        });
    }

    /// `given` in Kingdee's words; `place` stands before the names in violations, `also` are
    /// names that are read elsewhere. A change names only what changes.
    fn read(
        &mut self,
        place: &str,
        given: &Map<String, Value>,
        names: Names,
        also: &[&str],
        change: bool,
    ) -> Map<String, Value> {
        let mut out = Map::new();
        for (name, theirs, form, needed) in names {
            match given.get(*name).filter(|v| !v.is_null()) {
                None if *needed && !change => self.bad(format!("{place}{name}"), "must be given"),
                None => {}
                Some(value) => match written(value, *form) {
                    Ok(value) => {
                        out.insert((*theirs).to_owned(), value);
                    }
                    Err(why) => self.bad(format!("{place}{name}"), why),
                },
            }
        }
        for (name, value) in given {
            let known = names.iter().any(|(n, ..)| n == name) || also.contains(&&**name);
            if is_field_name(name) {
                out.insert(name.clone(), value.clone());
            } else if !known {
                self.bad(format!("{place}{name}"), "is no field of this kind");
            }
        }
        out
    }
}

fn written(value: &Value, form: Form) -> Result<Value, &'static str> {
    let text = match value {
        Value::String(text) if text.chars().count() <= MAX_TEXT => text.trim().to_owned(),
        Value::String(_) => return Err("is longer than the limit"),
        Value::Number(n) => n.to_string(),
        _ => return Err("must be text or a number"),
    };
    match form {
        Form::Text => Ok(json!(text)),
        Form::Number => Ok(json!({"FNumber": text})),
        // Sent as text, so that no digit is lost on the way.
        Form::Amount if text.parse::<rust_decimal::Decimal>().is_ok() => Ok(json!(text)),
        Form::Amount => Err("must be a number"),
    }
}

/// The bill that a push describes.
pub fn of(push: &Push, config: &KingdeeConfig) -> Result<Map<String, Value>, SendError> {
    let mut reader = Reader {
        violations: Vec::new(),
    };
    let orders = push.kind == "order";
    let changes = changed(push)?.is_some();
    let (names, also): (Names, &[&str]) = if orders {
        (ORDER, &["id", "lines", "currency"])
    } else {
        (CUSTOMER, &["id"])
    };
    let mut bill = reader.read("fields.", &push.fields, names, also, changes);
    if orders {
        lines(&mut reader, push, &mut bill, changes);
    } else if !changes {
        for org in ["FCreateOrgId", "FUseOrgId"] {
            if config.organization != "0" && !bill.contains_key(org) {
                bill.insert(org.to_owned(), json!({"FNumber": config.organization}));
            }
        }
    }
    if reader.violations.is_empty() {
        return Ok(bill);
    }
    Err(SendError::new(
        SendErrorKind::Refused,
        Failure::fields(reader.violations),
    ))
}

fn lines(reader: &mut Reader, push: &Push, bill: &mut Map<String, Value>, changes: bool) {
    if !changes {
        // 标准销售订单, as the product ships it.
        bill.entry("FBillTypeID")
            .or_insert(json!({"FNumber": "XSDD01_SYS"}));
    }
    if let Some(currency) = push.fields.get("currency") {
        match written(currency, Form::Number) {
            Ok(value) => {
                bill.insert(
                    "FSaleOrderFinance".to_owned(),
                    json!({"FSettleCurrId": value}),
                );
            }
            Err(why) => reader.bad("fields.currency".to_owned(), why),
        }
    }
    let Some(given) = push.fields.get("lines") else {
        if !changes {
            reader.bad("fields.lines".to_owned(), "must be given");
        }
        return;
    };
    let list = given
        .as_array()
        .filter(|l| !l.is_empty() && l.len() <= MAX_LINES);
    let Some(list) = list else {
        reader.bad(
            "fields.lines".to_owned(),
            "must be a list of 1 to 1000 lines",
        );
        return;
    };
    let mut entries = Vec::new();
    for (i, line) in list.iter().enumerate() {
        match line.as_object() {
            Some(line) => {
                entries.push(reader.read(&format!("fields.lines[{i}]."), line, LINE, &[], false))
            }
            None => reader.bad(format!("fields.lines[{i}]"), "must be an object"),
        }
    }
    bill.insert("FSaleOrderEntry".to_owned(), json!(entries));
}

/// The id of the bill that a push changes; none when it makes a new one.
pub fn changed(push: &Push) -> Result<Option<i64>, SendError> {
    let Some(id) = push.fields.get("id").filter(|v| !v.is_null()) else {
        return Ok(None);
    };
    let stream = forms::written(&push.kind);
    let read = match id {
        Value::Number(n) => n.as_i64(),
        Value::String(text) => {
            let named = stream.and_then(|s| s.id_of(text));
            named.or_else(|| text.parse().ok())
        }
        _ => None,
    };
    match read.filter(|id| *id > 0) {
        Some(id) => Ok(Some(id)),
        None => Err(SendError::new(
            SendErrorKind::Refused,
            Failure::fields(vec![Violation {
                field: "fields.id".to_owned(),
                description: "is no id of a bill of this kind".to_owned(),
            }]),
        )),
    }
}
