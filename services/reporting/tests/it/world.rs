//! A world of records and customers that tells of its changes by feeds: what the customer and pipeline
//! services promise, in a hundred lines.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use jinke_reporting::{
    facts::Stage,
    feed::{
        Change, CustomerState, DirectoryState, Feeds, InteractionState, LineState,
        OpportunityState, Page, PersonState, PipelineState, SourceState, TransactionState,
        TransitionState, UnitState,
    },
};
use jinke_types::{Code, Failure, Timestamp};

use crate::generate::Dice;

/// What is, and what was told of it.
#[derive(Default)]
pub struct State {
    /// Party records: number → (source, customer).
    parties: BTreeMap<i64, (&'static str, i64)>,
    transactions: BTreeMap<i64, TransactionState>,
    interactions: BTreeMap<i64, InteractionState>,
    opportunities: BTreeMap<i64, (OpportunityState, Vec<TransitionState>)>,
    /// Tags by customer.
    tags: BTreeMap<i64, BTreeSet<String>>,
    next: i64,
    logs: BTreeMap<&'static str, Vec<(i64, i64)>>,
}

/// Feeds over a state; some calls fail.
pub struct World {
    pub state: Mutex<State>,
    dice: Dice,
    /// Percent of calls that fail.
    failing: u64,
}

const SOURCES: [(&str, &str, bool); 3] = [
    ("erp", "", true),
    ("east", "orgUnits/east", false),
    ("west", "orgUnits/west", false),
];

impl World {
    pub fn new(seed: u64, failing: u64) -> Self {
        Self {
            state: Mutex::default(),
            dice: Dice::new(seed),
            failing,
        }
    }

    /// Lets some things happen.
    pub fn happen(&self, events: usize) {
        let mut s = self.state.lock().unwrap();
        for _ in 0..events {
            s.one(&self.dice);
        }
    }

    /// An order of this party record at this time.
    pub fn order(&self, party: i64, time: Timestamp) -> i64 {
        let mut s = self.state.lock().unwrap();
        s.next += 1;
        let id = s.next;
        let source = s.parties[&party].0;
        let order = TransactionState {
            id,
            key: ("erp".to_owned(), format!("T{id}")),
            party: (source.to_owned(), party.to_string()),
            kind: 1,
            time,
            amount: Some(("CNY".to_owned(), 10, 0)),
            ..TransactionState::default()
        };
        s.transactions.insert(id, order);
        s.log("timeline", id);
        id
    }

    /// A record that is a customer of its own; its number.
    pub fn customer(&self, source: &'static str) -> i64 {
        let mut s = self.state.lock().unwrap();
        s.next += 1;
        let id = s.next;
        s.parties.insert(id, (source, id));
        s.log("customers", id);
        id
    }

    /// Merges the customers that hold two records; whether they were two.
    pub fn merge(&self, a: i64, b: i64) -> bool {
        let mut s = self.state.lock().unwrap();
        let (a, b) = (s.parties[&a].1, s.parties[&b].1);
        s.merge(a, b);
        a != b
    }

    /// Lets a record leave the customer that it is not the first of; whether it did.
    pub fn leave(&self, party: i64) -> bool {
        self.state.lock().unwrap().leave(party)
    }

    /// Says what an order is of.
    pub fn sell_of(&self, order: i64, product: &str) {
        let mut s = self.state.lock().unwrap();
        let line = LineState {
            product: product.to_owned(),
            ..LineState::default()
        };
        s.transactions.get_mut(&order).unwrap().lines = vec![line];
        s.log("timeline", order);
    }

    /// Takes an order back.
    pub fn call_off(&self, order: i64) {
        let mut s = self.state.lock().unwrap();
        s.transactions.remove(&order);
        s.log("timeline", order);
    }

    /// The customer that holds a record.
    pub fn holder(&self, party: i64) -> i64 {
        self.state.lock().unwrap().parties[&party].1
    }

    /// Every transaction as it is now, with the customer it belongs to.
    pub fn transactions(&self) -> Vec<(i64, TransactionState)> {
        let s = self.state.lock().unwrap();
        let of = |t: &TransactionState| Some((s.holder_of(t)?, t.clone()));
        s.transactions.values().filter_map(of).collect()
    }

    /// Sets a tag of a customer, or takes it back.
    pub fn tag(&self, customer: i64, tag: &str, set: bool) {
        let mut s = self.state.lock().unwrap();
        let tags = s.tags.entry(customer).or_default();
        if set {
            tags.insert(tag.to_owned());
        } else {
            tags.remove(tag);
        }
        s.log("customers", customer);
    }

    /// The customers there are, with their tags.
    pub fn tags(&self) -> BTreeMap<i64, BTreeSet<String>> {
        let s = self.state.lock().unwrap();
        let of = |id: i64| s.tags.get(&id).cloned().unwrap_or_default();
        s.parties.values().map(|p| (p.1, of(p.1))).collect()
    }

    /// Every order of a customer: customer, time, amount in billionths.
    pub fn orders(&self) -> Vec<(i64, Timestamp, i128)> {
        let s = self.state.lock().unwrap();
        let of = |t: &TransactionState| {
            let customer = s.holder_of(t)?;
            let (_, units, nanos) = t.amount.clone()?;
            let amount = i128::from(units) * 1_000_000_000 + i128::from(nanos);
            Some((customer, t.time, amount))
        };
        s.transactions.values().filter_map(of).collect()
    }

    /// Net revenue by customer in billionths, straight from the records.
    pub fn revenue(&self) -> BTreeMap<i64, i128> {
        let mut out = BTreeMap::new();
        for (customer, _, amount) in self.orders() {
            *out.entry(customer).or_default() += amount;
        }
        out
    }
}

impl State {
    fn log(&mut self, feed: &'static str, id: i64) {
        self.next += 1;
        let position = self.next;
        self.logs.entry(feed).or_default().push((position, id));
    }

    /// The customer of the party that a transaction names: none when it is not there, or that number
    /// is another source's.
    fn holder_of(&self, t: &TransactionState) -> Option<i64> {
        let (source, customer) = self.parties.get(&t.party.1.parse().ok()?)?;
        (*source == t.party.0).then_some(*customer)
    }

    fn some<T: Copy>(dice: &Dice, list: impl Iterator<Item = T>) -> Option<T> {
        let all: Vec<T> = list.collect();
        (!all.is_empty()).then(|| all[dice.below(all.len() as u64) as usize])
    }

    /// Two customers become one: the earlier id stays.
    fn merge(&mut self, a: i64, b: i64) {
        for (_, customer) in self.parties.values_mut() {
            if *customer == a.max(b) {
                *customer = a.min(b);
            }
        }
        self.log("customers", a);
        self.log("customers", b);
    }

    fn leave(&mut self, n: i64) -> bool {
        let old = self.parties[&n].1;
        if old == n {
            return false;
        }
        self.parties.get_mut(&n).unwrap().1 = n;
        self.log("customers", old);
        self.log("customers", n);
        true
    }

    fn one(&mut self, dice: &Dice) {
        self.next += 1;
        let id = self.next;
        let time = Timestamp(1_750_000_000_000_000 + dice.below(30_000_000) as i64 * 1_000_000);
        let party = Self::some(dice, self.parties.keys().copied());
        match dice.below(12) {
            // A record that is a customer of its own.
            0..2 => {
                let source = SOURCES[dice.below(3) as usize].0;
                self.parties.insert(id, (source, id));
                self.log("customers", id);
            }
            // Two customers merge.
            2 => {
                let other = Self::some(dice, self.parties.keys().copied());
                if let (Some(a), Some(b)) = (party, other) {
                    let (a, b) = (self.parties[&a].1, self.parties[&b].1);
                    self.merge(a, b);
                }
            }
            // A record leaves, and is a customer of its own again.
            3 => {
                if let Some(n) = party {
                    self.leave(n);
                }
            }
            // A record is erased; the id passes to the earliest that remains.
            4 if dice.chance(40) => {
                if let Some(n) = party {
                    let old = self.parties.remove(&n).unwrap().1;
                    let rest: Vec<i64> = self
                        .parties
                        .iter()
                        .filter(|(_, p)| p.1 == old)
                        .map(|(no, _)| *no)
                        .collect();
                    let heir = rest.first().copied().unwrap_or(old);
                    for no in rest {
                        self.parties.get_mut(&no).unwrap().1 = heir;
                    }
                    self.log("customers", old);
                    self.log("customers", heir);
                }
            }
            // A transaction, of a party that may not be there (any more, or yet).
            4..8 => {
                let of = match party {
                    Some(n) if dice.chance(85) => n,
                    _ => 1 + dice.below(id as u64 + 20) as i64,
                };
                let source = self.parties.get(&of).map_or("erp", |p| p.0);
                let own = SOURCES[dice.below(3) as usize].0;
                let transaction = TransactionState {
                    id,
                    key: (own.to_owned(), format!("T{id}")),
                    party: (source.to_owned(), of.to_string()),
                    kind: 1,
                    time,
                    status: String::new(),
                    amount: Some(("CNY".to_owned(), 1 + dice.below(500) as i64, 250_000_000)),
                    lines: vec![Self::line(dice), Self::line(dice)],
                    employee: ["", "王芳", "李雷"][dice.below(3) as usize].to_owned(),
                };
                self.transactions.insert(id, transaction);
                self.log("timeline", id);
            }
            8 => {
                if let Some(n) = Self::some(dice, self.transactions.keys().copied()) {
                    if dice.chance(50) {
                        self.transactions.remove(&n);
                    } else if let Some(t) = self.transactions.get_mut(&n) {
                        t.amount = Some(("CNY".to_owned(), dice.below(900) as i64, 0));
                        t.lines.truncate(1);
                        t.employee = "赵敏".to_owned();
                    }
                    self.log("timeline", n);
                }
            }
            9 => {
                let of = party.unwrap_or(1);
                let source = self.parties.get(&of).map_or("erp", |p| p.0);
                let interaction = InteractionState {
                    id,
                    key: ("erp".to_owned(), format!("I{id}")),
                    party: Some((source.to_owned(), of.to_string())),
                    time,
                    channel: "wecom".to_owned(),
                    ..InteractionState::default()
                };
                self.interactions.insert(id, interaction);
                self.log("timeline", id);
            }
            _ => self.sell(dice, id, time, party),
        }
    }

    /// A line whose product has a code or none, and is spelled in one of several ways.
    fn line(dice: &Dice) -> LineState {
        let n = dice.below(4);
        let name = ["轴承", "变频器", "电机", "阀门"][n as usize];
        let code = if n == 3 {
            String::new()
        } else {
            format!("P{n}")
        };
        LineState {
            product: match dice.below(3) {
                0 => format!("{code} {name}"),
                1 => format!("{name}（新）"),
                _ => name.to_owned(),
            },
            code,
            category: ["", "传动", "电气"][dice.below(3) as usize].to_owned(),
            amount: dice.chance(80).then(|| (1 + dice.below(40) as i64, 0)),
        }
    }

    fn sell(&mut self, dice: &Dice, id: i64, time: Timestamp, party: Option<i64>) {
        let old = Self::some(dice, self.opportunities.keys().copied());
        let n = match (old, party) {
            (Some(n), _) if dice.chance(60) => n,
            (_, Some(party)) => {
                let opportunity = OpportunityState {
                    id,
                    address: party,
                    holder: None,
                    pipeline: "default".to_owned(),
                    version: 1 + dice.below(2) as i64,
                    owner: "users/lei".to_owned(),
                    stage: "lead".to_owned(),
                    outcome: 1,
                    org_unit: "orgUnits/east".to_owned(),
                    create_time: time,
                    ..OpportunityState::default()
                };
                self.opportunities.insert(id, (opportunity, Vec::new()));
                id
            }
            _ => return,
        };
        if let Some((o, moves)) = self.opportunities.get_mut(&n) {
            o.stage = ["lead", "plan", "sign"][dice.below(3) as usize].to_owned();
            moves.push(TransitionState {
                opportunity: n,
                number: moves.len() as i64 + 1,
                outcome: 1,
                pipeline: "default".to_owned(),
                version: o.version,
                stage: o.stage.clone(),
                time,
            });
        }
        self.log("pipeline", n);
    }

    /// A change of a feed, as things are now.
    fn change(&self, feed: &str, id: i64) -> Vec<Change> {
        match feed {
            "customers" => {
                let records: Vec<_> = self
                    .parties
                    .iter()
                    .filter(|(_, p)| p.1 == id)
                    .map(|(no, p)| (p.0.to_owned(), no.to_string(), *no))
                    .collect();
                let province = ("province", "浙江省".to_owned());
                let tags = self.tags.get(&id).into_iter().flatten();
                let state = (!records.is_empty()).then(|| {
                    Box::new(CustomerState {
                        name: format!("客户 {id}"),
                        name_source: records[0].0.clone(),
                        create_time: Timestamp(id),
                        values: tags
                            .map(|tag| ("tag", tag.clone()))
                            .chain([province])
                            .map(|(name, value)| (name, value, records[0].0.clone()))
                            .collect(),
                        records,
                        ..CustomerState::default()
                    })
                });
                vec![Change::Customer(id, state)]
            }
            "timeline" => match (self.transactions.get(&id), self.interactions.get(&id)) {
                (Some(t), _) => vec![Change::Transaction(Box::new(t.clone()))],
                (_, Some(i)) => vec![Change::Interaction(Box::new(i.clone()))],
                _ => vec![Change::Gone(id)],
            },
            _ => {
                let (opportunity, moves) = &self.opportunities[&id];
                let stages = |ids: &[&str]| -> Vec<Stage> {
                    let stage = |id: &&str| Stage {
                        id: (*id).to_owned(),
                        name: format!("阶段 {id}"),
                        after_win: false,
                    };
                    ids.iter().map(stage).collect()
                };
                let newest = stages(&["lead", "sign", "plan"]);
                let mut changes: Vec<Change> = moves
                    .iter()
                    .map(|m| Change::Transition(Box::new(m.clone())))
                    .collect();
                changes.push(Change::Opportunity(Box::new(opportunity.clone())));
                changes.push(Change::Pipeline(Box::new(PipelineState {
                    id: "default".to_owned(),
                    name: "默认".to_owned(),
                    stages: newest.clone(),
                    versions: vec![(1, stages(&["lead", "plan", "sign"])), (2, newest)],
                })));
                changes
            }
        }
    }
}

#[tonic::async_trait]
impl Feeds for World {
    async fn page(&self, feed: &'static str, token: &str) -> Result<Page, Failure> {
        tokio::task::yield_now().await;
        if self.dice.chance(self.failing) {
            return Err(Failure::new(Code::Unavailable, "TEST_AWAY", "away"));
        }
        let s = self.state.lock().unwrap();
        let after: i64 = if token.is_empty() {
            0
        } else {
            token.parse().unwrap()
        };
        let log = s.logs.get(feed).map(Vec::as_slice).unwrap_or_default();
        let size = 1 + self.dice.below(7) as usize;
        let page: Vec<_> = log.iter().filter(|c| c.0 > after).take(size).collect();
        Ok(Page {
            changes: page.iter().flat_map(|c| s.change(feed, c.1)).collect(),
            next: page
                .last()
                .map_or_else(|| token.to_owned(), |c| c.0.to_string()),
            position: page.last().map(|c| c.0),
            time: page.last().map(|c| Timestamp(c.0)),
        })
    }

    async fn sources(&self) -> Result<Vec<SourceState>, Failure> {
        let names: BTreeSet<_> = SOURCES.into_iter().collect();
        Ok(names
            .into_iter()
            .map(|(id, org_unit, shared)| SourceState {
                id: id.to_owned(),
                name: id.to_owned(),
                org_unit: org_unit.to_owned(),
                shared,
            })
            .collect())
    }

    async fn directory(&self) -> Result<DirectoryState, Failure> {
        let lei = PersonState {
            display_name: "李雷".to_owned(),
            org_unit: "orgUnits/east".to_owned(),
        };
        let unit = |name: &str, parent: &str| UnitState {
            display_name: name.to_owned(),
            parent: parent.to_owned(),
        };
        Ok(DirectoryState {
            people: [("users/lei".to_owned(), lei)].into(),
            units: [
                ("orgUnits/east".to_owned(), unit("华东区", "")),
                ("orgUnits/west".to_owned(), unit("华西区", "")),
            ]
            .into(),
        })
    }
}
