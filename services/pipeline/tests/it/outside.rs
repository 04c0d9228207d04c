//! Stand-ins for the customer service and the connector runner.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use jinke_kit::Bearer;
use jinke_pipeline::{
    domain::Lead,
    outside::{Customers, Found, Known, Message, Messenger, Moves},
};
use jinke_types::{Code, Failure};

#[derive(Default)]
struct World {
    /// Who holds each record.
    holder: BTreeMap<i64, i64>,
    persons: BTreeSet<i64>,
    owners: BTreeMap<i64, String>,
    /// Names that match a record.
    names: BTreeMap<String, i64>,
    /// Names that may match one.
    unsure: BTreeMap<String, i64>,
    /// Customers in order of their changes.
    feed: Vec<i64>,
    /// Where ids of erased records passed; none when nothing of the customer remained.
    erased: BTreeMap<i64, Option<i64>>,
    registered: BTreeMap<i64, i64>,
    away: bool,
}

/// Customers in memory.
#[derive(Clone, Default)]
pub struct FakeCustomers(Arc<Mutex<World>>);

impl FakeCustomers {
    fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    pub fn add(&self, id: i64, name: &str) {
        self.with(|w| {
            w.holder.insert(id, id);
            w.names.insert(name.to_owned(), id);
            w.feed.push(id);
        });
    }

    pub fn add_person(&self, id: i64) {
        self.add(id, &format!("person {id}"));
        self.with(|w| w.persons.insert(id));
    }

    pub fn owner(&self, id: i64, owner: &str) {
        self.with(|w| w.owners.insert(id, owner.to_owned()));
    }

    pub fn unsure(&self, name: &str, id: i64) {
        self.with(|w| w.unsure.insert(name.to_owned(), id));
    }

    pub fn away(&self, away: bool) {
        self.with(|w| w.away = away);
    }

    pub fn holder(&self, id: i64) -> i64 {
        self.with(|w| w.holder[&id])
    }

    /// The smaller id takes the other's records.
    pub fn merge(&self, a: i64, b: i64) {
        self.with(|w| {
            let (a, b) = (w.holder[&a], w.holder[&b]);
            if a == b {
                return;
            }
            let (keep, gone) = (a.min(b), a.max(b));
            for holder in w.holder.values_mut().filter(|h| **h == gone) {
                *holder = keep;
            }
            w.feed.push(keep);
            w.feed.push(gone);
        });
    }

    /// A record leaves its customer, and the ids of what remains are made anew.
    pub fn unmerge(&self, record: i64) {
        self.with(|w| {
            let held = w.holder[&record];
            let members: Vec<i64> = w
                .holder
                .iter()
                .filter(|(r, h)| **h == held && **r != record)
                .map(|(r, _)| *r)
                .collect();
            let Some(first) = members.first().copied() else {
                return;
            };
            for m in &members {
                w.holder.insert(*m, first);
            }
            w.holder.insert(record, record);
            w.feed.push(first);
            w.feed.push(record);
        });
    }

    /// Erases records of one customer; what remains of it takes their ids over.
    pub fn erase(&self, records: &[i64]) {
        self.with(|w| {
            let held = w.holder[&records[0]];
            for record in records {
                assert_eq!(w.holder.remove(record), Some(held));
            }
            let left: Vec<i64> = w
                .holder
                .iter()
                .filter(|(_, h)| **h == held)
                .map(|(r, _)| *r)
                .collect();
            let first = left.first().copied();
            for record in &left {
                w.holder.insert(*record, first.unwrap());
            }
            for passed in w.erased.values_mut() {
                if passed.is_some_and(|p| records.contains(&p)) {
                    *passed = first;
                }
            }
            w.erased.extend(records.iter().map(|r| (*r, first)));
            w.feed.push(held);
            w.feed.extend(first.filter(|f| *f != held));
        });
    }

    /// The customer that this address answers as; none when nothing of it remains.
    pub fn standing(&self, id: i64) -> Option<i64> {
        self.with(|w| w.known(id).ok().map(|k| k.current))
    }

    /// Records that are there, from this number on.
    pub fn records_from(&self, first: i64) -> Vec<i64> {
        self.with(|w| w.holder.keys().copied().filter(|r| *r >= first).collect())
    }

    /// Records of a customer.
    pub fn records_of(&self, current: i64) -> Vec<i64> {
        self.with(|w| w.members(current))
    }

    pub fn registered(&self) -> usize {
        self.with(|w| w.registered.len())
    }
}

impl World {
    fn known(&self, address: i64) -> Result<Known, Failure> {
        let standing = match self.erased.get(&address) {
            Some(Some(passed)) => *passed,
            Some(None) => {
                let gone = format!("customers/{address} was erased");
                return Err(Failure::new(Code::NotFound, "CUSTOMER_ERASED", gone));
            }
            None => address,
        };
        let current = *self
            .holder
            .get(&standing)
            .ok_or_else(|| Failure::not_found(format!("customers/{address}")))?;
        Ok(Known {
            current,
            addresses: self.members(current),
            person: self.persons.contains(&current),
            owner: self.owners.get(&current).cloned(),
        })
    }

    fn members(&self, current: i64) -> Vec<i64> {
        let of = |(r, h): (&i64, &i64)| (*h == current).then_some(*r);
        self.holder.iter().filter_map(of).collect()
    }

    fn there(&self) -> Result<(), Failure> {
        if self.away {
            return Err(Failure::new(Code::Unavailable, "PEER_UNREACHABLE", "away"));
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Customers for FakeCustomers {
    async fn get(&self, _: Option<&Bearer>, address: i64) -> Result<Known, Failure> {
        self.with(|w| {
            w.there()?;
            w.known(address)
        })
    }

    async fn find(&self, lead: &Lead) -> Result<Found, Failure> {
        self.with(|w| {
            w.there()?;
            if let Some(id) = w.names.get(&lead.company) {
                return Ok(Found::Known(*id, w.known(*id)?));
            }
            Ok(match w.unsure.get(&lead.company) {
                Some(id) => Found::Unsure(vec![(w.holder[id], 4_000)]),
                None => Found::Nobody,
            })
        })
    }

    async fn register(&self, lead: &Lead) -> Result<Known, Failure> {
        self.with(|w| {
            w.there()?;
            let next = w.holder.keys().next_back().map_or(1, |n| n + 1);
            let id = *w.registered.entry(lead.id).or_insert(next);
            if id == next {
                w.holder.insert(id, id);
                w.feed.push(id);
            }
            let mut known = w.known(id)?;
            known.addresses = vec![id];
            Ok(known)
        })
    }

    async fn changes(&self, token: &str, page: i32) -> Result<Moves, Failure> {
        self.with(|w| {
            w.there()?;
            let from: usize = token.parse().unwrap_or_default();
            let to = (from + page as usize).min(w.feed.len());
            let holds = w.feed[from..to]
                .iter()
                .filter(|c| w.holder.get(c) == Some(c))
                .map(|c| (*c, w.members(*c)))
                .collect();
            Ok(Moves {
                holds,
                named: w.feed[from..to].iter().copied().collect(),
                token: to.to_string(),
            })
        })
    }
}

/// A messenger whose answers get lost now and then.
#[derive(Clone, Default)]
pub struct FakeMessenger(Arc<Mutex<Post>>);

/// Messages by id with how often each came, how many came in all, and which answers get lost.
#[derive(Default)]
struct Post {
    messages: BTreeMap<String, (Message, u32)>,
    taken: u64,
    loses: u64,
}

impl FakeMessenger {
    /// Loses the answer to every `n`th message, though it went out.
    pub fn loses_every(&self, n: u64) {
        self.0.lock().unwrap().loses = n;
    }

    /// Messages by id, with how often each was handed over.
    pub fn sent(&self) -> BTreeMap<String, (Message, u32)> {
        self.0.lock().unwrap().messages.clone()
    }
}

#[async_trait::async_trait]
impl Messenger for FakeMessenger {
    async fn send(&self, connection: &str, message: &Message) -> Result<(), Failure> {
        assert_eq!(connection, "connections/log");
        let mut state = self.0.lock().unwrap();
        state.taken += 1;
        let lost = state.loses > 0 && state.taken.is_multiple_of(state.loses);
        let entry = state.messages.entry(message.id.clone());
        let known = entry.or_insert_with(|| (message.clone(), 0));
        // One id is one message.
        assert_eq!(&known.0, message);
        known.1 += 1;
        if lost {
            return Err(Failure::new(Code::Unavailable, "PEER_UNREACHABLE", "lost"));
        }
        Ok(())
    }
}
