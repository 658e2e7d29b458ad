//! A whole sale on servers that the command starts itself, with its audit, its record and its report.

use std::path::Path;

use loadtest::record::{Phase, Record, figure};
use spike_devstack::fixture;

use crate::program::{Env, said, spike_load, spike_program};

#[test]
fn a_staged_sale_is_audited_and_says_what_held_it_up() {
    spike_program();
    let dir = fixture::folder("stage");
    let path = |name: &str| dir.join(name).to_str().expect("UTF-8").to_owned();
    let (servers, out, docs) = (path("servers"), path("docs/loadtest"), path("docs"));
    let mut words =
        vec!["--dir", &servers, "stage", "--requests", "3000", "--users", "1200", "--stock", "300"];
    words.extend([
        "--spike-per-s",
        "500",
        "--bots-per-s",
        "40",
        "--browse-per-s",
        "60",
        "--list-per-s",
        "40",
    ]);
    words.extend(["--order-per-s", "5", "--login-per-s", "2", "--connections", "128", "--deadline", "60"]);
    words.extend(["--sample-ms", "200", "--out-dir", &out, "--docs", &docs]);
    let output = spike_load(&words, &Env::new());
    let said = said(&output);
    assert!(output.status.success() && said.contains("PASS: the audit is clean"), "{said}");

    let record = Record::read(&dir.join("docs/loadtest/sale.json")).expect("a record");
    let phase = &record.phases[0];
    assert_eq!(phase.streams.iter().map(|stream| stream.offered).sum::<u64>(), 3000, "as many as asked for");
    let audit = phase.audit.as_ref().expect("an audit");
    assert!(audit.clean() && audit.conservation.L == 300, "{audit:?}");
    looked_at(phase);
    report(&dir);
}

/// What was seen of the servers while it ran.
fn looked_at(phase: &Phase) {
    let last = phase.samples.last().expect("samples");
    assert_eq!(
        (last.stock, last.outbox_entries, last.queue_messages),
        (Some(0), Some(0), Some(0)),
        "{last:?}"
    );
    for process in ["gateway", "worker", "redis", "mariadb", "rabbitmq", "generator"] {
        assert!(phase.samples.iter().any(|sample| sample.cpu.contains_key(process)), "{process}");
        assert!(last.memory_mib[process] > 1.0, "{process}");
    }
    let figure =
        |name: String| *phase.figures.get(&name).unwrap_or_else(|| panic!("{name}: {:?}", phase.figures));
    // The last buyer's order is written once, by the worker, through its index.
    assert!(figure(figure::growth("user", "worker.rows_changed")) >= 300.0);
    assert!(figure(figure::growth("gateway", "spike_gateway_accepted_total")) >= 300.0);
    assert!(figure(figure::growth("mariadb", "Com_commit")) > 0.0);
    assert!(figure(figure::pool_peak("worker")) >= 1.0 && figure(figure::pool_max("worker")) >= 1.0);
    assert!(figure(figure::peak("rabbitmq", "channels")) >= 2.0, "a publisher and a consumer");
    assert!(figure(figure::peak("redis", "connected_clients")) >= 2.0);
    figure(figure::growth("table", "spike_orders.rows_read"));
    figure(figure::peak("gateway", "spike_gateway_database_breaker_open"));
    figure(figure::peak("outbox", "oldest_s"));
}

fn report(dir: &Path) {
    let report = std::fs::read_to_string(dir.join("docs/loadtest/REPORT.md")).expect("the report");
    for head in ["Environment", "Parameters", "Bottleneck analysis: sale"] {
        assert!(report.contains(&format!("## {head}\n")), "{head}: {report}");
    }
    for subject in ["Pools", "Indexes", "Cache hits", "Locks", "Limits", "Degradation"] {
        assert!(report.contains(&format!("### {subject}\n")), "{subject}: {report}");
    }
    assert!(!report.contains("not looked at") && !report.contains("No pool was looked at"), "{report}");
    let page = std::fs::read_to_string(dir.join("docs/loadtest/report.html")).expect("the page");
    for chart in [
        "throughput",
        "latency from the scheduled time",
        "Stock",
        "Backlog: queue and outbox",
        "CPU by process",
    ] {
        assert!(page.contains(chart), "{chart}");
    }
}
