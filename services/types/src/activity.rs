//! Records that skip matching and name their party by foreign id: relationships,
//! transactions and interactions. They may arrive before their party.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{record::RecordKey, time::Timestamp, value::Value};

/// An exact amount in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// ISO 4217 code, e.g. `CNY`.
    pub currency: String,
    /// The amount, at most nine decimals.
    pub amount: Decimal,
}

/// What sort of transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TransactionKind {
    /// A sales order.
    Order,
    /// An invoice to the customer.
    Invoice,
    /// Money received.
    Payment,
    /// Money given back.
    Refund,
    /// An open amount the customer owes.
    Receivable,
    /// A service ticket or complaint.
    Ticket,
}

/// One line of an order or invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactionLine {
    /// Product name as the source writes it, or its code, or both.
    pub product: String,
    /// Product code, where the source keeps it apart; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// Group of products that it belongs to, as the source writes it; empty when it tells none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub category: String,
    /// How many, in `unit`.
    pub quantity: Decimal,
    /// Unit of the quantity.
    pub unit: String,
    /// Amount of the line, in the currency of the transaction.
    pub amount: Option<Money>,
}

/// An order, invoice, payment, refund, receivable or ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transaction {
    /// What it is.
    pub kind: TransactionKind,
    /// The party it belongs to, by foreign id; the crosswalk finds the customer.
    pub party: RecordKey,
    /// The number people use for it, e.g. `SO-2026-0001`.
    pub number: String,
    /// Status as the source writes it.
    pub status: String,
    /// Business time.
    pub time: Timestamp,
    /// Total; absent for a ticket.
    pub amount: Option<Money>,
    /// Lines, in the source's order.
    pub lines: Vec<TransactionLine>,
    /// Title of a ticket, or remark; may hold personal data and is sealed.
    pub text: String,
    /// Our employee who sold, or answers for it, by the source's user id or name; empty when it
    /// tells nobody. Left out of the stored form when empty, so that the content of records from
    /// before this field is what it was.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub employee: String,
}

/// What sort of interaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InteractionKind {
    /// A chat message, short message or mail.
    Message,
    /// A telephone call.
    Call,
    /// A visit.
    Visit,
    /// A meeting.
    Meeting,
    /// A note.
    Note,
    /// A web page view, download or other tracked event.
    Event,
}

/// A message, call, visit, meeting, note or event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interaction {
    /// What it is.
    pub kind: InteractionKind,
    /// The party it belongs to, by foreign id.
    pub party: RecordKey,
    /// Business time.
    pub time: Timestamp,
    /// Touch point: `wecom`, `dingtalk`, `email`, `phone`, `store`, `web`…; unknown ones are kept.
    pub channel: String,
    /// Whether the customer began it.
    pub inbound: bool,
    /// Subject; sealed.
    pub subject: String,
    /// Content; sealed.
    pub text: String,
    /// Our employee, by the source's user id.
    pub employee: String,
}

/// A named, dated link between two parties: `contact_of`, `parent_of`, `ship_to_of`,
/// `bill_to_of`, `payer_of`, … Never a match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relationship {
    /// Name of the relationship, lower snake case.
    pub kind: String,
    /// The party the link starts at.
    pub from: RecordKey,
    /// The party the link points to.
    pub to: RecordKey,
    /// Holds from; open when absent.
    pub valid_from: Option<Timestamp>,
    /// Holds up to, not including; open when absent.
    pub valid_to: Option<Timestamp>,
    /// Values that belong to the link, e.g. a contact's title at this organization.
    pub values: Vec<Value>,
}
