//! A whole system whose users may do what they need and nothing else: those that deploy/mariadb/users.sh, deploy/redis/users.sh
//! and deploy/rabbitmq/permissions.conf describe. The flow is that of deploy/e2e.sh.

use std::path::Path;
use std::process::Command;

use redis::Commands;
use spike_devstack::{RedisOptions, RedisServer, fixture};
use spike_domain::EventId;

use crate::poll::until;
use crate::process::{Env, run};
use crate::script;
use crate::system::{Addresses, Sale, System, order_of, orders_path};

/// With a quote and a backslash, which a careless script would trip over; and as a URL has it.
const PASSWORD: (&str, &str) = ("it's a \\ secret", "it%27s%20a%20%5C%20secret");

/// What a script of `deploy` prints.
fn printed(script: &str, env: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(script);
    let output = Command::new("bash").arg(path).envs(env.iter().copied()).output().expect("bash is there");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The line of the user `spike`.
fn acl() -> String {
    let acl = printed("redis/users.sh", &[("REDIS_USER", "spike"), ("REDIS_PASSWORD", PASSWORD.0)]);
    let lines: Vec<&str> = acl.lines().collect();
    let [off, user] = lines[..] else { panic!("two users: {acl}") };
    assert_eq!(off, "user default off");
    user.to_owned()
}

fn as_spike(url: &str) -> String {
    url.replace("redis://", &format!("redis://spike:{}@", PASSWORD.1))
}

/// A Redis in which `spike` is who the ACL says; the test itself is the default user.
fn redis() -> (RedisServer, String) {
    let options = RedisOptions { extra: vec![acl()], ..RedisOptions::default() };
    let server = RedisServer::start(&fixture::folder("redis"), options).expect("a private Redis");
    let url = as_spike(&server.url());
    (server, url)
}

/// URLs of the application and of the migrations.
fn databases(name: &str) -> (String, String, String) {
    let owner = fixture::database();
    let database = owner.rsplit('/').next().expect("a name");
    let (application, migration) = (format!("{name}_a"), format!("{name}_m"));
    let sql = printed(
        "mariadb/users.sh",
        &[
            ("DATABASE", database),
            ("APPLICATION_USER", &application),
            ("APPLICATION_PASSWORD", PASSWORD.0),
            ("MIGRATION_USER", &migration),
            ("MIGRATION_PASSWORD", PASSWORD.0),
        ],
    );
    fixture::mariadb().query(&sql).expect("the users are made");
    let of = |user: &str| owner.replace("spike:spike@", &format!("{user}:{}@", PASSWORD.1));
    (of(&application), of(&migration), owner)
}

/// The URL of a user with the shipped permissions in a virtual host of its own.
fn broker(name: &str) -> String {
    let conf = include_str!("../deploy/rabbitmq/permissions.conf");
    let permission = |kind: &str| {
        let line = conf.lines().find_map(|line| line.strip_prefix(&format!("default_permissions.{kind} = ")));
        line.expect("each kind has its line").to_owned()
    };
    let url = fixture::vhost();
    let (node, vhost) = (fixture::rabbit(), url.rsplit('/').next().expect("a name"));
    node.ctl(&["--quiet", "add_user", name, "secret"]).expect("a user");
    let [configure, write, read] = ["configure", "write", "read"].map(permission);
    node.ctl(&["--quiet", "set_permissions", "--vhost", vhost, name, &configure, &write, &read])
        .expect("its permissions");
    url.replace("guest:guest@", &format!("{name}:secret@"))
}

#[test]
fn a_system_of_users_that_may_do_little_sells_pays_cancels_and_rebuilds() {
    let name = format!("least{}", std::process::id());
    let ((redis, redis_url), amqp) = (redis(), broker(&name));
    let (application, migration, owner) = databases(&name);
    let addresses = Addresses {
        redis: redis_url.clone(),
        amqp,
        database: application.clone(),
        migration: Some(migration),
    };
    let system = System::start_with(redis, &addresses, &owner, &[]);
    script::run(&system);

    // An order that nobody pays goes through the delay queues and back into the stock.
    let event = system.open(Sale { pay_timeout_s: 1, ..Sale::of(1) });
    let [(_, first), (_, second)] = system.users(2).try_into().expect("two");
    let order = order_of(&until("the sale sells", || {
        Some(system.buy(event, &first, &[], None)).filter(|answer| answer.status == 202)
    }));
    let path = format!("{}/{order}", orders_path(event));
    until("nobody pays", || {
        (system.get(&path, &first).json()["data"]["status"] == "cancelled").then_some(())
    });
    // A Redis that lost its scripts is rebuilt.
    system.redis.command(&["SCRIPT", "FLUSH"]).expect("the administrator may");
    until("another buys what came back", || {
        (system.buy(event, &second, &[], None).status == 202).then_some(())
    });

    // The commands of an operator need no more.
    let dir = fixture::folder("operator");
    let env: Env = system.gateway.env().clone();
    for words in [&["dead-letters", "list"][..], &["reconcile", "--event", &event.to_string()]] {
        let output = run(words, &env, &dir);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let denied = denied(&system.redis.url());
    assert!(denied.is_empty(), "Redis has refused what the ACL should allow: {denied:?}");

    refuses(&redis_url, &application);
    fixture::rabbit().ctl(&["--quiet", "delete_user", &name]).expect("it is no longer needed");
}

#[test]
fn the_same_acl_is_enough_on_a_cluster_whose_replicas_are_waited_for() {
    let mut cluster = fixture::redis_cluster();
    let acl = acl();
    let words: Vec<&str> = ["ACL", "SETUSER"].into_iter().chain(acl.split_whitespace().skip(1)).collect();
    for node in cluster.nodes() {
        node.command(&words).expect("the user is made");
    }
    let places = cluster.places();
    let first = EventId(1);
    let master =
        cluster.take(cluster.master_of(&format!("spike:{{{first}}}:meta")).expect("every slot is served"));
    let (amqp, database) = (fixture::vhost(), fixture::database());
    let redis = as_spike(&format!("redis://{}", places[0]));
    let addresses = Addresses { redis, amqp, database: database.clone(), migration: None };
    let settings = [
        ("SPIKE_REDIS_CLUSTER", "true"),
        ("SPIKE_REDIS_NODES", &places[1..].join(",")),
        ("SPIKE_REDIS_WAIT_REPLICAS", "1"),
    ];
    let system = System::start_with(master, &addresses, &database, &settings);
    let event = system.open(Sale::of(2));
    assert_eq!(event, first, "the master was chosen by it");
    let [(_, one), (_, two)] = system.users(2).try_into().expect("two");
    let sells = |token: &str| {
        until("the sale sells", || {
            let answer = system.buy(event, token, &[], None);
            (answer.status == 202).then_some(answer)
        })
    };
    let order = order_of(&sells(&one));
    until("its row is there", || {
        let shown = system.get(&format!("{}/{order}", orders_path(event)), &one);
        (shown.status == 200 && shown.json()["data"]["status"] == "pending").then_some(())
    });
    system.redis.command(&["SCRIPT", "FLUSH"]).expect("the administrator may");
    sells(&two);
    for url in places.iter().map(|place| format!("redis://{place}")) {
        let denied = denied(&url);
        assert!(denied.is_empty(), "{url} has refused what the ACL should allow: {denied:?}");
    }
}

/// What Redis has refused so far.
fn denied(url: &str) -> Vec<redis::Value> {
    let mut admin =
        redis::Client::open(url).and_then(|client| client.get_connection()).expect("a connection");
    redis::cmd("ACL").arg("LOG").query(&mut admin).expect("its log")
}

/// What the users are refused.
fn refuses(redis_url: &str, database: &str) {
    let mut user =
        redis::Client::open(redis_url).and_then(|client| client.get_connection()).expect("a connection");
    for words in
        [&["FLUSHALL"][..], &["KEYS", "*"], &["CONFIG", "GET", "*"], &["GET", "other"], &["ACL", "LIST"]]
    {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let said = command.query::<redis::Value>(&mut user).expect_err("not allowed").to_string();
        assert!(said.contains("NOPERM") || said.contains("permission"), "{words:?}: {said}");
    }
    assert!(user.publish::<_, _, i64>("other", "x").is_err(), "a channel of somebody else");

    let dir = fixture::folder("migrate");
    let env: Env = [("SPIKE_DATABASE_URL".to_owned(), database.to_owned())].into();
    let output = run(&["migrate", "down", "--to", "0"], &env, &dir);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.contains("denied"), "{stderr}");
}
