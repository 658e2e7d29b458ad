//! The stack that outlives its command: found again, ended by its records, never confused with a stranger's process.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use spike_devstack::{Stack, fixture};

fn devstack(verb: &str, dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_devstack"));
    command.arg(verb).arg("--dir").arg(dir).output().expect("devstack runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn up_twice_is_one_stack_and_down_ends_it() {
    let dir = fixture::folder("stack");
    let first = devstack("up", &dir);
    assert!(first.status.success(), "{}", said(&first));
    let env = fs::read_to_string(dir.join("env")).expect("written");
    let pids = said(&devstack("status", &dir));
    assert_eq!(pids.matches("running").count(), 3, "{pids}");

    let second = devstack("up", &dir);
    assert!(second.status.success(), "{}", said(&second));
    assert_eq!(said(&devstack("status", &dir)), pids);
    assert_eq!(said(&devstack("env", &dir)), env);
    for key in [
        "SPIKE_REDIS_URL=redis://127.0.0.1:",
        "SPIKE_AMQP_URL=amqp://guest:guest@",
        "SPIKE_DATABASE_URL=mysql://",
    ] {
        assert!(env.contains(key), "{env}");
    }

    let down = devstack("down", &dir);
    assert!(down.status.success(), "{}", said(&down));
    let after = devstack("status", &dir);
    assert_eq!((said(&after).matches("stopped").count(), after.status.code()), (3, Some(1)));
    assert!(!devstack("env", &dir).status.success());
    assert!(said(&devstack("down", &dir)).contains("nothing"), "a second down has nothing to do");
}

#[test]
fn a_stale_pid_is_left_alone() {
    let dir = fixture::folder("stale");
    fs::create_dir_all(dir.join("redis")).expect("made");
    let own = std::process::id();
    fs::write(dir.join("redis/server.state"), format!("pid={own}\nport=16000\n")).expect("written");
    assert!(said(&devstack("down", &dir)).contains("nothing"));
    assert!(said(&devstack("status", &dir)).contains("redis     stopped"));
}

#[test]
fn a_bound_stack_ends_with_its_value() {
    let stack = Stack::start(&fixture::folder("bound")).expect("started");
    let pids = [stack.redis.pid(), stack.mariadb.pid(), stack.rabbit.pid()].map(|pid| pid.expect("it runs"));
    drop(stack);
    assert!(pids.iter().all(|pid| !Path::new("/proc").join(pid.to_string()).exists()));
}

#[test]
fn a_wrong_call_says_how_and_exits_2() {
    for args in [&["fly"][..], &[], &["up", "--where", "x"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_devstack")).args(args).output().expect("devstack runs");
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(said(&output).contains("usage: devstack"), "{args:?}");
    }
}
