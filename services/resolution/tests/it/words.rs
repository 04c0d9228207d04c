//! Small builders the tests share.

use jinke_types::{PartyKind, RecordKey, Value, attribute};

pub type Row = (RecordKey, PartyKind, Vec<Value>);

/// An organization of source `s` with `name; uscc; phone`, blanks left out.
pub fn organization(id: &str, name: &str, uscc: &str, phone: &str) -> Row {
    let mut values = vec![
        Value::text(attribute::NAME, name),
        Value::identifier("uscc", uscc),
        Value::text(attribute::PHONE, phone),
    ];
    values.retain(|v| !v.datum.is_blank());
    (RecordKey::new("s", id), PartyKind::Organization, values)
}

/// Two valid credit codes and a third.
pub const USCC: [&str; 3] = [
    "91350100M000100Y43",
    "91500230MACAD5EH0Y",
    "914406077778221937",
];
