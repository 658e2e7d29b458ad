//! Schemathesis asks a running shop whatever its OpenAPI document allows and forbids, and holds every answer against it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::fresh::Fresh;
use crate::http::call;
use crate::poll::until;

/// Examples an operation, unless SPIKE_TEST_EXAMPLES names another number.
const EXAMPLES: &str = "10";
/// From so many examples an operation on, as `make fuzz-api` has them, a run makes [`MANY`] requests at least.
const EXAMPLES_OF_MANY: u64 = 300;
const MANY: u64 = 10_000;
/// So many of everything; the last one is the one that is used.
const EACH: usize = 6;

#[test]
#[ignore = "needs Schemathesis: `make test` and `make fuzz-api` run it"]
fn every_answer_is_one_that_the_document_names() {
    let program =
        std::env::var("SPIKE_TEST_SCHEMATHESIS").expect("SPIKE_TEST_SCHEMATHESIS: the program `st`");
    let examples = std::env::var("SPIKE_TEST_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let shop = start();
    let (user, admin) = (shop.log_in("user@fuzz.invalid"), shop.log_in("admin@fuzz.invalid"));
    let order = stock(&shop, &admin, &user);
    let config = configure(&shop, &[("USER", &user), ("ADMIN", &admin), ("ORDER", &order)]);
    let run = Run {
        program,
        config,
        examples,
        document: format!("http://{}/openapi.json", shop.http),
        dir: &shop.dir,
    };
    // A process a subject, not threads: Python's parser is known to fail in several (CPython issue 106905).
    let reports: Vec<Report> = std::thread::scope(|scope| {
        let threads: Vec<_> = SUBJECTS.map(|tag| scope.spawn(|| run.subject(tag))).into();
        threads.into_iter().map(|thread| thread.join().expect("a report")).collect()
    });
    let failed: Vec<&str> =
        reports.iter().filter(|report| !report.passed).map(|report| &*report.said).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let cases: u64 = reports.iter().map(|report| report.cases).sum();
    assert!(reports.iter().all(|report| report.cases > 0), "a subject without a case");
    let many = run.examples.parse().is_ok_and(|each: u64| each >= EXAMPLES_OF_MANY);
    assert!(!many || cases >= MANY, "{cases} requests where there are to be {MANY}");
    println!("Schemathesis: {cases} requests about {} subjects, all answered as documented", reports.len());
}

/// The tags of the document.
const SUBJECTS: [&str; 5] = ["accounts", "catalogue", "spike", "orders", "contract"];

struct Run<'a> {
    program: String,
    config: PathBuf,
    examples: String,
    document: String,
    dir: &'a Path,
}

struct Report {
    passed: bool,
    cases: u64,
    said: String,
}

impl Run<'_> {
    /// Asks the operations of one tag.
    fn subject(&self, tag: &str) -> Report {
        let mut command = Command::new(&self.program);
        command.arg("--config-file").arg(&self.config).args(["run", &self.document, "--include-tag", tag]);
        command.args(["--phases", "examples,coverage,fuzzing", "--max-examples", &self.examples]);
        command.args([
            "--continue-on-failure",
            "--generation-database",
            "none",
            "--no-color",
            "--workers",
            "1",
            // How quickly Schemathesis makes its examples is the machine's affair, not ours.
            "--suppress-health-check",
            "all",
        ]);
        let output = command.current_dir(self.dir).output().expect("Schemathesis starts");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        // "  1394 generated, 1394 passed"
        let count = said.lines().find_map(|line| line.trim().split_once(" generated")?.0.parse().ok());
        Report { passed: output.status.success(), cases: count.unwrap_or(0), said }
    }
}

/// `schemathesis.toml` with what only this run knows, in the shop's folder.
fn configure(shop: &Fresh, words: &[(&str, &str)]) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../e2e/schemathesis.toml");
    let mut text = std::fs::read_to_string(source).expect("e2e/schemathesis.toml");
    for (name, word) in words {
        text = text.replace(&format!("${{{name}}}"), word);
    }
    let path = shop.dir.join("schemathesis.toml");
    std::fs::write(&path, text).expect("a file in the test's folder");
    path
}

/// A shop without brakes, whose first users are nobody's.
fn start() -> Fresh {
    let spare: Vec<String> = (1..=4).map(|number| format!("spare{number}@fuzz.invalid")).collect();
    let mut accounts: Vec<(&str, &str)> = spare.iter().map(|email| (email.as_str(), "user")).collect();
    accounts.extend([("user@fuzz.invalid", "user"), ("admin@fuzz.invalid", "admin")]);
    let settings = [
        ("SPIKE_LIMITS_DEBOUNCE_MS", "0"),
        ("SPIKE_LIMITS_USER_PER_S", "0"),
        ("SPIKE_LIMITS_ADDRESS_PER_S", "0"),
        ("SPIKE_LOGIN_PAIR_WAIT_MAX_S", "0"),
        ("SPIKE_LOGIN_ADDRESS_WAIT_MAX_S", "0"),
        ("SPIKE_LOGIN_ACCOUNT_WAIT_MAX_S", "0"),
        ("SPIKE_LOGIN_REGISTER_EVERY_MS", "0"),
        ("SPIKE_AUTH_ACCESS_TTL_S", "86400"),
    ];
    Fresh::start(&settings, &accounts)
}

/// Products and running sales; the id of an order of `user` in the last sale.
fn stock(shop: &Fresh, admin: &str, user: &str) -> String {
    let price = json!({ "minor": 1999, "currency": "EUR" });
    for number in 1..=EACH {
        let sku = format!("FUZZ-{number}");
        let product = json!({ "sku": sku, "name": "Lamp", "price": price, "stock": 1_000_000 });
        let product = shop.post("/products", admin, &product);
        let event = json!({
            "product_id": product["id"], "name": "Night sale", "price": price, "total": 100_000,
            "per_user_limit": 1000,
            "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2120-01-01T00:00:00Z",
        });
        let event = shop.post("/admin/spike/events", admin, &event);
        assert_eq!((&product["id"], &event["id"]), (&number.into(), &number.into()));
        shop.post(&format!("/admin/spike/events/{number}/warmup"), admin, &json!({}));
    }
    let orders = format!("/api/v1/spike/events/{EACH}/orders");
    let bearer = format!("Bearer {user}");
    let order = until("the last sale sells", || {
        let headers = [("Authorization", &*bearer), ("Idempotency-Key", "the only one")];
        let answer = call(shop.http, "POST", &orders, &headers, None);
        assert!([202, 404, 503].contains(&answer.status), "{answer:?}");
        let body = answer.json();
        body["data"]["order_id"].as_str().filter(|_| answer.status == 202).map(str::to_owned)
    });
    // Nothing follows a paid order, so nobody waits for it.
    let headers = [("Authorization", &*bearer), ("Idempotency-Key", "the only one")];
    until("the order is paid", || {
        let answer = call(shop.http, "POST", &format!("/api/v1/orders/{order}/pay"), &headers, None);
        (answer.status == 200).then_some(())
    });
    order
}
