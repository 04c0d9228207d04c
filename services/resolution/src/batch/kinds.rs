//! Semantic types: what a column means, and so how it is standardized, compared and blocked.

/// What the values of a column mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Semantic {
    /// Name of an organization, restaurant, shop: words, legal forms aside.
    OrgName,
    /// Full name of a person, or several persons.
    PersonName,
    /// Given name.
    GivenName,
    /// Surname.
    Surname,
    /// A day, in any usual notation.
    DateOfBirth,
    /// Telephone number.
    Phone,
    /// Email address.
    Email,
    /// Domain or web address.
    Domain,
    /// 统一社会信用代码.
    Uscc,
    /// A number or code that names one thing.
    Identifier,
    /// Bank account.
    BankAccount,
    /// Postal code.
    Postcode,
    /// Address or a part of it.
    Address,
    /// Town, district or region.
    City,
    /// Words in any language: titles, descriptions.
    Text,
    /// A quantity such as a price.
    Number,
    /// A year.
    Year,
    /// One of few values.
    Category,
}

use Semantic as S;

/// Every type with its name in a spec.
pub const SEMANTICS: &[(&str, Semantic)] = &[
    ("org_name", S::OrgName),
    ("person_name", S::PersonName),
    ("given_name", S::GivenName),
    ("surname", S::Surname),
    ("date_of_birth", S::DateOfBirth),
    ("phone", S::Phone),
    ("email", S::Email),
    ("domain", S::Domain),
    ("uscc", S::Uscc),
    ("identifier", S::Identifier),
    ("bank_account", S::BankAccount),
    ("postcode", S::Postcode),
    ("address", S::Address),
    ("city", S::City),
    ("text", S::Text),
    ("number", S::Number),
    ("year", S::Year),
    ("category", S::Category),
];

/// Levels of columns whose values are made of words.
const WORDS: &[&str] = &[
    "null",
    "exact",
    "same_words",
    "very_close",
    "close",
    "similar",
    "related",
    "distant",
    "else",
];
/// Levels of texts: words, and codes such as model numbers, which tell more than words. `code`: a
/// rare code is shared, whatever the words.
const TEXT: &[&str] = &[
    "null",
    "exact",
    "same_words",
    "very_close",
    "code",
    "close",
    "similar",
    "related",
    "distant",
    "else",
];
/// Levels of short names.
const NAME: &[&str] = &[
    "null", "exact", "swapped", "slip", "close", "initial", "similar", "else",
];
/// Levels of codes.
const CODE: &[&str] = &["null", "exact", "slip", "two_slips", "else"];

impl Semantic {
    /// The type of a name in a spec.
    pub fn parse(name: &str) -> Option<Self> {
        SEMANTICS.iter().find(|(n, _)| *n == name).map(|x| x.1)
    }

    /// Its name in a spec.
    pub fn name(self) -> &'static str {
        SEMANTICS
            .iter()
            .find(|(_, s)| *s == self)
            .map_or("", |x| x.0)
    }

    /// The levels of its comparison, null first, from the closest to else.
    pub const fn levels(self) -> &'static [&'static str] {
        match self {
            S::OrgName | S::PersonName | S::Address => WORDS,
            S::Text => TEXT,
            S::GivenName | S::Surname => NAME,
            S::City | S::Category => &["null", "exact", "close", "similar", "else"],
            S::DateOfBirth => &[
                "null",
                "exact",
                "slip",
                "swapped",
                "two_parts",
                "year",
                "else",
            ],
            S::Phone => &["null", "exact", "tail", "slip", "else"],
            S::Email => &[
                "null", "exact", "slip", "same_box", "close", "domain", "else",
            ],
            S::Domain => &["null", "exact", "close", "else"],
            S::Uscc | S::Identifier | S::BankAccount => CODE,
            S::Postcode => &["null", "exact", "slip", "area", "else"],
            S::Number => &["null", "exact", "percent", "tenth", "half", "else"],
            S::Year => &["null", "exact", "next", "near", "else"],
        }
    }

    /// Whether values are compared by their words.
    pub const fn has_words(self) -> bool {
        matches!(self, S::OrgName | S::PersonName | S::Text | S::Address)
    }

    /// The largest share of pairs of one thing that may differ altogether, for training only:
    /// without it, learning may settle on another thing, such as "in one street", as what
    /// makes a match.
    pub(super) const fn most_else(self) -> f64 {
        match self {
            S::OrgName | S::PersonName | S::Text => 0.08,
            S::GivenName | S::Surname | S::Uscc | S::DateOfBirth => 0.25,
            S::Identifier | S::Phone | S::BankAccount | S::Address => 0.5,
            _ => 0.7,
        }
    }

    /// Whether the column may hold what a thing is called, in words.
    pub(super) const fn is_main(self) -> bool {
        matches!(self, S::OrgName | S::PersonName | S::Text)
    }

    /// How often values of one thing are equal, where learning begins: prices and texts are
    /// written anew by every source, names and codes are copied.
    pub(super) const fn often_equal(self) -> f64 {
        match self {
            S::Number => 0.3,
            S::Text | S::Address | S::Category => 0.5,
            _ => 0.8,
        }
    }

    /// The least share of pairs of one thing that differ altogether, for training only: people
    /// move, numbers change, and a table without an example does not say that it cannot be.
    pub(super) const fn least_else(self) -> f64 {
        match self {
            S::Address | S::City | S::Postcode | S::Phone | S::Email => 0.03,
            S::GivenName | S::DateOfBirth | S::Uscc | S::Text => 0.005,
            _ => 0.01,
        }
    }

    /// Whether the column mostly differs between things that have much else in common, as
    /// members of a household or shops of one street have.
    pub(super) const fn tells_kin_apart(self) -> bool {
        matches!(
            self,
            S::OrgName
                | S::PersonName
                | S::GivenName
                | S::Text
                | S::Uscc
                | S::Identifier
                | S::DateOfBirth
                | S::BankAccount
                | S::Email
        )
    }

    /// Whether an equal value may name one thing, so that it blocks by itself.
    pub const fn names_one(self) -> bool {
        matches!(
            self,
            S::Phone | S::Email | S::Uscc | S::Identifier | S::BankAccount
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_run_from_null_to_else() {
        for (name, s) in SEMANTICS {
            assert_eq!(Semantic::parse(name), Some(*s));
            assert_eq!(s.name(), *name);
            assert_eq!(s.levels().first(), Some(&"null"));
            assert_eq!(s.levels().last(), Some(&"else"));
            assert!(s.levels().len() <= 16);
        }
        assert_eq!(Semantic::parse("colour"), None);
    }
}
