//! Liveness and readiness.
//!
//! Over gRPC (`grpc.health.v1`) the empty service name is liveness: `SERVING` until the process
//! drains. The name of a service (`customer`, `jinke.customer.v1.CustomerService`) is its
//! readiness. Over HTTP these are `/healthz` and `/readyz` (see [`crate::admin`]).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jinke_types::{Code, Failure};
use tokio::sync::watch;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{Access, Metrics, Shutdown};

/// Something that must hold for a service to be ready.
#[async_trait::async_trait]
pub trait Check: Send + Sync + 'static {
    /// Short name for `/readyz`, logs and metrics: `database`, `peer:customer`.
    fn name(&self) -> &str;
    /// Whether it holds now. Called every few seconds with a deadline of its own.
    ///
    /// # Errors
    /// Why it does not hold, without personal data.
    async fn check(&self) -> Result<(), Failure>;
}

/// Holds while the access snapshot is fresh.
pub(crate) struct AccessCheck(pub(crate) Access);

#[async_trait::async_trait]
impl Check for AccessCheck {
    fn name(&self) -> &'static str {
        "access"
    }
    async fn check(&self) -> Result<(), Failure> {
        self.0.fresh().map(|_| ())
    }
}

/// Why each check of each service does not hold; `None` for one that does.
pub(crate) type Report = BTreeMap<(String, String), Option<String>>;

/// A service, the names of its gRPC services, its checks.
pub(crate) type Watched = (&'static str, Vec<&'static str>, Vec<Box<dyn Check>>);

/// What readiness is made of.
pub(crate) struct Readiness {
    pub(crate) services: Vec<Watched>,
    pub(crate) reporter: HealthReporter,
    pub(crate) metrics: Metrics,
    pub(crate) every: Duration,
    pub(crate) timeout: Duration,
    pub(crate) report: watch::Sender<Option<Arc<Report>>>,
}

impl Readiness {
    /// Looks at every check again and again until `draining`, then says that nothing is ready.
    pub(crate) async fn keep(self, draining: Shutdown) {
        // Young processes are looked at more often, so that one that is ready is soon known to be.
        let mut pause = Duration::from_millis(20).min(self.every);
        loop {
            if draining.unless(self.look()).await.is_none() {
                break;
            }
            if draining.unless(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
            pause = (pause * 2).min(self.every);
        }
        self.reporter
            .set_service_status("", ServingStatus::NotServing)
            .await;
        for (name, rpcs, _) in &self.services {
            self.say(name, rpcs, false).await;
        }
        self.report.send_modify(|report| {
            let mut all = report.as_deref().cloned().unwrap_or_default();
            all.insert(
                (String::new(), "draining".into()),
                Some("the process is draining".into()),
            );
            *report = Some(Arc::new(all));
        });
    }

    async fn look(&self) {
        let mut report = Report::new();
        for (service, rpcs, checks) in &self.services {
            let mut ready = true;
            for check in checks {
                let outcome = tokio::time::timeout(self.timeout, check.check()).await;
                let why = match outcome {
                    Ok(Ok(())) => None,
                    Ok(Err(failure)) => Some(failure.to_string()),
                    Err(_) => Some(format!("no answer within {:?}", self.timeout)),
                };
                self.metrics
                    .ready
                    .with_label_values(&[*service, check.name()])
                    .set(i64::from(why.is_none()));
                ready &= why.is_none();
                report.insert(((*service).to_owned(), check.name().to_owned()), why);
            }
            self.say(service, rpcs, ready).await;
        }
        let changed = self.report.borrow().as_deref() != Some(&report);
        if changed {
            for ((service, check), why) in &report {
                match why {
                    None => tracing::info!(service, check, "ready"),
                    Some(why) => tracing::info!(service, check, why, "not ready"),
                }
            }
            self.report.send_replace(Some(Arc::new(report)));
        }
    }

    async fn say(&self, service: &str, rpcs: &[&'static str], ready: bool) {
        let status = if ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for name in rpcs.iter().copied().chain([service]) {
            self.reporter.set_service_status(name, status).await;
        }
    }
}

/// Whether everything holds, and what does not.
pub(crate) fn verdict(report: Option<&Report>) -> Result<(), Failure> {
    let not_ready = |why: String| Failure::new(Code::Unavailable, "NOT_READY", why);
    let report = report.ok_or_else(|| not_ready("nothing has been looked at yet".to_owned()))?;
    let wrong: Vec<_> = report
        .iter()
        .filter_map(|((service, check), why)| {
            why.as_ref()
                .map(|why| format!("{service} {check}: {why}").trim().to_owned())
        })
        .collect();
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(not_ready(wrong.join("\n")))
    }
}
