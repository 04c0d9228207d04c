//! Values of a party and the attribute registry.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{access::FieldClass, time::Timestamp};

/// The names of the attributes the suite understands. Others are custom attributes: they
/// start with `x_`, take part in survivorship, and never in matching.
pub mod attribute {
    /// Registered or used name of an organization, or a person's full name.
    pub const NAME: &str = "name";
    /// A name the organization had before (曾用名).
    pub const FORMER_NAME: &str = "former_name";
    /// Short name (简称).
    pub const SHORT_NAME: &str = "short_name";
    /// Name in a Latin script.
    pub const ENGLISH_NAME: &str = "english_name";
    /// An identifier; [`crate::Value::scheme`] says of which scheme.
    pub const IDENTIFIER: &str = "identifier";
    /// A telephone number in any format.
    pub const PHONE: &str = "phone";
    /// An email address.
    pub const EMAIL: &str = "email";
    /// A web site or domain.
    pub const WEBSITE: &str = "website";
    /// A postal address.
    pub const ADDRESS: &str = "address";
    /// A bank account number.
    pub const BANK_ACCOUNT: &str = "bank_account";
    /// The name of a contact person that the foreign record embeds without an id.
    pub const CONTACT_NAME: &str = "contact_name";
    /// Legal representative of an organization (法定代表人).
    pub const LEGAL_REPRESENTATIVE: &str = "legal_representative";
    /// Industry: text or a GB/T 4754 code.
    pub const INDUSTRY: &str = "industry";
    /// Size class of an organization.
    pub const SIZE: &str = "size";
    /// Job title of a person.
    pub const TITLE: &str = "title";
    /// Date of birth of a person.
    pub const DATE_OF_BIRTH: &str = "date_of_birth";
    /// Name of the organization a person works for, as the source writes it.
    pub const EMPLOYER: &str = "employer";
    /// A role of the party towards us: customer, supplier, dealer, contact.
    pub const ROLE: &str = "role";
    /// Id of the person in charge in the source system.
    pub const OWNER: &str = "owner";
    /// Credit limit, scoped to an org unit.
    pub const CREDIT_LIMIT: &str = "credit_limit";
    /// Terms of payment, scoped to an org unit.
    pub const PAYMENT_TERMS: &str = "payment_terms";
    /// A tag.
    pub const TAG: &str = "tag";
    /// Free text.
    pub const REMARK: &str = "remark";

    /// All of the above.
    pub const ALL: &[&str] = &[
        NAME,
        FORMER_NAME,
        SHORT_NAME,
        ENGLISH_NAME,
        IDENTIFIER,
        PHONE,
        EMAIL,
        WEBSITE,
        ADDRESS,
        BANK_ACCOUNT,
        CONTACT_NAME,
        LEGAL_REPRESENTATIVE,
        INDUSTRY,
        SIZE,
        TITLE,
        DATE_OF_BIRTH,
        EMPLOYER,
        ROLE,
        OWNER,
        CREDIT_LIMIT,
        PAYMENT_TERMS,
        TAG,
        REMARK,
    ];

    /// Whether `name` is a known attribute, or a well-formed custom one: `x_` and then up to
    /// 62 of `a-z 0-9 _`.
    pub fn is_valid(name: &str) -> bool {
        ALL.contains(&name)
            || (name.len() > 2
                && name.len() <= 64
                && name.starts_with("x_")
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))
    }
}

/// The field class of an attribute of a party of kind `person` or not. Masks are allow-lists
/// of classes (see [`crate::FieldMask`]); an unknown attribute has the most guarded class.
pub fn class_of(name: &str, scheme: &str, person: bool) -> FieldClass {
    use attribute::{
        ADDRESS, BANK_ACCOUNT, CONTACT_NAME, CREDIT_LIMIT, DATE_OF_BIRTH, EMAIL, EMPLOYER,
        ENGLISH_NAME, FORMER_NAME, IDENTIFIER, INDUSTRY, LEGAL_REPRESENTATIVE, NAME, OWNER,
        PAYMENT_TERMS, PHONE, REMARK, ROLE, SHORT_NAME, SIZE, TAG, TITLE, WEBSITE,
    };
    match name {
        NAME | FORMER_NAME | SHORT_NAME | ENGLISH_NAME if person => FieldClass::PersonName,
        NAME | FORMER_NAME | SHORT_NAME | ENGLISH_NAME => FieldClass::Public,
        CONTACT_NAME | LEGAL_REPRESENTATIVE => FieldClass::PersonName,
        PHONE | EMAIL => FieldClass::Contact,
        ADDRESS => FieldClass::Address,
        BANK_ACCOUNT | CREDIT_LIMIT | PAYMENT_TERMS => FieldClass::Financial,
        IDENTIFIER if matches!(scheme, "id_card" | "passport") || person => {
            FieldClass::PersonIdentifier
        }
        IDENTIFIER => FieldClass::Public,
        DATE_OF_BIRTH => FieldClass::Sensitive,
        WEBSITE | INDUSTRY | SIZE | TITLE | EMPLOYER | ROLE | OWNER | TAG => FieldClass::Public,
        REMARK => FieldClass::Remark,
        _ => FieldClass::Custom,
    }
}

/// A postal address. All parts are optional; `text` is the address as received when the
/// source does not split it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// Country name or ISO 3166 code as received.
    pub country: String,
    /// Province, municipality or autonomous region (省级).
    pub province: String,
    /// City (地级).
    pub city: String,
    /// District or county (县级).
    pub district: String,
    /// Street, number, building, room; or the whole address in one line.
    pub text: String,
    /// Postal code.
    pub postcode: String,
}

impl Address {
    /// Whether every part is blank.
    pub fn is_blank(&self) -> bool {
        [
            &self.country,
            &self.province,
            &self.city,
            &self.district,
            &self.text,
            &self.postcode,
        ]
        .iter()
        .all(|s| s.trim().is_empty())
    }
}

/// The value itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Datum {
    /// Text as received. Blank text says that the source holds the field empty.
    Text(String),
    /// An exact number.
    Number(Decimal),
    /// A calendar date as (year, month, day).
    Date(i32, u8, u8),
    /// A postal address.
    Address(Address),
    /// The source takes the value back. Only meaningful in a partial version.
    Null,
}

impl Datum {
    /// The text of a [`Datum::Text`].
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(t) = self {
            Some(t)
        } else {
            None
        }
    }
    /// Whether there is nothing in it: null, or blank text, or an address of blanks.
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Text(t) => t.trim().is_empty(),
            Self::Address(a) => a.is_blank(),
            Self::Null => true,
            Self::Number(_) | Self::Date(..) => false,
        }
    }
}

/// One value of one attribute, as a source states it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Value {
    /// One of [`attribute::ALL`] or a custom attribute `x_…`.
    pub attribute: String,
    /// Empty for global, else the id of an org unit (使用组织).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// What is said.
    pub datum: Datum,
    /// Of an identifier: `uscc org_code reg_no tax_no vat duns lei id_card passport`, or
    /// `foreign:<system>`. Of another attribute: its kind, e.g. `billing`, `mobile`; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub scheme: String,
    /// Of an identifier: the country that gave it, ISO 3166 alpha-2; empty means CN for the
    /// Chinese schemes and unknown for others.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub country: String,
    /// Unit or ISO 4217 currency of a number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The value holds from this time on (business time); open when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// The value holds up to, not including, this time; open when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Timestamp>,
}

impl Value {
    /// A global text value without scheme, unit or validity.
    pub fn text(attribute: &str, text: impl Into<String>) -> Self {
        Self::of(attribute, Datum::Text(text.into()))
    }
    /// An identifier of a scheme.
    pub fn identifier(scheme: &str, text: impl Into<String>) -> Self {
        Self {
            scheme: scheme.to_owned(),
            ..Self::text(attribute::IDENTIFIER, text)
        }
    }
    /// A global value without scheme, unit or validity.
    pub fn of(attribute: &str, datum: Datum) -> Self {
        Self {
            attribute: attribute.to_owned(),
            scope: String::new(),
            datum,
            scheme: String::new(),
            country: String::new(),
            unit: String::new(),
            valid_from: None,
            valid_to: None,
        }
    }
    /// Whether the value holds at `at`.
    pub fn holds_at(&self, at: Timestamp) -> bool {
        self.valid_from.is_none_or(|f| f <= at) && self.valid_to.is_none_or(|t| at < t)
    }
}
