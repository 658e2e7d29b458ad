//! The executables under test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Settings of a process.
pub type Env = BTreeMap<String, String>;

/// Runs `spike-load` with these settings and no other.
pub fn spike_load(words: &[&str], env: &Env) -> Output {
    run(Path::new(env!("CARGO_BIN_EXE_spike-load")), words, env)
}

/// Runs `spike`, which a build of the workspace puts beside it.
pub fn spike(words: &[&str], env: &Env) -> Output {
    run(&spike_program(), words, env)
}

/// Where `spike` is.
pub fn spike_program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_spike-load")).with_file_name("spike");
    assert!(program.exists(), "{} is missing: cargo build -p spike", program.display());
    program
}

/// Everything it said.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

fn run(program: &Path, words: &[&str], env: &Env) -> Output {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SPIKE_")) {
        command.env_remove(name);
    }
    command.args(words).envs(env).output().expect("it starts")
}
