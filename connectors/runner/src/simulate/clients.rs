//! Given clients in a simulated system, so that it overlaps with other sources.

use std::time::Duration;

use jinke_types::{Code, Failure, Timestamp};
use serde_json::json;

use super::{Simulation, System};

/// A company as one system knows it. What is empty is not entered there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its name there.
    pub name: String,
    /// What it is called for short.
    pub short_name: String,
    /// 统一社会信用代码.
    pub uscc: String,
    /// Switchboard.
    pub phone: String,
    /// Street and number behind province, city and district.
    pub address: String,
    /// Bank account.
    pub account: String,
    /// People who deal with us.
    pub contacts: Vec<ClientContact>,
    /// Orders, each also owed: day since 1970 and how many pieces of 100 CNY (a second line is
    /// of 10.10 CNY).
    pub orders: Vec<(i64, usize)>,
}

/// A person of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientContact {
    /// Id there, where people are numbered by hand; not longer than 32 characters.
    pub id: String,
    /// Full name.
    pub name: String,
    /// Mobile number.
    pub mobile: String,
    /// Email.
    pub email: String,
    /// Job title.
    pub title: String,
}

impl Simulation {
    /// Enters clients in the order given; nothing is called back about them. In Kingdee each
    /// becomes a customer with contacts, orders and receivables, in WeCom each person becomes an
    /// external contact that a member of the sales team follows.
    ///
    /// # Errors
    /// `CONNECTOR_UNKNOWN` for a system whose simulator takes no given clients.
    pub fn enter(&self, clients: &[Client]) -> Result<(), Failure> {
        match &self.system {
            System::Kingdee(sim) => {
                for (n, client) in clients.iter().enumerate() {
                    customer(sim, n + 1, client);
                }
                Ok(())
            }
            System::Wecom(sim) => {
                let people = clients
                    .iter()
                    .flat_map(|client| client.contacts.iter().map(move |c| (client, c)));
                for (n, (client, person)) in people.enumerate() {
                    follow(sim, n, client, person);
                }
                sim.drop_events();
                Ok(())
            }
            System::Dingtalk(_) | System::Other(_) => Err(Failure::new(
                Code::NotFound,
                "CONNECTOR_UNKNOWN",
                "the simulator of this kind takes no given clients",
            )),
        }
    }
}

fn customer(sim: &jinke_kingdee::simulator::Simulator, n: usize, client: &Client) {
    let day = |day: i64| Timestamp::from_secs(day.saturating_mul(86_400));
    let newest = client.orders.iter().map(|o| o.0).max();
    let at = newest.map_or(jinke_kingdee::simulator::NOW, day);
    let id = sim.seed_customer(n, at);
    let head = json!({
        "FName": client.name, "FShortName": client.short_name, "FForbidStatus": "A",
        "FTEL": client.phone, "FADDRESS": client.address, "FTAXREGISTERCODE": client.uscc,
        "FINVOICETITLE": client.name, "FINVOICEBANKACCOUNT": client.account,
    });
    sim.write("BD_Customer", id, head, at);
    for person in &client.contacts {
        let contact = sim.seed_contact(n, Some(id), at);
        let head = json!({
            "FName": person.name, "FMobile": person.mobile, "FEmail": person.email,
            "FPost": person.title,
        });
        sim.write("BD_CommonContact", contact, head, at);
    }
    for (ordered, pieces) in &client.orders {
        // The simulator dates an order a day before it was last changed.
        let changed = day(*ordered).plus(Duration::from_secs(86_400));
        sim.seed_order(*pieces, id, changed);
        sim.seed_receivable(*pieces, id, changed);
    }
}

fn follow(
    sim: &jinke_wecom::simulator::Simulator,
    n: usize,
    client: &Client,
    person: &ClientContact,
) {
    const TEAM: [&str; 4] = ["zhangsan", "lisi", "wangwu", "zhaoliu"];
    let sample = jinke_wecom::simulator::Sample {
        name: person.name.clone(),
        corp: client.name.clone(),
        position: person.title.clone(),
        mobiles: Some(person.mobile.clone())
            .filter(|m| !m.is_empty())
            .into_iter()
            .collect(),
        remark: format!("{}-{}", client.short_name, person.name),
        tags: vec![format!("et{:014}", n % 4 + 1)],
    };
    sim.seed_sample(TEAM[n % TEAM.len()], &person.id, &sample);
    if n.is_multiple_of(5) {
        let notes = json!({"remark": person.name, "description": "一起拜访过"});
        sim.follow(TEAM[(n + 1) % TEAM.len()], &person.id, json!({}), notes);
    }
}

#[cfg(test)]
mod tests {
    use jinke_sdk::testing::pull;

    use super::*;
    use crate::registry::{Registry, kinds};

    #[tokio::test]
    async fn clients_that_were_entered_are_pulled() {
        let client = Client {
            name: "杭州金客示例科技有限公司".into(),
            short_name: "金客示例".into(),
            contacts: vec![ClientContact {
                id: "wmGIVEN000000000000000000000001".into(),
                name: "欧阳静怡".into(),
                mobile: "13812349876".into(),
                ..ClientContact::default()
            }],
            orders: vec![(20_500, 3)],
            ..Client::default()
        };
        let registry = Registry::new(kinds(), Vec::new());
        for (kind, stream, expected) in [
            ("kingdee", "customers", "杭州金客示例科技有限公司"),
            ("kingdee", "contacts", "13812349876"),
            ("kingdee", "orders", "310.1"),
            ("wecom", "contacts", "wmGIVEN000000000000000000000001"),
        ] {
            let sim = Simulation::start(kind, "127.0.0.1:0", 0).await.unwrap();
            sim.enter(std::slice::from_ref(&client)).unwrap();
            let table: toml::Table = sim
                .settings
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect();
            let connector = registry.open(kind, "demo", table).unwrap();
            let pulled = pull(&*connector, stream, None).await;
            assert!(pulled.error.is_none(), "{kind}: {:?}", pulled.error);
            let told = format!("{:?}", pulled.records());
            assert!(told.contains(expected), "{kind}/{stream}: {told}");
        }
        let other = Simulation::start("tryton", "127.0.0.1:0", 0).await.unwrap();
        assert_eq!(
            other.enter(&[client]).unwrap_err().reason,
            "CONNECTOR_UNKNOWN"
        );
    }
}
