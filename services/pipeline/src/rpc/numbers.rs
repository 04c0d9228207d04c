//! The metrics of this service, beside those the kit keeps of every RPC.

use jinke_kit::Metrics;
use jinke_types::Failure;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts};

/// Counters and gauges; see the README for what they mean.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// Leads that came in, by what looking for the customer gave.
    pub leads: IntCounterVec,
    /// Newest position of the change feed.
    pub feed_head: IntGauge,
    /// Changes that left by list or watch.
    pub feed_changes: IntCounterVec,
    /// Timers that are due and have not fired.
    pub timers_due: IntGauge,
    /// Messages that wait.
    pub deliveries_waiting: IntGauge,
    /// Connections to the database, by state.
    pub connections: IntGaugeVec,
}

impl Numbers {
    /// Registers them.
    ///
    /// # Errors
    /// `INTERNAL` when one is there already.
    pub fn new(metrics: &Metrics) -> Result<Self, Failure> {
        let counter = |name: &str, help: &str, label: &str| {
            IntCounterVec::new(Opts::new(name, help), &[label]).map_err(Failure::internal)
        };
        let gauge = |name: &str, help: &str| IntGauge::new(name, help).map_err(Failure::internal);
        let this = Self {
            leads: counter(
                "jinke_pipeline_leads_total",
                "Leads that came in, by what looking for the customer gave.",
                "match",
            )?,
            feed_head: gauge(
                "jinke_pipeline_feed_position",
                "Newest position of the change feed.",
            )?,
            feed_changes: counter(
                "jinke_pipeline_feed_changes_total",
                "Changes read from the feed, by call.",
                "call",
            )?,
            timers_due: gauge(
                "jinke_pipeline_timers_due",
                "Timers whose time came and that have not fired.",
            )?,
            deliveries_waiting: gauge(
                "jinke_pipeline_deliveries_waiting",
                "Messages that were not handed over yet.",
            )?,
            connections: IntGaugeVec::new(
                Opts::new(
                    "jinke_pipeline_database_connections",
                    "Connections to the database: open, idle, and the most there may be.",
                ),
                &["state"],
            )
            .map_err(Failure::internal)?,
        };
        metrics.register(this.leads.clone())?;
        metrics.register(this.feed_head.clone())?;
        metrics.register(this.feed_changes.clone())?;
        metrics.register(this.timers_due.clone())?;
        metrics.register(this.deliveries_waiting.clone())?;
        metrics.register(this.connections.clone())?;
        Ok(this)
    }

    /// Takes over what the connections do.
    pub fn pool(&self, state: jinke_store::PoolState) {
        for (label, n) in [
            ("open", state.open),
            ("idle", state.idle),
            ("max", state.max),
        ] {
            self.connections
                .with_label_values(&[label])
                .set(i64::from(n));
        }
    }
}
