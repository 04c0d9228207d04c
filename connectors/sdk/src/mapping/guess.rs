//! Proposing a mapping from Chinese and English headers, for a person to correct.

mod lead;
mod words;

use std::collections::BTreeMap;

use jinke_types::attribute as a;

use super::{
    ContactMapping, Field, Fields, InteractionMapping, LineMapping, Mapping, RowKind,
    TransactionMapping, ValueMapping, Whole, header_key,
};
use Role::{
    Address, Amount, City, ContactEmail, ContactKey, ContactName, ContactPhone, ContactTitle,
    Content, Currency, CustomerId, Direction, District, DocumentId, Employee, LineAmount, Person,
    Product, Province, Quantity, Remark, Status, Subject, Time, Unit, UpdateTime, Val,
};

/// A proposed mapping and what a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guess {
    /// The proposal. It may fail [`Mapping::check`] while `open` is not empty.
    pub mapping: Mapping,
    /// Headers nothing was proposed for.
    pub unmapped: Vec<String>,
    /// What a person has to decide, one sentence each.
    pub open: Vec<String>,
}

/// What a header is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    CustomerId,
    DocumentId(RowKind),
    /// A value of the party: attribute and scheme.
    Val(&'static str, &'static str),
    /// The name of a natural person, where it is not a contact's.
    Person,
    ContactKey,
    ContactName,
    ContactPhone,
    ContactEmail,
    ContactTitle,
    Address,
    Province,
    City,
    District,
    Time,
    UpdateTime,
    Amount,
    Currency,
    Status,
    Remark,
    Product,
    Quantity,
    Unit,
    LineAmount,
    Content,
    Subject,
    Direction,
    Employee,
    Interest,
    Channel,
    Campaign,
}

/// Whether a header names something personal, which therefore is no id.
pub(super) fn is_personal_header(name: &str) -> bool {
    match role_of(name) {
        Some(
            Person
            | ContactName
            | ContactPhone
            | ContactEmail
            | Val(a::PHONE | a::EMAIL, _)
            | Val(a::IDENTIFIER, "id_card"),
        ) => true,
        Some(_) => false,
        None => {
            let key = header_key(name);
            let says = |words: &[&str]| words.iter().any(|w| key.contains(w));
            says(&[
                "姓名",
                "手机",
                "电话",
                "邮箱",
                "身份证",
                "phone",
                "mobile",
                "email",
            ]) && !says(&["id", "编号", "编码", "code"])
        }
    }
}

fn role_of(name: &str) -> Option<Role> {
    let key = header_key(name);
    // A remark in brackets, such as the unit in 金额(元), is not part of the name.
    let bare = key.split('(').next().unwrap_or_default();
    let own = key.rsplit('/').next().unwrap_or_default();
    [key.as_str(), bare, own].into_iter().find_map(|key| {
        words::WORDS
            .iter()
            .find(|(_, words)| words.split(' ').any(|w| w == key))
            .map(|(role, _)| *role)
    })
}

/// Proposes a mapping for `headers`; at most the first 1,000 are looked at.
pub fn guess(headers: &[String]) -> Guess {
    let mut first: BTreeMap<Role, String> = BTreeMap::new();
    let mut values: Vec<(Role, String)> = Vec::new();
    let mut unmapped = Vec::new();
    for header in headers.iter().take(1_000).filter(|h| !h.trim().is_empty()) {
        match role_of(header) {
            None => unmapped.push(header.clone()),
            Some(role @ Val(..)) => values.push((role, header.clone())),
            Some(role) if first.contains_key(&role) => unmapped.push(header.clone()),
            Some(role) => {
                first.insert(role, header.clone());
            }
        }
    }
    let document = first.iter().find_map(|(role, header)| match role {
        DocumentId(kind) => Some((*kind, header.clone())),
        _ => None,
    });
    let mut guess = Guess {
        mapping: blank(RowKind::Organization),
        unmapped,
        open: Vec::new(),
    };
    match document {
        Some((RowKind::Lead, header)) => guess.lead(header, &first, &values),
        Some((kind, header)) => guess.document(kind, header, &first, &values),
        None => guess.parties(&first, values),
    }
    guess
}

impl Guess {
    fn document(
        &mut self,
        kind: RowKind,
        id: String,
        first: &BTreeMap<Role, String>,
        values: &[(Role, String)],
    ) {
        let field = |role: Role| first.get(&role).map(Field::column);
        let m = &mut self.mapping;
        m.kind = kind;
        m.external_id = Fields(vec![Field::column(id)]);
        m.update_time = field(UpdateTime);
        m.currency = field(Currency);
        match first.get(&CustomerId).or_else(|| first.get(&ContactKey)) {
            Some(column) => m.party = Some(Fields(vec![Field::column(column)])),
            None => {
                self.open
                    .push("no column names the party by its id; set `party`".to_owned());
            }
        }
        let time = field(Time).unwrap_or_else(|| {
            self.open
                .push("no column gives the time; set `time`".to_owned());
            Field::column("")
        });
        if kind.is_transaction() {
            let line_amount = field(LineAmount);
            let lines = field(Product).map(|product| LineMapping {
                product,
                code: None,
                category: None,
                quantity: field(Quantity),
                unit: field(Unit),
                amount: line_amount,
            });
            m.transaction = Some(TransactionMapping {
                number: None,
                status: field(Status),
                time,
                amount: field(Amount),
                text: field(Remark).or_else(|| field(Subject)),
                employee: field(Employee),
                lines,
            });
        } else {
            m.interaction = Some(InteractionMapping {
                time,
                channel: Field::Constant(
                    if kind == RowKind::Call {
                        "phone"
                    } else {
                        "chat"
                    }
                    .into(),
                ),
                inbound: first.get(&Direction).map(|column| super::Condition {
                    column: column.clone(),
                    values: ["接收", "收", "客户", "in", "inbound"]
                        .map(str::to_owned)
                        .to_vec(),
                }),
                subject: field(Subject),
                text: field(Content).or_else(|| field(Remark)),
                employee: field(Employee),
            });
        }
        let used = self.mapping.columns();
        let rest = first.values().chain(values.iter().map(|(_, h)| h));
        let rest: Vec<String> = rest.filter(|h| !used.contains(h)).cloned().collect();
        self.unmapped.extend(rest);
    }

    fn parties(&mut self, first: &BTreeMap<Role, String>, values: Vec<(Role, String)>) {
        let has_company = values.iter().any(|(role, _)| *role == Val(a::NAME, ""));
        let person = !has_company && first.contains_key(&Person);
        let m = &mut self.mapping;
        m.kind = if person {
            RowKind::Person
        } else {
            RowKind::Organization
        };
        let id = first
            .get(&CustomerId)
            .or_else(|| first.get(&ContactKey).filter(|_| person));
        match id {
            Some(column) => m.external_id = Fields(vec![Field::column(column)]),
            None => {
                self.open
                    .push("no column is an id; set `external_id`".to_owned());
            }
        }
        m.update_time = first.get(&UpdateTime).map(Field::column);
        let value = |attribute: &str, column: &String| ValueMapping {
            attribute: attribute.to_owned(),
            column: Some(column.clone()),
            ..ValueMapping::default()
        };
        let mut contact: Vec<ValueMapping> = Vec::new();
        if person {
            m.values
                .extend(first.get(&Person).map(|c| value(a::NAME, c)));
        }
        for (role, column) in &values {
            let Val(attribute, scheme) = role else {
                continue;
            };
            let mut v = value(attribute, column);
            v.scheme = (!scheme.is_empty()).then(|| Field::Constant((*scheme).to_owned()));
            if [a::PHONE, a::EMAIL].contains(attribute) {
                v.split = "、；;".to_owned();
            }
            // A mobile number beside an organization's contact is the contact's.
            let of_contact = *scheme == "mobile" && first.contains_key(&ContactName);
            if of_contact && !person {
                contact.push(v)
            } else {
                m.values.push(v)
            }
        }
        if first
            .keys()
            .any(|r| matches!(r, Address | Province | City | District))
        {
            m.values.push(ValueMapping {
                attribute: a::ADDRESS.to_owned(),
                column: first.get(&Address).cloned(),
                province: first.get(&Province).map(Field::column),
                city: first.get(&City).map(Field::column),
                district: first.get(&District).map(Field::column),
                ..ValueMapping::default()
            });
        }
        m.values
            .extend(first.get(&Remark).map(|c| value(a::REMARK, c)));
        let of_contact = [
            (
                if has_company && !first.contains_key(&ContactName) {
                    Person
                } else {
                    ContactName
                },
                a::NAME,
            ),
            (ContactPhone, a::PHONE),
            (ContactEmail, a::EMAIL),
            (ContactTitle, a::TITLE),
        ];
        for (role, attribute) in of_contact {
            contact.extend(first.get(&role).map(|c| value(attribute, c)));
        }
        if person {
            m.values.append(&mut contact);
        } else if contact.iter().any(|v| v.attribute == a::NAME) {
            contact.sort_by_key(|v| v.attribute != a::NAME);
            let key = match first.get(&ContactKey) {
                Some(column) => Field::column(column),
                None => Field::Constant("1".to_owned()),
            };
            m.contacts.push(ContactMapping {
                key,
                values: contact,
            });
        } else {
            m.values.append(&mut contact);
        }
        if m.values.is_empty() {
            self.open
                .push("no column is a value of a party; set `values`".to_owned());
        }
        let used = self.mapping.columns();
        let rest = first.values().filter(|h| !used.contains(h)).cloned();
        self.unmapped.extend(rest.collect::<Vec<_>>());
    }
}

fn blank(kind: RowKind) -> Mapping {
    Mapping {
        kind,
        sheet: None,
        header_row: None,
        external_id: Fields::default(),
        person_when: None,
        revision: None,
        update_time: None,
        deleted: None,
        completeness: Whole::Full,
        date_order: None,
        utc_offset: None,
        currency: None,
        wan: false,
        blank_markers: None,
        party: None,
        party_contact: None,
        party_source: None,
        values: Vec::new(),
        contacts: Vec::new(),
        transaction: None,
        interaction: None,
        relationship: None,
        lead: None,
    }
}
