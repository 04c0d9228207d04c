//! The service for the kit: its configuration, what it opens, what it serves.

use std::sync::Arc;

use jinke_kit::{Built, Check, Service, ServiceContext};
use jinke_proto::jinke::connector::v1::connector_service_server::ConnectorServiceServer;
use jinke_store::{Database, Engine, args, keys::KeyRing};
use jinke_types::Failure;
use tonic::codec::CompressionEncoding;

use crate::{
    GrpcDoor, PipelineDoor, callbacks,
    config::ConnectorConfig,
    core::{Core, Parts},
    directory::IdentityDoor,
    numbers::Numbers,
    registry::{Registry, kinds},
    rpc::{Api, page::Pages},
    store::MIGRATIONS,
    work,
};

/// The service, for [`jinke_kit::run`] and the suite.
#[derive(Clone, Copy, Debug)]
pub struct Connectors;

impl Service for Connectors {
    const NAME: &'static str = "connector";
    type Config = ConnectorConfig;
    const DEFAULT_CONFIG: &'static str = include_str!("config.default.toml");

    async fn build(ctx: ServiceContext<ConnectorConfig>) -> Result<Built, Failure> {
        let config = ctx.config;
        let limits = config.limits()?;
        let folders = config.folders(&ctx.data_dir);
        if config.files.folders.is_empty() {
            for folder in &folders {
                std::fs::create_dir_all(folder).map_err(Failure::internal)?;
            }
        }
        let ring = KeyRing::open_or_create(&config.key_files(&ctx.data_dir), &*ctx.entropy)?;
        let ring = Arc::new(ring);
        let db = Database::open(config.database(&ctx.data_dir), &MIGRATIONS).await?;
        db.write(async |mut tx| ring.check(&mut tx).await).await?;
        free_leases(&db).await?;
        let audit = Arc::new(db.audit(Arc::clone(&ctx.clock), &*ctx.entropy));
        let core = Core::new(Parts {
            db: db.clone(),
            ring: ring.clone(),
            clock: ctx.clock,
            entropy: ctx.entropy,
            registry: Registry::new(kinds(), folders),
            limits,
            door: Arc::new(GrpcDoor::new(ctx.peers.get("customer"))),
            leads: Arc::new(PipelineDoor::new(ctx.peers.get("pipeline"))),
            directory: Some(Arc::new(IdentityDoor::new(ctx.peers.get("identity")))),
            numbers: Numbers::new(&ctx.metrics)?,
            shutdown: ctx.shutdown,
        });
        let api = Api::new(core.clone(), Arc::new(Pages::new(ring)));
        let server = ConnectorServiceServer::new(api)
            .max_decoding_message_size(ctx.request_bytes)
            .accept_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Gzip);
        let mut built = Built::new()
            .rpc(server)
            .audit(audit)
            .check(DatabaseAnswers(db))
            .task("connections", {
                let core = core.clone();
                async move {
                    work::supervise(core).await;
                    Ok(())
                }
            });
        built = built.task("listeners", {
            let core = core.clone();
            async move {
                work::listen(core).await;
                Ok(())
            }
        });
        if !config.callbacks.listen.is_empty() {
            let (listener, address) = callbacks::bind(&config.callbacks.listen).await?;
            tracing::info!(%address, "callbacks are received");
            let bounds = callbacks::Bounds {
                body_bytes: config.callbacks.body_bytes,
                concurrent: config.callbacks.concurrent,
                read: std::time::Duration::from_secs(config.callbacks.read_seconds),
                answer: std::time::Duration::from_millis(config.callbacks.answer_milliseconds),
            };
            built = built.task("callbacks", async move {
                callbacks::serve(core, listener, bounds).await;
                Ok(())
            });
        }
        Ok(built)
    }
}

/// A SQLite file belongs to one process, so the leases in it are of one that is gone: nobody need
/// wait for their end.
async fn free_leases(db: &Database) -> Result<(), Failure> {
    if db.engine() == Engine::Sqlite {
        db.write(async |mut tx| {
            tx.execute("UPDATE jinke_leases SET lease_end = $1", args![i64::MIN])
                .await
        })
        .await?;
    }
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
