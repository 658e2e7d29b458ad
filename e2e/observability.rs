//! What operators see: a real Prometheus scrapes a gateway and a worker while a sale runs, and every panel has something to show.

mod prometheus;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use spike_broker::{Outgoing, Publisher, Timeouts};
use spike_domain::EventId;
use spike_metrics::{Kind, Values, catalogue};

use crate::http::call;
use crate::poll::{PATIENCE, until};
use crate::system::{Sale, System, orders_path, shared};
use prometheus::{Prometheus, expressions};

/// A second of a look, so that no test waits for figures.
const SETTINGS: [(&str, &str); 2] =
    [("SPIKE_TELEMETRY_LOOK_INTERVAL_MS", "200"), ("SPIKE_WORKER_RECONCILE_INTERVAL_MS", "500")];

fn worker_ops(system: &System) -> SocketAddr {
    system.worker.env()["SPIKE_WORKER_OPS_LISTEN"].parse().expect("an address")
}

fn scrape(ops: SocketAddr) -> String {
    let answer = call(ops, "GET", "/metrics", &[], None);
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body).expect("UTF-8")
}

fn value(ops: SocketAddr, series: &str) -> Option<f64> {
    scrape(ops).lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn every_panel_shows_something_while_a_sale_runs() {
    let system = System::start(&SETTINGS);
    let targets = [("gateway", system.gateway_ops), ("worker", worker_ops(&system))];
    let prometheus = Prometheus::start(&targets);
    let event = system.open(Sale { total: 100_000, ..Sale::of(1) });
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| crowd(&system, event, &over));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until("Prometheus scrapes both", || prometheus.all_up().then_some(()));
            for (dashboard, panel, expr) in expressions() {
                let expr = expr.replace("$__rate_interval", "15s");
                let what = format!("{dashboard}, {panel}: {expr}");
                until(&what, || prometheus.has_a_number(&expr).then_some(()));
            }
            prometheus.rules_are_sound();
        }));
        over.store(true, Ordering::Relaxed);
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Presses, looks, wrong tokens, pages and a login now and then, slowly: the machine is needed by others too.
fn crowd(system: &System, event: EventId, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        for (_, token) in system.users(20) {
            system.buy(event, &token, &[], None);
            system.get(&format!("{}/mine", orders_path(event)), &token);
        }
        system.buy(event, "no token", &[], None);
        system.get(&format!("/api/v1/spike/events/{event}"), "");
        system.get("/api/v1/products", "");
        let login = r#"{"email":"nobody@e2e.invalid","password":"correct horse battery"}"#;
        call(system.http, "POST", "/api/v1/auth/login", &[], Some(login));
        crate::poll::lasting(std::time::Duration::from_millis(200));
    }
}

#[test]
fn promtool_finds_no_fault_with_a_scrape_and_it_is_the_catalogue() {
    let system = shared();
    let event = system.open(Sale::of(3));
    let (_, token) = system.user();
    assert_eq!(system.buy(event, &token, &[], None).status, 202);
    for (role, ops, families) in [
        ("gateway", system.gateway_ops, catalogue::of_gateway()),
        ("worker", worker_ops(system), catalogue::of_worker()),
    ] {
        let text = scrape(ops);
        check_metrics(role, &text);
        let shown: BTreeSet<(String, String)> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .collect();
        let kind = |kind: Kind| match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let described: BTreeSet<(String, String)> =
            families.iter().map(|family| (family.name.to_owned(), kind(family.kind).to_owned())).collect();
        assert_eq!(shown, described, "{role}");
        for family in &families {
            if family.labels.iter().all(|label| matches!(label.values, Values::Closed(_)))
                && !from_the_broker(family.name)
            {
                let name = &family.series_names()[family.series_names().len() - 1];
                let series = text.lines().filter(|line| {
                    line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} "))
                });
                assert_eq!(
                    series.count(),
                    family.rows().len(),
                    "{role}: every series of {name} from the start"
                );
            }
        }
    }
}

/// Not shown before the broker has been asked once.
fn from_the_broker(name: &str) -> bool {
    name.starts_with("spike_gateway_queue_")
}

fn check_metrics(role: &str, text: &str) {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed: deploy/devstack/install-observability.sh");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.trim().is_empty(), "{role}: {said}");
}

#[test]
fn a_closed_fence_and_an_absent_worker_show_and_take_no_traffic_away() {
    let mut system = System::start(&SETTINGS);
    let event = system.open(Sale::of(5));
    let gateway = system.gateway_ops;
    let fenced = "spike_gateway_events{state=\"fenced\"}";
    let consumers = "spike_gateway_queue_consumers{queue=\"spike.orders\"}";
    until("a worker reads", || (value(gateway, consumers) == Some(1.0)).then_some(()));
    until("the event sells", || (value(gateway, fenced) == Some(0.0)).then_some(()));
    assert!(finding(gateway, "fence")["ok"].as_bool().unwrap());

    // Its data is there, and its scripts are gone; nobody can bring it up.
    system.worker.kill9();
    system.redis.kill9();
    system.redis.restart().expect("Redis is back");
    until("nobody reads", || (value(gateway, consumers) == Some(0.0)).then_some(()));
    until("the event is fenced", || (value(gateway, fenced) == Some(1.0)).then_some(()));
    let fence = finding(gateway, "fence");
    assert_eq!((&fence["ok"], &fence["required"]), (&false.into(), &false.into()), "{fence}");
    assert!(fence["error"].as_str().unwrap().ends_with(&format!("event {event}")), "{fence}");
    until("ready all the same", || {
        let answer = call(gateway, "GET", "/readyz", &[], None);
        (answer.status == 200 && answer.json()["degraded"] == true).then_some(())
    });
    let (_, token) = system.user();
    assert_eq!(system.buy(event, &token, &[], None).refused(503), "recovering");

    system.worker.restart();
    until("the event sells again", || (value(gateway, fenced) == Some(0.0)).then_some(()));
    until("and the fence is well", || finding(gateway, "fence")["ok"].as_bool().filter(|ok| *ok));
    until("a worker reads again", || (value(gateway, consumers) == Some(1.0)).then_some(()));
    let rebuilds = "spike_worker_rebuilds_total{outcome=\"done\"}";
    assert_eq!(value(worker_ops(&system), rebuilds), Some(1.0));
}

#[test]
fn a_worker_counts_what_became_of_messages_and_orders() {
    let system = System::start(&SETTINGS);
    let ops = worker_ops(&system);
    let event = system.open(Sale { pay_timeout_s: 1, ..Sale::of(5) });
    for (_, token) in system.users(2) {
        assert_eq!(system.buy(event, &token, &[], None).status, 202);
    }
    let sum = |name: &str| -> f64 {
        let text = scrape(ops);
        let series = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        series.map(|line| line.rsplit(' ').next().expect("a value").parse::<f64>().expect("a number")).sum()
    };
    let counted = |name: &str, want: f64| {
        until(&format!("{name} is {want}"), || (sum(name) >= want).then_some(()));
        assert_eq!(sum(name), want, "{name}");
    };
    counted("spike_worker_cancelled_orders_total", 2.0);
    counted("spike_worker_restocked_orders_total", 2.0);
    counted("spike_worker_restocked_units_total", 2.0);
    counted("spike_worker_settled_units_total", 2.0);
    counted("spike_worker_order_age_seconds_count", 2.0);
    assert_eq!(value(ops, "spike_worker_orders_total{status=\"pending\"}"), Some(2.0));

    let timeouts = Timeouts { connect: PATIENCE, confirm: PATIENCE };
    let odd = Outgoing { message_id: "odd".into(), body: b"not an orders message".to_vec() };
    system.runtime.block_on(async {
        let mut publisher =
            Publisher::connect(&system.gateway.env()["SPIKE_AMQP_URL"], timeouts).await.unwrap();
        publisher.publish_window(&[odd]).await.unwrap();
        publisher.close().await;
    });
    counted("spike_worker_dead_letters_total", 1.0);
    counted("spike_worker_dead_letters_open", 1.0);
    assert_eq!(value(ops, "spike_worker_messages_total{outcome=\"parked\"}"), Some(1.0));
    assert_eq!(value(ops, "spike_worker_messages_total{outcome=\"retried\"}"), Some(0.0));
    until("the figures of the event", || {
        value(ops, &format!("spike_worker_conservation_drift_units{{event=\"{event}\"}}"))
    });
    assert_eq!(sum("spike_worker_conservation_drift_units"), 0.0);
}

/// What `/healthz` says of a dependency.
fn finding(ops: SocketAddr, name: &str) -> Value {
    let health = call(ops, "GET", "/healthz", &[], None).json();
    let checks = health["checks"].as_array().expect("checks").clone();
    let found = checks.into_iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    assert!(found["latency_ms"].is_number(), "{found}");
    found
}

#[test]
fn a_gateway_that_does_not_measure_shows_only_what_goes_up_and_down() {
    let system = System::start(&[("SPIKE_TELEMETRY_HOT_METRICS", "false")]);
    let event = system.open(Sale::of(2));
    let (_, token) = system.user();
    assert_eq!(system.buy(event, &token, &[], None).status, 202);
    let text = scrape(system.gateway_ops);
    assert!(text.contains("\nspike_gateway_hot_metrics 0\n"), "{text}");
    assert!(text.contains("\nspike_gateway_connections_open "), "{text}");
    assert!(
        !text.contains("spike_gateway_requests_total") && !text.contains("spike_gateway_accepted_total"),
        "{text}"
    );
    check_metrics("gateway", &text);
}
