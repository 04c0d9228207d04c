//! Comparisons that organizations and persons share.

use crate::{
    block::{Generic, Key},
    standardize::{
        GENERIC, Identifier, Keyed, Standardized,
        address::Address,
        contact::{Email, Phone, PhoneKind},
        person_name::PersonName,
        region::Relation,
        text::edit_distance,
    },
};

/// The outcome of comparing two lists of exact values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exact {
    /// One side has no value, or only generic ones.
    Null,
    /// Specific values on both sides, none equal or near.
    Else,
    /// One typing error apart.
    Near,
    /// A value in common that is not generic.
    Equal,
}

/// Asks about generic values of one record.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) keys: &'a [Key],
    pub(super) generic: &'a dyn Generic,
}

impl Ask<'_> {
    fn specific<T>(&self, v: &Keyed<T>) -> bool {
        match v.key {
            None => true,
            Some(GENERIC) => false,
            Some(k) => self
                .keys
                .get(usize::from(k))
                .is_none_or(|k| !self.generic.is_generic(k)),
        }
    }
}

/// Compares two lists: `equal` and `near` say how two values relate.
pub(super) fn exact<T>(
    a: (&[Keyed<T>], Ask<'_>),
    b: (&[Keyed<T>], Ask<'_>),
    equal: impl Fn(&T, &T) -> bool,
    near: impl Fn(&T, &T) -> bool,
) -> Exact {
    let mut best = Exact::Null;
    for x in a.0.iter().filter(|x| a.1.specific(x)) {
        for y in b.0.iter().filter(|y| b.1.specific(y)) {
            if equal(&x.value, &y.value) {
                return Exact::Equal;
            }
            best = best.max(if near(&x.value, &y.value) {
                Exact::Near
            } else {
                Exact::Else
            });
        }
    }
    best
}

/// One digit wrong, missing or doubled, or two neighbours swapped, in ASCII text.
pub(super) fn one_slip(a: &str, b: &str) -> bool {
    slips_within(a, b, 1)
}

pub(super) fn slips_within(a: &str, b: &str, max: usize) -> bool {
    if a.len().abs_diff(b.len()) > max || a.len() > 40 || b.len() > 40 {
        return false;
    }
    // Cheap test first: most pairs differ in many places.
    let prefix = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let suffix = a
        .bytes()
        .rev()
        .zip(b.bytes().rev())
        .take_while(|(x, y)| x == y)
        .count();
    if prefix + suffix + 2 * max + 1 < a.len().max(b.len()) && max == 1 {
        return false;
    }
    let (mut x, mut y) = (['\0'; 40], ['\0'; 40]);
    let (mut n, mut m) = (0, 0);
    for (i, c) in a.chars().enumerate() {
        x[i] = c;
        n = i + 1;
    }
    for (i, c) in b.chars().enumerate() {
        y[i] = c;
        m = i + 1;
    }
    edit_distance(&x[..n], &y[..m], max).is_some()
}

pub(super) fn phones(a: &Standardized, b: &Standardized, ask: (Ask<'_>, Ask<'_>)) -> Exact {
    exact(
        (&a.phones, ask.0),
        (&b.phones, ask.1),
        Phone::same_line,
        |x, y| x.kind == y.kind && x.kind == PhoneKind::Mobile && one_slip(&x.number, &y.number),
    )
}

pub(super) fn emails(a: &Standardized, b: &Standardized, ask: (Ask<'_>, Ask<'_>)) -> Exact {
    exact(
        (&a.emails, ask.0),
        (&b.emails, ask.1),
        |x, y| x.text == y.text,
        near_mail,
    )
}

fn near_mail(x: &Email, y: &Email) -> bool {
    !x.role && !y.role && x.text.len() >= 10 && one_slip(&x.text, &y.text)
}

pub(super) fn accounts(a: &Standardized, b: &Standardized, ask: (Ask<'_>, Ask<'_>)) -> Exact {
    exact(
        (&a.accounts, ask.0),
        (&b.accounts, ask.1),
        |x, y| x == y,
        |x, y| slips_within(x, y, 1),
    )
}

/// Identifiers of the schemes `of` picks: equal, near (one of them fails its check), or
/// different while valid at one time. `Else` also covers a failed check far away.
pub(super) fn identifiers(
    a: &Standardized,
    b: &Standardized,
    ask: (Ask<'_>, Ask<'_>),
    of: impl Fn(&Identifier) -> bool,
) -> (Exact, bool) {
    let mut best = Exact::Null;
    let mut contradiction = false;
    for x in a
        .identifiers
        .iter()
        .filter(|x| of(&x.value) && ask.0.specific(x))
    {
        for y in b
            .identifiers
            .iter()
            .filter(|y| of(&y.value) && ask.1.specific(y))
        {
            if x.value.scheme != y.value.scheme {
                continue;
            }
            if x.value.text == y.value.text {
                return (Exact::Equal, false);
            }
            let near =
                (!x.value.valid || !y.value.valid) && slips_within(&x.value.text, &y.value.text, 2);
            contradiction |= x.value.contradicts(&y.value);
            best = best.max(if near { Exact::Near } else { Exact::Else });
        }
    }
    (best, contradiction)
}

/// How two people relate by name; higher is closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum People {
    /// One side names nobody.
    Null,
    /// Nothing in common.
    Else,
    /// The same surname, full names differ.
    Surname,
    /// The same surname and one side has no given name (王总, 王芳).
    Title,
    /// One sound, other characters, or one character apart.
    Near,
    /// The same full name.
    Equal,
}

pub(super) fn people(a: &[PersonName], b: &[PersonName]) -> (People, i32) {
    let mut best = (People::Null, 0);
    for x in a {
        for y in b {
            let level = if !x.full.is_empty()
                && (x.full == y.full
                    || (!x.sound.is_empty() && x.sound == y.sound && x.full.is_ascii()))
            {
                People::Equal
            } else if !x.sound.is_empty() && x.sound == y.sound {
                People::Near
            } else if x.surname == y.surname && !x.surname.is_empty() {
                if x.full.is_empty() || y.full.is_empty() {
                    People::Title
                } else if x.full.len() > 6 && slips_within(&x.sound, &y.sound, 1) {
                    People::Near
                } else {
                    People::Surname
                }
            } else {
                People::Else
            };
            best = best.max((level, x.rarity.min(y.rarity)));
        }
    }
    best
}

/// How two addresses relate; higher is closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Places {
    /// One side has no address.
    Null,
    /// One city or unknown, other street.
    Else,
    /// Other districts of one city.
    District,
    /// Other cities.
    City,
    /// The same street, the number differs or is missing.
    Street,
    /// The same number, the street one character apart.
    NearDoor,
    /// The same street and number.
    Door,
}

pub(super) fn places(a: &[Address], b: &[Address]) -> Places {
    let mut best = Places::Null;
    for x in a {
        for y in b {
            best = best.max(place(x, y));
        }
    }
    best
}

fn place(x: &Address, y: &Address) -> Places {
    let relation = x.region.relation(y.region);
    let has_street = !x.street.is_empty() && !y.street.is_empty();
    if has_street && relation != Relation::Different {
        let number = !x.number.is_empty() && x.number == y.number;
        let street = same_tail(&x.street, &y.street);
        if street && number {
            return Places::Door;
        }
        if number && edit_distance(&x.street, &y.street, 1).is_some() {
            return Places::NearDoor;
        }
        if street && x.street.len() >= 3 {
            return Places::Street;
        }
    }
    match (relation, x.region.district, y.region.district) {
        (Relation::Different, ..) => Places::City,
        (Relation::SameCity, Some(_), Some(_)) => Places::District,
        _ if has_street => Places::Else,
        _ => Places::Null,
    }
}

/// The same street where one side still has a town before it.
fn same_tail(a: &[char], b: &[char]) -> bool {
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    a == b || (short.len() >= 3 && long.ends_with(short))
}
