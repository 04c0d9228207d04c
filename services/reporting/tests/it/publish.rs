//! Grade and lifecycle stage written back as tags: they land, old ones are taken back, a second time
//! changes nothing, and tags of others stay.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jinke_reporting::{
    calendar::Period,
    convert::pb,
    measures::{Context, profile::Stage},
    outside::{NewTask, Outside},
    publish::{self, PREFIXES},
};
use jinke_types::{Code, Failure, RowScope};

use crate::house::{House, Tagged, on_each_engine};

/// Tags by customer.
type Tags = BTreeMap<i64, BTreeSet<String>>;

async fn run(house: &House, validate_only: bool) -> pb::PublishInsightsResponse {
    let request = pb::PublishInsightsRequest {
        validate_only,
        ..pb::PublishInsightsRequest::default()
    };
    let done = house.insights("admin").publish_insights(request).await;
    done.unwrap().into_inner()
}

/// What was asked of the customer service since the last time, done in the world.
async fn land(house: &House) -> Vec<Tagged> {
    let calls = std::mem::take(&mut *house.tasks.1.lock().unwrap());
    for (customer, tag, set) in &calls {
        let before = house.world.tags()[customer].contains(tag);
        assert_ne!(before, *set, "customers/{customer} {tag}: already so");
        house.world.tag(*customer, tag, *set);
    }
    house.settle().await;
    calls
}

/// The tags customers should bear, in the words that people read.
async fn right(house: &House) -> Tags {
    let frame = house.api.core.frame(&RowScope::All, false).await.unwrap();
    let p = house.api.core.defaults.clone();
    let today = house.api.core.today(&p);
    let period = Period {
        start: today,
        end: today,
    };
    let context = Context::new(&frame, &p, period);
    let of = |place: u32| {
        let profile = &context.profiles()[place as usize];
        let stage = match profile.stage {
            Stage::Potential => "阶段:潜在",
            Stage::New => "阶段:新客",
            Stage::Active => "阶段:活跃",
            Stage::Loyal => "阶段:忠诚",
            Stage::Dormant => "阶段:沉睡",
            Stage::Lost => "阶段:流失",
        };
        let grade = ["", "等级:A", "等级:B", "等级:C"][usize::from(profile.grade)];
        let tags = [stage, grade].map(str::to_owned).into_iter();
        tags.filter(|t| !t.is_empty()).collect()
    };
    (0..)
        .zip(&frame.customers)
        .map(|(place, customer)| (customer.id, of(place)))
        .collect()
}

/// The tags with our prefixes, and the others.
fn split(tags: Tags) -> (Tags, Tags) {
    let ours = |tag: &String| PREFIXES.iter().any(|p| tag.starts_with(p));
    let (mut mine, mut others) = (BTreeMap::new(), BTreeMap::new());
    for (customer, tags) in tags {
        let (a, b) = tags.into_iter().partition(ours);
        mine.insert(customer, a);
        others.insert(customer, b);
    }
    (mine, others)
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_land_and_are_taken_back_and_others_stay() {
    on_each_engine(31, async |house| {
        let ids: Vec<i64> = house.world.tags().into_keys().collect();
        assert!(ids.len() > 5);
        // Tags of people, which begin as ours do or not, and two of ours that hold no more.
        for (n, id) in ids.iter().enumerate() {
            house
                .world
                .tag(*id, ["VIP", "等级", "阶段", "老客户"][n % 4], true);
            house.world.tag(*id, "客户等级:A", true);
        }
        house.world.tag(ids[0], "等级:D", true);
        house.world.tag(ids[1], "阶段:从前", true);
        house.settle().await;
        let (_, others) = split(house.world.tags());

        let trial = run(&house, true).await;
        assert!(house.tasks.1.lock().unwrap().is_empty(), "only counted");
        let first = run(&house, false).await;
        assert_eq!(trial, first);
        assert_eq!(first.customers as usize, ids.len());
        assert_eq!(first.removed, 2);
        let calls = land(&house).await;
        let count = |set| calls.iter().filter(|c| c.2 == set).count() as i64;
        assert_eq!((count(true), count(false)), (first.added, first.removed));
        let right_now = right(&house).await;
        assert_eq!(
            split(house.world.tags()),
            (right_now.clone(), others.clone())
        );
        let kinds: BTreeSet<&String> = right_now.values().flatten().collect();
        assert!(kinds.len() > 3, "more than one stage and grade: {kinds:?}");

        // A second time changes nothing.
        let again = run(&house, false).await;
        assert_eq!((again.added, again.removed), (0, 0));
        assert!(land(&house).await.is_empty());

        // Half a year later many sleep: each one's old tag goes and the new one comes.
        house.clock.advance(Duration::from_secs(180 * 86_400));
        let later = run(&house, false).await;
        assert!(later.added > 0 && later.removed > 0, "{later:?}");
        let calls = land(&house).await;
        for (customer, tag, set) in &calls {
            let prefix = PREFIXES.iter().find(|p| tag.starts_with(**p));
            assert!(prefix.is_some(), "{tag} is no tag of ours");
            // The old one is taken back before the new one is set.
            if *set {
                let mut of = calls
                    .iter()
                    .filter(|c| c.0 == *customer && prefix.is_some_and(|p| c.1.starts_with(*p)));
                let old = of.position(|c| !c.2);
                assert_eq!(old, Some(0), "customers/{customer}: {calls:?}");
            }
        }
        assert_eq!(split(house.world.tags()), (right(&house).await, others));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_back_makes_no_data_more_complete() {
    on_each_engine(35, async |house| {
        let one = *house.world.tags().keys().next().unwrap();
        house.world.tag(one, "VIP", true);
        house.settle().await;
        let coverage = async || {
            let answer = house.query("admin", &["field_coverage"], &["field"], "");
            answer.await.unwrap().rows
        };
        let before = coverage().await;
        assert!(run(&house, false).await.added > 0);
        land(&house).await;
        assert_eq!(coverage().await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sees_a_part_does_not_write_to_all() {
    on_each_engine(32, async |house| {
        for role in ["finance", "nobody"] {
            let request = pb::PublishInsightsRequest::default();
            let refused = house.insights(role).publish_insights(request).await;
            assert_eq!(
                refused.unwrap_err().code(),
                tonic::Code::PermissionDenied,
                "{role}"
            );
        }
        assert!(house.tasks.1.lock().unwrap().is_empty());
    })
    .await;
}

/// Fails with one code.
struct Broken(Code);

#[tonic::async_trait]
impl Outside for Broken {
    async fn create_task(&self, _: NewTask) -> Result<String, Failure> {
        Err(Failure::new(self.0, "TEST", "broken"))
    }
    async fn add_tag(&self, _: i64, _: &str) -> Result<(), Failure> {
        Err(Failure::new(self.0, "TEST", "broken"))
    }
    async fn remove_tag(&self, _: i64, _: &str) -> Result<(), Failure> {
        Err(Failure::new(self.0, "TEST", "broken"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_that_went_is_passed_over_and_a_failure_is_told() {
    on_each_engine(33, async |house| {
        let with = async |code| {
            let outside: Arc<dyn Outside> = Arc::new(Broken(code));
            publish::publish(&house.api.core, &outside, false).await
        };
        assert!(with(Code::NotFound).await.is_ok());
        let told = with(Code::Unavailable).await.map(|done| done.0);
        assert_eq!(told.unwrap_err().code, Code::Unavailable);
        // What failed is done the next time.
        assert!(run(&house, false).await.added > 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_comes_when_it_is_due_also_after_a_restart() {
    on_each_engine(34, async |house| {
        let day = Duration::from_secs(86_400);
        let outside: Arc<dyn Outside> = house.tasks.clone();
        let due = async || {
            publish::when_due(&house.api.core, &outside, day)
                .await
                .unwrap()
        };
        // The first look begins to count; half a day later it is not due yet.
        assert!(!due().await);
        house.clock.advance(day / 2);
        assert!(!due().await);
        assert!(house.tasks.1.lock().unwrap().is_empty());
        house.clock.advance(day / 2);
        // One that fails is due again at once.
        let broken: Arc<dyn Outside> = Arc::new(Broken(Code::Unavailable));
        let failed = publish::when_due(&house.api.core, &broken, day).await;
        assert_eq!(failed.unwrap_err().code, Code::Unavailable);
        assert!(due().await);
        assert!(!land(&house).await.is_empty());
        assert!(!due().await);
        house.clock.advance(day);
        assert!(due().await);
    })
    .await;
}
