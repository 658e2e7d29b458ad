//! A Prometheus of a test's own, with the project's rules, and the project's dashboards.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use spike_devstack::fixture;

use crate::poll::until;
use crate::system::loopback;

/// A server that ends with its test.
pub struct Prometheus {
    child: Child,
    at: SocketAddr,
    targets: usize,
}

impl Prometheus {
    /// Starts one that scrapes `targets` (job, ops port) every second, and waits until it answers.
    pub fn start(targets: &[(&str, SocketAddr)]) -> Self {
        let (dir, at) = (fixture::folder("prometheus"), loopback());
        let config = dir.join("prometheus.yml");
        std::fs::write(&config, configuration(targets)).expect("written");
        let log = std::fs::File::create(dir.join("prometheus.log")).expect("a log");
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={at}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = spike_devstack::spawn_bound(command)
            .expect("prometheus is installed: deploy/devstack/install-observability.sh");
        let this = Self { child, at, targets: targets.len() };
        until("Prometheus is ready", || get(at, "/-/ready").filter(|(status, _)| *status == 200));
        this
    }

    /// Whether every target was scraped, and the first rules evaluated.
    pub fn all_up(&self) -> bool {
        let up = self.query("up == 1");
        up.as_array().is_some_and(|series| series.len() == self.targets)
            && self.has_a_number("spike:request_errors:ratio_rate5m")
    }

    /// Whether a query has a series whose value is a number.
    pub fn has_a_number(&self, expr: &str) -> bool {
        let found = self.query(expr);
        let number = |series: &Value| {
            let text = series["value"][1].as_str().expect("a value");
            text.parse::<f64>().is_ok_and(f64::is_finite)
        };
        found.as_array().expect("a vector").iter().any(number)
    }

    /// Panics where a rule cannot be evaluated.
    pub fn rules_are_sound(&self) {
        let told = self.api("/api/v1/rules");
        let groups = told["groups"].as_array().expect("groups").clone();
        let rules: Vec<Value> =
            groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect();
        assert!(rules.len() > 15, "{told}");
        for rule in rules {
            assert_ne!(rule["health"], "err", "{rule}");
        }
    }

    fn query(&self, expr: &str) -> Value {
        self.api(&format!("/api/v1/query?query={}", encoded(expr)))["result"].take()
    }

    fn api(&self, path: &str) -> Value {
        let (status, body) = get(self.at, path).expect("Prometheus answers");
        let mut answer: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        assert_eq!((status, answer["status"].as_str()), (200, Some("success")), "{path}: {body}");
        answer["data"].take()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Dashboard, panel and expression of every query there is.
pub fn expressions() -> Vec<(String, String, String)> {
    let folder = observability().join("grafana/dashboards");
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).expect("dashboards") {
        let path = file.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("a dashboard");
        let dashboard: Value = serde_json::from_str(&text).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let word = |value: &Value| value.as_str().expect("text").to_owned();
                found.push((word(&dashboard["title"]), word(&panel["title"]), word(&target["expr"])));
            }
        }
    }
    assert!(found.len() > 100, "{} queries", found.len());
    found
}

fn observability() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/observability").canonicalize().expect("it is there")
}

/// The shipped rules over other targets, more often.
fn configuration(targets: &[(&str, SocketAddr)]) -> String {
    let rules = observability().join("rules");
    let mut text =
        "global: { scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }\nrule_files:\n"
            .to_owned();
    for file in ["recording.yml", "alerts.yml"] {
        text.push_str(&format!("  - {}\n", rules.join(file).display()));
    }
    text.push_str("scrape_configs:\n");
    for (job, at) in targets {
        text.push_str(&format!("  - job_name: {job}\n    static_configs: [{{ targets: [\"{at}\"] }}]\n"));
    }
    text
}

/// Status and body; HTTP 1.0, so that the body is what follows until the end.
fn get(at: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(at).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {at}\r\n\r\n").as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            },
        )
        .collect()
}
