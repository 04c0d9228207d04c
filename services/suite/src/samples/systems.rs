//! What simulated systems know of the sample companies: a Kingdee that a subsidiary began to use
//! less than a year ago, and the external contacts of the sales team in WeCom.

use super::{
    Truth,
    company::Company,
    dice::{Calendar, Dice},
    noise,
};

/// The last days of the calendar on which orders came through Kingdee.
const DAYS: usize = 320;
/// The first id that Kingdee's simulator gives.
const FIRST_ID: usize = 100_001;

/// A company as one of the systems knows it. What is empty is not entered there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampleClient {
    /// Its name there.
    pub name: String,
    /// What it is called for short.
    pub short_name: String,
    /// 统一社会信用代码.
    pub uscc: String,
    /// Switchboard.
    pub phone: String,
    /// Where it is.
    pub address: String,
    /// Bank account.
    pub account: String,
    /// People who deal with us.
    pub contacts: Vec<SampleContact>,
    /// Orders: day since 1970 and number of pieces.
    pub orders: Vec<(i64, usize)>,
    /// Who it is in truth.
    entity: String,
}

/// A person of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampleContact {
    /// Id in WeCom; empty where the system numbers people itself.
    pub id: String,
    /// Full name.
    pub name: String,
    /// Mobile number.
    pub mobile: String,
    /// Email.
    pub email: String,
    /// Job title.
    pub title: String,
    /// Who it is in truth.
    entity: String,
}

/// The clients of both systems.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampleSystems {
    /// Customers in Kingdee.
    pub kingdee: Vec<SampleClient>,
    /// Companies whose people are contacts in WeCom.
    pub wecom: Vec<SampleClient>,
}

/// What the systems know, the same at every call.
pub(super) fn of(seed: u64, calendar: Calendar, companies: &[Company]) -> SampleSystems {
    SampleSystems {
        kingdee: kingdee(&mut Dice::new(seed, "kingdee"), calendar, companies),
        wecom: wecom(&mut Dice::new(seed, "wecom"), companies),
    }
}

fn kingdee(dice: &mut Dice, calendar: Calendar, companies: &[Company]) -> Vec<SampleClient> {
    let began = calendar.last() + 1 - DAYS as i64;
    let mut clients = Vec::new();
    for company in companies {
        if !dice.chance(20) {
            continue;
        }
        let person = &company.people[0];
        let uscc = if dice.chance(90) {
            company.uscc.clone()
        } else {
            String::new()
        };
        let orders = (0..company.appetite / 2)
            .map(|_| (began + dice.below(DAYS) as i64, 1 + dice.below(40)))
            .collect();
        clients.push(SampleClient {
            name: noise::booked(dice, company),
            short_name: company.short.clone(),
            uscc,
            phone: company.phone.clone(),
            address: format!(
                "{}{}{}{}",
                company.city.province, company.city.city, company.district, company.street
            ),
            account: company.account.clone(),
            contacts: vec![SampleContact {
                id: String::new(),
                name: person.name.clone(),
                mobile: person.mobile.clone(),
                email: person.email.clone(),
                title: person.title.to_owned(),
                entity: person.entity.clone(),
            }],
            orders,
            entity: company.entity.clone(),
        });
    }
    clients
}

fn wecom(dice: &mut Dice, companies: &[Company]) -> Vec<SampleClient> {
    let (mut clients, mut number) = (Vec::new(), 0);
    for company in companies {
        if !dice.chance(15) {
            continue;
        }
        let mut contacts = Vec::new();
        for person in &company.people {
            number += 1;
            contacts.push(SampleContact {
                id: format!("wmSAMPLE{number:024}"),
                name: person.name.clone(),
                mobile: person.mobile.clone(),
                email: String::new(),
                title: person.title.to_owned(),
                entity: person.entity.clone(),
            });
        }
        clients.push(SampleClient {
            name: company.name.clone(),
            short_name: company.short.clone(),
            contacts,
            entity: company.entity.clone(),
            ..SampleClient::default()
        });
    }
    clients
}

impl SampleSystems {
    /// Lists which of their records is whom.
    pub(super) fn list(&self, truth: &mut Truth) -> anyhow::Result<()> {
        for (n, client) in self.kingdee.iter().enumerate() {
            let id = FIRST_ID + n;
            let key = format!("BD_Customer,{id}");
            truth.add("kingdee", &key, "organization", &client.entity)?;
            for person in &client.contacts {
                // Each client has one contact, so both are numbered alike.
                let key = format!("BD_CommonContact,{id}");
                truth.add("kingdee", &key, "person", &person.entity)?;
            }
        }
        for client in &self.wecom {
            for person in &client.contacts {
                truth.add("wecom", &person.id, "person", &person.entity)?;
                let key = format!("{}#corp", person.id);
                truth.add("wecom", &key, "organization", &client.entity)?;
            }
        }
        Ok(())
    }
}
