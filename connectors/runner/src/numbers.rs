//! The metrics of this service, beside those the kit keeps of every RPC.

use jinke_kit::Metrics;
use jinke_types::Failure;
use prometheus::{IntCounterVec, IntGauge, Opts};

/// Counters and gauges; see the README for what they mean.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// Records delivered, by outcome.
    pub records: IntCounterVec,
    /// Runs that ended, by state.
    pub runs: IntCounterVec,
    /// Connections this process leads now.
    pub leading: IntGauge,
    /// Attempts at messages and pushes, by outcome.
    pub deliveries: IntCounterVec,
    /// Callbacks answered, by outcome.
    pub callbacks: IntCounterVec,
}

impl Numbers {
    /// Registers them.
    pub fn new(metrics: &Metrics) -> Result<Self, Failure> {
        let this = Self::unregistered()?;
        metrics.register(this.records.clone())?;
        metrics.register(this.runs.clone())?;
        metrics.register(this.leading.clone())?;
        metrics.register(this.deliveries.clone())?;
        metrics.register(this.callbacks.clone())?;
        Ok(this)
    }

    /// Numbers nobody reads.
    pub fn unregistered() -> Result<Self, Failure> {
        let counter = |name: &str, help: &str, label: &str| {
            IntCounterVec::new(Opts::new(name, help), &[label]).map_err(Failure::internal)
        };
        Ok(Self {
            records: counter(
                "jinke_connector_records_total",
                "Records delivered, by what became of them.",
                "outcome",
            )?,
            runs: counter(
                "jinke_connector_runs_total",
                "Runs that ended, by state.",
                "state",
            )?,
            leading: IntGauge::new(
                "jinke_connector_leading",
                "Connections this process leads now.",
            )
            .map_err(Failure::internal)?,
            deliveries: counter(
                "jinke_connector_deliveries_total",
                "Attempts at messages and pushes, by outcome.",
                "outcome",
            )?,
            callbacks: counter(
                "jinke_connector_callbacks_total",
                "Callbacks answered, by outcome.",
                "outcome",
            )?,
        })
    }
}
