//! Identity: who is calling, and who may do what.
//!
//! It keeps users, service accounts, org units, role bindings and policies; proves callers by
//! password or key and signs short-lived tokens for them; and streams the state of access to
//! every service, so that each decides by itself (decision D9).
//!
//! | module | what it holds |
//! |---|---|
//! | `domain` | the words: members, roles, bindings, sessions, the state of access; ids and trees |
//! | `access` | the shipped roles and service accounts; what a caller of some org units may touch |
//! | `core` | what every operation works with: database, keys, clock; sessions and tokens |
//! | `rpc`, `rpc/<verb_noun>` | one operation, one file: request checks, work, errors, tests |
//! | `convert` | between messages and the domain; the mask |
//! | `store` | every statement; `store/conformance` are the cases both engines pass |
//! | `password`, `secret`, `throttle` | Argon2id, made-up secrets, how often a login may fail |
//! | `signing`, `publish` | signing keys; the access snapshot and who watches it |
//! | `bootstrap`, `credentials`, `provision`, `tasks` | first start, this machine's credentials, keys made elsewhere, background work |
//!
//! To add an operation: a method in the contract with its `permission`, a file in `rpc/`, a line
//! in `rpc.rs`. A change that affects who may do what calls `store::log` in its transaction; then
//! followers hear of it.

mod access;
mod bootstrap;
mod config;
mod convert;
mod core;
mod credentials;
mod domain;
mod error;
mod password;
mod provision;
mod publish;
mod rpc;
mod secret;
mod signing;
mod store;
mod tasks;
#[cfg(test)]
mod testing;
mod throttle;

use std::sync::Arc;

use jinke_kit::{Built, Check, Service, ServiceContext};
use jinke_store::{Database, keys::KeyRing};
use jinke_types::{AuditLog, Entropy, Failure};

pub use config::{
    AuditSection, Config, DatabaseSection, KeysSection, PasswordConfig, ThrottleConfig,
    TokensConfig,
};
pub use store::MIGRATIONS;

use crate::core::Core;

/// The identity service.
#[derive(Debug)]
pub struct Identity;

/// A fresh key of a service account, as `identity.provisioned_keys` takes it.
pub fn new_service_account_key(entropy: &dyn Entropy) -> String {
    secret::make(secret::Kind::Key, entropy).text
}

/// The shipped service accounts of services, such as `service-customer`: each has a file
/// `<account>.key` in `identity.provisioned_keys`.
pub fn shipped_service_accounts() -> impl Iterator<Item = &'static str> {
    access::SERVICES.iter().map(|shipped| shipped.id)
}

impl Service for Identity {
    const NAME: &'static str = "identity";
    type Config = Config;
    const DEFAULT_CONFIG: &'static str = config::DEFAULT;

    async fn build(ctx: ServiceContext<Config>) -> Result<Built, Failure> {
        let entropy = ctx.entropy;
        let ring = KeyRing::open_or_create(&ctx.config.key_files(&ctx.data_dir), entropy.as_ref())?;
        let db = Database::open(ctx.config.database(&ctx.data_dir), &MIGRATIONS).await?;
        let core = Arc::new(
            Core::new(
                ctx.config,
                db.clone(),
                ring,
                ctx.clock,
                entropy,
                ctx.access,
                ctx.data_dir,
            )
            .await?,
        );
        ctx.metrics.register(core.logins.clone())?;
        if let Some(password) = bootstrap::run(&core).await? {
            announce(&core, &password);
        }
        let log: Arc<dyn AuditLog> =
            Arc::new(db.audit(Arc::clone(&core.clock), &*core.vault.entropy));
        let chain = tasks::chain(
            Arc::clone(&core),
            Arc::clone(&log),
            ctx.metrics,
            ctx.shutdown.clone(),
        );
        let (follow, keep_house) = (
            tasks::follow(Arc::clone(&core), ctx.shutdown.clone()),
            tasks::keep_house(Arc::clone(&core), ctx.shutdown.clone()),
        );
        let built = rpc::add(Built::new(), &core, &ctx.shutdown, ctx.request_bytes);
        Ok(built
            .audit(log)
            .check(DatabaseAnswers(db))
            .task("audit", chain)
            .task("follow", follow)
            .task("keep_house", keep_house))
    }
}

/// Readiness: without its database identity can prove nobody.
struct DatabaseAnswers(Database);

#[async_trait::async_trait]
impl Check for DatabaseAnswers {
    fn name(&self) -> &str {
        "database"
    }
    async fn check(&self) -> Result<(), Failure> {
        self.0.ping().await
    }
}

/// Shows the administrator's one-time password on the terminal, once. It is no log line: logs are
/// kept and read by others.
#[expect(
    clippy::print_stdout,
    reason = "for the person who starts the suite for the first time"
)]
fn announce(core: &Core, password: &str) {
    println!(
        "First start: log in as admin with the one-time password {password} and set your own.\n\
         It is also in {}.",
        credentials::admin_path(&core.data_dir).display()
    );
}
