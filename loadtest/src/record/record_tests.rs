use super::*;
use crate::open::{Percentiles, Second, Tally};

/// A record with a little of everything.
pub(crate) fn sample_record() -> Record {
    let second = |at_s: u32| Second {
        at_s,
        offered: 1000,
        sent: 1000,
        answered: 1000,
        accepted: 900 - u64::from(at_s) * 10,
        p50_ms: 1.5,
        p95_ms: 4.0,
        p99_ms: 12.0 + f64::from(at_s),
        ..Second::default()
    };
    let percentiles = Percentiles { p50_ms: 1.5, p95_ms: 4.0, p99_ms: 14.3, p999_ms: 100.0, max_ms: 1234.6 };
    let stream = StreamRecord {
        name: "buyers <new>".into(),
        rate_per_s: 1000.0,
        offered: 10_000,
        sent: 9_990,
        not_sent: 10,
        answers: Tally { accepted: 9_000, sold_out: 900, errors: 90, ..Tally::default() },
        words: [("sold-out".to_owned(), 900), ("timeout".to_owned(), 90)].into(),
        latency: percentiles,
        accepted_latency: percentiles,
        lateness: Percentiles { p99_ms: 1.1, ..Percentiles::default() },
        seconds: (0..10).map(second).collect(),
    };
    let sample = |at: u32| Sample {
        at_s: f64::from(at),
        stock: Some(9_000_u64.saturating_sub(u64::from(at) * 1000)),
        queue_messages: Some(u64::from(at)),
        outbox_entries: (at > 2).then_some(7),
        cpu: [("gateway".to_owned(), 0.75), ("redis".to_owned(), 0.25)].into(),
        memory_mib: [("gateway".to_owned(), 42.5)].into(),
        metrics: [("batch size, orders".to_owned(), 12.5)].into(),
    };
    let audit = AuditRecord {
        conservation: Conservation { S: 9000, R: 0, L: 9000, F: 0, K: 0 },
        drain_s: 0.8125,
        ..AuditRecord::default()
    };
    let phase = Phase {
        name: "sale".into(),
        started_s: 3.5,
        seconds: 10.3,
        streams: vec![stream],
        samples: (0..11).map(sample).collect(),
        figures: sample_figures(),
        audit: Some(audit),
        notes: vec!["Redis was | warm.".into()],
    };
    let machine = Machine {
        cpu: "Some CPU".into(),
        cores: 2,
        memory_mib: 7946,
        kernel: "6.1".into(),
        os: "Debian".into(),
    };
    Record {
        title: "Sale & crowd".into(),
        started_at: "2026-11-22T09:30:00.000Z".into(),
        machine,
        commit: "abc1234".into(),
        parameters: [("buyers".to_owned(), "10000".to_owned())].into(),
        phases: vec![phase],
    }
}

/// Of a gateway whose pool of ten was once empty, on a database without a table scan.
fn sample_figures() -> std::collections::BTreeMap<String, f64> {
    let pairs = [
        (figure::pool_peak("gateway"), 10.0),
        (figure::pool_busy_peak("gateway"), 10.0),
        (figure::pool_full("gateway"), 1.0),
        (figure::pool_max("gateway"), 10.0),
        (figure::pool_peak("worker"), 4.0),
        (figure::pool_busy_peak("worker"), 2.0),
        (figure::pool_full("worker"), 0.0),
        (figure::pool_max("worker"), 10.0),
        (figure::growth("user", "worker.rows_read"), 900.0),
        (figure::growth("user", "worker.rows_sent"), 100.0),
        (figure::growth("user", "worker.rows_changed"), 500.0),
        (figure::growth("table", "spike_orders.rows_read"), 900.0),
        (figure::growth("index", "spike_orders.PRIMARY.rows_read"), 900.0),
        (figure::growth("gateway", "spike_gateway_cache_hits_total"), 990.0),
        (figure::growth("gateway", "spike_gateway_cache_stale_total"), 0.0),
        (figure::growth("gateway", "spike_gateway_cache_misses_total"), 10.0),
        (figure::growth("mariadb", "Innodb_row_lock_waits"), 4.0),
        (figure::growth("mariadb", "Innodb_row_lock_time"), 8.0),
        (figure::growth("mariadb", "Innodb_deadlocks"), 0.0),
        (figure::peak("outbox", "oldest_s"), 0.25),
    ];
    pairs.into()
}

#[test]
fn a_record_reads_back_as_it_was_written() {
    let record = sample_record();
    let folder = std::env::temp_dir().join(format!("record-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("one.json");
    record.write(&path).unwrap();
    assert_eq!(Record::read(&path).unwrap(), record);
    record.write(&path).unwrap();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");

    let older = std::fs::read_to_string(&path).unwrap().replace("\"figures\": {", "\"of before\": {");
    std::fs::write(&path, older).unwrap();
    assert!(Record::read(&path).unwrap().phases[0].figures.is_empty(), "a record from before figures");

    let missing = Record::read(&folder.join("two.json")).unwrap_err().to_string();
    assert!(missing.contains("two.json"), "{missing}");
    std::fs::write(&path, "{\"title\": 1}").unwrap();
    let malformed = Record::read(&path).unwrap_err().to_string();
    assert!(malformed.contains("one.json") && malformed.contains("line 1"), "{malformed}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn an_audit_is_clean_when_nothing_is_wrong_and_the_units_add_up() {
    let clean = sample_record().phases.remove(0).audit.unwrap();
    assert!(clean.clean());
    let check = |spoil: fn(&mut AuditRecord)| {
        let mut audit = clean.clone();
        spoil(&mut audit);
        assert!(!audit.clean(), "{audit:?}");
    };
    check(|audit| audit.oversold = 1);
    check(|audit| audit.doubled = 1);
    check(|audit| audit.lost = 1);
    check(|audit| audit.conservation.R = 1);
    check(|audit| audit.differences.push("something".into()));
}
