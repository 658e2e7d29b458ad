//! Documents whose commands are run: `docs/API.md`, and what `serve --seed` prints.
//!
//! A `sh` block is run as it stands, all of them in one shell; the `text` block after it is what it prints, where `…`
//! stands for anything.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::fresh::{Fresh, place};
use crate::poll::until;
use crate::process::command;

/// Printed between the answers of two blocks.
const CUT: &str = "--- next block ---";

#[test]
fn the_walk_through_the_api_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/API.md");
    let document = std::fs::read_to_string(path).expect("docs/API.md");
    let steps = steps(&document);
    assert!(steps.iter().filter(|step| step.prints.is_some()).count() > 8, "the walk has lost its way");
    let shop = Fresh::start(&[], &[]);
    let script: String = steps.iter().map(|step| format!("{}\necho; echo '{CUT}'\n", step.command)).collect();
    let printed = bash(&script, &shop.dir, &[("API", &format!("http://{}/api/v1", shop.http))]);
    let mut answers = printed.split(CUT);
    for step in steps {
        let answer = answers.next().expect("the script goes on to its end");
        let Some(wanted) = step.prints else { continue };
        let (got, want): (Vec<&str>, Vec<&str>) = (lines(answer), lines(&wanted));
        assert_eq!(got.len(), want.len(), "{}\nprinted\n{answer}", step.command);
        for (got, want) in got.into_iter().zip(want) {
            assert!(matches(want, got), "{}\nprinted\n{got}\nand not\n{want}", step.command);
        }
    }
}

#[test]
fn the_lines_that_a_seeded_shop_prints_buy() {
    let (dir, _, env) = place();
    let (said, log) = (dir.join("said"), dir.join("serve.log"));
    let mut serve = command(&["serve", "--seed"], &env, &dir);
    serve.stdout(File::create(&said).expect("a file")).stderr(File::create(log).expect("a file"));
    let _serve = Ended(spike_devstack::spawn_bound(serve).expect("the binary starts"));
    let lines = until("it says how to buy", || {
        let said = std::fs::read_to_string(&said).ok()?;
        let (_, lines) = said.split_once("buy by hand:\n")?;
        lines.contains("/metrics").then(|| lines.to_owned())
    });
    assert!(lines.lines().filter(|line| line.starts_with("  curl")).count() >= 4, "{lines}");
    // The sale opens ten seconds later; until then the same lines are told so.
    let printed = until("a press is accepted", || {
        let printed = bash(&lines, &dir, &[]);
        assert!(["not-started", "202 Accepted"].iter().any(|part| printed.contains(part)), "{printed}");
        printed.contains("202 Accepted").then_some(printed)
    });
    for part in ["\"status\":\"queued\"", "\"event_id\"", "\"ledger\":\"open\"", "spike_"] {
        assert!(printed.contains(part), "no {part} in {printed}");
    }
}

/// A process that ends with its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Commands, and what the document says that they print.
struct Step {
    command: String,
    prints: Option<String>,
}

fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut parts = document.split("```");
    parts.next();
    // Outside and inside alternate; an inside begins with its language.
    while let (Some(inside), Some(_)) = (parts.next(), parts.next()) {
        match inside.split_once('\n') {
            Some(("sh", command)) => steps.push(Step { command: command.to_owned(), prints: None }),
            Some(("text", answer)) => {
                let step = steps.last_mut().expect("an answer follows its command");
                assert!(step.prints.replace(answer.to_owned()).is_none(), "two answers: {answer}");
            }
            other => panic!("a block of another kind: {other:?}"),
        }
    }
    steps
}

/// Lines with something in them. Two answers on one line are two, as curl ends none with a line end.
fn lines(text: &str) -> Vec<&str> {
    let between = text.lines().flat_map(|line| {
        let cut = line.find("}{\"code\"").map(|at| line.split_at(at + 1));
        cut.map_or_else(|| vec![line], |(one, two)| vec![one, two])
    });
    between.map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// Whether `text` is `pattern` with something for each `…`.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// What a script prints; it must end well within a minute.
pub fn bash(script: &str, dir: &Path, env: &[(&str, &str)]) -> String {
    let mut command = Command::new("timeout");
    command.args(["60", "bash", "-eu", "-c", script]).current_dir(dir).stdin(Stdio::null());
    let output = command.envs(env.iter().copied()).output().expect("timeout and bash are there");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let status = output.status;
    assert!(status.success(), "{status}: {printed}\n{}", String::from_utf8_lossy(&output.stderr));
    printed
}

#[test]
fn a_pattern_is_met_where_its_parts_come_in_order() {
    for (pattern, text, want) in [
        ("a…c", "abc", true),
        ("a…c", "ac", true),
        ("a…c", "ab", false),
        ("abc", "abcd", false),
        ("…b…d…", "abcde", true),
        ("…d…b…", "abcde", false),
    ] {
        assert_eq!(matches(pattern, text), want, "{pattern} {text}");
    }
}
