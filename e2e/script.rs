//! `deploy/e2e.sh`, the script that asks any installation whether a sale works in it.

use std::path::Path;
use std::process::{Command, Output};

use crate::system::{ADMIN, PASSWORD, System, loopback, shared};

/// Runs it against a system; it must be satisfied.
pub fn run(system: &System) {
    let at = |address: std::net::SocketAddr| format!("http://{address}");
    let output = script(&[
        ("BASE", &at(system.http)),
        ("OPS", &at(system.gateway_ops)),
        ("WORKER_OPS", &at(system.worker_ops)),
        ("ADMIN_EMAIL", ADMIN),
        ("ADMIN_PASSWORD", PASSWORD),
    ]);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stdout.contains("all is well"), "{stdout}{stderr}");
}

fn script(env: &[(&str, &str)]) -> Output {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/e2e.sh");
    Command::new("bash").arg(path).envs(env.iter().copied()).output().expect("bash is there")
}

#[test]
fn the_script_is_satisfied_by_a_gateway_and_a_worker() {
    run(shared());
}

#[test]
fn the_script_says_what_is_wrong() {
    let nobody = format!("http://{}", loopback());
    let output = script(&[("BASE", &nobody), ("PATIENCE", "1")]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && stderr.contains("the API answers"), "{stderr}");

    let base = format!("http://{}", shared().http);
    let output = script(&[("BASE", &base), ("ADMIN_EMAIL", ADMIN), ("ADMIN_PASSWORD", "not this one")]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && stderr.contains("the administrator's login"), "{stderr}");
}
