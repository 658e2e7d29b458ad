//! The end of `docs/CONFIGURATION.md` is the manual as tables, that of `.env.example` as variables; `make docs` writes both anew.

use std::fmt::Write as _;
use std::path::Path;

use crate::Config;
use crate::layers::DEFAULTS;

const HEADING: &str = "## Every setting\n";
const TABLE: &str = "\n| variable | default | what it is |\n|---|---|---|\n";

/// The last line of `.env.example` that a person writes begins so.
const EXAMPLE_HEADING: &str = "\n# Every other setting of the processes";

#[test]
fn the_page_ends_with_every_setting_of_the_manual() {
    let page = made("docs/CONFIGURATION.md", |page| {
        let (written, _) = page.split_once(HEADING).expect("the heading before the tables");
        format!("{written}{HEADING}{}", tables())
    });
    for setting in Config::settings() {
        assert!(page.contains(&format!("\n| `{}` |", setting.env())), "{} has no row", setting.env());
    }
}

#[test]
fn the_example_of_an_environment_names_every_setting() {
    let example = made(".env.example", |example| {
        let (written, rest) = example.split_once(EXAMPLE_HEADING).expect("the heading before the settings");
        let heading = rest.lines().next().expect("a line");
        format!("{written}{EXAMPLE_HEADING}{heading}\n{}", variables(written))
    });
    for setting in Config::settings() {
        assert_eq!(example.matches(&format!("{}=", setting.env())).count(), 1, "{}", setting.env());
    }
}

/// A file that is what `make` makes of it; written anew where that is asked for.
fn made(name: &str, make: impl Fn(&str) -> String) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    let read = || std::fs::read_to_string(&path).expect(name);
    let want = make(&read());
    if std::env::var_os("SPIKE_TEST_WRITE_DOCS").is_some() {
        std::fs::write(&path, &want).expect(name);
    }
    assert!(read() == want, "{name} is not what the manual says: run `make docs`");
    want
}

/// A line a setting that `written` does not have, commented out.
fn variables(written: &str) -> String {
    let mut lines = String::new();
    let mut name = None;
    for line in DEFAULTS.lines() {
        if let Some((variable, _)) = line.strip_prefix("# SPIKE_").and_then(|rest| rest.split_once(": ")) {
            name = Some(format!("SPIKE_{variable}"));
        } else if let (Some((_, value)), Some(name)) = (line.split_once(" = "), name.take())
            && !written.contains(&format!("{name}="))
        {
            let _ = writeln!(lines, "#{name}={}", value.trim_matches(['"', '[', ']']).replace(", ", ","));
        }
    }
    lines
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
