//! `docs/METRICS.md` is what the catalogue says; `make docs` writes it anew.

use std::path::Path;

#[test]
fn the_file_of_metrics_is_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/METRICS.md");
    let want = spike_metrics::document();
    if std::env::var_os("SPIKE_TEST_WRITE_DOCS").is_some() {
        std::fs::write(&path, &want).expect("docs/METRICS.md can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == want, "docs/METRICS.md is not what the code says: run `make docs`");
}
