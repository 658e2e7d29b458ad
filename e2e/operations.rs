//! `docs/OPERATIONS.md`: its commands are run as they stand, against a shop that sells.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use spike_devstack::fixture;
use spike_domain::EventId;

use crate::http::call;
use crate::poll::until;
use crate::system::{ADMIN, PASSWORD, Sale, System, order_of, orders_path};
use crate::walkthrough::bash;

/// The first secret that the shop signs with.
const SECRET: &str = "the first secret of the test: 32 bytes long";

/// The page, and where its commands run.
struct Page {
    text: String,
    env: Vec<(String, String)>,
    root: PathBuf,
}

impl Page {
    /// The `sh` blocks below a heading, after those of the page's beginning.
    fn script(&self, heading: &str) -> String {
        let begin = blocks(self.text.split("\n## ").next().expect("a beginning"));
        let section = self.text.split("\n## ").find(|section| section.starts_with(heading));
        let section = blocks(section.unwrap_or_else(|| panic!("no section {heading}")));
        assert!(!section.is_empty(), "{heading} has commands");
        [begin, section].concat()
    }

    /// Runs them, and `then` in the same shell; what all of it prints.
    fn run(&self, heading: &str, then: &str) -> String {
        let env: Vec<(&str, &str)> = self.env.iter().map(|(name, value)| (&**name, &**value)).collect();
        bash(&format!("set -o pipefail\n{}\n{then}", self.script(heading)), &self.root, &env)
    }
}

fn blocks(text: &str) -> String {
    let mut parts = text.split("```");
    let mut found = String::new();
    parts.next();
    while let (Some(inside), Some(_)) = (parts.next(), parts.next()) {
        if let Some(commands) = inside.strip_prefix("sh\n") {
            found.push_str(commands);
        }
    }
    found
}

/// A folder with `spike` in it, for the search path.
pub fn path_with_binary(dir: &Path) -> String {
    let bin = dir.join("bin");
    std::fs::create_dir_all(&bin).expect("a folder");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_spike"), bin.join("spike")).expect("a link");
    format!("{}:{}", bin.display(), std::env::var("PATH").expect("a search path"))
}

fn page(system: &System, database_url: &str, dir: &Path) -> Page {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("docs/OPERATIONS.md")).expect("docs/OPERATIONS.md");
    let database = database_url.rsplit('/').next().expect("a name");
    let port = fixture::mariadb().port();
    let redis = format!("-p {}", system.redis.port());
    let env = [
        ("PATH", path_with_binary(dir)),
        ("MYSQL", format!("--no-defaults --host=127.0.0.1 --port={port} --user=spike --password=spike")),
        ("DATABASE", database.to_owned()),
        ("REDIS", redis),
        ("BACKUPS", dir.display().to_string()),
        ("SPIKE_DATABASE_URL", database_url.to_owned()),
        ("SPIKE_AUTH_SECRET", SECRET.to_owned()),
        ("OLD_REDIS_PASSWORD", "the old one".to_owned()),
        ("NEW_REDIS_PASSWORD", "the new one".to_owned()),
        ("NEW_DATABASE_PASSWORD", "a new one".to_owned()),
    ];
    Page { text, env: env.map(|(name, value)| (name.to_owned(), value)).into(), root }
}

#[test]
fn a_backup_is_made_checked_and_restored_as_the_page_says() {
    let (database, dir) = (fixture::database(), fixture::folder("operations"));
    let mut system = System::start_on(&fixture::vhost(), &database, &[("SPIKE_AUTH_SECRET", SECRET)]);
    let page = page(&system, &database, &dir);
    let event = system.open(Sale::of(5));
    let [(_, before), (_, after)] = system.users(2).try_into().expect("two");
    let kept = buy(&system, event, &before);

    let printed = page.run("Backup", "");
    for line in ["users 3", "spike_events 1", "spike_orders 1", "orders 0", "payment_attempts 0"] {
        assert!(printed.lines().any(|printed| printed == line), "no {line:?} in {printed}");
    }
    let lost = buy(&system, event, &after);

    system.gateway.kill9();
    system.worker.kill9();
    page.run("Restore", "");
    system.worker.restart();
    system.gateway.restart();
    let status = |order: &str, token: &str| -> Value {
        let answer = system.get(&format!("{}/{order}", orders_path(event)), token);
        answer.json()["data"]["status"].take()
    };
    until("the ledger is rebuilt", || (status(&lost, &after) == "lost").then_some(()));
    assert_eq!(status(&kept, &before), "pending");
    until("its unit is sold again", || (system.buy(event, &after, &[], None).status == 202).then_some(()));
    let output =
        crate::process::run(&["reconcile", "--event", &event.to_string()], system.gateway.env(), &dir);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// An order, and its row.
fn buy(system: &System, event: EventId, token: &str) -> String {
    let answer = until("the sale sells", || {
        Some(system.buy(event, token, &[], None)).filter(|answer| answer.status == 202)
    });
    let order = order_of(&answer).to_string();
    let path = format!("{}/{order}", orders_path(event));
    until("it has its row", || {
        (system.get(&path, token).json()["data"]["status"] == "pending").then_some(())
    });
    order
}

#[test]
fn keys_change_without_logging_anybody_out_as_the_page_says() {
    let (database, dir) = (fixture::database(), fixture::folder("keys"));
    let system = System::start_on(&fixture::vhost(), &database, &[("SPIKE_AUTH_SECRET", SECRET)]);
    system
        .redis
        .command(&["ACL", "SETUSER", "spike", "on", ">the old one", "~*", "&*", "+@all"])
        .expect("a user of Redis");
    let page = page(&system, &database, &dir);
    let printed = page.run("Keys", "echo; printf 'FIRST %s\\nSECOND %s\\n' \"$FIRST\" \"$SECOND\"");
    let variables = |step: &str| -> Vec<(String, String)> {
        let line = printed.lines().find_map(|line| line.strip_prefix(step)).expect("a line a step");
        // The old secret has blanks in it: a variable begins where SPIKE_ does.
        let parts =
            line.split("SPIKE_AUTH_").skip(1).map(|part| part.trim().split_once('=').expect("a value"));
        parts.map(|(name, value)| (format!("SPIKE_AUTH_{name}"), value.to_owned())).collect()
    };
    let [(first, first_http), (second, second_http)] = ["FIRST ", "SECOND "].map(|step| {
        let variables = variables(step);
        let named: Vec<(&str, String)> =
            variables.iter().map(|(name, value)| (&**name, value.clone())).collect();
        system.gateway_with(&named)
    });
    let log_in = |at| {
        let body = serde_json::json!({ "email": ADMIN, "password": PASSWORD }).to_string();
        let answer = call(at, "POST", "/api/v1/auth/login", &[], Some(&body));
        answer.json()["data"]["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    };
    let me = |at, token: &str| {
        call(at, "GET", "/api/v1/users/me", &[("Authorization", &format!("Bearer {token}"))], None).status
    };
    let tokens = [first_http, second_http].map(log_in);
    for at in [first_http, second_http] {
        assert_eq!(tokens.each_ref().map(|token| me(at, token)), [200, 200], "each takes the other's tokens");
    }
    assert_eq!(me(system.http, &tokens[1]), 401, "who skips the first rollout logs people out");
    drop((first, second));

    let ask = |password: &str| {
        let mut whoami = Command::new("redis-cli");
        whoami.args([
            "-p",
            &system.redis.port().to_string(),
            "--user",
            "spike",
            "--pass",
            password,
            "ACL",
            "WHOAMI",
        ]);
        // Who is refused is asked for as the default user, who needs no password.
        String::from_utf8_lossy(&whoami.output().expect("redis-cli is there").stdout).contains("spike")
    };
    assert!(ask("the new one") && !ask("the old one"));
    fixture::mariadb().query("DROP USER spike_b, spike_migration_b").expect("both were made");
}

#[test]
fn the_other_commands_of_the_page_are_true() {
    let (system, dir) = (crate::system::shared(), fixture::folder("looks"));
    let database = system.gateway.env()["SPIKE_DATABASE_URL"].clone();
    let page = page(system, &database, &dir);
    assert!(page.run("Upgrades", "").contains(concat!("spike ", env!("CARGO_PKG_VERSION"))));
    assert!(page.run("Retention", "").contains("table_rows"));
}
