//! The end of `docs/CONFIGURATION.md` is the manual as tables; `make docs` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use crate::Config;
use crate::layers::DEFAULTS;

const HEADING: &str = "## Every setting\n";
const TABLE: &str = "\n| variable | default | what it is |\n|---|---|---|\n";

#[test]
fn the_page_ends_with_every_setting_of_the_manual() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CONFIGURATION.md");
    let page = std::fs::read_to_string(&path).expect("docs/CONFIGURATION.md");
    let (written, _) = page.split_once(HEADING).expect("the heading before the tables");
    let want = format!("{written}{HEADING}{}", tables());
    if std::env::var_os("SPIKE_TEST_WRITE_DOCS").is_some() {
        std::fs::write(&path, &want).expect("docs/CONFIGURATION.md can be written");
    }
    let found = std::fs::read_to_string(&path).expect("docs/CONFIGURATION.md");
    assert!(found == want, "docs/CONFIGURATION.md is not what the manual says: run `make docs`");
    for setting in Config::settings() {
        assert!(want.contains(&format!("\n| `{}` |", setting.env())), "{} has no row", setting.env());
    }
}

/// A table a section, a row a setting.
fn tables() -> String {
    let mut tables = TABLE.to_owned();
    let mut comment = Vec::new();
    for line in DEFAULTS.lines() {
        if let Some(words) = line.strip_prefix('#') {
            comment.push(words.trim());
        } else if let Some(section) = line.strip_prefix('[') {
            let name = section.trim_end_matches(']');
            let _ = write!(tables, "\n### {name}\n\n{}\n{TABLE}", comment.join(" "));
        } else if let Some((key, value)) = line.split_once(" = ") {
            let (name, allowed) = comment.pop().and_then(|last| last.split_once(": ")).expect(key);
            let row = format!(
                "| `{name}` | `{value}` | {} Allowed: {allowed}. |",
                comment.join(" ").replace('|', "\\|")
            );
            tables.push_str(&row);
            tables.push('\n');
        }
        if !line.starts_with('#') {
            comment.clear();
        }
    }
    tables
}
