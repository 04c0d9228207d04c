//! Random histories of opportunities against a slow reading of what was done.

use std::collections::BTreeMap;

use jinke_pipeline::convert::pb;
use jinke_pipeline::store::MIGRATIONS;
use jinke_proto::google::r#type::Money;
use jinke_store::testing;
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRng, TestRunner},
};

use crate::house::{DAY, House, money, reason};

const STAGES: [&str; 8] = [
    "discovery",
    "contact",
    "analysis",
    "proposal",
    "negotiation",
    "signing",
    "service",
    "repurchase",
];
const ITEMS: [(&str, &str); 6] = [
    ("contact", "reached"),
    ("analysis", "need-confirmed"),
    ("proposal", "proposal-sent"),
    ("negotiation", "terms-agreed"),
    ("signing", "contract-signed"),
    ("service", "accepted"),
];
const PROBABILITY: [i128; 8] = [10, 20, 35, 50, 70, 90, 100, 100];

#[derive(Clone, Debug)]
enum Step {
    Create {
        amount: bool,
        date: bool,
    },
    Advance {
        which: usize,
        stage: usize,
    },
    Tick {
        which: usize,
        item: usize,
    },
    Win {
        which: usize,
    },
    Lose {
        which: usize,
    },
    Reopen {
        which: usize,
    },
    Assign {
        which: usize,
        owner: usize,
    },
    Amount {
        which: usize,
        units: i64,
        nanos: i32,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..6_usize;
    prop_oneof![
        2 => (any::<bool>(), any::<bool>()).prop_map(|(amount, date)| Step::Create { amount, date }),
        6 => (which.clone(), 0..8_usize).prop_map(|(which, stage)| Step::Advance { which, stage }),
        6 => (which.clone(), 0..6_usize).prop_map(|(which, item)| Step::Tick { which, item }),
        3 => which.clone().prop_map(|which| Step::Win { which }),
        1 => which.clone().prop_map(|which| Step::Lose { which }),
        1 => which.clone().prop_map(|which| Step::Reopen { which }),
        1 => (which.clone(), 0..3_usize).prop_map(|(which, owner)| Step::Assign { which, owner }),
        2 => (which, 0..9_000_i64, 0..999_999_999_i32)
            .prop_map(|(which, units, nanos)| Step::Amount { which, units, nanos }),
    ]
}

/// What an opportunity should be, kept by hand.
#[derive(Clone, Debug)]
struct Model {
    name: String,
    stage: usize,
    furthest: usize,
    /// 1 open, 2 won, 3 lost.
    outcome: i32,
    owner: usize,
    nanos: Option<i128>,
    date: bool,
    ticked: Vec<(&'static str, &'static str)>,
    moves: Vec<(i32, usize, usize)>,
}

impl Model {
    fn fits(&self, stage: usize) -> bool {
        let needs_amount = (3..=5).contains(&stage);
        let needs_date = (4..=5).contains(&stage);
        (!needs_amount || self.nanos.is_some()) && (!needs_date || self.date)
    }
    fn done(&self) -> bool {
        ITEMS
            .iter()
            .filter(|(s, _)| *s == STAGES[self.stage])
            .all(|i| self.ticked.contains(i))
    }
    fn may_advance(&self, to: usize) -> bool {
        let side = match self.outcome {
            1 => to < 6,
            2 => to >= 6,
            _ => false,
        };
        side && to != self.stage && (to < self.stage || (self.fits(to) && self.done()))
    }
    fn go(&mut self, kind: i32, to: usize) {
        self.moves.push((kind, self.stage, to));
        self.stage = to;
        self.furthest = self.furthest.max(to);
    }
}

async fn run(house: &House, steps: &[Step]) {
    let mut models: Vec<Model> = Vec::new();
    for step in steps {
        house.clock.advance(DAY / 24);
        one(house, &mut models, step).await;
    }
    compare(house, &models).await;
}

fn pick(models: &mut [Model], which: usize) -> Option<&mut Model> {
    let count = models.len();
    (count > 0).then(|| &mut models[which % count])
}

async fn one(house: &House, models: &mut Vec<Model>, step: &Step) {
    let mut client = house.opportunities("admin");
    match step {
        Step::Create { amount, date } => {
            let mut o = pb::Opportunity {
                display_name: format!("商机{}", models.len()),
                customer: "customers/7".to_owned(),
                owner: "users/o0".to_owned(),
                ..Default::default()
            };
            o.amount = amount.then(|| money("CNY", 10, 5)).flatten();
            o.close_date = date.then(|| crate::house::date(2026, 5, 1)).flatten();
            let made = house.create("admin", o).await.expect("it is made");
            models.push(Model {
                name: made.name,
                stage: 0,
                furthest: 0,
                outcome: 1,
                owner: 0,
                nanos: amount.then_some(10_000_000_005),
                date: *date,
                ticked: Vec::new(),
                moves: vec![(1, usize::MAX, 0)],
            });
        }
        Step::Advance { which, stage } => {
            let Some(m) = pick(models, *which) else {
                return;
            };
            let allowed = m.may_advance(*stage);
            let done = house.advance(&m.name, STAGES[*stage]).await;
            assert_eq!(done.is_ok(), allowed, "{m:?} to {stage}: {done:?}");
            if allowed {
                m.go(2, *stage);
            }
        }
        Step::Tick { which, item } => {
            let Some(m) = pick(models, *which) else {
                return;
            };
            let (stage, item) = ITEMS[*item];
            let here = stage == STAGES[m.stage];
            let done = house.check(&m.name, item).await;
            assert_eq!(done.is_ok(), here);
            if here && !m.ticked.contains(&(stage, item)) {
                m.ticked.push((stage, item));
            }
        }
        Step::Win { which } => {
            let Some(m) = pick(models, *which) else {
                return;
            };
            let allowed = m.outcome == 1 && m.stage == 5 && m.done() && m.fits(5);
            assert_eq!(house.win(&m.name).await.is_ok(), allowed);
            if allowed {
                m.go(3, m.stage);
                m.outcome = 2;
            }
        }
        Step::Lose { which } => {
            let Some(m) = pick(models, *which) else {
                return;
            };
            let request = pb::LoseOpportunityRequest {
                name: m.name.clone(),
                reason: "price".to_owned(),
                ..Default::default()
            };
            let done = client.lose_opportunity(request).await;
            assert_eq!(done.is_ok(), m.outcome == 1);
            if m.outcome == 1 {
                m.go(4, m.stage);
                m.outcome = 3;
            }
        }
        Step::Reopen { which } => {
            let Some(m) = pick(models, *which) else {
                return;
            };
            let request = pb::ReopenOpportunityRequest {
                name: m.name.clone(),
                ..Default::default()
            };
            let done = client.reopen_opportunity(request).await;
            assert_eq!(done.is_ok(), m.outcome != 1);
            if m.outcome != 1 {
                m.go(5, m.stage.min(5));
                m.outcome = 1;
            }
        }
        Step::Assign { which, owner } => {
            let Some(m) = pick(models, *which) else {
                return;
            };
            let request = pb::AssignOpportunityRequest {
                name: m.name.clone(),
                owner: format!("users/o{owner}"),
                ..Default::default()
            };
            client.assign_opportunity(request).await.expect("assigned");
            m.owner = *owner;
        }
        Step::Amount {
            which,
            units,
            nanos,
        } => {
            let Some(m) = pick(models, *which) else {
                return;
            };
            let request = pb::UpdateOpportunityRequest {
                opportunity: Some(pb::Opportunity {
                    name: m.name.clone(),
                    amount: money("CNY", *units, *nanos),
                    ..Default::default()
                }),
                update_mask: Some(prost_types::FieldMask {
                    paths: vec!["amount".to_owned()],
                }),
                ..Default::default()
            };
            client.update_opportunity(request).await.expect("updated");
            m.nanos = Some(i128::from(*units) * 1_000_000_000 + i128::from(*nanos));
        }
    }
}

fn nanos(amounts: &[Money]) -> i128 {
    amounts
        .iter()
        .map(|m| i128::from(m.units) * 1_000_000_000 + i128::from(m.nanos))
        .sum()
}

async fn compare(house: &House, models: &[Model]) {
    let mut client = house.opportunities("admin");
    for m in models {
        let request = pb::ListTransitionsRequest {
            parent: m.name.clone(),
            page_size: 3,
            page_token: String::new(),
        };
        let mut seen = Vec::new();
        let mut next = request;
        loop {
            let page = client
                .list_transitions(next.clone())
                .await
                .unwrap()
                .into_inner();
            seen.extend(page.transitions);
            if page.next_page_token.is_empty() {
                break;
            }
            next.page_token = page.next_page_token;
        }
        let at = |stage: &str| {
            STAGES
                .iter()
                .position(|s| *s == stage)
                .unwrap_or(usize::MAX)
        };
        let moves: Vec<_> = seen
            .iter()
            .map(|t| (t.kind, at(&t.from_stage), at(&t.to_stage)))
            .collect();
        assert_eq!(moves, m.moves);
        let times: Vec<_> = seen
            .iter()
            .map(|t| t.transition_time.unwrap().seconds)
            .collect();
        assert!(times.is_sorted());
    }
    for owner in ["", "users/o0", "users/o1"] {
        let request = pb::GetBoardRequest {
            pipeline: "pipelines/default".to_owned(),
            owner: owner.to_owned(),
            cards_per_stage: 50,
        };
        let board = client.get_board(request).await.unwrap().into_inner();
        let of = |m: &&Model| owner.is_empty() || owner == format!("users/o{}", m.owner);
        for (i, column) in board.columns.iter().enumerate() {
            let there: Vec<_> = models
                .iter()
                .filter(of)
                .filter(|m| m.stage == i && (m.outcome == 1 || (m.outcome == 2 && i >= 6)))
                .collect();
            assert_eq!(column.count, there.len() as i64, "{owner} column {i}");
            assert_eq!(column.cards.len(), there.len());
            let sum: i128 = there.iter().filter_map(|m| m.nanos).sum();
            assert_eq!(nanos(&column.amounts), sum);
            // A message holds nine decimals: the rest is rounded half to even there and only there.
            let weighted = sum * PROBABILITY[i];
            let shown = nanos(&column.weighted_amounts) * 100;
            assert!((shown - weighted).abs() <= 100, "{shown} and {weighted}");
            let reached = models.iter().filter(of).filter(|m| m.furthest >= i).count();
            assert_eq!(column.reached_count, reached as i64);
        }
        let won: Vec<_> = models
            .iter()
            .filter(of)
            .filter(|m| m.outcome == 2)
            .collect();
        assert_eq!(board.won_count, won.len() as i64);
        assert_eq!(
            nanos(&board.won_amounts),
            won.iter().filter_map(|m| m.nanos).sum::<i128>()
        );
        let lost = models.iter().filter(of).filter(|m| m.outcome == 3).count();
        assert_eq!(board.lost_count, lost as i64);
    }
    follow(house, models).await;
}

/// Whoever follows the feed ends with the same opportunities, and saw every move in order.
async fn follow(house: &House, models: &[Model]) {
    let (changes, _) = house.feed("admin", String::new()).await;
    let mut moves = BTreeMap::<String, Vec<i32>>::new();
    let mut revisions = BTreeMap::<String, i64>::new();
    for c in &changes {
        if let Some(t) = &c.transition {
            moves.entry(c.resource.clone()).or_default().push(t.kind);
        }
        let last = revisions.entry(c.resource.clone()).or_default();
        assert!(c.revision >= *last, "{} went back", c.resource);
        *last = c.revision;
    }
    for m in models {
        let kinds: Vec<_> = m.moves.iter().map(|(kind, ..)| *kind).collect();
        assert_eq!(moves[&m.name], kinds);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_histories_end_as_the_model_says() {
    let rng = TestRng::deterministic_rng(prop::test_runner::RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let histories = prop::collection::vec(step(), 10..60);
    for engine in testing::ENGINES {
        let cases = if engine == jinke_store::Engine::Sqlite {
            25
        } else {
            5
        };
        for _ in 0..cases {
            let steps = histories.new_tree(&mut runner).unwrap().current();
            testing::on_engine(engine, &MIGRATIONS, async |db| {
                let house = House::over(db).await;
                house.customers.add(7, "甲公司");
                run(&house, &steps).await;
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_moves_at_once_are_one_after_the_other() {
    crate::house::on_each_engine(async |house: House| {
        let o = house.opportunity("抢").await;
        let both = futures::future::join_all((0..6).map(|n| {
            let (house, name) = (house.clone(), o.name.clone());
            async move {
                let stage = STAGES[1 + n % 2];
                house.advance(&name, stage).await
            }
        }))
        .await;
        let done = both.iter().filter(|r| r.is_ok()).count();
        assert!(done >= 1);
        for refused in both.into_iter().filter_map(Result::err) {
            assert!(
                ["STAGE_SAME", "STAGE_REQUIREMENTS"].contains(&reason(&refused).as_str()),
                "{refused}"
            );
        }
        let list = pb::ListTransitionsRequest {
            parent: o.name.clone(),
            ..Default::default()
        };
        let mut client = house.opportunities("admin");
        let all = client
            .list_transitions(list)
            .await
            .unwrap()
            .into_inner()
            .transitions;
        assert_eq!(all.len(), done + 1);
        // Each begins where the one before ended.
        for pair in all.windows(2) {
            assert_eq!(pair[0].to_stage, pair[1].from_stage);
        }
    })
    .await;
}
