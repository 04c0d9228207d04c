//! The comparisons of persons.

use super::{
    Levels, MAX, Registered,
    parts::{self, Ask, Exact, People, Places},
};
use crate::{
    block::Generic,
    standardize::{Standardized, region::Relation},
};

/// Names and levels, null first, else last.
pub(super) const REGISTRY: &[Registered] = &[
    (
        "name",
        &["null", "equal", "near", "title", "surname", "else"],
    ),
    ("id_card", &["null", "equal", "near", "different", "else"]),
    ("identifier", &["null", "equal", "different", "else"]),
    (
        "phone",
        &["null", "equal", "equal_other_name", "near", "else"],
    ),
    (
        "email",
        &["null", "equal", "equal_other_name", "near", "else"],
    ),
    ("bank", &["null", "equal", "equal_other_name", "else"]),
    ("birth", &["null", "equal", "swapped", "else"]),
    ("employer", &["null", "equal", "else"]),
    (
        "address",
        &["null", "door", "street", "same_city", "other_city", "else"],
    ),
];

pub(super) fn levels(a: &Standardized, b: &Standardized, generic: &dyn Generic) -> Levels {
    let ask = (
        Ask {
            keys: &a.keys,
            generic,
        },
        Ask {
            keys: &b.keys,
            generic,
        },
    );
    let mut at = [0; MAX];
    let (found, rarity) = parts::people(&a.people, &b.people);
    at[0] = match found {
        People::Null => 0,
        People::Equal => 1,
        People::Near => 2,
        People::Title => 3,
        People::Surname => 4,
        People::Else => 5,
    };
    let adjustment = if matches!(found, People::Equal | People::Near) {
        rarity
    } else {
        0
    };
    // A shared phone with another name is a family, a shop or a company, not one person.
    let other = matches!(found, People::Surname | People::Else);
    let (found, contradiction) = parts::identifiers(a, b, ask, |i| i.scheme == "id_card");
    at[1] = match found {
        Exact::Null => 0,
        Exact::Equal => 1,
        _ if contradiction => 3,
        Exact::Near => 2,
        Exact::Else => 4,
    };
    let (found, contradiction) =
        parts::identifiers(a, b, ask, |i| i.scheme != "id_card" && i.scheme != "uscc");
    at[2] = match found {
        Exact::Null => 0,
        Exact::Equal => 1,
        _ if contradiction => 2,
        _ => 3,
    };
    at[3] = with_name(parts::phones(a, b, ask), other);
    at[4] = with_name(parts::emails(a, b, ask), other);
    at[5] = match parts::accounts(a, b, ask) {
        Exact::Null => 0,
        Exact::Equal => 1 + u8::from(other),
        Exact::Near | Exact::Else => 3,
    };
    at[6] = births(&a.births, &b.births);
    at[7] = employers(a, b);
    at[8] = match parts::places(&a.addresses, &b.addresses) {
        Places::Null => 0,
        Places::Door | Places::NearDoor => 1,
        Places::Street => 2,
        Places::City => 4,
        Places::District | Places::Else => {
            let same = a.addresses.iter().any(|x| {
                b.addresses
                    .iter()
                    .any(|y| x.region.relation(y.region) >= Relation::SameCity)
            });
            if same { 3 } else { 5 }
        }
    };
    Levels { at, adjustment }
}

fn with_name(found: Exact, other: bool) -> u8 {
    match found {
        Exact::Null => 0,
        Exact::Equal => 1 + u8::from(other),
        Exact::Near => 3,
        Exact::Else => 4,
    }
}

/// Equal; month and day swapped or one part off; else.
fn births(a: &[(i32, u8, u8)], b: &[(i32, u8, u8)]) -> u8 {
    let mut best = 0;
    for x in a {
        for y in b {
            let parts = u8::from(x.0 == y.0) + u8::from(x.1 == y.1) + u8::from(x.2 == y.2);
            let level = match parts {
                3 => 1,
                2 => 2,
                _ if x.0 == y.0 && x.1 == y.2 && x.2 == y.1 => 2,
                _ => 3,
            };
            best = if best == 0 { level } else { best.min(level) };
        }
    }
    best
}

fn employers(a: &Standardized, b: &Standardized) -> u8 {
    if a.names.is_empty() || b.names.is_empty() {
        return 0;
    }
    let same = a.names.iter().any(|x| {
        b.names
            .iter()
            .any(|y| x.same_full(y) || x.same_core(y) || (x.brand >= 2 && x.same_brand_sound(y)))
    });
    if same { 1 } else { 2 }
}
