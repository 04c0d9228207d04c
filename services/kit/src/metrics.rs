//! Numbers for Prometheus. One registry for the process; services add their own to it.

use jinke_types::Failure;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

/// The registry of the process. Clones share it.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    pub(crate) requests: IntCounterVec,
    pub(crate) seconds: HistogramVec,
    pub(crate) in_flight: IntGaugeVec,
    pub(crate) streams: IntGaugeVec,
    pub(crate) shed: IntCounterVec,
    pub(crate) ready: IntGaugeVec,
    pub(crate) snapshot_version: IntGaugeVec,
    pub(crate) connections: IntGauge,
    pub(crate) audit_events: IntCounterVec,
    pub(crate) audit_backlog: IntGaugeVec,
    pub(crate) audit_lag: IntGaugeVec,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry with the metrics of the kit.
    pub fn new() -> Self {
        let method = &["service", "method"];
        let this = Self {
            registry: Registry::new(),
            requests: counters(
                "jinke_rpc_requests_total",
                "RPCs answered, by method and gRPC code.",
                &["service", "method", "code"],
            ),
            seconds: HistogramVec::new(
                HistogramOpts::new(
                    "jinke_rpc_seconds",
                    "Time from the head of a request to the end of its answer.",
                )
                .buckets(vec![
                    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
                    10.0, 30.0, 60.0,
                ]),
                method,
            )
            .expect("the histogram is well formed"),
            in_flight: gauges("jinke_rpc_in_flight", "RPCs being answered now.", method),
            streams: gauges(
                "jinke_rpc_streams_open",
                "Watch streams open now.",
                &["service"],
            ),
            shed: counters(
                "jinke_rpc_shed_total",
                "RPCs refused because a limit was reached.",
                &["service", "limit"],
            ),
            ready: gauges(
                "jinke_ready",
                "1 when the check holds, 0 when not.",
                &["service", "check"],
            ),
            snapshot_version: gauges(
                "jinke_access_snapshot_version",
                "Version of the access snapshot in use.",
                &["service"],
            ),
            connections: IntGauge::new("jinke_connections_open", "Client connections open now.")
                .expect("the gauge is well formed"),
            audit_events: counters(
                "jinke_audit_events_total",
                "Events of the audit trail: mutation, refusal, disclosure, or failed to be kept.",
                &["service", "kind"],
            ),
            audit_backlog: gauges(
                "jinke_audit_backlog",
                "Events that wait to be delivered to identity.",
                &["service"],
            ),
            audit_lag: gauges(
                "jinke_audit_lag_seconds",
                "Age of the oldest event that waits to be delivered to identity.",
                &["service"],
            ),
        };
        let own: Vec<Box<dyn Collector>> = vec![
            Box::new(this.requests.clone()),
            Box::new(this.seconds.clone()),
            Box::new(this.in_flight.clone()),
            Box::new(this.streams.clone()),
            Box::new(this.shed.clone()),
            Box::new(this.ready.clone()),
            Box::new(this.snapshot_version.clone()),
            Box::new(this.connections.clone()),
            Box::new(this.audit_events.clone()),
            Box::new(this.audit_backlog.clone()),
            Box::new(this.audit_lag.clone()),
        ];
        for collector in own {
            this.registry
                .register(collector)
                .expect("names of the kit's metrics are distinct");
        }
        this
    }

    /// Adds a service's own metric; keep a clone of it to change it.
    ///
    /// # Errors
    /// When a metric of this name and these labels exists.
    pub fn register(&self, collector: impl Collector + 'static) -> Result<(), Failure> {
        self.registry
            .register(Box::new(collector))
            .map_err(Failure::internal)
    }

    /// The registry itself.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// All metrics in the text format of Prometheus.
    pub fn render(&self) -> String {
        prometheus::TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_default()
    }
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect("the counter is well formed")
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), labels).expect("the gauge is well formed")
}
