//! A load on a running shop, its audit afterwards, and its report.

use std::path::Path;

use loadtest::record::Record;
use spike_arena::process::{Launch, Process};
use spike_config::Config;
use spike_devstack::{RedisServer, fixture, free_port};

use crate::program::{Env, said, spike, spike_load, spike_program};

/// A gateway and a worker on servers of their own; killed when dropped.
struct Shop {
    env: Env,
    redis: RedisServer,
    _processes: [Process; 2],
}

impl Shop {
    async fn start(dir: &Path) -> Self {
        let redis = fixture::redis();
        let mut env = Env::from([
            ("SPIKE_REDIS_URL".to_owned(), redis.url()),
            ("SPIKE_AMQP_URL".to_owned(), fixture::vhost()),
            ("SPIKE_DATABASE_URL".to_owned(), fixture::database()),
        ]);
        for name in ["SPIKE_HTTP_LISTEN", "SPIKE_HTTP_OPS_LISTEN", "SPIKE_WORKER_OPS_LISTEN"] {
            env.insert(name.to_owned(), format!("127.0.0.1:{}", free_port().expect("a port")));
        }
        // Buyers wait for a disk that many tests share rather than being told that an outcome is unknown.
        for (name, value) in
            [("SPIKE_HOT_REDIS_TIMEOUT_MS", "60000"), ("SPIKE_HOT_CORES", "1"), ("SPIKE_HOT_PIN", "false")]
        {
            env.insert(name.to_owned(), value.to_owned());
        }
        let migrated = spike(&["migrate"], &env);
        assert!(migrated.status.success(), "{}", said(&migrated));
        let config = Config::load(None, env.clone()).expect("settings");
        let mut processes = ["worker", "gateway"].map(|role| {
            let launch = Launch {
                name: role.to_owned(),
                program: spike_program(),
                args: vec![role.to_owned()],
                env: env.clone(),
                logs: dir.join("logs"),
                cpu: None,
            };
            Process::spawn(&launch).expect("it starts")
        });
        for (process, ops) in processes.iter_mut().zip([config.worker.ops_listen, config.http.ops_listen]) {
            process.wait_ready(ops, "/readyz").await.expect("it is ready");
        }
        Self { env, redis, _processes: processes }
    }
}

#[tokio::test]
async fn a_load_is_run_verified_and_reported_and_a_tampered_stock_is_found() {
    let dir = fixture::folder("load");
    let shop = Shop::start(&dir).await;
    let path = |name: &str| dir.join(name).to_str().expect("UTF-8").to_owned();
    let (users, record, told) = (path("users.json"), path("record.json"), path("told.json"));
    let made = spike(
        &[
            "admin",
            "load-users",
            "--count",
            "400",
            "--event-total",
            "150",
            "--products",
            "3",
            "--out",
            &users,
        ],
        &shop.env,
    );
    assert!(made.status.success(), "{}", said(&made));
    let text = std::fs::read_to_string(&users).expect("the file");
    let event = text.split("\"event\":").nth(1).and_then(|rest| rest.split(',').next()).expect("its event");

    let unknown = spike_load(&["run", "--users", &users, "--event", "999999"], &shop.env);
    assert_eq!(unknown.status.code(), Some(2), "{}", said(&unknown));
    assert!(said(&unknown).contains("there is no event 999999"), "{}", said(&unknown));

    press(&shop, &users, &record, &told);

    let verified = spike_load(&["verify", "--event", event, "--told", &told], &shop.env);
    assert!(verified.status.success() && said(&verified).contains("PASS"), "{}", said(&verified));
    assert!(said(&verified).contains("S 150 = R 0 + L 150 + F 0 + K 0"), "{}", said(&verified));
    let absent = spike_load(&["verify", "--event", "999999"], &shop.env);
    assert_eq!(absent.status.code(), Some(2), "{}", said(&absent));

    shop.redis.command(&["INCRBY", &format!("spike:{{{event}}}:stock"), "7"]).expect("Redis answers");
    let tampered = spike_load(&["verify", "--event", event, "--told", &told], &shop.env);
    assert_eq!(tampered.status.code(), Some(1), "{}", said(&tampered));
    assert!(said(&tampered).contains("FAIL") && said(&tampered).contains("I1: 1 ×"), "{}", said(&tampered));

    report(&dir, &record);
}

/// A load of three seconds that sells everything there is.
fn press(shop: &Shop, users: &str, record: &str, told: &str) {
    let mut words = vec!["run", "--users", users, "--record", record, "--told", told, "--seconds", "3"];
    words.extend([
        "--spike-per-s",
        "300",
        "--bots-per-s",
        "20",
        "--browse-per-s",
        "40",
        "--list-per-s",
        "30",
    ]);
    words.extend(["--order-per-s", "5", "--login-per-s", "2", "--connections", "64", "--deadline", "60"]);
    let ran = spike_load(&words, &shop.env);
    assert!(ran.status.success() && said(&ran).contains("offered"), "{}", said(&ran));
    let read = Record::read(Path::new(record)).expect("a record");
    let streams = &read.phases[0].streams;
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["spike", "bots", "browse", "list", "order", "login"]);
    let sold: u64 = streams[..2].iter().map(|stream| stream.answers.accepted).sum();
    assert_eq!(sold, 150, "{streams:?}");
    assert!(streams.iter().all(|stream| stream.answers.accepted > 0 || stream.name == "bots"), "{streams:?}");
    assert_eq!(streams.iter().map(|stream| stream.answers.errors + stream.not_sent).sum::<u64>(), 0);
    assert!(streams[1].words.contains_key("limit-press"), "who hammers meets the debounce: {streams:?}");
}

/// Its report, from the record alone.
fn report(dir: &Path, record: &str) {
    let out = dir.join("report");
    let out = out.to_str().expect("UTF-8");
    let reported = spike_load(&["report", "--record", record, "--out-dir", out], &Env::new());
    assert!(reported.status.success(), "{}", said(&reported));
    let markdown = std::fs::read_to_string(dir.join("report/REPORT.md")).expect("the report");
    assert!(
        markdown.starts_with("# Load on 127.0.0.1:") && markdown.contains("| spike | 300 |"),
        "{markdown}"
    );
    let html = std::fs::read_to_string(dir.join("report/report.html")).expect("the page");
    assert!(html.contains("spike: throughput") && html.ends_with("</html>\n"));
}
