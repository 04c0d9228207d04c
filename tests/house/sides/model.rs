//! What is on which side, computed anew from everything that was ever said: slow, and plain
//! enough to be read in one go.

use std::collections::{BTreeMap, BTreeSet};

use super::steps::{AS_OF, Day};

/// A party's record.
pub struct Record {
    /// Source and external id.
    pub key: (&'static str, String),
    /// Its number: `customers/{number}` is its address for ever.
    pub number: i64,
    /// Which company it states to be; records that state one are one by the rules.
    pub persona: usize,
    /// Its source deleted it.
    pub deleted: bool,
}

/// An order or a refund of a party.
#[derive(Clone)]
pub struct Fact {
    /// Source and external id of the party it names, which may not have come yet.
    pub party: (&'static str, String),
    /// Taken back, and no order.
    pub refund: bool,
    /// When.
    pub day: Day,
    /// How much.
    pub cents: i64,
    /// Deleted, or cancelled: it does not count.
    pub gone: bool,
    /// Deleted.
    pub deleted: bool,
}

/// An opportunity.
pub struct Sale {
    /// `opportunities/{n}`.
    pub name: String,
    /// Number of the record it was addressed to.
    pub address: i64,
    /// 1 open, 2 won, 3 lost.
    pub outcome: i32,
    /// Percent.
    pub probability: i64,
    /// How much.
    pub cents: i64,
    /// `users/…`.
    pub owner: String,
}

/// Something that stands at a customer: a lead, a task, an activity.
pub struct Attached {
    /// Its name.
    pub name: String,
    /// Number of the record it was addressed to.
    pub address: i64,
    /// `users/…`, where it has one.
    pub owner: String,
}

/// Everything that was said.
#[derive(Default)]
pub struct Model {
    pub records: Vec<Record>,
    /// Pairs of record numbers that people held to be one.
    pub positives: BTreeSet<(i64, i64)>,
    /// Pairs that people held not to be one.
    pub negatives: BTreeSet<(i64, i64)>,
    /// By source and external id.
    pub facts: BTreeMap<(&'static str, String), Fact>,
    pub sales: Vec<Sale>,
    pub leads: Vec<Attached>,
    pub tasks: Vec<Attached>,
    pub visits: Vec<Attached>,
    /// Numbers of records of customers who were erased.
    pub erased: BTreeSet<i64>,
    /// Companies that have come so far.
    pub arrived: usize,
    /// Orders and refunds that have come so far.
    pub numbered: usize,
}

/// Two numbers in order.
pub fn pair(a: i64, b: i64) -> (i64, i64) {
    (a.min(b), a.max(b))
}

/// RFM of a customer on the day [`AS_OF`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rfm {
    pub recency: i64,
    pub frequency: i64,
    pub cents: i64,
    pub scores: (i32, i32, i32),
}

impl Model {
    /// Whether two records belong together by themselves, or by a person's word.
    fn linked(&self, a: &Record, b: &Record) -> bool {
        let pair = pair(a.number, b.number);
        !self.negatives.contains(&pair)
            && (a.persona == b.persona || self.positives.contains(&pair))
    }

    /// The record with this number.
    pub fn record(&self, number: i64) -> &Record {
        let found = self.records.iter().find(|r| r.number == number);
        found.expect("a record of this number")
    }

    /// Numbers of all records held to be one with this one.
    pub fn together(&self, number: i64) -> BTreeSet<i64> {
        let (mut seen, mut next) = (BTreeSet::from([number]), vec![number]);
        while let Some(one) = next.pop() {
            for other in &self.records {
                if self.linked(self.record(one), other) && seen.insert(other.number) {
                    next.push(other.number);
                }
            }
        }
        seen
    }

    /// A customer is erased: its records, what names them and what people held of them. Opportunities,
    /// leads, tasks and visits stay, at an address that stands for itself.
    pub fn erase(&mut self, gone: &BTreeSet<i64>) {
        let (out, left): (Vec<Record>, Vec<Record>) = std::mem::take(&mut self.records)
            .into_iter()
            .partition(|r| gone.contains(&r.number));
        self.records = left;
        self.facts
            .retain(|_, fact| !out.iter().any(|r| r.key == fact.party));
        let stays = |pair: &(i64, i64)| !gone.contains(&pair.0) && !gone.contains(&pair.1);
        self.positives.retain(stays);
        self.negatives.retain(stays);
        for sale in &mut self.sales {
            if gone.contains(&sale.address) && sale.outcome == 1 {
                (sale.outcome, sale.probability) = (3, 0);
            }
        }
        self.erased.extend(gone);
    }

    /// The customer that holds a record: the earliest of those together; nobody but itself once it
    /// was erased.
    pub fn holder(&self, number: i64) -> i64 {
        if self.erased.contains(&number) {
            return number;
        }
        self.together(number).into_iter().next().expect("itself")
    }

    /// All customers.
    pub fn customers(&self) -> BTreeSet<i64> {
        self.records.iter().map(|r| self.holder(r.number)).collect()
    }

    /// Those that are counted: not every record of them was deleted.
    pub fn population(&self) -> BTreeSet<i64> {
        let alive = |customer: &i64| {
            let all = self.together(*customer);
            all.iter().any(|n| !self.record(*n).deleted)
        };
        self.customers().into_iter().filter(alive).collect()
    }

    /// Whether some two that are together must not be: such a state is not made.
    pub fn contradicts(&self) -> bool {
        self.negatives
            .iter()
            .any(|(a, b)| self.together(*a).contains(b))
    }

    /// The customer a fact counts for, once its party is there.
    fn payer(&self, fact: &Fact) -> Option<i64> {
        let party = self.records.iter().find(|r| r.key == fact.party)?;
        Some(self.holder(party.number))
    }

    /// Facts that count, by customer.
    fn counted(&self) -> BTreeMap<i64, Vec<&Fact>> {
        let mut by: BTreeMap<i64, Vec<&Fact>> = BTreeMap::new();
        for fact in self.facts.values().filter(|f| !f.gone) {
            if let Some(customer) = self.payer(fact) {
                by.entry(customer).or_default().push(fact);
            }
        }
        by
    }

    /// Orders and refunds with their cents that the customer service counts for one customer: it
    /// knows no statuses.
    pub fn totals(&self, number: i64) -> [(i64, i64); 2] {
        let together = self.together(number);
        let of_it = |f: &&Fact| {
            let party = self.records.iter().find(|r| r.key == f.party);
            !f.deleted && party.is_some_and(|r| together.contains(&r.number))
        };
        let mut sums = [(0, 0); 2];
        for fact in self.facts.values().filter(of_it) {
            let at = &mut sums[usize::from(fact.refund)];
            *at = (at.0 + 1, at.1 + fact.cents);
        }
        sums
    }

    /// Orders and net cents of all time, by customer.
    pub fn revenue(&self) -> BTreeMap<i64, (i64, i64)> {
        let sum = |facts: Vec<&Fact>| {
            let orders = facts.iter().filter(|f| !f.refund).count();
            (i64::try_from(orders).expect("few"), net(&facts))
        };
        let all = self.counted().into_iter();
        all.map(|(customer, facts)| (customer, sum(facts)))
            .collect()
    }

    /// Recency, frequency, monetary value and scores on the day [`AS_OF`], of who has an order in
    /// the year up to it.
    pub fn rfm(&self) -> BTreeMap<i64, Rfm> {
        let mut raw = BTreeMap::new();
        for (customer, facts) in self.counted() {
            let until: Vec<&Fact> = facts.into_iter().filter(|f| f.day <= AS_OF).collect();
            let orders = || until.iter().filter(|f| !f.refund);
            let year: Vec<&Fact> = until
                .iter()
                .copied()
                .filter(|f| f.day > AS_OF - 365)
                .collect();
            let frequency = year.iter().filter(|f| !f.refund).count();
            if let (Some(last), true) = (orders().map(|f| f.day).max(), frequency > 0) {
                let frequency = i64::try_from(frequency).expect("few");
                raw.insert(customer, (AS_OF - last, frequency, net(&year)));
            }
        }
        let all: Vec<(i64, i64, i64)> = raw.values().copied().collect();
        // How many are worse, in fifths.
        let fifth = |worse: usize| i32::try_from(1 + 5 * worse / all.len()).expect("1 to 5");
        let scored = raw.iter().map(|(customer, one)| {
            let worse = |than: &dyn Fn(&(i64, i64, i64)) -> bool| {
                fifth(all.iter().filter(|other| than(other)).count())
            };
            let scores = (
                worse(&|other| other.0 > one.0),
                worse(&|other| other.1 < one.1),
                worse(&|other| other.2 < one.2),
            );
            let rfm = Rfm {
                recency: one.0,
                frequency: one.1,
                cents: one.2,
                scores,
            };
            (*customer, rfm)
        });
        scored.collect()
    }

    /// Opportunities of customers who were not erased: reporting counts what customers have.
    fn of_living(&self, one: fn(&Sale) -> bool) -> impl Iterator<Item = &Sale> {
        let living = |s: &&Sale| !self.erased.contains(&s.address);
        self.sales.iter().filter(living).filter(move |s| one(s))
    }

    /// `(won, ended)` by customer, of those with an ended opportunity.
    pub fn wins(&self) -> BTreeMap<i64, (i64, i64)> {
        let mut by: BTreeMap<i64, (i64, i64)> = BTreeMap::new();
        for sale in self.of_living(|s| s.outcome != 1) {
            let at = by.entry(self.holder(sale.address)).or_default();
            at.0 += i64::from(sale.outcome == 2);
            at.1 += 1;
        }
        by
    }

    /// Cents times percent of open opportunities, by customer.
    pub fn forecast(&self) -> BTreeMap<i64, i64> {
        let mut by: BTreeMap<i64, i64> = BTreeMap::new();
        for sale in self.of_living(|s| s.outcome == 1) {
            *by.entry(self.holder(sale.address)).or_default() += sale.cents * sale.probability;
        }
        by
    }

    /// How many of these stand at each customer.
    pub fn counts(&self, all: &[Attached]) -> BTreeMap<i64, i64> {
        let mut by: BTreeMap<i64, i64> = BTreeMap::new();
        for one in all.iter().filter(|a| !self.erased.contains(&a.address)) {
            *by.entry(self.holder(one.address)).or_default() += 1;
        }
        by
    }

    /// Whose the customer of this record is: the owner of his newest open opportunity, else of his
    /// newest one, else of his newest lead.
    pub fn owner(&self, number: i64) -> Option<&str> {
        let together = self.together(number);
        let sales = || {
            self.sales
                .iter()
                .rev()
                .filter(|s| together.contains(&s.address))
        };
        let open = sales().find(|s| s.outcome == 1).or_else(|| sales().next());
        let lead = || {
            let of_it = |l: &&Attached| together.contains(&l.address) && !l.owner.is_empty();
            self.leads.iter().rev().find(of_it)
        };
        match open {
            Some(sale) => Some(&sale.owner),
            None => lead().map(|l| l.owner.as_str()),
        }
    }
}

fn net(facts: &[&Fact]) -> i64 {
    let signed = |f: &&Fact| if f.refund { -f.cents } else { f.cents };
    facts.iter().map(signed).sum()
}
