//! `docs/ERRORS.md` is what the dictionary says; `make docs` writes it anew.

use std::path::Path;

use spike_gateway::control::dictionary_markdown;

#[test]
fn the_file_of_errors_is_the_dictionary() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ERRORS.md");
    let want = dictionary_markdown();
    if std::env::var_os("SPIKE_TEST_WRITE_DOCS").is_some() {
        std::fs::write(&path, &want).expect("docs/ERRORS.md can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == want, "docs/ERRORS.md is not what the code says: run `make docs`");
}
