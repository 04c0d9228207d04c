//! The customer service: source records in, golden customers out.
//!
//! A connector's records come in by `IngestSourceRecords` or `StreamSourceRecords`. They are
//! stored as versions, sealed; standardized, blocked, compared and clustered in the same
//! transaction; and a customer is what survives from the records of one cluster that the caller
//! sees. Every change goes to the change feed in the transaction that made it.
//!
//! # Map
//!
//! | module | what it holds |
//! |---|---|
//! | [`convert`] | the contract's messages to domain values and back; every check of a request |
//! | [`access`] | what a caller sees: rows and classes of fields; the one mask function |
//! | [`rpc`] | one operation, one file; page tokens, filters, streams, metrics |
//! | [`domain`] | the words of this service, without SQL and wire format |
//! | [`engine`] | versions, resolution, judgements, survivorship: the [`engine::Engine`] |
//! | [`store`] | all SQL; [`store::query`] holds the scoped reads behind the RPCs |
//! | [`config`] | `[customer]` of the configuration |
//! | [`error`] | failures this service makes itself |
//!
//! # To add an RPC
//!
//! Write it in the contract with its permission and with a field class on every field that holds
//! personal or confidential values. Add `rpc/<verb_noun>.rs` with `run(api, viewer, request)` and
//! a line in its `*_service.rs`. Give the answer its line in `access/answer.rs`: without one it
//! does not compile, and with a wrong one `every_classed_field_is_masked` fails. Read rows only
//! through functions that take a scope.

pub mod access;
pub mod config;
pub mod convert;
pub mod domain;
pub mod engine;
pub mod error;
pub mod rpc;
pub mod store;

use std::{sync::Arc, time::Duration};

use jinke_kit::{Built, Check, Service, ServiceContext};
use jinke_store::{Database, changelog, keys::KeyRing};
use jinke_types::Failure;
use tonic::codec::CompressionEncoding;

use access::Viewer;
use config::CustomerConfig;
use convert::pb::{
    customer_service_server::CustomerServiceServer, match_service_server::MatchServiceServer,
    source_service_server::SourceServiceServer,
    stewardship_service_server::StewardshipServiceServer,
};
use engine::Engine;
use rpc::{Api, Regrant, numbers::Numbers, operations::Background, page::Pages};

/// How old a gauge may be at most.
const GAUGES: Duration = Duration::from_secs(5);

/// The service, for [`jinke_kit::run`] and the suite.
#[derive(Clone, Copy, Debug)]
pub struct Customer;

/// Adds the four RPC services.
fn serve(built: Built, api: Api, request_bytes: usize) -> Built {
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
        .rpc(server!(SourceServiceServer))
        .rpc(server!(CustomerServiceServer))
        .rpc(server!(MatchServiceServer))
        .rpc(server!(StewardshipServiceServer))
}

impl Service for Customer {
    const NAME: &'static str = "customer";
    type Config = CustomerConfig;
    const DEFAULT_CONFIG: &'static str = include_str!("config.default.toml");

    async fn build(ctx: ServiceContext<CustomerConfig>) -> Result<Built, Failure> {
        let config = ctx.config;
        let limits = config.limits()?;
        let ring = KeyRing::open_or_create(&config.key_files(&ctx.data_dir), &*ctx.entropy)?;
        let ring = Arc::new(ring);
        let db = Database::open(config.database(&ctx.data_dir), &store::MIGRATIONS).await?;
        db.write(async |mut tx| ring.check(&mut tx).await).await?;
        let id = store::query::database_id(&db, &*ctx.entropy).await?;
        let (clock, entropy) = (Arc::clone(&ctx.clock), Arc::clone(&ctx.entropy));
        let engine = Engine::new(
            db.clone(),
            ring.clone(),
            Arc::new(config.match_rules()?),
            Arc::new(config.survivorship()?),
            ctx.clock,
            ctx.entropy,
            config.engine(),
        )
        .await?;
        let access = ctx.access;
        let regrant: Regrant = Arc::new(move |viewer: &Viewer, permission| {
            access
                .authorize(&viewer.caller, permission)
                .map(Viewer::from)
        });
        let numbers = Numbers::new(&ctx.metrics)?;
        let background = Background::new(db.clone(), Arc::clone(&clock), &*entropy);
        let api = Api {
            engine: engine.clone(),
            pages: Arc::new(Pages::new(ring, id)),
            limits,
            numbers: numbers.clone(),
            shutdown: ctx.shutdown.clone(),
            regrant,
            background: background.clone(),
        };
        let stopped = ctx.shutdown.child();
        let built = Built::new()
            .audit(Arc::new(db.audit(Arc::clone(&clock), &*entropy)))
            .operations(db.operations(clock))
            .check(DatabaseAnswers(db.clone()))
            .task("operations", async move {
                background
                    .run(engine, async move { stopped.wait().await })
                    .await
            })
            .task("gauges", {
                let shutdown = ctx.shutdown;
                async move {
                    shutdown.unless(follow_head(db, numbers, limits.poll)).await;
                    Ok(())
                }
            });
        Ok(serve(built, api, ctx.request_bytes))
    }
}

/// Keeps the gauges of the feed's newest position and of the database's connections.
async fn follow_head(db: Database, numbers: Numbers, poll: Duration) {
    let mut known = -1;
    loop {
        match tokio::time::timeout(GAUGES, changelog::wait(&db, known, poll)).await {
            Ok(Ok(head)) => {
                known = head;
                numbers.feed_head.set(head);
            }
            // The readiness check reports a database that is away; here it is enough to wait.
            Ok(Err(_)) => tokio::time::sleep(GAUGES).await,
            Err(_) => {}
        }
        numbers.pool(db.pool_state());
        if let Ok(mut reader) = db.read().await
            && let Ok(waiting) = store::pending::count(&mut reader).await
        {
            numbers.pending.set(waiting);
        }
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
