use super::*;
use crate::record::tests::sample_record;

fn extremes(line: &Line) -> (f64, f64) {
    let values = line.points.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
    values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)))
}

#[test]
fn a_phase_becomes_these_charts() {
    let phase = &sample_record().phases[0];
    let charts = charts(phase);
    let titles: Vec<&str> = charts.iter().map(|chart| chart.title.as_str()).collect();
    let want = [
        "buyers <new>: throughput",
        "buyers <new>: latency from the scheduled time",
        "Stock",
        "Backlog: queue and outbox",
        "CPU by process",
        "Memory by process",
        "batch size, orders",
    ];
    assert_eq!(titles, want);
    assert!(charts.iter().all(|chart| (chart.seconds - 10.3).abs() < 1e-9), "one axis of time");

    let names = |at: usize| charts[at].lines.iter().map(|line| line.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names(0), ["offered", "answered", "accepted"], "what never happened is not drawn");
    assert_eq!((names(1), charts[1].scale), (vec!["p50", "p95", "p99"], Scale::Log));
    assert_eq!(names(4), ["gateway", "redis"]);
    assert_eq!((charts[0].lines[2].points.len(), extremes(&charts[0].lines[2])), (10, (810.0, 900.0)));
    assert_eq!(extremes(&charts[1].lines[2]), (12.0, 21.0));
    assert_eq!((charts[2].lines[0].points.len(), extremes(&charts[2].lines[0])), (11, (0.0, 9000.0)));
    let outbox = &charts[3].lines[1].points;
    assert!(outbox[..3].iter().all(|(_, value)| value.is_nan()), "absent is not zero: {outbox:?}");
}

#[test]
fn a_phase_without_samples_has_charts_of_its_load_alone() {
    let mut phase = sample_record().phases.remove(0);
    phase.samples.clear();
    phase.streams[0].seconds[3].errors = 5;
    let charts = charts(&phase);
    assert_eq!(charts.len(), 2);
    assert_eq!(charts[0].lines.last().unwrap().name, "errors");
    phase.streams.clear();
    assert_eq!(super::charts(&phase), []);
}

#[test]
fn tables_have_a_cell_a_column() {
    let record = sample_record();
    let phase = &record.phases[0];
    let mut audited = phase.audit.clone().unwrap();
    let tables =
        [environment(&record), parameters(&record), outcomes(phase), latencies(phase), audit(&audited)];
    for table in &tables {
        assert!(!table.rows.is_empty());
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{table:?}");
    }
    assert_eq!(tables[2].rows[0][2..5], ["10,000", "9,990", "10"]);
    assert_eq!(tables[2].rows[0].last().unwrap(), "1.00 %", "errors and those given up");
    assert_eq!(tables[3].rows[0][1..6], ["1.5", "4", "14.3", "100", "1,235"]);
    assert_eq!(tables[4].rows[0].last().unwrap(), "clean");
    assert_eq!(words(phase), ["buyers <new>: sold-out 900, timeout 90"]);
    audited.lost = 1;
    assert_eq!(audit(&audited).rows[0].last().unwrap(), "FAILED");
}
