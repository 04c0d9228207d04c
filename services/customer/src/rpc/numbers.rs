//! The metrics of this service, beside those the kit keeps of every RPC.

use jinke_kit::Metrics;
use jinke_types::Failure;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts};

use crate::convert::pb;

/// Counters and gauges; see the README for what they mean.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// Ingested records by outcome.
    pub records: IntCounterVec,
    /// Seconds from a checked batch to its durable, resolved results.
    pub ingest_seconds: Histogram,
    /// Batches that wait for their results now.
    pub ingest_waiting: IntGauge,
    /// Newest position of the change feed.
    pub feed_head: IntGauge,
    /// Records that wait to be resolved in the background.
    pub pending: IntGauge,
    /// Changes that left by list or watch.
    pub feed_changes: IntCounterVec,
    /// Connections to the database, by state.
    pub connections: IntGaugeVec,
    /// Transactions tried anew because of another one.
    pub conflicts: IntGauge,
}

impl Numbers {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Result<Self, Failure> {
        let this = Self {
            records: IntCounterVec::new(
                Opts::new(
                    "jinke_customer_ingest_records_total",
                    "Source records ingested, by outcome.",
                ),
                &["outcome"],
            )
            .map_err(Failure::internal)?,
            ingest_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "jinke_customer_ingest_seconds",
                    "Time from a checked batch to its durable and resolved results.",
                )
                .buckets(vec![
                    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
                ]),
            )
            .map_err(Failure::internal)?,
            ingest_waiting: IntGauge::new(
                "jinke_customer_ingest_batches_waiting",
                "Batches that wait for their results now.",
            )
            .map_err(Failure::internal)?,
            pending: IntGauge::new(
                "jinke_customer_pending_records",
                "Records that wait to be resolved in the background",
            )
            .map_err(Failure::internal)?,
            feed_head: IntGauge::new(
                "jinke_customer_feed_position",
                "Newest position of the change feed.",
            )
            .map_err(Failure::internal)?,
            feed_changes: IntCounterVec::new(
                Opts::new(
                    "jinke_customer_feed_changes_total",
                    "Changes read from the feed, by call.",
                ),
                &["call"],
            )
            .map_err(Failure::internal)?,
            connections: IntGaugeVec::new(
                Opts::new(
                    "jinke_customer_database_connections",
                    "Connections to the database: open, idle, and the most there may be.",
                ),
                &["state"],
            )
            .map_err(Failure::internal)?,
            conflicts: IntGauge::new(
                "jinke_customer_database_conflicts",
                "Transactions tried anew because of another one, since start.",
            )
            .map_err(Failure::internal)?,
        };
        metrics.register(this.records.clone())?;
        metrics.register(this.ingest_seconds.clone())?;
        metrics.register(this.ingest_waiting.clone())?;
        metrics.register(this.feed_head.clone())?;
        metrics.register(this.pending.clone())?;
        metrics.register(this.feed_changes.clone())?;
        metrics.register(this.connections.clone())?;
        metrics.register(this.conflicts.clone())?;
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
        self.conflicts
            .set(i64::try_from(state.conflicts).unwrap_or(i64::MAX));
    }

    /// Counts the outcomes of a batch.
    pub fn count(&self, results: &[pb::IngestResult]) {
        for result in results {
            let outcome = match result.outcome() {
                pb::ingest_result::Outcome::Unspecified => "unspecified",
                pb::ingest_result::Outcome::Created => "created",
                pb::ingest_result::Outcome::Updated => "updated",
                pb::ingest_result::Outcome::Unchanged => "unchanged",
                pb::ingest_result::Outcome::Superseded => "superseded",
                pb::ingest_result::Outcome::Rejected => "rejected",
            };
            self.records.with_label_values(&[outcome]).inc();
        }
    }
}
