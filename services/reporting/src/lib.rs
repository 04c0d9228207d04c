//! The reporting service: what customers are worth, how they come and go, who may leave.
//!
//! It follows the feeds of customer and pipeline into a star of its own ([`follow`],
//! [`store::project`]). A question loads the facts its caller may see into a [`facts::Frame`]
//! ([`store::load`]) and computes on it: [`measures`] are lists of contributions, which
//! [`query`] filters, groups and compares, [`segment`] and [`churn`] look at single customers, and
//! [`report`] puts the whole on a page.
//!
//! # Map
//!
//! | module | what it holds |
//! |---|---|
//! | [`number`], [`calendar`] | exact decimals; days, months and periods in a time zone |
//! | [`facts`], [`parameters`] | what measures are computed from, and what formulas leave open |
//! | [`measures`] | definitions and contributions; [`measures::profile`]: RFM, CLV, grade, lifecycle |
//! | [`query`] | groups, filters, comparison, rows |
//! | [`segment`], [`churn`], [`episodes`], [`publish`] | rules, signs, episodes with their tasks, tags written back |
//! | [`report`] | the customer asset report as HTML and XLSX |
//! | [`feed`], [`follow`], [`directory`] | what the feeds say; following, rebuilding, switching; users and org units |
//! | [`store`] | all SQL |
//! | [`access`], [`convert`], [`rpc`], [`page`], [`core`] | rights, messages, operations, page tokens, shared state |
//!
//! # Invariants
//!
//! 1. The effect of a page of changes and the cursor beyond it are one transaction; every change
//!    carries the present state, so that a rebuild ends in the same rows.
//! 2. Facts are stored against the party they name; only the crosswalk knows customers. A merge or
//!    unmerge moves every number and rewrites no fact.
//! 3. A value is computed from its contributions alone, so that rows add up to it.
//! 4. No data is null, never zero; there is no float in a measure.

pub mod access;
pub mod calendar;
pub mod churn;
pub mod config;
pub mod convert;
pub mod core;
pub mod directory;
pub mod episodes;
pub mod facts;
pub mod feed;
pub mod follow;
pub mod measures;
pub mod number;
pub mod outside;
pub mod page;
pub mod parameters;
pub mod publish;
pub mod query;
pub mod report;
pub mod rpc;
pub mod segment;
pub mod store;

use std::{sync::Arc, time::Duration};

use jinke_kit::{Built, Check, Service, ServiceContext, Shutdown};
use jinke_store::{Database, keys::KeyRing};
use jinke_types::Failure;
use tonic::codec::CompressionEncoding;

use config::ReportingConfig;
use convert::{
    feed::PeerFeeds,
    outside::PeerOutside,
    pb::{
        analytics_service_server::AnalyticsServiceServer,
        insight_service_server::InsightServiceServer,
        projection_service_server::ProjectionServiceServer,
        report_service_server::ReportServiceServer, segment_service_server::SegmentServiceServer,
    },
};
use core::Core;
use episodes::TaskRules;
use follow::Follower;
use outside::Outside;
use rpc::Api;

/// The service, for [`jinke_kit::run`] and the suite.
#[derive(Clone, Copy, Debug)]
pub struct Reporting;

/// Adds the RPC services.
pub fn serve(built: Built, api: &Api, request_bytes: usize) -> Built {
    macro_rules! server {
        ($server:ident) => {
            $server::new(api.clone())
                .max_decoding_message_size(request_bytes)
                .accept_compressed(CompressionEncoding::Gzip)
                .send_compressed(CompressionEncoding::Gzip)
        };
    }
    built
        .rpc(server!(InsightServiceServer))
        .rpc(server!(SegmentServiceServer))
        .rpc(server!(ReportServiceServer))
        .rpc(server!(AnalyticsServiceServer))
        .rpc(server!(ProjectionServiceServer))
}

impl Service for Reporting {
    const NAME: &'static str = "reporting";
    type Config = ReportingConfig;
    const DEFAULT_CONFIG: &'static str = include_str!("config.default.toml");

    async fn build(ctx: ServiceContext<ReportingConfig>) -> Result<Built, Failure> {
        let config = ctx.config;
        let (defaults, limits, poll) = (config.parameters()?, config.questions()?, config.poll()?);
        let ring = KeyRing::open_or_create(&config.key_files(&ctx.data_dir), &*ctx.entropy)?;
        let ring = Arc::new(ring);
        let db = Database::open(config.database(&ctx.data_dir), &store::MIGRATIONS).await?;
        db.write(async |mut tx| ring.check(&mut tx).await).await?;
        let id = store::database_id(&db, &*ctx.entropy).await?;
        let audit = Arc::new(db.audit(Arc::clone(&ctx.clock), &*ctx.entropy));
        let core = Core::new(
            db.clone(),
            ring,
            Arc::clone(&ctx.clock),
            ctx.entropy,
            defaults,
            limits,
            id,
        );
        let feeds = PeerFeeds::new(ctx.peers.clone(), config.feeds.pipeline);
        let follower = Follower::new(
            db.clone(),
            Arc::new(feeds.clone()),
            ctx.clock,
            config.cancelled(),
            poll,
        );
        follower.begin().await?;
        let outside: Arc<dyn Outside> = Arc::new(PeerOutside(ctx.peers));
        let tasks = Arc::new(TaskRules {
            days: config.churn.task_days,
            fallback_owner: config.churn.fallback_owner.clone(),
        });
        let api = Api {
            core,
            follower: follower.clone(),
            outside,
            tasks,
        };
        let built = Built::new()
            .audit(audit)
            .check(DatabaseAnswers(db))
            .task("follow", {
                let shutdown = ctx.shutdown.clone();
                async move {
                    follower.run(shutdown).await;
                    Ok(())
                }
            })
            .task("directory", {
                let (core, shutdown) = (api.core.clone(), ctx.shutdown.clone());
                async move {
                    directory::follow(core, feeds, shutdown).await;
                    Ok(())
                }
            })
            .task("rounds", {
                let minutes = (
                    config.churn.evaluate_minutes,
                    config.grading.publish_minutes,
                );
                rounds(api.clone(), minutes, ctx.shutdown)
            });
        Ok(serve(built, &api, ctx.request_bytes))
    }
}

/// How often it is looked whether insights are to be published; the interval itself is kept in the
/// database, so that a restart neither forgets it nor begins it anew.
const LOOK: Duration = Duration::from_secs(600);

/// Evaluates churn and publishes insights at their intervals.
async fn rounds(api: Api, minutes: (u64, u64), shutdown: Shutdown) -> Result<(), Failure> {
    let every = |minutes: u64| (minutes > 0).then(|| Duration::from_secs(minutes * 60));
    let churn = async {
        let Some(pause) = every(minutes.0) else {
            return;
        };
        loop {
            tokio::time::sleep(pause).await;
            let done = episodes::evaluate(&api.core, &api.outside, &api.tasks, false, None).await;
            if let Err(e) = done {
                tracing::warn!(error = %e, "churn was not evaluated");
            }
        }
    };
    let tags = async {
        let Some(every) = every(minutes.1) else {
            return;
        };
        loop {
            if let Err(e) = publish::when_due(&api.core, &api.outside, every).await {
                tracing::warn!(error = %e, "insights were not published");
            }
            tokio::time::sleep(every.min(LOOK)).await;
        }
    };
    let _ = shutdown
        .unless(async {
            tokio::join!(churn, tags);
            // Without an interval there is nothing to do but to wait for the end.
            std::future::pending::<()>().await;
        })
        .await;
    Ok(())
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
