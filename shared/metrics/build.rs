//! Notes which compiler builds this, for the metric `spike_build_info`.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=RUSTC");
    println!("cargo:rerun-if-changed=build.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = Command::new(rustc).arg("--version").output().ok();
    let text = told.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    // "rustc 1.95.0 (hash date)"
    println!("cargo:rustc-env=BUILD_RUSTC={}", text.split(' ').nth(1).unwrap_or("unknown").trim());
}
