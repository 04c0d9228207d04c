//! The comparisons of organizations.

use super::{
    Levels, MAX, Registered,
    parts::{self, Ask, Exact, People, Places},
};
use crate::{
    block::Generic,
    standardize::{
        Standardized, identifier,
        org_name::{Branch, OrgName},
        region::Relation,
    },
};

/// Names and levels, null first, else last.
pub(super) const REGISTRY: &[Registered] = &[
    (
        "name",
        &[
            "null",
            "exact",
            "core",
            "sound",
            "typo",
            "prefix",
            "cross_script",
            "brand",
            "similar",
            "different",
            "else",
        ],
    ),
    (
        "region",
        &[
            "null",
            "same_district",
            "same_city",
            "same_province",
            "else",
        ],
    ),
    (
        "branch",
        &[
            "null",
            "both_head",
            "same_branch",
            "short_or_branch",
            "head_or_branch",
            "else",
        ],
    ),
    (
        "uscc",
        &[
            "null",
            "equal",
            "equal_other_name",
            "near",
            "unchecked",
            "else",
        ],
    ),
    ("identifier", &["null", "equal", "different", "else"]),
    (
        "phone",
        &["null", "equal", "equal_other_name", "near", "else"],
    ),
    (
        "email",
        &["null", "equal", "equal_other_name", "near", "else"],
    ),
    ("domain", &["null", "equal", "equal_other_name", "else"]),
    (
        "bank",
        &["null", "equal", "equal_other_name", "near", "else"],
    ),
    (
        "contact",
        &[
            "null",
            "equal",
            "equal_other_name",
            "near",
            "title",
            "surname",
            "else",
        ],
    ),
    (
        "address",
        &[
            "null",
            "door",
            "door_other_name",
            "near_door",
            "street",
            "other_city",
            "other_district",
            "else",
        ],
    ),
];

/// Levels of the name comparison, by index; lower is closer, after null.
pub(super) mod name {
    pub const NULL: u8 = 0;
    pub const EXACT: u8 = 1;
    pub const CORE: u8 = 2;
    pub const SOUND: u8 = 3;
    pub const TYPO: u8 = 4;
    pub const PREFIX: u8 = 5;
    pub const CROSS: u8 = 6;
    pub const BRAND: u8 = 7;
    pub const SIMILAR: u8 = 8;
    pub const DIFFERENT: u8 = 9;
    pub const ELSE: u8 = 10;
}

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
    let (level, adjustment) = names(&a.names, &b.names);
    at[0] = level;
    // Evidence that people carry with them (a phone, a contact) says little about two
    // organizations whose names have nothing in common.
    let other = level >= name::BRAND;
    at[1] = region(a, b);
    at[2] = branch(&a.names, &b.names);
    let (found, contradiction) = parts::identifiers(a, b, ask, |i| i.scheme == identifier::USCC);
    at[3] = match found {
        Exact::Null => 0,
        Exact::Equal if other => 2,
        Exact::Equal => 1,
        _ if contradiction => 5,
        Exact::Near => 3,
        Exact::Else => 4,
    };
    let (found, contradiction) = parts::identifiers(a, b, ask, |i| i.scheme != identifier::USCC);
    at[4] = match found {
        Exact::Equal => 1,
        _ if org_code_inside(a, b) || org_code_inside(b, a) => 1,
        Exact::Null => 0,
        _ if contradiction => 2,
        _ => 3,
    };
    at[5] = with_name(parts::phones(a, b, ask), other);
    at[6] = with_name(parts::emails(a, b, ask), other);
    at[7] = match parts::exact(
        (&a.domains, ask.0),
        (&b.domains, ask.1),
        |x, y| x == y,
        |_, _| false,
    ) {
        Exact::Null => 0,
        Exact::Equal => 1 + u8::from(other),
        Exact::Near | Exact::Else => 3,
    };
    at[8] = with_name(parts::accounts(a, b, ask), other);
    at[9] = match parts::people(&a.people, &b.people).0 {
        People::Null => 0,
        People::Equal => 1 + u8::from(other),
        People::Near => 3,
        People::Title => 4,
        People::Surname => 5,
        People::Else => 6,
    };
    at[10] = match parts::places(&a.addresses, &b.addresses) {
        Places::Null => 0,
        Places::Door => 1 + u8::from(other),
        Places::NearDoor => 3,
        Places::Street => 4,
        Places::City => 5,
        Places::District => 6,
        Places::Else => 7,
    };
    Levels { at, adjustment }
}

/// One record holds the old organization code that is part of the other's credit code.
fn org_code_inside(uscc: &Standardized, code: &Standardized) -> bool {
    code.identifiers()
        .filter(|c| c.valid && c.scheme == "org_code")
        .any(|c| {
            uscc.identifiers().any(|u| {
                u.valid
                    && u.scheme == identifier::USCC
                    && identifier::org_code_of_uscc(&u.text) == Some(c.text.as_str())
            })
        })
}

/// Levels null, equal, equal_other_name, near, else.
fn with_name(found: Exact, other: bool) -> u8 {
    match found {
        Exact::Null => 0,
        Exact::Equal => 1 + u8::from(other),
        Exact::Near => 3,
        Exact::Else => 4,
    }
}

/// The closest pair of names: level and adjustment.
fn names(a: &[OrgName], b: &[OrgName]) -> (u8, i32) {
    let mut best = (name::NULL, 0);
    for x in a {
        for y in b {
            let level = of_names(x, y);
            if best.0 == name::NULL || closer(level, best.0) {
                best = (level, adjustment(level, x, y));
            } else if level == best.0 {
                best.1 = best.1.max(adjustment(level, x, y));
            }
        }
    }
    best
}

/// Nothing in common is less than clearly different.
const fn closer(a: u8, b: u8) -> bool {
    match (a, b) {
        (name::ELSE, name::DIFFERENT) => true,
        (name::DIFFERENT, name::ELSE) => false,
        _ => a < b,
    }
}

/// The rarer a shared core, the more it says; only where cores are shared.
fn adjustment(level: u8, x: &OrgName, y: &OrgName) -> i32 {
    match level {
        name::EXACT | name::CORE | name::SOUND => x.rarity.min(y.rarity),
        // A short core inside a long one says what the short one says.
        name::PREFIX if x.core.len() <= y.core.len() => x.rarity,
        name::PREFIX => y.rarity,
        _ => 0,
    }
}

fn of_names(x: &OrgName, y: &OrgName) -> u8 {
    if x.same_full(y) {
        return name::EXACT;
    }
    if x.same_core(y) {
        return name::CORE;
    }
    if x.latin != y.latin {
        return if cross_script(x, y) {
            name::CROSS
        } else {
            name::ELSE
        };
    }
    if !x.latin && x.core.len() == y.core.len() && x.same_sound(y) {
        return name::SOUND;
    }
    let (short, long) = if x.core.len() <= y.core.len() {
        (x, y)
    } else {
        (y, x)
    };
    let least = if x.latin { 4 } else { 2 };
    if short.core.len() >= least && short.core.len() >= long.brand_len() && short.begins(long) {
        return name::PREFIX;
    }
    let slips = if long.core.len() >= 8 { 2 } else { 1 };
    if short.core.len() >= 4 && x.within(y, slips) {
        return name::TYPO;
    }
    if short.core.len() >= least && short.begins(long) {
        return name::PREFIX;
    }
    if short.brand_len() >= least && x.same_brand(y) {
        return name::BRAND;
    }
    let alike = short.core.len() >= 3
        && ((short.brand >= 2 && x.same_head(y))
            || x.same_brand_sound(y)
            || x.within(y, long.core.len() / 3));
    if alike {
        name::SIMILAR
    } else if x.shares_no_brand(y) {
        name::DIFFERENT
    } else {
        name::ELSE
    }
}

/// The Latin brand is the pinyin of the Chinese one, or of its beginning.
fn cross_script(x: &OrgName, y: &OrgName) -> bool {
    let (latin, han) = if x.latin { (x, y) } else { (y, x) };
    let sound = latin.brand_sound();
    sound.len() >= 4
        && (han.sound.starts_with(sound)
            || (han.brand_sound().len() >= 4 && latin.sound.starts_with(han.brand_sound())))
}

fn region(a: &Standardized, b: &Standardized) -> u8 {
    let best = a
        .regions
        .iter()
        .flat_map(|x| b.regions.iter().map(|y| x.relation(*y)))
        .max();
    region_level(best)
}

/// The level of the closest relation of regions.
pub(super) const fn region_level(best: Option<Relation>) -> u8 {
    match best {
        None | Some(Relation::Unknown) => 0,
        Some(Relation::SameDistrict) => 1,
        Some(Relation::SameCity) => 2,
        Some(Relation::SameProvince) => 3,
        Some(Relation::Different) => 4,
    }
}

fn branch(a: &[OrgName], b: &[OrgName]) -> u8 {
    let mut best: Option<u8> = None;
    for x in a {
        for y in b {
            let level = match (&x.branch, &y.branch) {
                (Branch::Of(p), Branch::Of(q))
                    if p == q || p.starts_with(&**q) || q.starts_with(&**p) =>
                {
                    2
                }
                (Branch::Of(_), Branch::Of(_)) => 5,
                (Branch::Of(_), Branch::Head) | (Branch::Head, Branch::Of(_)) => 4,
                (Branch::Of(_), Branch::Unknown) | (Branch::Unknown, Branch::Of(_)) => 3,
                (Branch::Head, Branch::Head) => 1,
                _ => 0,
            };
            // The closest reading counts: same branch, both head, nothing said, then the rest.
            let rank = |l: u8| [2, 1, 0, 3, 4, 5][usize::from(l)];
            if best.is_none_or(|l| rank(level) < rank(l)) {
                best = Some(level);
            }
        }
    }
    best.unwrap_or(0)
}
