//! A party with its addresses, contact mechanisms and identifiers.

use jinke_sdk::Effect;
use jinke_types::{
    Address, Body, Completeness, Datum, RecordKey, SourceRecord, Timestamp, Value, attribute,
};

use crate::{
    cells::{Cells, Faults},
    streams::{external_id, party_kind},
};

/// The record of a party. `persons` are the names of categories that make a person of it.
pub fn party(
    source: &str,
    persons: &[String],
    row: &Cells,
    id: i64,
    faults: &mut Faults,
) -> SourceRecord {
    let mut time = faults.changed(row);
    let mut values = Vec::new();
    let name = faults.text(row, "name");
    if !name.is_empty() {
        values.push(Value::text(attribute::NAME, name));
    }
    let code = faults.text(row, "code");
    if !code.is_empty() {
        values.push(Value::text("x_code", code));
    }
    let mut person = false;
    for category in faults.many(row, "categories") {
        let name = faults.text(category, "name");
        person |= persons.contains(&name);
        if !name.is_empty() {
            values.push(Value::text(attribute::TAG, name));
        }
    }
    for part in parts(faults, row, "identifiers", &mut time) {
        values.extend(identifier(faults, part));
    }
    for part in parts(faults, row, "contact_mechanisms", &mut time) {
        mechanism(faults, part, person, &mut values);
    }
    for part in parts(faults, row, "addresses", &mut time) {
        values.extend(address(faults, part));
    }
    let replaced = faults.id(row, "replaced_by");
    if let Some(by) = replaced {
        // Whoever merged the two in Tryton decided; here it is shown, and a steward may follow.
        values.push(Value::text("x_replaced_by", external_id("party.party", by)));
    }
    let active = faults.flag(row, "active").unwrap_or(true);
    SourceRecord {
        key: RecordKey::new(source, external_id("party.party", id)),
        source_revision: None,
        update_time: time,
        completeness: Completeness::Full,
        deleted: !active || replaced.is_some(),
        body: Body::Party {
            kind: party_kind(person),
            values,
        },
    }
}

/// The active rows of a part, in the order of their ids, so that a record does not depend on how
/// Tryton sorts them. Inactive ones only move the time of the last change.
fn parts<'a>(
    faults: &mut Faults,
    row: &'a Cells,
    column: &str,
    time: &mut Option<Timestamp>,
) -> Vec<&'a Cells> {
    let mut rows = Vec::new();
    for part in faults.many(row, column) {
        *time = (*time).max(faults.changed(part));
        if faults.flag(part, "active").unwrap_or(true) {
            rows.push((faults.id(part, "id"), part));
        }
    }
    rows.sort_by_key(|(id, _)| *id);
    rows.into_iter().map(|(_, part)| part).collect()
}

/// Tryton names identifier types like python-stdnum: `cn_uscc`, `eu_vat`, `de_vat`. A number
/// without a type that is a correct USCC is taken for one: its check character makes an accident
/// unlikely. Any other number without a type is kept as text and not matched.
fn identifier(faults: &mut Faults, row: &Cells) -> Option<Value> {
    let code = faults.text(row, "code");
    if code.is_empty() {
        return None;
    }
    let kind = faults.text(row, "type").to_ascii_lowercase();
    let value = match kind.as_str() {
        "cn_uscc" => Value::identifier("uscc", code),
        "cn_ric" => Value::identifier("id_card", code),
        "lei" => Value::identifier("lei", code),
        "duns" => Value::identifier("duns", code),
        "" if uscc_holds(&code) => Value::identifier("uscc", code),
        "" => Value::text("x_identifier", code),
        _ => {
            let (land, vat) = (kind.get(..2).unwrap_or_default(), kind.ends_with("_vat"));
            let mut value = if vat {
                Value::identifier("vat", code)
            } else {
                Value::identifier(&format!("foreign:{}", kind.replace(' ', "_")), code)
            };
            if vat && land != "eu" {
                value.country = land.to_ascii_uppercase();
            }
            value
        }
    };
    Some(value)
}

/// Whether a number is a USCC with a right check character (GB 32100-2015, 17 weights of powers
/// of 3 modulo 31).
fn uscc_holds(text: &str) -> bool {
    const SIGNS: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    let upper = text.to_ascii_uppercase();
    if upper.len() != 18 {
        return false;
    }
    let mut sum = 0;
    let mut weight = 1;
    let mut last = 0;
    for (i, sign) in upper.bytes().enumerate() {
        let Some(value) = SIGNS.iter().position(|s| *s == sign) else {
            return false;
        };
        if i == 17 {
            last = value;
        } else {
            sum += value * weight;
            weight = weight * 3 % 31;
        }
    }
    (31 - sum % 31) % 31 == last
}

fn mechanism(faults: &mut Faults, row: &Cells, person: bool, values: &mut Vec<Value>) {
    let text = faults.text(row, "value");
    let kind = faults.text(row, "type").to_ascii_lowercase();
    let name = faults.text(row, "name");
    // Tryton's name of a mechanism is whom to ask for. It has no id of its own.
    if !name.is_empty() && !person {
        values.push(Value::text(attribute::CONTACT_NAME, name));
    }
    if text.is_empty() {
        return;
    }
    let value = match kind.as_str() {
        "phone" | "mobile" => Value {
            scheme: kind,
            ..Value::text(attribute::PHONE, text)
        },
        "email" => Value::text(attribute::EMAIL, text),
        "website" => Value::text(attribute::WEBSITE, text),
        _ => {
            let custom = format!("x_{kind}");
            if !attribute::is_valid(&custom) {
                let why = "is no kind of contact that can be kept";
                faults.add("contact_mechanisms.type", why, Effect::ValueLeftOut);
                return;
            }
            Value::text(&custom, text)
        }
    };
    values.push(value);
}

fn address(faults: &mut Faults, row: &Cells) -> Option<Value> {
    let mut address = Address {
        text: faults.text(row, "street").replace(['\r', '\n'], " "),
        city: faults.text(row, "city"),
        postcode: faults.text(row, "postal_code"),
        ..Address::default()
    };
    if let Some(country) = faults.one(row, "country") {
        address.country = faults.text(country, "code");
    }
    if let Some(part) = faults.one(row, "subdivision") {
        address.province = faults.text(part, "name");
    }
    let only_country = Address {
        country: String::new(),
        ..address.clone()
    };
    if only_country.is_blank() {
        return None;
    }
    let mut scheme = |column| faults.flag(row, column).unwrap_or(false);
    let scheme = match (scheme("invoice"), scheme("delivery")) {
        (true, false) => "billing",
        (false, true) => "shipping",
        _ => "",
    };
    Some(Value {
        scheme: scheme.to_owned(),
        ..Value::of(attribute::ADDRESS, Datum::Address(address))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uscc_is_known_by_its_check_character() {
        // Made with the rule of the standard from 17 random characters.
        assert!(uscc_holds("91310000MA1FL0000A") == check("91310000MA1FL0000").ends_with('A'));
        let right = check("91440300708461136");
        assert!(uscc_holds(&right), "{right}");
        assert!(uscc_holds(&right.to_lowercase()));
        let wrong = right.replace("9144", "9145");
        assert!(!uscc_holds(&wrong));
        for text in [
            "",
            "12345",
            "91440300708461136I",
            "９１４４０３００７０８４６１１３６Ｔ",
        ] {
            assert!(!uscc_holds(text), "{text}");
        }
    }

    /// The number with its check character, by the formula as the standard writes it.
    fn check(first: &str) -> String {
        let signs = "0123456789ABCDEFGHJKLMNPQRTUWXY";
        let weights = [
            1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28,
        ];
        let sum: usize = first
            .chars()
            .zip(weights)
            .map(|(c, w)| signs.find(c).unwrap() * w)
            .sum();
        let last = signs.chars().nth((31 - sum % 31) % 31).unwrap();
        format!("{first}{last}")
    }
}
