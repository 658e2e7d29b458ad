//! A fresh `spike serve` with nothing in it but accounts: what a stranger has after the first command.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};
use spike_devstack::fixture;

use crate::http::{self, Answer};
use crate::process::{Env, Process, run};
use crate::system::loopback;

/// Password of every account made here.
pub const PASSWORD: &str = "correct horse battery staple";

/// The process and its folder.
pub struct Fresh {
    /// Where it was started; its data is in `data`.
    pub dir: PathBuf,
    /// Where it answers.
    pub http: SocketAddr,
    _serve: Process,
}

impl Fresh {
    /// With settings of its own, after accounts (`email`, `role`) were made by the command line.
    pub fn start(settings: &[(&str, &str)], accounts: &[(&str, &str)]) -> Self {
        let (dir, [http, ops], mut env) = place();
        env.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        for (email, role) in accounts {
            let words = ["admin", "create-user", "--email", email, "--role", role, "--password", PASSWORD];
            let output = run(&words, &env, &dir);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let serve = Process::start("serve", &env, &dir, ops);
        Self { dir, http, _serve: serve }
    }

    /// A POST of JSON below `/api/v1` and its data.
    pub fn post(&self, path: &str, token: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {token}");
        let path = format!("/api/v1{path}");
        let answer: Answer =
            http::call(self.http, "POST", &path, &[("Authorization", &bearer)], Some(&body.to_string()));
        assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.head, answer.json());
        answer.json()["data"].take()
    }

    /// An access token of an account made at the start.
    pub fn log_in(&self, email: &str) -> String {
        let session = self.post("/auth/login", "", &json!({ "email": email, "password": PASSWORD }));
        session["access_token"].as_str().expect("a token").to_owned()
    }
}

/// A folder, addresses (of the API, of operations) and the variables that keep a process to them.
pub fn place() -> (PathBuf, [SocketAddr; 2], Env) {
    let dir = fixture::folder("fresh");
    let [http, ops, worker_ops] = [loopback(), loopback(), loopback()];
    let env: Env = [
        ("SPIKE_HTTP_LISTEN", http.to_string()),
        ("SPIKE_HTTP_OPS_LISTEN", ops.to_string()),
        ("SPIKE_WORKER_OPS_LISTEN", worker_ops.to_string()),
        ("SPIKE_DATA_DIR", dir.join("data").display().to_string()),
        ("SPIKE_HOT_PIN", "false".into()),
        // A disk that many tests share may keep a file's first connection waiting.
        ("SPIKE_DATABASE_ACQUIRE_TIMEOUT_MS", "60000".into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    (dir, [http, ops], env)
}
