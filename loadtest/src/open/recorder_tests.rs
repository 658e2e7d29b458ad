use super::*;

const fn ms_of(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn near(figure: f64, want: f64) -> bool {
    (figure - want).abs() <= want / 500.0
}

#[test]
fn outcomes_add_up_and_latency_counts_from_the_schedule() {
    let mut recorder = Recorder::new("presses", 5.0);
    for at in [100, 200, 300, 900, 1500] {
        recorder.offered(ms_of(at), ms_of(at + 1));
    }
    recorder.answered(ms_of(100), ms_of(101), ms_of(110), Kind::Accepted, "accepted");
    recorder.answered(ms_of(200), ms_of(990), ms_of(1200), Kind::SoldOut, "sold-out");
    recorder.answered(ms_of(300), ms_of(310), ms_of(1300), Kind::Error, "timeout");
    recorder.not_sent(ms_of(900), ms_of(1900));
    recorder.answered(ms_of(1500), ms_of(1501), ms_of(3100), Kind::Refused, "overloaded");
    assert_eq!(recorder.seconds(ms_of(3200)).len(), 3, "the fourth is under way");

    let StreamResult { figures, latency_us } = recorder.finish();
    let want = Tally { accepted: 1, sold_out: 1, errors: 1, refused: 1, ..Tally::default() };
    assert_eq!((figures.offered, figures.sent, figures.not_sent, figures.answers), (5, 4, 1, want));
    assert_eq!(
        figures.words,
        [("sold-out", 1), ("timeout", 1), ("overloaded", 1)].map(|(w, n)| (w.to_owned(), n)).into()
    );
    assert_eq!(latency_us.len(), 5);
    assert!(near(figures.latency.p50_ms, 1000.0) && near(figures.latency.max_ms, 1600.0), "{figures:?}");
    assert!(near(figures.accepted_latency.max_ms, 10.0) && near(figures.lateness.max_ms, 1.0));

    let seconds = &figures.seconds;
    let counts = |second: &Second| (second.offered, second.sent, second.not_sent, second.answered);
    let rows: Vec<_> = seconds.iter().map(counts).collect();
    assert_eq!(rows, [(4, 3, 0, 1), (1, 1, 1, 2), (0, 0, 0, 0), (0, 0, 0, 1)]);
    assert_eq!(seconds.iter().map(|second| second.at_s).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(near(seconds[0].p99_ms, 10.0) && near(seconds[1].p99_ms, 1000.0), "{seconds:?}");
    assert!(seconds[2].p99_ms == 0.0 && near(seconds[3].p50_ms, 1600.0), "{seconds:?}");
    assert_eq!((seconds[0].accepted, seconds[1].errors, seconds[3].refused), (1, 1, 1));
}

#[test]
#[should_panic(expected = "every arrival is sent or given up")]
fn an_arrival_without_an_outcome_is_noticed() {
    let mut recorder = Recorder::new("presses", 1.0);
    recorder.offered(ms_of(1), ms_of(1));
    recorder.finish();
}
