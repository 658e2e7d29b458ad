//! `devstack`: starts, shows and ends the servers a developer's gateway and worker talk to.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use spike_devstack::{RabbitServer, Stack, down, free_port, status};

const USAGE: &str =
    "usage: devstack up|down|status|env|rabbitmqctl|ports [--dir FOLDER]   (FOLDER is .spike/stack unless given)

  up      start Redis, MariaDB and RabbitMQ in FOLDER, write FOLDER/env; twice is fine
  down    end them; their data stays in FOLDER
  status  one line a server; exit code 1 unless all run
  env     print SPIKE_REDIS_URL, SPIKE_AMQP_URL and SPIKE_DATABASE_URL of the running stack
  rabbitmqctl …  run rabbitmqctl with these words against the running stack's own node
  ports COUNT    print so many free ports on 127.0.0.1, one a line";

enum Verb {
    Up,
    Down,
    Status,
    Env,
    Ctl(Vec<String>),
    Ports(u16),
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((verb, dir)) = parse(&words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let done = match verb {
        Verb::Up => start(&dir),
        Verb::Down => stop(&dir),
        Verb::Status => Ok(show(&dir)),
        Verb::Env => print_env(&dir),
        Verb::Ctl(words) => ctl(&dir, &words),
        Verb::Ports(count) => print_ports(count),
    };
    done.unwrap_or_else(|error| {
        eprintln!("devstack: {error:#}");
        ExitCode::FAILURE
    })
}

fn parse(words: &[String]) -> Option<(Verb, PathBuf)> {
    let (verb, rest) = words.split_first()?;
    if let ("ports", [count]) = (verb.as_str(), rest) {
        return Some((Verb::Ports(count.parse().ok()?), PathBuf::new()));
    }
    let verb = match verb.as_str() {
        "up" => Verb::Up,
        "down" => Verb::Down,
        "status" => Verb::Status,
        "env" => Verb::Env,
        "rabbitmqctl" => Verb::Ctl(Vec::new()),
        _ => return None,
    };
    let (dir, rest) = match rest {
        [flag, dir, rest @ ..] if flag == "--dir" => (PathBuf::from(dir), rest),
        _ => (PathBuf::from(".spike/stack"), rest),
    };
    match (verb, rest) {
        (Verb::Ctl(_), [_, ..]) => Some((Verb::Ctl(rest.to_vec()), dir)),
        (Verb::Ctl(_), []) => None,
        (verb, []) => Some((verb, dir)),
        _ => None,
    }
}

fn start(dir: &Path) -> anyhow::Result<ExitCode> {
    let stack = Stack::up(dir)?;
    show(dir);
    print!("{}", stack.env());
    Ok(ExitCode::SUCCESS)
}

fn stop(dir: &Path) -> anyhow::Result<ExitCode> {
    let ended = down(dir)?;
    if ended.is_empty() {
        println!("nothing runs in {}", dir.display());
    } else {
        println!("ended {}", ended.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

fn show(dir: &Path) -> ExitCode {
    let servers = status(dir);
    for server in &servers {
        println!("{server}");
    }
    if servers.iter().all(|server| server.pid.is_some()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print_env(dir: &Path) -> anyhow::Result<ExitCode> {
    let env = std::fs::read_to_string(dir.join("env"))
        .with_context(|| format!("no stack is up in {}: run 'make up'", dir.display()))?;
    print!("{env}");
    Ok(ExitCode::SUCCESS)
}

fn print_ports(count: u16) -> anyhow::Result<ExitCode> {
    for _ in 0..count {
        println!("{}", free_port()?);
    }
    Ok(ExitCode::SUCCESS)
}

fn ctl(dir: &Path, words: &[String]) -> anyhow::Result<ExitCode> {
    let node = RabbitServer::find(&dir.join("rabbitmq"))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    print!("{}", node.ctl(&words)?);
    Ok(ExitCode::SUCCESS)
}
