//! The mapping: which foreign column says what. It is data, read from a TOML file, so that
//! a new source needs no program.
//!
//! ```toml
//! kind = "organization"              # what a row is, see [`RowKind`]
//! external_id = "客户编码"            # one column, or a list of columns
//! update_time = "修改时间"            # optional; orders the versions of a record
//!
//! [[values]]
//! attribute = "name"
//! column = "客户名称"
//!
//! [[values]]
//! attribute = "identifier"
//! scheme = "uscc"
//! column = "统一社会信用代码"
//!
//! [[values]]
//! attribute = "phone"
//! column = "电话"
//! split = "、；;"                     # each of these characters parts two values
//!
//! [[contacts]]                       # a person embedded in the row
//! key = { constant = "1" }           # an ordinal, or a column that is an id
//!   [[contacts.values]]
//!   attribute = "name"
//!   column = "联系人"
//! ```
//!
//! Wherever a column may stand, a constant may: `{ constant = "CNY" }`; and a column may
//! carry a code table: `{ column = "性别", codes = { "男" = "M" } }`, where a value that the
//! table lacks stays as it is. Column names are compared without white space, `*`, letter
//! case and character width ([`header_key`]); the second column of a name is `名#2`, and a
//! column under a merged heading may be written `开票信息/电话`.
//!
//! A wrong key or value is refused with its line, reason `MAPPING_INVALID`.

mod bind;
mod guess;
mod lead;
mod load;
mod preview;
mod read;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use bind::{Bound, header_key};
pub use guess::{Guess, guess};
pub use lead::LeadMapping;
pub use preview::{Preview, PreviewRow};
pub use read::{Output, RowReader};

use crate::parse::DateOrder;

/// A mapping file is at most this long, in bytes.
pub const MAX_MAPPING_BYTES: usize = 262_144;
/// A mapping has at most this many values, those of contacts included.
pub const MAX_VALUES: usize = 500;
/// A mapping has at most this many embedded contacts.
pub const MAX_CONTACTS: usize = 50;
/// One cell is split into at most this many values.
pub const MAX_SPLIT: usize = 20;
/// A transaction has at most this many lines; one with more is left out and reported.
pub const MAX_LINES: usize = 2_000;
/// An external id is at most this long, in bytes.
pub const MAX_ID_BYTES: usize = 256;

/// What a row is. The words are those of the mapping file, in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "each name says what it is; see TransactionKind, InteractionKind and crate::lead"
)]
pub enum RowKind {
    Organization,
    Person,
    Order,
    Invoice,
    Payment,
    Refund,
    Receivable,
    Ticket,
    Message,
    Call,
    Visit,
    Meeting,
    Note,
    Event,
    Relationship,
    Lead,
}

/// Where a text comes from: a column, or a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The cell of a column, as text.
    Column {
        /// Name of the column.
        column: String,
        /// Replaces a cell's text by another; a text not in it stays.
        codes: BTreeMap<String, String>,
    },
    /// The same text for every row.
    Constant(String),
}

impl Field {
    /// The cell of a column.
    pub fn column(name: impl Into<String>) -> Self {
        Self::Column {
            column: name.into(),
            codes: BTreeMap::new(),
        }
    }
    /// The name of the column, if it is one.
    pub fn column_name(&self) -> Option<&str> {
        match self {
            Self::Column { column, .. } => Some(column),
            Self::Constant(_) => None,
        }
    }
}

/// Fields whose texts together name something; written as one field or a list. Joined
/// with `|`; a `|` within a part is written `%7C`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<Field>);

/// True when the cell of `column` is one of `values`; without `values`, when the cell says
/// yes in one of the ways [`crate::parse::boolean`] knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Name of the column.
    pub column: String,
    /// The texts that mean true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// Whether rows say all about their record; see [`jinke_types::Completeness`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whole {
    /// A row says all; an empty cell takes the value away.
    #[default]
    Full,
    /// A row says only what its columns hold; other values stay.
    Partial,
}

/// What type a custom attribute's value has; known attributes have their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each name says what it is")]
pub enum DatumType {
    Text,
    Number,
    Date,
}

/// One value of a party, or of the link of a contact to its organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueMapping {
    /// One of [`jinke_types::attribute::ALL`], or `x_…`.
    pub attribute: String,
    /// The column; either this, or `constant`, or for an address one of its parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The same value for every row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<String>,
    /// Replaces a cell's text by another; a text not in it stays.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub codes: BTreeMap<String, String>,
    /// Scheme of an identifier, or kind of a phone or address, e.g. `billing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Field>,
    /// Org unit the value is scoped to; global when blank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Field>,
    /// Country that gave an identifier, ISO 3166 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Field>,
    /// Unit or currency of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Field>,
    /// The value holds from this date on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Field>,
    /// The value holds up to this date, not including it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Field>,
    /// Each of these characters parts two values within one cell.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub split: String,
    /// Type of a custom attribute; text when absent.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub datum_type: Option<DatumType>,
    /// Part of an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub province: Option<Field>,
    /// Part of an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<Field>,
    /// Part of an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub district: Option<Field>,
    /// Part of an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postcode: Option<Field>,
}

/// A person embedded in the row of an organization: becomes a PERSON record
/// `<external id>#contact:<key>` and a relationship `contact_of` with the external id
/// `<external id>#contact_of:<key>`. Left out when all its columns are blank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactMapping {
    /// An ordinal (`{ constant = "1" }`) or a column that holds the contact's id. Never a
    /// name or a phone: external ids are stored in the clear.
    pub key: Field,
    /// Values of the person. `title` and `role` are also put on the relationship.
    pub values: Vec<ValueMapping>,
}

/// Columns of an order, invoice, payment, refund, receivable or ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionMapping {
    /// Number people use for it; the external id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<Field>,
    /// Status as the source writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Field>,
    /// Business time.
    pub time: Field,
    /// Total. Absent: the sum of the lines' amounts, when every line has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Field>,
    /// Title or remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Field>,
    /// Our employee who sold, by the source's user id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub employee: Option<Field>,
    /// When given, each row is one line, and rows that follow each other with the same
    /// external id are one transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<LineMapping>,
}

/// Columns of one line of an order or invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineMapping {
    /// Product name, or its code, or both.
    pub product: Field,
    /// Product code, where the source keeps it apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Field>,
    /// Group of products that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Field>,
    /// How many; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Field>,
    /// Unit of the quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Field>,
    /// Amount of the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Field>,
}

/// Columns of a message, call, visit, meeting, note or event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InteractionMapping {
    /// Business time.
    pub time: Field,
    /// Touch point, e.g. `{ constant = "wecom" }`.
    pub channel: Field,
    /// True when the customer began it; false when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbound: Option<Condition>,
    /// Subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Field>,
    /// Content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Field>,
    /// Our employee, by the source's user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub employee: Option<Field>,
}

/// Columns of a relationship between two parties; `party` is where it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationshipMapping {
    /// Name of the relationship, e.g. `{ constant = "parent_of" }`.
    pub kind: Field,
    /// The party it points to.
    pub to: Fields,
    /// Holds from this date on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Field>,
    /// Holds up to this date, not including it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Field>,
}

/// A whole mapping; one row yields the records, or the lead, that it describes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// What a row is.
    pub kind: RowKind,
    /// Which sheet of a workbook it is for; the first visible one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// The row that holds the column names, counted from 1; looked for when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_row: Option<u64>,
    /// Columns that name the record for ever.
    pub external_id: Fields,
    /// A row of an organization mapping for which this is true is a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_when: Option<Condition>,
    /// The source's revision number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Field>,
    /// When the source last changed the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_time: Option<Field>,
    /// Rows the source holds as deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Condition>,
    /// Whether rows say all about their record.
    #[serde(default)]
    pub completeness: Whole,
    /// How `01/05/2024` is read: `mdy` or `dmy`. Without it such a date is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_order: Option<DateOrder>,
    /// Zone of times that carry none, e.g. `+08:00`, which is also the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utc_offset: Option<String>,
    /// Currency of amounts: ISO 4217 code or a usual name (人民币, 美元). CNY when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Field>,
    /// Whether `3.5万` and `1.2亿` are read as multiples. Refused when false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wan: bool,
    /// Cells with one of these texts count as blank; the usual ones when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blank_markers: Option<Vec<String>>,
    /// Columns that name the party a transaction or interaction belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<Fields>,
    /// When not blank, the party is this contact of the party named by `party`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party_contact: Option<Field>,
    /// Id of the source the party is a record of; the stream's own source when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party_source: Option<String>,
    /// Values of the party.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<ValueMapping>,
    /// Persons embedded in the row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<ContactMapping>,
    /// Columns of a transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionMapping>,
    /// Columns of an interaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interaction: Option<InteractionMapping>,
    /// Columns of a relationship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relationship: Option<RelationshipMapping>,
    /// Columns of a lead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lead: Option<LeadMapping>,
}

/// Cells that count as blank when a mapping names none itself.
pub const BLANK_MARKERS: &[&str] = &[
    "-", "--", "—", "——", "/", "\\", "无", "暂无", "空", "null", "NULL", "N/A", "n/a", "#N/A",
    "\\N",
];

impl RowKind {
    /// The word of the mapping file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Person => "person",
            Self::Order => "order",
            Self::Invoice => "invoice",
            Self::Payment => "payment",
            Self::Refund => "refund",
            Self::Receivable => "receivable",
            Self::Ticket => "ticket",
            Self::Message => "message",
            Self::Call => "call",
            Self::Visit => "visit",
            Self::Meeting => "meeting",
            Self::Note => "note",
            Self::Event => "event",
            Self::Relationship => "relationship",
            Self::Lead => "lead",
        }
    }
    /// Whether a row is a party.
    pub const fn is_party(self) -> bool {
        matches!(self, Self::Organization | Self::Person)
    }
    /// Whether a row is a transaction.
    pub const fn is_transaction(self) -> bool {
        self.transaction().is_some()
    }
    /// Whether a row is an interaction.
    pub const fn is_interaction(self) -> bool {
        self.interaction().is_some()
    }
    pub(crate) const fn transaction(self) -> Option<jinke_types::TransactionKind> {
        use jinke_types::TransactionKind as T;
        Some(match self {
            Self::Order => T::Order,
            Self::Invoice => T::Invoice,
            Self::Payment => T::Payment,
            Self::Refund => T::Refund,
            Self::Receivable => T::Receivable,
            Self::Ticket => T::Ticket,
            _ => return None,
        })
    }
    pub(crate) const fn interaction(self) -> Option<jinke_types::InteractionKind> {
        use jinke_types::InteractionKind as I;
        Some(match self {
            Self::Message => I::Message,
            Self::Call => I::Call,
            Self::Visit => I::Visit,
            Self::Meeting => I::Meeting,
            Self::Note => I::Note,
            Self::Event => I::Event,
            _ => return None,
        })
    }
}
