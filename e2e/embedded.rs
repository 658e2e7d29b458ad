//! A whole shop in one process, with no server anywhere: it sells, survives kill -9, and keeps its folder to itself.

use std::time::Instant;

use loadtest::{AuditInput, Counts, History};
use serde_json::Value;
use spike_devstack::fixture;

use crate::process::{Env, run};
use crate::shop::Shop;
use crate::system::{Sale, order_of};

/// Kills of one load run, unless SPIKE_TEST_KILLS names another number.
const KILLS: usize = 5;
/// Buyers who press around one kill.
const BUYERS: usize = 400;

#[test]
fn a_killed_process_keeps_every_acknowledged_order() {
    let kills = std::env::var("SPIKE_TEST_KILLS").map_or(KILLS, |text| text.parse().expect("a number"));
    let mut shop = Shop::start((kills + 1) * BUYERS);
    // As much as can be pressed for while it is killed: most of it is sold.
    let stock = u32::try_from(kills * BUYERS).expect("a stock");
    let event = shop.open(Sale::of(stock));
    let (mut history, mut counts, mut words) = (History::default(), Counts::default(), Vec::new());
    for kill in 0..=kills {
        let running = shop.storm(event, BUYERS);
        if kill < kills {
            running.wait_accepted(40);
            shop.serve.kill9();
            let died = Instant::now();
            shop.serve.restart();
            shop.wait_selling(event);
            assert!(died.elapsed().as_secs() < 20, "selling again only after {:?}", died.elapsed());
        }
        let result = shop.result(running);
        history.acknowledged.extend(result.history.acknowledged);
        history.doubled.extend(result.history.doubled);
        history.named.extend(result.history.named);
        history.unknown.extend(result.history.unknown);
        let now = result.figures.counts;
        counts.accepted += now.accepted;
        counts.sold_out += now.sold_out;
        counts.duplicates += now.duplicates;
        counts.rejected += now.rejected;
        counts.errors += now.errors;
        words.push(result.figures.words);
    }
    assert!(counts.errors >= kills as u64, "the kills met no load: {words:?}");
    let conservation = shop.at_rest(event);
    let rows = shop.leave(event);
    let audit = loadtest::audit(&AuditInput {
        stock: stock.into(),
        quantity: 1,
        requests: ((kills + 1) * BUYERS) as u64,
        counts,
        history: &history,
        rows: &rows,
        conservation,
    });
    assert!(audit.clean(), "{:?} {words:?}", audit.differences);
    assert_eq!((audit.oversold, audit.doubled, audit.lost, audit.withdrawn), (0, 0, 0, 0));
    assert!(conservation.holds() && conservation.L > i64::from(stock) / 2, "{conservation:?}");
    println!("{conservation:?} {words:?}");
}

#[test]
fn a_restart_in_order_keeps_orders_keys_and_stock() {
    let mut shop = Shop::start(3);
    let event = shop.open(Sale::of(2));
    let buyers = shop.take_buyers(3);
    let buy =
        |shop: &Shop, at: usize, key: Option<&str>| shop.buy(event, &buyers[at].1, key).expect("an answer");
    let first = buy(&shop, 0, Some("the press"));
    assert_eq!(first.status, 202, "{first:?}");
    shop.serve.signal(libc::SIGTERM);
    assert!(shop.serve.ended().success());
    shop.serve.restart();
    shop.wait_selling(event);

    let again = buy(&shop, 0, Some("the press"));
    assert_eq!((again.status, order_of(&again)), (202, order_of(&first)), "the same key, the same order");
    assert_eq!(buy(&shop, 0, None).refused(409), "already-bought");
    assert_eq!(shop.order_status(event, order_of(&first), &buyers[0].1).as_deref(), Some("pending"));
    assert_eq!(buy(&shop, 1, None).status, 202);
    assert_eq!(buy(&shop, 2, None).refused(409), "sold-out");
    let figures = shop.at_rest(event);
    assert_eq!((figures.S, figures.R, figures.L), (2, 0, 2));
    assert_eq!(shop.leave(event).len(), 2);
}

#[test]
fn a_data_folder_has_one_process() {
    let shop = Shop::start(0);
    for words in [
        &["serve"][..],
        &["migrate"],
        &["admin", "create-user", "--email", "a@b.invalid", "--password", "12 34 56 78"],
    ] {
        let output = run(words, &shop.env, &shop.dir);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {stderr}");
        for part in [shop.dir.join("data").display().to_string(), format!("process {}", shop.serve.pid())] {
            assert!(stderr.contains(&part), "{words:?} does not say {part}: {stderr}");
        }
    }
}

#[test]
fn two_processes_are_refused_without_servers() {
    let dir = fixture::folder("alone");
    for role in ["gateway", "worker"] {
        let output = run(&[role], &Env::new(), &dir);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{role}: {stderr}");
        for part in ["SPIKE_REDIS_URL", "SPIKE_AMQP_URL", "SPIKE_DATABASE_URL", "spike serve"] {
            assert!(stderr.contains(part), "{role} does not say {part}: {stderr}");
        }
    }
    let prod: Env = [
        ("SPIKE_PROFILE".to_owned(), "prod".to_owned()),
        ("SPIKE_AUTH_SECRET".to_owned(), "0123456789abcdef0123456789abcdef".to_owned()),
        ("SPIKE_ADMIN_PASSWORD".to_owned(), "a password of our own".to_owned()),
        ("SPIKE_PAYMENTS_CALLBACK_SECRET".to_owned(), "0123456789abcdef0123456789abcdef".to_owned()),
    ]
    .into();
    let output = run(&["serve", "--seed"], &prod, &dir);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("--seed"), "{stderr}");
}

#[test]
fn a_demo_needs_no_server() {
    let dir = fixture::folder("demo");
    let words = ["demo", "--requests", "3000", "--users", "1500", "--stock", "300", "--json"];
    // Servers in the environment are not those of the demo: without --servers it uses none.
    let env: Env = [("SPIKE_REDIS_URL".to_owned(), "redis://127.0.0.1:1".to_owned())].into();
    let output = run(&words, &env, &dir);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    let summary: Value = serde_json::from_str(stdout.lines().last().expect("a last line")).expect("JSON");
    for (field, want) in
        [("requests", 3000), ("accepted", 300), ("errors", 0), ("oversold", 0), ("doubled", 0), ("lost", 0)]
    {
        assert_eq!(summary[field], want, "{field}: {summary}");
    }
    let audit: Vec<i64> =
        ["S", "R", "L", "F", "K"].map(|letter| summary["audit"][letter].as_i64().unwrap()).into();
    assert_eq!(audit, [300, 0, 300, 0, 0]);
    for part in ["/auth/register", "/auth/login", "Authorization: Bearer", "/metrics", "serve --seed"] {
        assert!(stdout.contains(part), "what to try next lacks {part}: {stdout}");
    }
    let left: Vec<_> = std::fs::read_dir(dir.join(".spike")).map(Iterator::collect).unwrap_or_default();
    assert!(left.is_empty(), "the data and logs of a clean sale are removed: {left:?}");
}
