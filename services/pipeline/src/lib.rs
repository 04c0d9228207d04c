//! The pipeline service: leads, opportunities, activities, tasks and their timers.
//!
//! A lead comes in and is looked for among the golden customers before anything is made of it. It
//! becomes an opportunity, which moves through the stages of its pipeline; every move is kept. What
//! is to be done are tasks, whose timers fire once whatever crashes. References to customers stay
//! as they were addressed (decision D4) and are shown at the customer that holds them now, by a
//! crosswalk that follows the customer feed.
//!
//! # Map
//!
//! | module | what it holds |
//! |---|---|
//! | [`convert`] | the contract's messages to domain values and back; every check of a request |
//! | [`access`] | what a caller sees: rows and classes of fields; the one mask function |
//! | [`rpc`] | the handlers; page tokens, filters, the feed, metrics |
//! | [`domain`] | the words of this service and its pure rules: moves, schedules, assignment |
//! | [`engine`] | operations in transactions; timers, deliveries, following |
//! | [`store`] | all SQL |
//! | [`outside`] | the services this one asks, as traits |
//! | [`config`] | `[pipeline]` of the configuration |
//! | [`error`] | failures this service makes itself |
//!
//! # To add an RPC
//!
//! Write it in the contract with its permission and with a field class on every field that holds
//! personal or confidential values. Add a handler `name(api, viewer, request)` and a line in its
//! `*_service.rs`. Give the answer its line in `access/answer.rs`: without one it does not compile,
//! and with a wrong one `every_classed_field_is_masked` fails. Read rows only with a
//! [`access::Sight`].

pub mod access;
pub mod config;
pub mod convert;
pub mod domain;
pub mod engine;
pub mod error;
pub mod outside;
pub mod rpc;
pub mod store;

use std::{sync::Arc, time::Duration};

use jinke_kit::{Built, Check, Service, ServiceContext, Shutdown};
use jinke_store::{Database, changelog, keys::KeyRing, request};
use jinke_types::Failure;
use tonic::codec::CompressionEncoding;

use access::Viewer;
use config::PipelineConfig;
use convert::{
    customers::CustomerPeer,
    messenger::RunnerPeer,
    pb::{
        activity_service_server::ActivityServiceServer, lead_service_server::LeadServiceServer,
        opportunity_service_server::OpportunityServiceServer,
        pipeline_service_server::PipelineServiceServer, task_service_server::TaskServiceServer,
    },
};
use engine::Core;
use rpc::{Api, Regrant, numbers::Numbers, page::Pages};

/// How old a gauge may be at most.
const GAUGES: Duration = Duration::from_secs(5);
/// How often old request ids are forgotten.
const PURGE: Duration = Duration::from_secs(3_600);

/// The service, for [`jinke_kit::run`] and the suite.
#[derive(Clone, Copy, Debug)]
pub struct Pipeline;

/// Adds the five RPC services.
fn serve(built: Built, api: &Api, request_bytes: usize) -> Built {
    // Answers are compressed for clients that ask for it, requests taken either way.
    macro_rules! server {
        ($server:ident) => {
            $server::new(api.clone())
                .max_decoding_message_size(request_bytes)
                .accept_compressed(CompressionEncoding::Gzip)
                .send_compressed(CompressionEncoding::Gzip)
        };
    }
    built
        .rpc(server!(PipelineServiceServer))
        .rpc(server!(LeadServiceServer))
        .rpc(server!(OpportunityServiceServer))
        .rpc(server!(ActivityServiceServer))
        .rpc(server!(TaskServiceServer))
}

impl Service for Pipeline {
    const NAME: &'static str = "pipeline";
    type Config = PipelineConfig;
    const DEFAULT_CONFIG: &'static str = include_str!("config.default.toml");

    async fn build(ctx: ServiceContext<PipelineConfig>) -> Result<Built, Failure> {
        let config = ctx.config;
        config.check()?;
        let ring = KeyRing::open_or_create(&config.key_files(&ctx.data_dir), &*ctx.entropy)?;
        let ring = Arc::new(ring);
        let db = Database::open(config.database(&ctx.data_dir), &store::MIGRATIONS).await?;
        db.write(async |mut tx| ring.check(&mut tx).await).await?;
        let id = store::state::database_id(&db, &*ctx.entropy).await?;
        let limits = config.limits();
        let core = Arc::new(Core {
            db: db.clone(),
            ring: Arc::clone(&ring),
            clock: ctx.clock,
            entropy: ctx.entropy,
            customers: Arc::new(CustomerPeer(ctx.peers.get("customer"))),
            messenger: Arc::new(RunnerPeer(ctx.peers.get("connector"))),
            timers: config.timers,
            delivery: config.delivery,
            follow: config.follow,
            processes: engine::pipelines::Processes::default(),
        });
        core.ensure_default().await?;
        let access = ctx.access;
        let regrant: Regrant = Arc::new(move |viewer: &Viewer, permission| {
            let mut again = access
                .authorize(&viewer.caller, permission)
                .map(Viewer::from)?;
            again.bearer.clone_from(&viewer.bearer);
            Ok(again)
        });
        let numbers = Numbers::new(&ctx.metrics)?;
        let api = Api {
            core: Arc::clone(&core),
            pages: Arc::new(Pages::new(ring, id)),
            limits,
            numbers: numbers.clone(),
            shutdown: ctx.shutdown.clone(),
            regrant,
        };
        let audit = Arc::new(db.audit(Arc::clone(&core.clock), &*core.entropy));
        let built = Built::new().audit(audit).check(DatabaseAnswers(db));
        let built = tasks(built, &core, &ctx.shutdown, numbers, limits.poll);
        Ok(serve(built, &api, ctx.request_bytes))
    }
}

/// What the service does by itself until it is told to stop.
fn tasks(
    built: Built,
    core: &Arc<Core>,
    shutdown: &Shutdown,
    numbers: Numbers,
    poll: Duration,
) -> Built {
    let of = || (Arc::clone(core), shutdown.clone());
    let (timers, stop_timers) = of();
    let (deliveries, stop_deliveries) = of();
    let (follow, stop_follow) = of();
    let (purge, stop_purge) = of();
    let (gauges, stop_gauges) = of();
    built
        .task("timers", async move {
            timers.run_timers(&stop_timers).await;
            Ok(())
        })
        .task("deliveries", async move {
            deliveries.run_deliveries(&stop_deliveries).await;
            Ok(())
        })
        .task("follow", async move {
            follow.run_follow(&stop_follow).await;
            Ok(())
        })
        .task("purge", async move {
            stop_purge.unless(forget(purge)).await;
            Ok(())
        })
        .task("gauges", async move {
            stop_gauges.unless(watch(gauges, numbers, poll)).await;
            Ok(())
        })
}

/// Forgets old request ids now and then.
async fn forget(core: Arc<Core>) {
    loop {
        let now = core.now();
        let purged = core
            .db
            .write(async |mut tx| request::purge(&mut tx, now).await)
            .await;
        if let Err(failure) = purged {
            tracing::warn!(reason = failure.reason, "old request ids stay for now");
        }
        tokio::time::sleep(PURGE).await;
    }
}

/// Keeps the gauges.
async fn watch(core: Arc<Core>, numbers: Numbers, poll: Duration) {
    let mut known = -1;
    loop {
        match tokio::time::timeout(GAUGES, changelog::wait(&core.db, known, poll)).await {
            Ok(Ok(head)) => {
                known = head;
                numbers.feed_head.set(head);
            }
            // The readiness check reports a database that is away; here it is enough to wait.
            Ok(Err(_)) => tokio::time::sleep(GAUGES).await,
            Err(_) => {}
        }
        if let Ok(mut reader) = core.db.read().await
            && let Ok((due, waiting)) = store::timers::counts(&mut reader, core.now()).await
        {
            numbers.timers_due.set(due);
            numbers.deliveries_waiting.set(waiting);
        }
        numbers.pool(core.db.pool_state());
    }
}

/// Ready when the database answers.
struct DatabaseAnswers(Database);

#[tonic::async_trait]
impl Check for DatabaseAnswers {
    fn name(&self) -> &str {
        "database"
    }
    async fn check(&self) -> Result<(), Failure> {
        self.0.ping().await
    }
}
