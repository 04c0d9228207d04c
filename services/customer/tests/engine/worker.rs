//! The worker that all ingest goes through.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use jinke_customer::{
    domain::Outcome,
    engine::{Engine, EngineConfig},
};
use jinke_resolution::SurvivorshipPolicy;
use jinke_types::{Clock, Code, ManualClock, Timestamp};

use crate::support::{assert_sound, ingest, on_both, org};

/// A clock that panics once when it is told to, in the middle of the worker's transaction.
struct Trap {
    set: AtomicBool,
    clock: Arc<ManualClock>,
}

impl Clock for Trap {
    fn now(&self) -> Timestamp {
        assert!(!self.set.swap(false, Ordering::SeqCst), "as asked");
        self.clock.now()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_its_own_call_and_the_worker_goes_on() {
    on_both(async |house| {
        let trap = Arc::new(Trap {
            set: AtomicBool::new(false),
            clock: Arc::clone(&house.clock),
        });
        let engine = Engine::new(
            house.db.clone(),
            Arc::clone(&house.ring),
            Arc::clone(&house.rules),
            Arc::new(SurvivorshipPolicy::embedded()),
            Arc::clone(&trap) as _,
            Arc::new(jinke_types::OsEntropy),
            EngineConfig::default(),
        )
        .await
        .expect("an engine");
        let record = || org("erp/1", 1, &[("name", "杭州示例电子有限公司")]);
        for _ in 0..2 {
            trap.set.store(true, Ordering::SeqCst);
            let failure = engine.ingest(vec![record()], None).await.unwrap_err();
            assert_eq!(failure.code, Code::Internal, "{failure:?}");
        }
        // Nothing of the failed calls was kept, and the next one is stored as if they had not been.
        let results = ingest(&engine, vec![record()]).await;
        assert_eq!(results[0].outcome, Outcome::Created);
        assert_sound(&engine).await;
    })
    .await;
}
