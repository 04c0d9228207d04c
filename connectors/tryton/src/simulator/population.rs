//! Who is in the simulator: companies and persons as a sales office would have typed them in.
//!
//! Everything about party `n` follows from the seed and `n`, so two simulators of one seed hold the
//! same, and a larger one begins with what a smaller one holds. Most parties are somebody of their
//! own. What makes their records hard to tell apart is there in stated shares:
//!
//! - one party in [`TWINS`], from [`TWINS_FROM`] on, is a company or person that stands there already,
//!   typed in a second time: another form of the name, another notation of a number, often without
//!   the credit code;
//! - one company in [`HOUSES`] sits in an office building with others and gives the switchboard of
//!   the building as its phone;
//! - one company in [`AGENCIES`] gives the mobile of a bookkeeping agency that others have too;
//! - every eleventh party is a person, and persons of one name are several.
//!
//! Company names, streets and numbers are invented; regions, area codes and postcodes are real. The
//! credit codes have right check characters (GB 32100-2015).

mod words;

use words::{BRAND, FORMS, GIVEN, HOUSE_NAMES, REGIONS, STREETS, SURNAMES, TRADES};

/// The seed of everything that is not asked for otherwise.
pub const SEED: u64 = 20_261_122;
/// One party in so many is there already.
pub const TWINS: u64 = 25;
/// The first party that may be there already.
pub const TWINS_FROM: usize = 40;
/// One company in so many shares a switchboard.
pub const HOUSES: u64 = 16;
/// One company in so many shares the mobile of its bookkeeper.
pub const AGENCIES: u64 = 50;

/// Every so manieth party is a person.
const PERSONS: usize = 11;
/// Parties whose numbers are so close may sit in one building.
const PER_HOUSE: usize = 120;
/// Parties whose numbers are so close may have one bookkeeper.
const PER_AGENCY: usize = 200;

/// A party as somebody typed it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number of the party that it really is: its own, or that of the one typed in before.
    pub really: usize,
    /// Whether it is a person.
    pub person: bool,
    /// What it is called.
    pub name: String,
    /// City of the address.
    pub city: &'static str,
    /// District, street and number.
    pub street: String,
    /// Postcode, six digits.
    pub postcode: String,
    /// Landline with area code, of a company.
    pub phone: Option<String>,
    /// Mobile.
    pub mobile: String,
    /// Whom to ask for there; of a person himself.
    pub contact: String,
    /// Unified social credit code, of most companies.
    pub uscc: Option<String>,
}

/// Which party number `n` really is.
pub fn really(seed: u64, n: usize) -> usize {
    let mut dice = Dice::of(seed, n, 1);
    if n < TWINS_FROM || dice.below(TWINS) > 0 {
        return n;
    }
    let person = n.is_multiple_of(PERSONS);
    let before = if person {
        PERSONS * (1 + dice.index(n / PERSONS - 1))
    } else {
        let any = 1 + dice.index(n - 1);
        any - usize::from(any.is_multiple_of(PERSONS))
    };
    // Whoever stands there already may itself have been typed in twice.
    really(seed, before)
}

/// How many companies and persons the first `count` parties really are.
pub fn distinct(seed: u64, count: usize) -> usize {
    (1..=count).filter(|n| really(seed, *n) == *n).count()
}

/// Party number `n`, from 1.
pub fn entry(seed: u64, n: usize) -> Entry {
    let really = really(seed, n);
    let first = if really.is_multiple_of(PERSONS) {
        person(seed, really)
    } else {
        company(seed, really)
    };
    if really == n {
        return first;
    }
    again(seed, n, first)
}

fn person(seed: u64, n: usize) -> Entry {
    let mut dice = Dice::of(seed, n, 2);
    let region = dice.pick(REGIONS);
    let name = dice.person();
    Entry {
        really: n,
        person: true,
        city: region.0,
        street: format!(
            "{}{}{}号{}室",
            dice.pick(&region.4),
            dice.pick(STREETS),
            1 + dice.index(900),
            101 + dice.index(2_400)
        ),
        postcode: format!("{}{:02}", region.2, dice.index(100)),
        phone: None,
        mobile: dice.mobile(),
        contact: name.clone(),
        name,
        uscc: None,
    }
}

fn company(seed: u64, n: usize) -> Entry {
    let mut dice = Dice::of(seed, n, 3);
    let mut house = (dice.below(HOUSES) == 0).then(|| Dice::of(seed, n / PER_HOUSE, 4));
    let region = house.as_mut().unwrap_or(&mut dice).pick(REGIONS);
    let brand = {
        let length = if dice.below(5) < 3 { 2 } else { 3 };
        dice.signs(BRAND, length)
    };
    let (trade, form) = (dice.pick(TRADES), dice.pick(FORMS));
    let street = {
        let of = house.as_mut().unwrap_or(&mut dice);
        let street = format!(
            "{}{}{}号",
            of.pick(&region.4),
            of.pick(STREETS),
            1 + of.index(900)
        );
        let built = house
            .as_mut()
            .map(|house| format!("{}{}", house.signs(BRAND, 2), house.pick(HOUSE_NAMES)));
        match built {
            None => street,
            Some(built) => format!("{street}{built}{}室", 301 + dice.index(2_200)),
        }
    };
    let of = house.as_mut().unwrap_or(&mut dice);
    let phone = of.landline(region.1);
    let postcode = format!("{}{:02}", region.2, of.index(100));
    let mobile = match dice.below(AGENCIES) {
        0 => Dice::of(seed, n / PER_AGENCY, 5).mobile(),
        _ => dice.mobile(),
    };
    let contact = dice.person();
    // A quarter of the cards lacks the number.
    let uscc = (n % 4 != 2).then(|| dice.uscc(region.3));
    Entry {
        really: n,
        person: false,
        name: format!("{}{brand}{trade}{form}", region.0),
        city: region.0,
        street,
        postcode,
        phone: Some(phone),
        mobile,
        contact,
        uscc,
    }
}

/// The same once more, typed in by somebody else.
fn again(seed: u64, n: usize, mut entry: Entry) -> Entry {
    let mut dice = Dice::of(seed, n, 6);
    if entry.person {
        // Moved, or written from memory; the mobile stays.
        entry.street = format!("{}{}号", dice.pick(STREETS), 1 + dice.index(900));
        if dice.below(2) == 0 {
            entry.mobile = format!("+86 {}", entry.mobile);
        }
        return entry;
    }
    let rest = entry.name.strip_prefix(entry.city).map(str::to_owned);
    let rest = rest.unwrap_or_default();
    let bare = rest
        .trim_end_matches("股份有限公司")
        .trim_end_matches("有限责任公司")
        .trim_end_matches("有限公司");
    let city = entry.city;
    match dice.below(5) {
        // The mobile written otherwise, no landline.
        0 => {
            entry.name = format!("{city}市{rest}");
            let m = &entry.mobile;
            entry.mobile = format!("+86 {} {} {}", &m[..3], &m[3..7], &m[7..]);
            (entry.phone, entry.uscc) = (None, None);
        }
        // As people say it, without the legal form.
        1 => {
            entry.name = format!("{city}{bare}");
            entry.uscc = None;
        }
        // With another contact, but with the number.
        2 => {
            entry.name = format!("{city}市{rest}");
            (entry.contact, entry.mobile) = (dice.person(), dice.mobile());
        }
        // The landline without hyphen, spaces in the name.
        3 => {
            entry.name = format!("{city} {rest}");
            entry.phone = entry.phone.map(|p| p.replace('-', " "));
        }
        // The same name, street and phone, another contact.
        _ => {
            (entry.contact, entry.mobile) = (dice.person(), dice.mobile());
            entry.street = format!("{city}市{}", entry.street);
        }
    }
    entry
}

/// Repeatable choices for one thing of one party (SplitMix64, Steele, Lea and Flood 2014).
struct Dice(u64);

impl Dice {
    fn of(seed: u64, n: usize, thing: u64) -> Self {
        let mut dice = Self(seed ^ (n as u64).rotate_left(20) ^ thing.rotate_left(56));
        // What differs in one bit differs in all.
        dice.0 = dice.next();
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// Less than `n`, which is small beside 2^64.
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    fn index(&mut self, n: usize) -> usize {
        self.below(n as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    fn signs(&mut self, from: &str, count: usize) -> String {
        let signs: Vec<char> = from.chars().filter(|c| !c.is_whitespace()).collect();
        (0..count).map(|_| *self.pick(&signs)).collect()
    }

    fn person(&mut self) -> String {
        let given = 1 + usize::from(self.below(10) < 7);
        format!("{}{}", self.signs(SURNAMES, 1), self.signs(GIVEN, given))
    }

    fn mobile(&mut self) -> String {
        const FIRST: [u64; 8] = [135, 136, 138, 139, 150, 158, 186, 189];
        let first = *self.pick(&FIRST);
        format!("{first}{:08}", self.below(100_000_000))
    }

    fn landline(&mut self, area: &str) -> String {
        format!("{area}-{}{:07}", 2 + self.below(7), self.below(10_000_000))
    }

    /// A credit code: registered as a company in this division, with its check character.
    fn uscc(&mut self, division: &str) -> String {
        const SIGNS: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
        let mut code = format!("91{division}{}", self.signs(SIGNS, 9));
        let weights = std::iter::successors(Some(1_usize), |w| Some(w * 3 % 31));
        let sum: usize = code
            .chars()
            .zip(weights)
            .map(|(sign, weight)| SIGNS.find(sign).unwrap_or(0) * weight)
            .sum();
        code.extend(SIGNS.chars().nth((31 - sum % 31) % 31));
        code
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const MANY: usize = 20_000;

    #[test]
    fn a_seed_says_everything_and_a_larger_population_begins_with_the_smaller() {
        for n in [1, 2, 11, 40, 999] {
            assert_eq!(entry(SEED, n), entry(SEED, n));
            assert_ne!(entry(SEED, n), entry(SEED + 1, n));
        }
        assert_eq!(distinct(SEED, TWINS_FROM - 1), TWINS_FROM - 1);
    }

    #[test]
    fn twins_are_as_many_as_stated_and_of_their_kind() {
        let twins: Vec<usize> = (1..=MANY).filter(|n| really(SEED, *n) != *n).collect();
        assert_eq!(distinct(SEED, MANY), MANY - twins.len());
        let wanted = MANY / TWINS as usize;
        assert!(twins.len().abs_diff(wanted) < wanted / 5, "{}", twins.len());
        for n in twins {
            let (it, first) = (entry(SEED, n), entry(SEED, really(SEED, n)));
            assert_eq!(it.person, n.is_multiple_of(PERSONS));
            assert_eq!((it.person, it.really), (first.person, first.really));
            assert!(first.really < n && really(SEED, first.really) == first.really);
            assert_ne!(it, first, "somebody else typed it in");
        }
    }

    #[test]
    fn others_are_somebody_of_their_own() {
        let (mut names, mut codes) = (BTreeSet::new(), BTreeSet::new());
        let (mut mobiles, mut phones) = (BTreeMap::new(), BTreeMap::new());
        let mut companies = 0;
        for n in (1..=MANY).filter(|n| really(SEED, *n) == *n) {
            let e = entry(SEED, n);
            *mobiles.entry(e.mobile.clone()).or_insert(0_usize) += 1;
            assert_eq!(e.postcode.len(), 6);
            if e.person {
                continue;
            }
            companies += 1;
            names.insert(e.name);
            *phones.entry(e.phone.unwrap()).or_insert(0_usize) += 1;
            if let Some(code) = e.uscc {
                assert_eq!(code.len(), 18, "{code}");
                assert!(codes.insert(code.clone()), "{code}");
            }
        }
        assert!(names.len() * 1_000 > companies * 995, "{}", names.len());
        assert!(codes.len().abs_diff(companies * 3 / 4) < companies / 50);
        let shared = |by: &BTreeMap<String, usize>| by.values().filter(|n| **n > 1).sum::<usize>();
        let (houses, agencies) = (shared(&phones), shared(&mobiles));
        let wanted = companies / HOUSES as usize;
        assert!(houses.abs_diff(wanted) < wanted / 5, "{houses}");
        let wanted = companies / AGENCIES as usize;
        assert!(agencies.abs_diff(wanted) < wanted / 4, "{agencies}");
        assert!(phones.values().all(|n| *n < 30), "a building has an end");
    }
}
