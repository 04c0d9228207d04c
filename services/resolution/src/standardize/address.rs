//! Postal addresses.

use jinke_types::{Address as Raw, Datum};
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{
    region::{DIVISIONS, Place, Region},
    text::{fold, folded, is_alphanumeric, is_han, text_of},
};

/// An address that is being taken apart: most stay where they are made.
type Chars = SmallVec<[char; 64]>;

/// An address in parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Province, city and district as far as known.
    pub region: Region,
    /// The street's name: at most eight characters before the house number.
    pub street: Box<[char]>,
    /// The house number; empty when there is none.
    pub number: SmolStr,
    /// Everything after the region, folded, letters and digits only; at most 64 characters.
    pub rest: Box<str>,
}

impl Address {
    /// Whether street and number are both known.
    pub fn has_door(&self) -> bool {
        !self.street.is_empty() && !self.number.is_empty()
    }
    /// The one way to write it.
    pub fn canonical(&self) -> String {
        format!("{}|{}", DIVISIONS.show(self.region), self.rest)
    }
}

/// Parses an address or a text; `None` when nothing remains.
pub fn parse(datum: &Datum) -> Option<Address> {
    match datum {
        Datum::Address(a) => of_parts(a),
        Datum::Text(t) => of_parts(&Raw {
            text: t.clone().chars().take(1024).collect(),
            ..Raw::default()
        }),
        _ => None,
    }
}

fn of_parts(raw: &Raw) -> Option<Address> {
    in_region(
        region_of(&raw.province, &raw.city, &raw.district),
        &raw.text,
    )
}

/// The region that the parts of an address name.
pub(crate) fn region_of(province: &str, city: &str, district: &str) -> Region {
    let mut region = Region::default();
    for part in [province, city] {
        let chars: Vec<char> = fold(part, 32).chars().filter(|c| *c != ' ').collect();
        if let Some((_, place)) = DIVISIONS.at_start(&chars) {
            let found = DIVISIONS.region(place);
            region = if region.is_empty() {
                found
            } else {
                region.refined_by(found)
            };
        }
    }
    let district: Vec<char> = fold(district, 32).chars().filter(|c| *c != ' ').collect();
    with_district(region, &district)
}

/// An address whose region, as far as its parts say, is known; the text may say more.
pub(crate) fn in_region(mut region: Region, text: &str) -> Option<Address> {
    let folded = folded(text, 256);
    let mut text: Chars = folded.chars().collect();
    if text.iter().copied().any(is_han) {
        text.retain(|c| *c != ' ');
        skip_region(&mut text, &mut region);
    }
    let (street, number) = door(&text);
    let rest: Chars = text
        .iter()
        .copied()
        .filter(|c| is_alphanumeric(*c))
        .take(64)
        .collect();
    (!region.is_empty() || !rest.is_empty()).then_some(Address {
        region,
        street,
        number,
        rest: text_of(&rest),
    })
}

fn with_district(region: Region, text: &[char]) -> Region {
    if text.is_empty() {
        return region;
    }
    if let Some(city) = region.city {
        return match DIVISIONS.district_at_start(city, text) {
            Some((_, d)) => Region {
                district: Some(d),
                ..region
            },
            None => region,
        };
    }
    match DIVISIONS.exactly(text) {
        Some(place) => region.refined_by(DIVISIONS.region(place)),
        None => region,
    }
}

/// Takes the region off the start of a Chinese address, up to three names of it.
fn skip_region(text: &mut Chars, region: &mut Region) {
    for prefix in ["中国", "中华人民共和国"] {
        if text
            .iter()
            .copied()
            .take(prefix.chars().count())
            .eq(prefix.chars())
        {
            text.drain(..prefix.chars().count());
        }
    }
    for round in 0..4 {
        if let Some(city) = region.city
            && let Some((n, d)) = DIVISIONS.district_at_start(city, text)
            && text.len() > n
            && !names_a_street(text, n)
        {
            region.district = region.district.or(Some(d));
            text.drain(..n);
            continue;
        }
        let Some((n, place)) = DIVISIONS.at_start(text) else {
            // 黑江省齐齐哈尔市: a slip in the first name must not hide the second.
            let slip = (1..=5.min(text.len())).find(|&i| {
                round == 0
                    && matches!(text[i - 1], '省' | '区' | '市')
                    && DIVISIONS
                        .at_start(&text[i..])
                        .is_some_and(|(_, p)| !matches!(p, Place::Province(_)))
            });
            if let Some(i) = slip {
                text.drain(..i);
                continue;
            }
            return;
        };
        let found = DIVISIONS.region(place);
        let fits =
            region.is_empty() || region.relation(found) != super::region::Relation::Different;
        if !fits || names_a_street(text, n) {
            return;
        }
        *region = region.refined_by(found);
        text.drain(..n);
        if matches!(text.first(), Some('市' | '省')) {
            text.remove(0);
        }
    }
}

/// 南京东路, 长春路: a division's short name that begins a street's.
fn names_a_street(text: &[char], n: usize) -> bool {
    let full = matches!(
        text.get(n - 1),
        Some('省' | '市' | '区' | '县' | '旗' | '州')
    );
    !full
        && text
            .iter()
            .skip(n)
            .take(2)
            .any(|c| matches!(c, '路' | '街' | '道' | '巷' | '弄'))
}

fn door(text: &[char]) -> (Box<[char]>, SmolStr) {
    let is_digit = |c: &char| c.is_ascii_digit();
    let Some(at) = text.iter().position(is_digit) else {
        return (
            text.iter()
                .copied()
                .filter(|c| is_alphanumeric(*c))
                .take(8)
                .collect(),
            SmolStr::default(),
        );
    };
    let number: SmolStr = text[at..]
        .iter()
        .copied()
        .take_while(char::is_ascii_digit)
        .take(8)
        .collect();
    let before: Chars = text[..at]
        .iter()
        .copied()
        .filter(|c| is_alphanumeric(*c))
        .collect();
    if before.is_empty() {
        // 155 Park Road
        let after = text[at + number.len()..].iter().take_while(|c| **c != ',');
        return (
            after
                .copied()
                .filter(|c| is_alphanumeric(*c))
                .take(12)
                .collect(),
            number,
        );
    }
    let skip = before.len().saturating_sub(8);
    (before[skip..].into(), number)
}
