//! The command line itself: what it refuses before anything is started, and the commands around a system.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use spike_devstack::fixture;

use crate::process::{Env, command, run};
use crate::system::{loopback, servers, shared};

#[test]
fn the_demo_names_both_ways_to_its_servers() {
    let dir = fixture::folder("nothing");
    let check = |words: &[&str], env: &[(&str, &str)], parts: &[&str]| {
        let env: Env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let output = run(words, &env, &dir);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{words:?} does not say {part}: {stderr}");
        }
    };
    let all = ["make up", "SPIKE_REDIS_URL", "SPIKE_AMQP_URL", "SPIKE_DATABASE_URL", ".spike/stack"];
    check(&["demo", "--servers"], &[], &all);
    check(&["demo", "--servers"], &[("SPIKE_STACK", "elsewhere")], &["make up", "elsewhere"]);
    check(
        &["demo", "--servers"],
        &[("SPIKE_REDIS_URL", "redis://127.0.0.1:1")],
        &["SPIKE_AMQP_URL and SPIKE_DATABASE_URL not set"],
    );
    for words in [
        ["demo", "--early", "1.5"],
        ["demo", "--requests", "0"],
        ["demo", "--users", "many"],
        ["sell", "", ""],
    ] {
        check(&words, &[], &[words[1]]);
    }
}

#[test]
fn a_demo_without_its_servers_fails_and_leaves_nothing_running() {
    let dir = fixture::folder("demo");
    let redis = fixture::redis();
    let dead = loopback();
    let env = servers(&redis, &format!("amqp://{dead}/%2f"), &format!("mysql://spike:spike@{dead}/spike"));
    let output = run(&["demo", "--servers"], &env, &dir);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("database") && stderr.contains(&dead.to_string()), "{stderr}");
    assert!(!stderr.contains("spike:spike"), "no password: {stderr}");
    assert_eq!(running_in(&dir), [""; 0]);
}

/// What runs in a folder: a process and its children begin in the one that they were started in.
fn running_in(dir: &Path) -> Vec<String> {
    let dir = dir.canonicalize().expect("the folder is there");
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten().map(|process| process.path());
    let inside =
        |process: &PathBuf| std::fs::read_link(process.join("cwd")).is_ok_and(|at| at.starts_with(&dir));
    let command = |process: PathBuf| {
        String::from_utf8_lossy(&std::fs::read(process.join("cmdline")).unwrap_or_default())
            .replace('\0', " ")
    };
    processes.filter(inside).map(command).collect()
}

#[test]
fn the_schema_goes_up_and_down_and_twice_is_fine() {
    let dir = fixture::folder("migrate");
    let env: Env = [("SPIKE_DATABASE_URL".to_owned(), fixture::database())].into();
    for words in [&["migrate"][..], &["migrate", "up"], &["migrate", "down", "--to", "0"], &["migrate"]] {
        let output = run(words, &env, &dir);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let without = run(&["migrate", "down"], &env, &dir);
    assert_eq!(without.status.code(), Some(2), "down must say how far");
}

#[test]
fn an_account_is_created_once_and_its_password_is_checked() {
    let dir = fixture::folder("admin");
    let env: Env = [("SPIKE_DATABASE_URL".to_owned(), fixture::database())].into();
    assert!(run(&["migrate"], &env, &dir).status.success());
    let create = |email: &str, password: &str| {
        let words = ["admin", "create-user", "--email", email, "--role", "admin", "--password-stdin"];
        let mut command = command(&words, &env, &dir);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        // A command that refuses its words does not read.
        let _ = child.stdin.take().expect("piped").write_all(password.as_bytes());
        child.wait_with_output().expect("it ends")
    };
    let first = create("Root@E2E.invalid", "a good password\n");
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    assert!(String::from_utf8_lossy(&first.stdout).trim().parse::<i64>().is_ok(), "its id and nothing else");
    for (email, password, code, part) in [
        ("root@e2e.invalid", "another password", 1, "exists already"),
        ("b@e2e.invalid", "short", 2, "8 to 128"),
        ("not an address", "a good password", 2, "--email"),
        ("no-domain@host", "a good password", 2, "--email"),
    ] {
        let output = create(email, password);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{email}: {stderr}");
        assert!(stderr.contains(part), "{email}: {stderr}");
    }
}

#[test]
fn health_asks_the_port_it_is_told() {
    let system = shared();
    let dir = fixture::folder("health");
    let well = run(&["health", "--at", &system.gateway_ops.to_string()], &Env::new(), &dir);
    let body: serde_json::Value = serde_json::from_slice(&well.stdout).expect("what the port said");
    assert!(well.status.success() && body.is_object(), "{body}");
    let lives =
        run(&["health", "--live", "--worker", "--at", &system.worker_ops.to_string()], &Env::new(), &dir);
    assert!(
        lives.status.success() && lives.stdout != well.stdout,
        "{}",
        String::from_utf8_lossy(&lives.stdout)
    );
    let absent = run(&["health", "--at", &loopback().to_string()], &Env::new(), &dir);
    assert_eq!(absent.status.code(), Some(1));
}

#[test]
fn the_binary_names_its_version_and_its_commit() {
    let dir = fixture::folder("version");
    let output = run(&["--version"], &Env::new(), &dir);
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let rest = said.strip_prefix(concat!("spike ", env!("CARGO_PKG_VERSION"))).expect("its name and version");
    let git = std::process::Command::new("git")
        .args(["ls-files", "--error-unmatch", "Cargo.toml"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    if git.is_ok_and(|output| output.status.success()) {
        let commit = rest.strip_prefix(" (").and_then(|rest| rest.strip_suffix(")")).expect("a commit");
        assert!(commit.len() >= 12 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{said}");
    }
}

#[test]
fn completions_and_pages_are_made_from_the_command_line() {
    let dir = fixture::folder("words");
    for (shell, part) in [("bash", "complete -F"), ("zsh", "#compdef spike"), ("fish", "complete -c spike")] {
        let output = run(&["completions", shell], &Env::new(), &dir);
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && script.contains(part) && script.contains("dead-letters"),
            "{shell}"
        );
    }
    let script = run(&["completions", "bash"], &Env::new(), &dir).stdout;
    std::fs::write(dir.join("spike.bash"), script).expect("a file");
    let asked = "source ./spike.bash; COMP_WORDS=(spike rec); COMP_CWORD=1; _spike spike rec spike; echo ${COMPREPLY[@]}";
    let output =
        std::process::Command::new("bash").args(["-c", asked]).current_dir(&dir).output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "reconcile");

    let page = run(&["man"], &Env::new(), &dir);
    let page = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(page.contains(".TH spike 1") && page.contains("reconcile"), "{page}");
    assert!(run(&["man", "--dir", "pages"], &Env::new(), &dir).status.success());
    for page in ["spike.1", "spike-gateway.1", "spike-dead-letters-list.1"] {
        assert!(dir.join("pages").join(page).is_file(), "{page}");
    }
}

#[test]
fn every_command_of_the_documents_is_one_that_the_binary_knows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let listed = std::process::Command::new("git").args(["ls-files", "*.md"]).current_dir(&root).output();
    let listed = listed.expect("git lists the documents").stdout;
    let path = crate::operations::path_with_binary(&fixture::folder("documents"));
    let mut known = 0;
    for file in String::from_utf8_lossy(&listed).lines() {
        let text = std::fs::read_to_string(root.join(file)).expect(file);
        for words in documented(&text) {
            // What is asked of help is not done, but whatever stands before must be understood.
            let command = format!("spike {} --help", words.join(" "));
            let mut bash = std::process::Command::new("bash");
            let output = bash
                .args(["-c", &command])
                .envs([("PATH", &*path), ("LOAD_USERS", "u.json")])
                .output()
                .expect("bash is there");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{file}: {command}: {stderr}");
            known += 1;
        }
    }
    assert!(known > 20, "the documents have {known} commands");
}

/// Words after `spike`, or after what runs it with cargo, of the code in a document. A name in capitals stands for a number.
fn documented(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        let code: Vec<&str> = match (fence, fenced) {
            (true, _) => Vec::new(),
            (_, true) => vec![line],
            _ => line.split('`').skip(1).step_by(2).collect(),
        };
        for command in code.iter().flat_map(|code| code.split(['&', '|', ';', '#', '>', '<', '…', '(', ')']))
        {
            let words = command.split_whitespace().skip_while(|word| *word == "$" || word.contains('='));
            let words: Vec<&str> = words.collect();
            let rest = match &words[..] {
                ["spike", rest @ ..] | ["cargo", "run", "--release", "--", rest @ ..] => rest,
                _ => continue,
            };
            let word = |word: &&str| match word.trim_matches(['[', ']']) {
                "SHELL" => "bash".to_owned(),
                word if word.chars().all(|c| c.is_ascii_uppercase()) => "1".to_owned(),
                word => word.to_owned(),
            };
            found.push(rest.iter().map(word).filter(|word| word != "\\").collect());
        }
    }
    found
}

#[test]
fn commands_are_found_in_code_and_only_there() {
    let text = "The spike is sharp. `spike health` and `make up`:\n```sh\n$ A=b spike reconcile --event N  # one\n\
        cargo run --release -- demo --json | jq\n```\nspike, again\n";
    let found: Vec<String> = documented(text).iter().map(|words| words.join(" ")).collect();
    assert_eq!(found, ["health", "reconcile --event 1", "demo --json"]);
}
