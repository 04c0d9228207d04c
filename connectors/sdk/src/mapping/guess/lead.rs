//! A list of leads.

use std::collections::BTreeMap;

use jinke_types::attribute as a;

use super::{
    Guess,
    Role::{
        self, Address, Amount, Campaign, Channel, City, ContactEmail, ContactName, ContactPhone,
        ContactTitle, Currency, Interest, Person, Province, Remark, Subject, Time, UpdateTime, Val,
    },
};
use crate::mapping::{Field, Fields, LeadMapping, RowKind};

impl Guess {
    pub(super) fn lead(
        &mut self,
        id: String,
        first: &BTreeMap<Role, String>,
        values: &[(Role, String)],
    ) {
        let field = |role: Role| first.get(&role).map(Field::column);
        let value = |attribute: &'static str, scheme: &'static str| {
            let role = Val(attribute, scheme);
            let found = values.iter().find(|(r, _)| *r == role);
            found.map(|(_, header)| Field::column(header))
        };
        let m = &mut self.mapping;
        m.kind = RowKind::Lead;
        m.external_id = Fields(vec![Field::column(id)]);
        m.update_time = field(UpdateTime);
        m.currency = field(Currency);
        let phones = [
            value(a::PHONE, "mobile"),
            field(ContactPhone),
            value(a::PHONE, ""),
        ];
        let emails = [value(a::EMAIL, ""), field(ContactEmail)];
        let mut region: Vec<Field> = [Province, City].into_iter().filter_map(field).collect();
        if region.is_empty() {
            region.extend(field(Address));
        }
        let lead = LeadMapping {
            company: value(a::NAME, "").or_else(|| value(a::EMPLOYER, "")),
            person_name: field(Person).or_else(|| field(ContactName)),
            title: field(ContactTitle),
            phones: Fields(phones.into_iter().flatten().collect()),
            emails: Fields(emails.into_iter().flatten().collect()),
            split: "、；;/".to_owned(),
            uscc: value(a::IDENTIFIER, "uscc"),
            region: Fields(region),
            interest: field(Interest).or_else(|| field(Subject)),
            remark: field(Remark),
            estimate: field(Amount),
            channel: field(Channel),
            campaign: field(Campaign),
            time: field(Time),
        };
        if lead.company.is_none() && lead.person_name.is_none() {
            self.open
                .push("no column names an organization or a person; set `company`".to_owned());
        }
        self.mapping.lead = Some(lead);
        let used = self.mapping.columns();
        let rest = first.values().chain(values.iter().map(|(_, h)| h));
        let rest: Vec<String> = rest.filter(|h| !used.contains(h)).cloned().collect();
        self.unmapped.extend(rest);
    }
}
