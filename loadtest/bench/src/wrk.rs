//! wrk: the same request again and again over keep-alive connections, for answers that cost almost nothing to ask for.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, bail};
use tokio::process::Command;

/// What a run of wrk says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ran {
    /// Answers.
    pub requests: u64,
    /// Answers a second.
    pub per_s: f64,
    /// Answers that are neither 2xx nor 3xx.
    pub refused: u64,
    /// Connections, reads, writes and answers that failed.
    pub errors: u64,
}

/// The request of a run.
#[derive(Debug, Clone)]
pub struct Press<'a> {
    /// The server.
    pub at: SocketAddr,
    /// The path.
    pub path: &'a str,
    /// The access token.
    pub token: &'a str,
    /// The body.
    pub body: &'a str,
}

/// Sends `press` over `connections` for `seconds`, from one thread of this process's CPUs. Its script is written into
/// `folder`.
///
/// # Errors
/// When wrk is missing or fails.
pub async fn run(press: &Press<'_>, connections: usize, seconds: u32, folder: &Path) -> anyhow::Result<Ran> {
    let script = folder.join("press.lua");
    std::fs::create_dir_all(folder)?;
    std::fs::write(&script, lua(press)).with_context(|| format!("write {}", script.display()))?;
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", &connections.to_string(), "--duration"])
        .arg(format!("{seconds}s"))
        .arg("--script")
        .arg(&script)
        .arg(format!("http://{}{}", press.at, press.path))
        .output()
        .await
        .context("run wrk (make install-peers installs it)")?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("wrk failed: {said}{}", String::from_utf8_lossy(&output.stderr));
    }
    read(&said).with_context(|| format!("an unknown output of wrk:\n{said}"))
}

/// Without a `request` function wrk builds the bytes once.
fn lua(press: &Press<'_>) -> String {
    format!(
        "wrk.method = \"POST\"\nwrk.body = {:?}\nwrk.headers[\"Content-Type\"] = \"application/json\"\n\
         wrk.headers[\"Authorization\"] = \"Bearer {}\"\n",
        press.body, press.token
    )
}

fn read(said: &str) -> Option<Ran> {
    let after = |name: &str| said.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    let requests = said.lines().find_map(|line| line.trim().split_once(" requests in "))?.0.parse().ok()?;
    let per_s = after("Requests/sec:")?.parse().ok()?;
    let refused = after("Non-2xx or 3xx responses:").map_or(Some(0), |count| count.parse().ok())?;
    // Socket errors: connect 0, read 3, write 0, timeout 1
    let errors = after("Socket errors:").map_or(0, |counts| {
        counts.split(',').filter_map(|count| count.trim().rsplit(' ').next()?.parse::<u64>().ok()).sum()
    });
    Some(Ran { requests, per_s, refused, errors })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "Running 1s test @ http://127.0.0.1:1/x
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   245.53us  121.36us   4.13ms   84.15%
    Req/Sec    32.41k     1.50k   34.07k    80.00%
  32410 requests in 1.01s, 4.20MB read
  Socket errors: connect 0, read 3, write 0, timeout 1
  Non-2xx or 3xx responses: 32000
Requests/sec:  32089.12
Transfer/sec:      4.16MB
";

    #[test]
    fn the_output_is_read() {
        let ran = read(SAID).unwrap();
        assert_eq!(ran, Ran { requests: 32_410, per_s: 32_089.12, refused: 32_000, errors: 4 });
        let quiet: String = SAID
            .lines()
            .filter(|line| !line.contains("rrors") && !line.contains("Non-2xx"))
            .map(|l| format!("{l}\n"))
            .collect();
        assert_eq!(read(&quiet).unwrap().errors + read(&quiet).unwrap().refused, 0);
        assert_eq!(read("unable to connect"), None);
    }

    #[test]
    fn a_body_is_quoted_for_lua() {
        let at = SocketAddr::from(([127, 0, 0, 1], 1));
        let script = lua(&Press { at, path: "/", token: "t", body: r#"{"quantity":1}"# });
        assert!(script.contains(r#"wrk.body = "{\"quantity\":1}""#), "{script}");
    }
}
