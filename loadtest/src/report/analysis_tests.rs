use super::*;
use crate::record::tests::sample_record;

fn phase() -> Phase {
    sample_record().phases.remove(0)
}

fn says(phase: &Phase, title: &str) -> String {
    let sections = sections(phase, 2);
    sections.into_iter().find(|section| section.title == title).unwrap_or_else(|| panic!("{title}")).says
}

#[test]
fn each_subject_says_what_its_figures_say() {
    let phase = phase();
    for (title, want) in [
        (
            "Processor",
            "The 2 cores had room: 1 of them were busy on average, and gateway took the most (75 % of what was used).",
        ),
        ("Pools", "A pool was at its limit: the gateway had all 10 SQL connections busy at 1 looks."),
        (
            "Indexes",
            "Every statement had its index: 1.5 rows were read for each row that was returned or written, and no table was read whole.",
        ),
        ("Cache hits", "Found in memory: 99 % of the catalogue's reads."),
        (
            "Locks",
            "Locks cost next to nothing: 4 waits for a row lock took 8 ms in all, of 10.3 s, 0 deadlocks.",
        ),
        ("Limits", "No request was refused by a limit."),
        (
            "Degradation",
            "100 of 10,000 requests (1.00 %) failed or were never sent; an order waited at most 0.25 s for its row.",
        ),
    ] {
        assert_eq!(says(&phase, title), want);
    }
}

#[test]
fn other_figures_say_other_things() {
    let mut phase = phase();
    phase.figures.insert(figure::pool_full("gateway"), 0.0);
    phase.figures.insert(figure::pool_peak("gateway"), 7.0);
    phase.figures.insert(figure::growth("table", "users.rows_read"), 200_000.0);
    phase.figures.insert(figure::growth("mariadb", "Innodb_row_lock_time"), 5_000.0);
    phase.figures.insert(figure::peak("worker", "spike_worker_ledger_breaker_open"), 1.0);
    phase.streams[0].words.insert("limit-press".into(), 300);
    phase.streams[0].words.insert("limit-user".into(), 200);
    for sample in &mut phase.samples {
        sample.cpu.insert("mariadb".into(), 0.9);
    }
    for (title, want) in [
        ("Processor", "were saturated: 1.9 of them"),
        ("Pools", "No pool ran out: the gateway opened 7 of its 10 SQL connections and the worker opened 4"),
        ("Indexes", "without an index: users (200,000 rows);"),
        ("Locks", "Locks cost time: 4 waits"),
        (
            "Limits",
            "500 of 10,000 requests (5.00 %) were refused by a limit, most of them by the limit `press` on stream buyers <new> (300).",
        ),
        ("Degradation", "the worker's breaker to its ledger opened;"),
    ] {
        let text = says(&phase, title);
        assert!(text.contains(want), "{title}: {text}");
    }
}

#[test]
fn what_was_not_measured_is_not_claimed() {
    let mut phase = phase();
    phase.figures = [("other".to_owned(), 1.0)].into();
    phase.samples.clear();
    for (title, want) in [
        ("Processor", "No process was looked at."),
        ("Pools", "No pool was looked at."),
        ("Indexes", "The database was not looked at."),
        ("Cache hits", "No cache was looked at."),
        ("Locks", "Locks were not looked at."),
    ] {
        assert_eq!(says(&phase, title), want);
    }
    phase.figures.clear();
    assert_eq!(sections(&phase, 2), []);
}
