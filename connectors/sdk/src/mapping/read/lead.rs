//! Leads.

use jinke_types::RecordKey;

use super::At;
use crate::{
    connector::Effect,
    lead::{Lead, MAX_CONTACTS, Stated},
    mapping::Fields,
};

impl At<'_> {
    /// The lead of the row; none when it cannot be read, or names nobody.
    pub(super) fn lead(&mut self, source: &str, id: String) -> Option<Lead> {
        let bound = self.bound;
        let mapping = bound.mapping.lead.as_ref()?;
        let company = self.optional_text(mapping.company.as_ref());
        let person_name = self.optional_text(mapping.person_name.as_ref());
        let version = self.version()?;
        // A source that deletes a lead may not know its names any more.
        if company.is_empty() && person_name.is_empty() && !version.deleted {
            let total = if self.is_total() {
                ", looks like a total"
            } else {
                ""
            };
            let why = format!("names neither an organization nor a person{total}");
            self.fail(None, &why, Effect::RowSkipped);
            return None;
        }
        let stated = Stated {
            company,
            person_name,
            title: self.optional_text(mapping.title.as_ref()),
            phones: self.contacts(&mapping.phones, &mapping.split),
            emails: self.contacts(&mapping.emails, &mapping.split),
            uscc: self.optional_text(mapping.uscc.as_ref()),
            region: self.joined(&mapping.region),
            interest: self.optional_text(mapping.interest.as_ref()),
            remark: self.optional_text(mapping.remark.as_ref()),
            estimate: mapping
                .estimate
                .as_ref()
                .and_then(|field| self.money(field, Effect::ValueLeftOut))
                .flatten(),
            channel: self.optional_text(mapping.channel.as_ref()),
            campaign: self.optional_text(mapping.campaign.as_ref()),
            time: mapping
                .time
                .as_ref()
                .and_then(|field| self.moment(field, Effect::ValueLeftOut)),
        };
        Some(Lead {
            key: RecordKey::new(source, id),
            source_revision: version.revision,
            update_time: version.time,
            deleted: version.deleted,
            stated,
        })
    }

    /// Phones or email addresses, each once, in the order of the columns.
    fn contacts(&mut self, fields: &Fields, split: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for field in &fields.0 {
            let cell = self.optional_text(Some(field));
            let parts: Vec<&str> = cell
                .split(|c: char| split.contains(c))
                .map(|part| part.trim_matches(crate::parse::is_space))
                .filter(|part| !part.is_empty())
                .collect();
            for part in parts {
                if found.iter().any(|known| known == part) {
                    continue;
                }
                if found.len() == MAX_CONTACTS {
                    let why = "is one more than the 5 that a lead has at most";
                    self.fail(field.column_name(), why, Effect::ValueLeftOut);
                    return found;
                }
                found.push(part.to_owned());
            }
        }
        found
    }

    /// The texts of `fields` one behind the other. A municipality is its own province: what the
    /// text before says already is not said twice.
    fn joined(&mut self, fields: &Fields) -> String {
        let mut joined = String::new();
        let mut last = String::new();
        for field in &fields.0 {
            let text = self.optional_text(Some(field));
            if text != last {
                joined.push_str(&text);
            }
            last = text;
        }
        joined
    }
}
