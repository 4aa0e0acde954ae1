//! What is counted, for Prometheus. Every label has a bounded set of values.

use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::aws::Code;

/// The media type of [`Metrics::text`].
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the buckets of latencies, in seconds.
const BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// The operation of requests that name none that there is.
const UNKNOWN: &str = "unknown";
/// The code of requests that did not fail.
const OK: &str = "OK";

/// The counters of one server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Family<OperationLabels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    rejected: Family<CodeLabels, Counter>,
    connections: Gauge,
    refused: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: String,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

/// A request that is being answered. One that its client gives up is not counted.
pub(crate) struct Visit<'a> {
    metrics: &'a Metrics,
    since: Instant,
}

/// A connection that is open.
pub(crate) struct Open(Gauge);

impl Metrics {
    /// Counters that are all zero.
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("boathouse_http"),
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            in_flight: Gauge::default(),
            rejected: Family::default(),
            connections: Gauge::default(),
            refused: Counter::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("requests", "Requests answered", self.requests.clone());
        let help = "Time from a request's head to its answer";
        let durations = self.durations.clone();
        registry.register_with_unit("request_duration", help, Unit::Seconds, durations);
        let help = "Requests that are being answered";
        registry.register("requests_in_flight", help, self.in_flight.clone());
        let help = "Requests refused for their signature, or for having none";
        registry.register("rejected_signatures", help, self.rejected.clone());
        registry.register("connections", "Connections that are open", self.connections.clone());
        let help = "Connections closed at once because there were too many";
        registry.register("refused_connections", help, self.refused.clone());
    }

    /// A request has come.
    pub(crate) fn enter(&self) -> Visit<'_> {
        self.in_flight.inc();
        Visit { metrics: self, since: Instant::now() }
    }

    /// A request's signature was refused, or that it had none.
    pub(crate) fn rejected(&self, code: Code) {
        self.rejected.get_or_create(&CodeLabels { code: code.name() }).inc();
    }

    /// A connection has come.
    pub(crate) fn connected(&self) -> Open {
        self.connections.inc();
        Open(self.connections.clone())
    }

    /// A connection was one too many.
    pub(crate) fn refused_connection(&self) {
        self.refused.inc();
    }

    /// All of it, as Prometheus reads it.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Visit<'_> {
    /// The request is answered: `called` is the operation it got to, `code` why that failed.
    pub(crate) fn leave(self, called: Option<&str>, code: Option<Code>) {
        let called = called.filter(|_| code != Some(Code::UnknownOperation));
        let operation = called.unwrap_or(UNKNOWN).to_owned();
        let durations = &self.metrics.durations;
        let labels = OperationLabels { operation: operation.clone() };
        durations.get_or_create(&labels).observe(self.since.elapsed().as_secs_f64());
        let labels = RequestLabels { operation, code: code.map_or(OK, Code::name) };
        self.metrics.requests.get_or_create(&labels).inc();
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_clients_make_up_are_not_labels() {
        let metrics = Metrics::new();
        metrics.enter().leave(Some("GetTables"), None);
        metrics.enter().leave(Some("GetTables"), Some(Code::InvalidInput));
        metrics.enter().leave(Some("MadeUp"), Some(Code::UnknownOperation));
        metrics.enter().leave(None, Some(Code::Serialization));
        let text = metrics.text().unwrap();
        for line in [
            r#"boathouse_http_requests_total{operation="GetTables",code="OK"} 1"#,
            r#"boathouse_http_requests_total{operation="GetTables",code="InvalidInputException"} 1"#,
            r#"boathouse_http_requests_total{operation="unknown",code="SerializationException"} 1"#,
            r#"boathouse_http_request_duration_seconds_count{operation="unknown"} 2"#,
            "boathouse_http_requests_in_flight 0",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in {text}");
        }
        assert!(!text.contains("MadeUp"), "{text}");
    }

    #[test]
    fn what_ends_is_no_longer_counted() {
        let metrics = Metrics::new();
        let (visit, open) = (metrics.enter(), metrics.connected());
        assert!(metrics.text().unwrap().contains("requests_in_flight 1\n"));
        assert!(metrics.text().unwrap().contains("connections 1\n"));
        drop((visit, open));
        assert!(metrics.text().unwrap().contains("requests_in_flight 0\n"));
        assert!(metrics.text().unwrap().contains("connections 0\n"));
    }
}
