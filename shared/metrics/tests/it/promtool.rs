//! What Prometheus' own tool says of our files. `deploy/devstack/install-observability.sh` installs it.

use std::process::Command;

use crate::files::root;

fn promtool(words: &[&str]) {
    let output = Command::new("promtool")
        .args(words)
        .current_dir(root().join("deploy/observability"))
        .output()
        .expect("promtool is installed: deploy/devstack/install-observability.sh");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {words:?}: {said}");
    assert!(said.contains("SUCCESS"), "promtool {words:?}: {said}");
}

#[test]
fn the_configuration_is_one() {
    promtool(&["check", "config", "prometheus.yml"]);
}

#[test]
fn the_rules_are_rules() {
    promtool(&["check", "rules", "rules/recording.yml", "rules/alerts.yml"]);
}

#[test]
fn alerts_call_when_they_should_and_only_then() {
    promtool(&["test", "rules", "rules/tests/recording.yml", "rules/tests/alerts.yml"]);
}
