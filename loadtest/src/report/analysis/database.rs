//! Indexes and locks of the database, and the waits of Redis for its disk.

use std::collections::BTreeMap;

use super::{Rows, Section, growth, growths, peak, words};
use crate::record::Phase;
use crate::report::number::measure;

/// Rows read beside an index that are worth naming: a table of a handful of rows is always read whole.
const SCANNED_MIN: f64 = 1000.0;
/// Tables shown, those most read.
const TABLES_MAX: usize = 8;

pub(super) fn indexes(phase: &Phase) -> Section {
    let mut rows = Rows::new();
    let sum = |end: &str| growths(phase, "user", end).map(|(_, value)| value).sum::<f64>();
    let (read, sent, changed) = (sum(".rows_read"), sum(".rows_sent"), sum(".rows_changed"));
    let known = growths(phase, "user", ".rows_read").next().is_some();
    let ratio = if known { read / (sent + changed).max(1.0) } else { f64::NAN };
    rows.figure("rows read by gateway and worker", known.then_some(read));
    rows.figure("rows returned to them", known.then_some(sent));
    rows.figure("rows they wrote", known.then_some(changed));
    rows.figure("rows read for each that was returned or written", known.then_some(ratio));
    let mut tables: Vec<(&str, f64)> = growths(phase, "table", ".rows_read").collect();
    tables.sort_by(|one, two| two.1.total_cmp(&one.1));
    let by_index = by_index(phase);
    let mut scanned = Vec::new();
    for (table, read) in &tables {
        let indexed = by_index.get(table).copied().unwrap_or(0.0);
        let beside = (read - indexed).max(0.0);
        if beside >= SCANNED_MIN {
            scanned.push(format!("{table} ({} rows)", measure(beside)));
        }
    }
    for (table, read) in tables.iter().take(TABLES_MAX) {
        let beside = (read - by_index.get(table).copied().unwrap_or(0.0)).max(0.0);
        let name = format!("{table}: rows read, of them without an index");
        rows.add(&name, format!("{}, {}", measure(*read), measure(beside)));
    }
    let mut used: Vec<(&str, f64)> = growths(phase, "index", ".rows_read").collect();
    used.sort_by(|one, two| two.1.total_cmp(&one.1));
    for (index, read) in used.iter().take(TABLES_MAX) {
        rows.figure(&format!("index {index}: rows read"), Some(*read));
    }
    let says = match (known, scanned.is_empty()) {
        (false, _) => "The database was not looked at.".to_owned(),
        (true, true) => format!(
            "Every statement had its index: {} rows were read for each row that was returned or written, and no table was read whole.",
            measure(ratio)
        ),
        (true, false) => format!(
            "Tables were read without an index: {}; {} rows were read for each row that was returned or written.",
            words(&scanned),
            measure(ratio)
        ),
    };
    rows.into_section("Indexes", says)
}

/// Rows read through any index, by table.
fn by_index(phase: &Phase) -> BTreeMap<&str, f64> {
    let mut sums = BTreeMap::new();
    for (name, read) in growths(phase, "index", ".rows_read") {
        if let Some((table, _)) = name.split_once('.') {
            *sums.entry(table).or_default() += read;
        }
    }
    sums
}

pub(super) fn locks(phase: &Phase) -> Section {
    let mut rows = Rows::new();
    let of = |name: &str| growth(phase, "mariadb", name);
    let (waits, time) = (of("Innodb_row_lock_waits"), of("Innodb_row_lock_time"));
    let deadlocks = of("Innodb_deadlocks");
    rows.figure("waits for a row lock", waits);
    rows.figure("time waited for row locks, ms", time);
    rows.figure("longest wait for a row lock, ms", peak(phase, "mariadb", "Innodb_row_lock_time_max"));
    rows.figure("deadlocks", deadlocks);
    rows.figure("transactions committed", of("Com_commit"));
    let delayed = growth(phase, "redis", "aof_delayed_fsync");
    rows.figure("writes of Redis delayed by the disk", delayed);
    let says = match (waits, time) {
        (Some(waits), Some(time)) => {
            let share = time / (phase.seconds * 1000.0).max(1.0);
            let weight = if share > 0.1 { "Locks cost time" } else { "Locks cost next to nothing" };
            let deadlocks =
                deadlocks.map_or_else(String::new, |count| format!(", {} deadlocks", measure(count)));
            let (waits, time) = (measure(waits), measure(time));
            format!(
                "{weight}: {waits} waits for a row lock took {time} ms in all, of {} s{deadlocks}.",
                measure(phase.seconds)
            )
        }
        _ => "Locks were not looked at.".to_owned(),
    };
    rows.into_section("Locks", says)
}
