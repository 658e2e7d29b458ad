//! Tells `spike --version` which commit it was built from: `BUILD_COMMIT` if that is set (an image is built without `.git`), else
//! what git says, else nothing.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=BUILD_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    let given = std::env::var("BUILD_COMMIT").ok().filter(|commit| !commit.trim().is_empty());
    let commit = given.or_else(of_git);
    let version = std::env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    let version = commit.map_or(version.clone(), |commit| format!("{version} ({})", commit.trim()));
    println!("cargo::rustc-env=BUILD_VERSION={version}");
}

/// The commit at hand, in a repository that has this very file: an archive unpacked inside another one has none.
fn of_git() -> Option<String> {
    git(&["ls-files", "--error-unmatch", "Cargo.toml"])?;
    // Grows with every commit and every checkout.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if Path::new(&log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(words: &[&str]) -> Option<String> {
    let output = Command::new("git").args(words).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}
