//! Which models and columns each stream reads, and how its changed rows are found.

use jinke_sdk::drift::Expected;
use jinke_types::{PartyKind, Timestamp};
use serde_json::{Value, json};

use crate::{config::PaymentsFrom, wire::from_timestamp};

/// What the rows of a stream become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Organizations and persons.
    Parties,
    /// Sales orders.
    Orders,
    /// Invoices and credit notes to customers.
    Invoices,
    /// Posted lines that pay customers' invoices.
    InvoicePayments,
    /// Rows of `account.payment`.
    Payments,
    /// Lines of receivable accounts.
    Receivables,
}

/// One stream.
#[derive(Debug)]
pub struct Stream {
    /// Id of the stream.
    pub name: &'static str,
    /// What its rows become.
    pub kind: Kind,
    /// The model.
    pub model: &'static str,
    /// Columns of the model, read as they are.
    pub columns: &'static [Expected],
    /// Columns of rows that it points to.
    pub links: &'static [Link],
}

/// Rows of another model that are read with a row.
#[derive(Debug)]
pub struct Link {
    /// The column that points to them.
    pub field: &'static str,
    /// Their model; blank when its columns are not looked at before (they are Tryton's own and
    /// do not vary).
    pub model: &'static str,
    /// What is read of them.
    pub columns: &'static [&'static str],
    /// Whether a change of such a row changes the record: its times are then read too.
    pub part: bool,
}

const fn column(name: &'static str, types: &'static [&'static str]) -> Expected {
    Expected { name, types }
}

const TEXT: &[&str] = &["char", "text"];
const CODE: &[&str] = &["char", "selection"];
const DATE: &[&str] = &["date"];
const TIME: &[&str] = &["timestamp", "datetime"];
const AMOUNT: &[&str] = &["numeric"];
const ONE: &[&str] = &["many2one"];
const MANY: &[&str] = &["one2many", "many2many"];

const fn link(field: &'static str, columns: &'static [&'static str]) -> Link {
    Link {
        field,
        model: "",
        columns,
        part: false,
    }
}

const LINE_COLUMNS: &[&str] = &[
    "type",
    "product.rec_name",
    "description",
    "quantity",
    "unit.symbol",
    "amount",
];

/// The columns without which a stream cannot be pulled.
pub const NEEDED: &[&str] = &["id", "write_date", "create_date"];

static PARTIES: Stream = Stream {
    name: "parties",
    kind: Kind::Parties,
    model: "party.party",
    columns: &[
        column("id", &["integer"]),
        column("create_date", TIME),
        column("write_date", TIME),
        column("name", TEXT),
        column("code", TEXT),
        column("active", &["boolean"]),
        column("replaced_by", ONE),
        column("categories", MANY),
        column("addresses", MANY),
        column("contact_mechanisms", MANY),
        column("identifiers", MANY),
    ],
    links: &[
        link("categories", &["name"]),
        Link {
            field: "addresses",
            model: "party.address",
            columns: &[
                "street",
                "city",
                "postal_code",
                "country.code",
                "subdivision.name",
                "invoice",
                "delivery",
                "active",
            ],
            part: true,
        },
        Link {
            field: "contact_mechanisms",
            model: "party.contact_mechanism",
            columns: &["type", "value", "name", "active"],
            part: true,
        },
        Link {
            field: "identifiers",
            model: "party.identifier",
            columns: &["type", "code", "active"],
            part: true,
        },
    ],
};

static ORDERS: Stream = Stream {
    name: "orders",
    kind: Kind::Orders,
    model: "sale.sale",
    columns: &[
        column("id", &["integer"]),
        column("create_date", TIME),
        column("write_date", TIME),
        column("number", TEXT),
        column("reference", TEXT),
        column("description", TEXT),
        column("state", CODE),
        column("sale_date", DATE),
        column("party", ONE),
        column("total_amount", AMOUNT),
        column("currency", ONE),
        column("lines", MANY),
    ],
    links: &[
        link("currency", &["code"]),
        Link {
            field: "lines",
            model: "sale.line",
            columns: LINE_COLUMNS,
            part: true,
        },
    ],
};

static INVOICES: Stream = Stream {
    name: "invoices",
    kind: Kind::Invoices,
    model: "account.invoice",
    columns: &[
        column("id", &["integer"]),
        column("create_date", TIME),
        column("write_date", TIME),
        column("number", TEXT),
        column("reference", TEXT),
        column("description", TEXT),
        column("state", CODE),
        column("invoice_date", DATE),
        column("party", ONE),
        column("total_amount", AMOUNT),
        column("currency", ONE),
        column("lines", MANY),
    ],
    links: &[
        link("currency", &["code"]),
        Link {
            field: "lines",
            model: "account.invoice.line",
            columns: LINE_COLUMNS,
            part: true,
        },
    ],
};

static INVOICE_PAYMENTS: Stream = Stream {
    name: "payments",
    kind: Kind::InvoicePayments,
    model: "account.move.line",
    columns: &[
        column("id", &["integer"]),
        column("create_date", TIME),
        column("write_date", TIME),
        column("party", ONE),
        column("date", DATE),
        column("debit", AMOUNT),
        column("credit", AMOUNT),
        column("description", TEXT),
        column("move", ONE),
        column("company", ONE),
        column("invoice_payments", MANY),
    ],
    links: &[
        link("move", &["number", "state"]),
        link("company", &["currency.code"]),
        // A line can become a payment of an invoice later; only the invoice is then written.
        Link {
            field: "invoice_payments",
            model: "account.invoice",
            columns: &["number"],
            part: true,
        },
    ],
};

static PAYMENTS: Stream = Stream {
    name: "payments",
    kind: Kind::Payments,
    model: "account.payment",
    columns: &[
        column("id", &["integer"]),
        column("create_date", TIME),
        column("write_date", TIME),
        column("number", TEXT),
        column("reference", TEXT),
        column("state", CODE),
        column("date", DATE),
        column("party", ONE),
        column("amount", AMOUNT),
        column("currency", ONE),
    ],
    links: &[link("currency", &["code"])],
};

static RECEIVABLES: Stream = Stream {
    name: "receivables",
    kind: Kind::Receivables,
    model: "account.move.line",
    columns: &[
        column("id", &["integer"]),
        column("create_date", TIME),
        column("write_date", TIME),
        column("party", ONE),
        column("date", DATE),
        column("maturity_date", DATE),
        column("debit", AMOUNT),
        column("credit", AMOUNT),
        column("description", TEXT),
        column("reconciliation", ONE),
        column("move", ONE),
        column("company", ONE),
    ],
    links: &[
        link("move", &["number"]),
        link("company", &["currency.code"]),
    ],
};

/// The streams of a connection, parties first.
pub fn all(payments: PaymentsFrom) -> [&'static Stream; 5] {
    let payments = match payments {
        PaymentsFrom::Invoices => &INVOICE_PAYMENTS,
        PaymentsFrom::Payments => &PAYMENTS,
    };
    [&PARTIES, &ORDERS, &INVOICES, payments, &RECEIVABLES]
}

impl Stream {
    /// What the rows are, in the words of a mapping file.
    pub const fn row_kind(&self) -> &'static str {
        match self.kind {
            Kind::Parties => "organization",
            Kind::Orders => "order",
            Kind::Invoices => "invoice",
            Kind::InvoicePayments | Kind::Payments => "payment",
            Kind::Receivables => "receivable",
        }
    }

    /// Conditions on which rows belong to the stream.
    pub fn base(&self) -> Vec<Value> {
        match self.kind {
            Kind::Parties | Kind::Orders => Vec::new(),
            Kind::Invoices => vec![json!(["type", "=", "out"])],
            Kind::InvoicePayments => {
                vec![json!(["invoice_payments", "where", [["type", "=", "out"]]])]
            }
            Kind::Payments => vec![json!(["kind", "=", "receivable"])],
            Kind::Receivables => vec![
                json!(["account.type.receivable", "=", true]),
                json!(["party", "!=", null]),
            ],
        }
    }

    /// The condition that a row or one of its parts changed at `since` or after. A plain create
    /// may leave `write_date` empty, so both times are asked for.
    pub fn changed_since(&self, since: Timestamp, readable: impl Fn(&str) -> bool) -> Value {
        let at = from_timestamp(since);
        let times = [
            json!(["write_date", ">=", at]),
            json!(["create_date", ">=", at]),
        ];
        let mut any = vec![json!("OR")];
        any.extend(times.clone());
        let parts = self.links.iter().filter(|l| l.part && readable(l.field));
        for part in parts {
            any.push(json!([part.field, "where", [["OR", times[0], times[1]]]]));
        }
        Value::Array(any)
    }

    /// The external id of a row: Tryton's own way to name a row of any model.
    pub fn external_id(&self, id: i64) -> String {
        external_id(self.model, id)
    }

    /// The id within an external id of this stream.
    pub fn id_of(&self, external_id: &str) -> Option<i64> {
        let rest = external_id.strip_prefix(self.model)?.strip_prefix(',')?;
        rest.parse().ok()
    }
}

/// `model,id`.
pub fn external_id(model: &str, id: i64) -> String {
    format!("{model},{id}")
}

/// The kind of a party.
pub fn party_kind(person: bool) -> PartyKind {
    if person {
        PartyKind::Person
    } else {
        PartyKind::Organization
    }
}
