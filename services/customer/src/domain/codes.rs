//! The numbers and texts under which the database knows kinds and names.

use jinke_types::{Body, InteractionKind, PartyKind, RecordKey, TransactionKind};

/// What a source record is about; never changes between its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    /// A party of kind organization.
    Organization,
    /// A party of kind person.
    Person,
    /// A relationship.
    Relationship,
    /// A transaction.
    Transaction,
    /// An interaction.
    Interaction,
}

impl RecordType {
    /// The number in the database.
    pub const fn code(self) -> i64 {
        match self {
            Self::Organization => 1,
            Self::Person => 2,
            Self::Relationship => 3,
            Self::Transaction => 4,
            Self::Interaction => 5,
        }
    }
    /// The type of this number.
    pub const fn from_code(code: i64) -> Option<Self> {
        Some(match code {
            1 => Self::Organization,
            2 => Self::Person,
            3 => Self::Relationship,
            4 => Self::Transaction,
            5 => Self::Interaction,
            _ => return None,
        })
    }
    /// The type of a body.
    pub const fn of(body: &Body) -> Self {
        match body {
            Body::Party {
                kind: PartyKind::Organization,
                ..
            } => Self::Organization,
            Body::Party {
                kind: PartyKind::Person,
                ..
            } => Self::Person,
            Body::Relationship(_) => Self::Relationship,
            Body::Transaction(_) => Self::Transaction,
            Body::Interaction(_) => Self::Interaction,
        }
    }
    /// The kind of party, of a party.
    pub const fn party(self) -> Option<PartyKind> {
        match self {
            Self::Organization => Some(PartyKind::Organization),
            Self::Person => Some(PartyKind::Person),
            _ => None,
        }
    }
}

/// The number of a kind of party in the database.
pub const fn kind_code(kind: PartyKind) -> i64 {
    match kind {
        PartyKind::Organization => 1,
        PartyKind::Person => 2,
    }
}

/// The kind of party of a number.
pub const fn kind_from_code(code: i64) -> Option<PartyKind> {
    match code {
        1 => Some(PartyKind::Organization),
        2 => Some(PartyKind::Person),
        _ => None,
    }
}

/// The number of a kind of transaction in the database.
pub const fn transaction_code(kind: TransactionKind) -> i64 {
    match kind {
        TransactionKind::Order => 1,
        TransactionKind::Invoice => 2,
        TransactionKind::Payment => 3,
        TransactionKind::Refund => 4,
        TransactionKind::Receivable => 5,
        TransactionKind::Ticket => 6,
    }
}

/// The kind of transaction of a number.
pub const fn transaction_from_code(code: i64) -> Option<TransactionKind> {
    Some(match code {
        1 => TransactionKind::Order,
        2 => TransactionKind::Invoice,
        3 => TransactionKind::Payment,
        4 => TransactionKind::Refund,
        5 => TransactionKind::Receivable,
        6 => TransactionKind::Ticket,
        _ => return None,
    })
}

/// The number of a kind of interaction in the database.
pub const fn interaction_code(kind: InteractionKind) -> i64 {
    match kind {
        InteractionKind::Message => 1,
        InteractionKind::Call => 2,
        InteractionKind::Visit => 3,
        InteractionKind::Meeting => 4,
        InteractionKind::Note => 5,
        InteractionKind::Event => 6,
    }
}

/// A record's name as one text, `<source>/<external id>`: how it is stored and looked up.
pub fn key_text(key: &RecordKey) -> String {
    format!("{}/{}", key.source, key.external_id)
}

/// The record's name of a stored text. Ids of sources hold no `/`.
pub fn key_from_text(text: &str) -> RecordKey {
    let (source, external_id) = text.split_once('/').unwrap_or((text, ""));
    RecordKey::new(source, external_id)
}
