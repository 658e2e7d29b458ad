//! What the demo says: a line a step, the limits in force, and how to check the audit by hand.

use std::fmt::Write as _;

use anyhow::Context;
use spike_config::{Config, ServerUrl};
use spike_domain::{EventId, Rate};
use tokio::time::Instant;

use super::plan::Plan;
use super::servers::Servers;
use crate::seed;

/// Does `work` and prints one line with its time.
///
/// # Errors
/// Those of `work`, naming the step.
pub async fn step<T>(what: &str, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let begin = Instant::now();
    let done = work.await.with_context(|| format!("step {what:?}"))?;
    println!("{:>8.2} s    {what}", begin.elapsed().as_secs_f64());
    Ok(done)
}

/// The limits that the gateway applies, so that nobody takes a refusal of theirs for one of the stock's.
pub fn limits(config: &Config, plan: &Plan) -> String {
    let limits = &config.limits;
    let debounce = match limits.debounce_ms {
        0 => "off".to_owned(),
        every_ms => format!("one press a user per {every_ms} ms"),
    };
    let note = format!("the buyers come from {} loopback addresses", plan.sources);
    format!(
        "limits        user {} · address {} ({note}) · event {} · global {} · debounce {debounce} · in flight {} units",
        rate(limits.user),
        rate(limits.address),
        rate(limits.event),
        rate(limits.global),
        config.outbox.inflight_max,
    )
}

/// Commands that ask the servers themselves.
pub fn by_hand(config: &Config, servers: &Servers, event: EventId) -> String {
    let (Some(redis), Some(amqp), Some(database)) =
        (config.redis.url.server(), config.amqp.url.server(), config.database.url.server())
    else {
        return String::new();
    };
    let number = if matches!(&*redis.path, "" | "0") { String::new() } else { format!(" -n {}", redis.path) };
    let cluster = if config.redis.cluster { " -c" } else { "" };
    let redis_cli = format!("redis-cli{cluster} -h {} -p {}{number}", redis.host, redis.port.unwrap_or(6379));
    let vhost = &amqp.path;
    let queues = match &servers.stack {
        Some(stack) => {
            format!(
                "cargo run -q -p spike-devstack -- rabbitmqctl --dir {stack} list_queues -p {vhost} name messages"
            )
        }
        None => format!("rabbitmqctl list_queues -p {vhost} name messages"),
    };
    let sql = format!(
        "SELECT status, COUNT(*), SUM(quantity) FROM spike_orders WHERE event_id = {event} GROUP BY status"
    );
    let mut text = String::from("check it by hand:\n");
    for line in [
        format!("{redis_cli} GET 'spike:{{{event}}}:stock'"),
        format!("{redis_cli} XLEN 'spike:{{{event}}}:outbox'"),
        queues,
        format!("{} -e '{sql}'", sql_client(database)),
    ] {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// What to do after a sale whose process has left.
pub fn try_next() -> String {
    let defaults = Config::load(None, []).expect("the defaults are allowed");
    let (http, ops) = (defaults.http.listen.to_string(), defaults.http.ops_listen.to_string());
    format!(
        "try it yourself: a shop in ./data with a sale that opens in 10 s (it prints these lines with its event)\n  \
         cargo run --release -- serve --seed\n\n{}",
        seed::how_to_buy(&http, &ops, None)
    )
}

fn rate(rate: Rate) -> String {
    if rate.is_off() { "none".to_owned() } else { format!("{}/s, {} at once", rate.per_s, rate.burst) }
}

/// The client asks for the password unless it is the one everybody knows.
fn sql_client(url: &ServerUrl) -> String {
    let password = match &url.password {
        Some(password) if password.expose() == "spike" => " -pspike",
        Some(_) => " -p",
        None => "",
    };
    format!("mariadb -h {} -P {} -u {}{password} {}", url.host, url.port.unwrap_or(3306), url.user, url.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_password_is_not_printed() {
        let client = |url| sql_client(&ServerUrl::parse(url).unwrap());
        assert_eq!(
            client("mysql://spike:spike@127.0.0.1:5/d"),
            "mariadb -h 127.0.0.1 -P 5 -u spike -pspike d"
        );
        assert_eq!(client("mysql://a:b@h/d"), "mariadb -h h -P 3306 -u a -p d");
        assert_eq!(client("mysql://a@h/d"), "mariadb -h h -P 3306 -u a d");
    }

    #[test]
    fn the_commands_name_this_event_and_these_servers() {
        let env = [
            ("SPIKE_REDIS_URL", "redis://127.0.0.1:15001/0"),
            ("SPIKE_AMQP_URL", "amqp://guest:guest@127.0.0.1:15002/spike"),
            ("SPIKE_DATABASE_URL", "mysql://spike:spike@127.0.0.1:15003/spike"),
        ];
        let config = Config::load(None, env.map(|(name, url)| (name.to_owned(), url.to_owned()))).unwrap();
        let servers = |stack: Option<&str>| Servers {
            urls: env.map(|(_, url)| url.to_owned()),
            origin: String::new(),
            stack: stack.map(str::to_owned),
        };
        let text = by_hand(&config, &servers(Some(".spike/stack")), EventId(7));
        for part in ["-p 15001 GET 'spike:{7}:stock'", "--dir .spike/stack list_queues -p spike", "-P 15003"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            by_hand(&config, &servers(None), EventId(7)).contains("\n  rabbitmqctl list_queues -p spike")
        );
    }
}
