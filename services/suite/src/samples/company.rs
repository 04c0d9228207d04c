//! Inventing companies and people.

use super::{
    dice::Dice,
    words::{BRAND, CITIES, City, FORM, GIVEN, STREETS, SURNAME, TITLES, TRADE},
};

/// A company in truth.
pub struct Company {
    /// Id in the truth list, e.g. `E00001`, or `E00001B` for its branch.
    pub entity: String,
    /// The registered name.
    pub name: String,
    /// Brand and trade in short, e.g. 鼎盛机械.
    pub short: String,
    /// Brand alone.
    pub brand: String,
    /// Where it is.
    pub city: &'static City,
    /// District.
    pub district: &'static str,
    /// Street and number.
    pub street: String,
    /// 统一社会信用代码; of a branch, what it bills under.
    pub uscc: String,
    /// Switchboard: area code and number, parted by a hyphen.
    pub phone: String,
    /// Email domain.
    pub domain: String,
    /// Bank account.
    pub account: String,
    /// People who deal with us, at least one.
    pub people: Vec<Person>,
    /// How much it buys, from 0 to 12.
    pub appetite: usize,
}

/// A person in truth.
pub struct Person {
    /// Id in the truth list.
    pub entity: String,
    /// Full name.
    pub name: String,
    /// Mobile number of 11 digits.
    pub mobile: String,
    /// Email.
    pub email: String,
    /// Job title.
    pub title: &'static str,
}

/// Invents about `count` companies, branches included.
pub fn invent(seed: u64, count: usize) -> Vec<Company> {
    let mut dice = Dice::new(seed, "companies");
    let mut companies: Vec<Company> = Vec::with_capacity(count + count / 20);
    for number in 1..=count {
        let sister = if number > 20 && dice.chance(5) {
            Some(dice.below(companies.len()))
        } else {
            None
        };
        let neighbour = if number > 20 && dice.chance(3) {
            Some(dice.below(companies.len()))
        } else {
            None
        };
        let mut company = one(&mut dice, number, sister.map(|s| &companies[s]));
        if let Some(neighbour) = neighbour {
            let neighbour = &companies[neighbour];
            company.phone.clone_from(&neighbour.phone);
            company.city = neighbour.city;
            company.district = neighbour.district;
            company.street.clone_from(&neighbour.street);
        }
        if dice.chance(4) {
            let branch = branch(&mut dice, &company);
            companies.push(company);
            companies.push(branch);
        } else {
            companies.push(company);
        }
    }
    companies
}

fn one(dice: &mut Dice, number: usize, sister: Option<&Company>) -> Company {
    // Brands differ by number, so that two companies share one only as sisters.
    let (first, second) = brand(number);
    let pinyin = format!("{}{}", first.1, second.1);
    let (brand, pinyin) = match sister {
        Some(sister) => (sister.brand.clone(), format!("{pinyin}-g")),
        None => (format!("{}{}", first.0, second.0), pinyin),
    };
    let city = dice.pick(CITIES);
    let (district, code) = *dice.pick(city.districts);
    let mut trade = dice.pick(TRADE);
    while sister.is_some_and(|s| s.short.ends_with(trade.1)) {
        trade = dice.pick(TRADE);
    }
    let form = dice.pick(FORM);
    let place = city.short;
    let name = match dice.below(4) {
        0 => format!("{brand}（{place}）{}{form}", trade.0),
        1 => format!("{brand}{}（{place}）{form}", trade.0),
        _ => format!("{place}{brand}{}{form}", trade.0),
    };
    let domain = format!("{pinyin}{number}.example");
    let people = (0..1 + dice.below(3))
        .map(|i| person(dice, number, i, &domain))
        .collect();
    Company {
        entity: format!("E{number:05}"),
        short: format!("{brand}{}", trade.1),
        brand,
        name,
        city,
        district,
        street: format!("{}{}号", dice.pick(STREETS), 1 + dice.below(998)),
        uscc: uscc(dice, code),
        phone: phone(dice, city),
        domain,
        account: format!("6222{}", dice.digits(15)),
        people,
        appetite: [0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 12][dice.below(12)],
    }
}

fn branch(dice: &mut Dice, head: &Company) -> Company {
    let mut city = dice.pick(CITIES);
    while city.short == head.city.short {
        city = dice.pick(CITIES);
    }
    let number = head.entity[1..].parse::<usize>().unwrap_or_default() + 500_000;
    let person = person(dice, number, 0, &head.domain);
    Company {
        entity: format!("{}B", head.entity),
        name: format!("{}{}分公司", head.name, city.short),
        short: format!("{}{}", head.short, city.short),
        brand: head.brand.clone(),
        city,
        district: dice.pick(city.districts).0,
        street: format!("{}{}号", dice.pick(STREETS), 1 + dice.below(998)),
        uscc: head.uscc.clone(),
        phone: phone(dice, city),
        domain: head.domain.clone(),
        account: head.account.clone(),
        people: vec![person],
        appetite: dice.below(4),
    }
}

/// The brand of a number: every pair of different syllables comes once before one repeats.
fn brand(number: usize) -> ((char, &'static str), (char, &'static str)) {
    let n = BRAND.len();
    // 1,193 is prime and no divisor of the number of pairs, so the walk meets each once.
    let pair = number.wrapping_mul(1_193) % (n * (n - 1));
    let (first, rest) = (pair / (n - 1), pair % (n - 1));
    let second = if rest >= first { rest + 1 } else { rest };
    (BRAND[first], BRAND[second])
}

fn person(dice: &mut Dice, company: usize, index: usize, domain: &str) -> Person {
    let surname = dice.pick(SURNAME);
    let mut name = surname.0.to_owned();
    let mut pinyin = surname.1.to_owned();
    for _ in 0..1 + usize::from(dice.chance(70)) {
        let given = dice.pick(GIVEN);
        name.push(given.0);
        pinyin.push_str(given.1);
    }
    let prefix = dice.pick(&[
        "135", "136", "137", "138", "139", "150", "158", "186", "188",
    ]);
    Person {
        entity: format!("P{company:06}{index}"),
        name,
        mobile: format!("{prefix}{}", dice.digits(8)),
        email: format!("{pinyin}@{domain}"),
        title: dice.pick::<&str>(TITLES),
    }
}

fn phone(dice: &mut Dice, city: &City) -> String {
    format!("{}-{}{}", city.area, 5 + dice.below(4), dice.digits(7))
}

/// A 统一社会信用代码 of a company (GB 32100-2015): registration by the market authority (9),
/// enterprise (1), region, organization code with its check character (GB 11714-1997), and
/// the check character over all.
fn uscc(dice: &mut Dice, region: &str) -> String {
    const ALPHABET: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    let mut organization = format!("MA{}", dice.digits(6));
    if dice.chance(50) {
        organization = dice.digits(8);
    }
    let value = |b: u8| {
        if b.is_ascii_digit() {
            usize::from(b - b'0')
        } else {
            usize::from(b - b'A') + 10
        }
    };
    let weights = [3, 7, 9, 10, 5, 8, 4, 2];
    let sum: usize = organization
        .bytes()
        .zip(weights)
        .map(|(b, w)| value(b) * w)
        .sum();
    organization.push(match 11 - sum % 11 {
        10 => 'X',
        11 => '0',
        digit => char::from(b'0' + digit as u8),
    });
    let body = format!("91{region}{organization}");
    let (mut sum, mut weight) = (0, 1);
    for byte in body.bytes() {
        let at = ALPHABET.iter().position(|a| *a == byte).unwrap_or_default();
        sum += at * weight;
        weight = weight * 3 % 31;
    }
    let check = (31 - sum % 31) % 31;
    format!("{body}{}", char::from(ALPHABET[check]))
}
