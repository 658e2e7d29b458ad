//! `docs/RUNBOOK.md`: its commands are run as they stand against a system in the state that they are for, and print what the page shows.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use spike_devstack::fixture;
use spike_domain::clock::now_ms;
use spike_domain::{EntryId, EventId, OrderId, OrdersMessage, OutboxEntry, QueuedOrder, UserId};

use crate::operations::path_with_binary;
use crate::poll::until;
use crate::process::Env;
use crate::system::{Sale, System};

/// A command of the page, and what it prints there.
struct Step {
    command: String,
    prints: String,
}

/// Those of one section: what follows `$ ` is a command, on several lines where a quote is still open.
fn steps(heading: &str) -> Vec<Step> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/RUNBOOK.md");
    let page = std::fs::read_to_string(path).expect("docs/RUNBOOK.md");
    let section = page.split("\n## ").find(|section| section.starts_with(heading)).expect(heading);
    let mut steps: Vec<Step> = Vec::new();
    for block in section.split("```console\n").skip(1) {
        let (block, _) = block.split_once("```").expect("it ends");
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { command: command.to_owned(), prints: String::new() });
                continue;
            }
            let step = steps.last_mut().expect("a command comes first");
            let text = if is_open(&step.command) { &mut step.command } else { &mut step.prints };
            text.push('\n');
            text.push_str(line);
        }
    }
    assert!(!steps.is_empty(), "{heading} has commands");
    steps
}

/// Whether a quote is still open at a command's end.
fn is_open(command: &str) -> bool {
    command.chars().fold(None, |quote, c| match (quote, c) {
        (None, '\'' | '"') => Some(c),
        (Some(open), c) if open == c => None,
        (quote, _) => quote,
    }) == Some('\'')
}

/// A shell in which `spike` is the binary under test, with the settings of a system.
struct Desk {
    env: Env,
    /// Ports of the page, and those of the system.
    ports: [(&'static str, String); 3],
}

impl Desk {
    fn of(system: &System) -> Self {
        let dir = fixture::folder("runbook");
        let mut env = system.gateway.env().clone();
        env.insert("PATH".to_owned(), path_with_binary(&dir));
        env.insert("API".to_owned(), format!("http://{}/api/v1", system.http));
        env.insert("ADMIN".to_owned(), system.admin_token().to_owned());
        let ports = [
            ("127.0.0.1:9090", system.gateway.ops().to_string()),
            ("localhost:9090", system.gateway.ops().to_string()),
            ("localhost:9091", system.worker.ops().to_string()),
        ];
        Self { env, ports }
    }

    /// What a command prints, with the system's ports instead of the page's.
    fn run(&self, command: &str) -> Output {
        let mut script = command.to_owned();
        for (page, own) in &self.ports {
            script = script.replace(page, own);
        }
        let mut bash = Command::new("timeout");
        bash.args(["60", "bash", "-u", "-o", "pipefail", "-c", &script]).envs(&self.env).stdin(Stdio::null());
        bash.output().expect("timeout and bash are there")
    }

    /// Runs a section. What only asks is asked until it answers as the page says: processes are told of a change a moment later.
    fn walk(&self, heading: &str, is_change: fn(&str) -> bool) {
        for Step { command, prints } in steps(heading) {
            if is_change(&command) {
                let output = self.run(&command);
                let said = String::from_utf8_lossy(&output.stdout);
                assert_eq!(
                    mask(&said),
                    mask(&prints),
                    "{command}\n{}",
                    String::from_utf8_lossy(&output.stderr)
                );
            } else {
                let mut before = String::new();
                until(&format!("{command} prints{prints}"), || {
                    let said = mask(&String::from_utf8_lossy(&self.run(&command).stdout));
                    if said != before {
                        println!("{command} printed, masked: {said}");
                        before.clone_from(&said);
                    }
                    (said == mask(&prints)).then_some(())
                });
            }
        }
    }
}

/// Numbers, moments and identifiers differ from run to run, and so do the widths of columns.
fn mask(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let word = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        let (hex, behind) = rest.split_at(word);
        masked.push_str(if hex.contains(|c: char| c.is_ascii_digit()) { "#" } else { hex });
        let mut behind = behind.chars();
        masked.extend(behind.next());
        rest = behind.as_str();
    }
    masked.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_difference_is_told_as_the_page_shows() {
    let system = System::start(&[("SPIKE_WORKER_RECONCILE_REPAIR", "false")]);
    let event = system.open(Sale::of(3));
    let (_, token) = system.user();
    assert_eq!(system.buy(event, &token, &[], None).status, 202);
    system.redis.command(&["INCR", &format!("spike:{{{event}}}:stock")]).expect("Redis answers");
    assert_eq!(event, EventId(1), "the page asks about the first event");
    Desk::of(&system).walk("Ledger and database differ", |_| false);
}

#[test]
fn a_process_says_more_and_limits_are_tightened_as_the_page_shows() {
    let system = System::start(&[]);
    let desk = Desk::of(&system);
    let is_change = |command: &str| command.contains("-X PUT");
    desk.walk("Hearing more of a process", is_change);
    desk.walk("Tightening limits in a sale", is_change);
}

#[test]
fn dead_letters_are_listed_replayed_and_dropped_as_the_page_shows() {
    let system = System::start(&[]);
    let order = QueuedOrder {
        order: OrderId::new(now_ms()),
        user: UserId(7),
        quantity: 1,
        key: None,
        accepted_at_ms: now_ms(),
    };
    let entry = EntryId::parse("1795474411940-0").expect("an id");
    let message = OrdersMessage::new(EventId(41), vec![OutboxEntry::new(entry, vec![order])]).encode();
    let no_json = "not an orders message: expected value at line 1 column 1";
    for (name, reason, payload, event) in [
        ("odd", no_json, &b"not an order\n"[..], None),
        ("odd", no_json, b"not an order\n", None),
        ("41:1795474411940-0+1", "the event does not exist", &message, Some(EventId(41))),
    ] {
        let parked = system.store.park_message("spike.orders", name, reason, payload, event);
        system.runtime.block_on(parked).expect("the database takes it");
    }
    Desk::of(&system).walk("Dead letters", |command| command.contains("replay") || command.contains("drop"));
}

#[test]
fn a_mask_hides_numbers_and_widths_and_nothing_else() {
    assert_eq!(mask("a  7 2026-11-23T23:56Z\n"), "a # #-#-#T#:#Z");
    assert_eq!(mask("\"1a5ea1b8\",{\"per_s\":10}"), "\"#\",{\"per_s\":#}");
    assert_ne!(mask("2 replayed"), mask("2 dropped"));
}
