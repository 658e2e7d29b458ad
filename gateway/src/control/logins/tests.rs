use super::*;

const NOW_MS: u64 = 1_763_800_000_000;

fn logins(env: &[(&str, &str)]) -> Arc<Logins> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Arc::new(Logins::new(&spike_config::Config::load(None, env).unwrap().login))
}

fn at(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// A failure as soon as it is let in; how long it had to wait, in seconds.
fn fail(logins: &Arc<Logins>, account: &str, from: &str, now_ms: &mut u64) -> u64 {
    let mut waited_ms = 0;
    loop {
        match logins.admit(account, "guess", at(from), *now_ms) {
            Ok(attempt) => {
                drop(attempt);
                return waited_ms / 1000;
            }
            Err(wait) => {
                waited_ms += wait.ms;
                *now_ms += wait.ms;
            }
        }
    }
}

#[test]
fn a_pair_waits_longer_each_time_and_begins_anew_after_a_success() {
    let logins = logins(&[("SPIKE_LOGIN_ACCOUNT_WAIT_MAX_S", "0")]);
    let mut now_ms = NOW_MS;
    let waits: Vec<u64> = (0..16).map(|_| fail(&logins, "a@b.example", "10.0.0.1", &mut now_ms)).collect();
    assert_eq!(waits, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30]);
    let wait = logins.admit("a@b.example", "guess", at("10.0.0.1"), now_ms).err().unwrap();
    assert_eq!(wait, Wait { ms: 30_000, ask: false });
    assert!(logins.admit("c@b.example", "guess", at("10.0.0.1"), now_ms).is_ok(), "another account");
    assert!(logins.admit("a@b.example", "guess", at("10.0.0.2"), now_ms).is_ok(), "another address");
    now_ms += wait.ms;
    logins.admit("a@b.example", "guess", at("10.0.0.1"), now_ms).ok().unwrap().succeeded();
    assert_eq!(fail(&logins, "a@b.example", "10.0.0.1", &mut now_ms), 0);
}

#[test]
fn an_attack_from_everywhere_delays_strangers_and_never_the_owner() {
    let logins = logins(&[]);
    let (mut now_ms, owner, account) = (NOW_MS, "192.0.2.7", "a@b.example");
    logins.admit(account, "guess", at(owner), now_ms).ok().unwrap().succeeded();
    let from = |number: u32| format!("10.0.{}.{}", number / 256, number % 256);
    let mut longest = 0;
    for number in 0..200 {
        longest = longest.max(fail(&logins, account, &from(number), &mut now_ms));
        let known = logins.admit(account, "guess", at(owner), now_ms);
        known.expect("an address that has logged in before").succeeded();
    }
    assert_eq!(longest, 30, "the wait is capped");

    // On the move: a wait, and then in, although the attack goes on and takes every moment there is.
    let wait = logins.admit(account, "guess", at("198.51.100.9"), now_ms).err().unwrap();
    assert!(wait.ms <= 30_000 && wait.ask, "{wait:?}");
    for number in 200..260 {
        let _ = logins.admit(account, "guess", at(&from(number)), now_ms + 20_000);
        let _ = logins.admit(account, "guess", at(&from(number)), now_ms + 59_999);
    }
    let again = logins.admit(account, "guess", at("198.51.100.9"), now_ms + wait.ms - 1000).err().unwrap();
    assert_eq!(again.ms, 1000, "asking early costs nothing");
    assert!(logins.admit(account, "guess", at("198.51.100.9"), now_ms + wait.ms).is_ok());
    let spent = logins.admit(account, "guess", at("198.51.100.9"), now_ms + wait.ms);
    assert!(spent.is_err(), "a ticket is for one failure");
}

#[test]
fn an_address_that_tries_many_accounts_waits_unless_it_is_known() {
    let logins = logins(&[("SPIKE_LOGIN_ADDRESS_FREE", "3")]);
    let (mut now_ms, home) = (NOW_MS, "2001:db8:1:2::1");
    logins.admit("owner@b.example", "guess", at(home), now_ms).ok().unwrap().succeeded();
    for number in 0..3 {
        fail(&logins, &format!("{number}@b.example"), &format!("2001:db8:1:2::{number}"), &mut now_ms);
    }
    let wait = logins.admit("new@b.example", "guess", at("2001:db8:1:2:ffff::9"), now_ms).err().unwrap();
    assert_eq!(wait, Wait { ms: 1000, ask: true });
    assert!(logins.admit("new@b.example", "guess", at("2001:db8:1:3::9"), now_ms).is_ok(), "another /64");
    assert!(logins.admit("owner@b.example", "guess", at(home), now_ms).is_ok());
    logins.answered("new@b.example", at(home), false, now_ms);
    let wait = logins.admit("new@b.example", "guess", at(home), now_ms).err().unwrap();
    assert!(!wait.ask, "the database has been asked");
    logins.answered("new@b.example", at(home), true, now_ms);
    assert!(logins.admit("new@b.example", "guess", at(home), now_ms).is_ok(), "and knows it");
}

#[test]
fn tries_at_once_are_not_free_and_those_we_could_not_serve_are() {
    let logins = logins(&[]);
    let held: Vec<_> =
        (0..20).map(|_| logins.admit("a@b.example", "guess", at("10.0.0.1"), NOW_MS)).collect();
    assert_eq!(held.iter().filter(|attempt| attempt.is_ok()).count(), 5);
    held.into_iter().flatten().for_each(Attempt::withdrawn);
    assert!(logins.admit("a@b.example", "guess", at("10.0.0.1"), NOW_MS).is_ok());
}

#[test]
fn a_burst_over_many_accounts_is_counted_as_it_is_let_in() {
    let logins = logins(&[("SPIKE_LOGIN_ADDRESS_FREE", "10")]);
    let at_once = |number: u32| logins.admit(&format!("{number}@b.example"), "guess", at("10.0.0.1"), NOW_MS);
    let held: Vec<_> = (0..65).map(at_once).collect();
    assert_eq!(held.iter().filter(|attempt| attempt.is_ok()).count(), 10);
    held.into_iter().flatten().for_each(Attempt::succeeded);
    assert!(at_once(99).is_ok(), "those that were right are not held against the address");
}

#[test]
fn who_shares_the_owners_address_delays_the_owner_once() {
    let logins = logins(&[]);
    let (mut now_ms, account, nat) = (NOW_MS, "a@b.example", at("10.0.0.1"));
    let guess = |number: u32, now_ms| logins.admit(account, &format!("guess {number}"), nat, now_ms);
    for number in 0..20 {
        // The attacker comes back as soon as it is told to.
        loop {
            match guess(number, now_ms) {
                Ok(attempt) => break drop(attempt),
                Err(wait) => now_ms += wait.ms,
            }
        }
    }
    let wait = logins.admit(account, "mine", nat, now_ms).err().unwrap();
    assert!(wait.ms <= 30_000, "{wait:?}");
    now_ms += wait.ms;
    drop(guess(20, now_ms).expect("the attacker is a moment faster"));
    let early = logins.admit(account, "mine too", nat, now_ms).err();
    assert!(early.is_some(), "the wait is for the password that has waited");
    logins.admit(account, "mine", nat, now_ms).expect("has waited").withdrawn();
    logins.admit(account, "mine", nat, now_ms).expect("was not looked at").succeeded();
}

#[test]
fn announcing_many_passwords_buys_few_tries() {
    let logins = logins(&[("SPIKE_LOGIN_ACCOUNT_WAIT_MAX_S", "0")]);
    let guess = |number: u32, now_ms| {
        let attempt = logins.admit("a@b.example", &format!("guess {number}"), at("10.0.0.1"), now_ms);
        u32::from(attempt.map(drop).is_ok())
    };
    let mut tried = 0;
    for second in 0..600 {
        for number in 0..50 {
            tried += guess(number, NOW_MS + second * 1000);
        }
    }
    assert!((20..=70).contains(&tried), "{tried} in ten minutes");
}

#[test]
fn who_has_waited_for_an_address_is_let_in() {
    let limits = [("SPIKE_LOGIN_ADDRESS_FREE", "3"), ("SPIKE_LOGIN_PAIR_FREE", "1000")];
    let logins = logins(&limits);
    let (mut now_ms, nat) = (NOW_MS, "10.0.0.1");
    for number in 0..12 {
        fail(&logins, &format!("{number}@b.example"), nat, &mut now_ms);
    }
    let wait = logins.admit("owner@b.example", "mine", at(nat), now_ms).err().unwrap();
    assert!(wait.ms > 0 && wait.ms <= 60_000, "{wait:?}");
    fail(&logins, "other@b.example", nat, &mut { now_ms + wait.ms });
    let attempt = logins.admit("owner@b.example", "mine", at(nat), now_ms + wait.ms);
    attempt.expect("one wait, whatever the others do").succeeded();
}

#[test]
fn accounts_are_made_at_a_rate() {
    let logins = logins(&[("SPIKE_LOGIN_REGISTER_BURST", "3"), ("SPIKE_LOGIN_REGISTER_EVERY_MS", "2000")]);
    for _ in 0..3 {
        logins.register(at("10.0.0.1"), NOW_MS).unwrap();
    }
    assert_eq!(logins.register(at("10.0.0.1"), NOW_MS), Err(2000));
    logins.register(at("10.0.0.2"), NOW_MS).unwrap();
    logins.register(at("10.0.0.1"), NOW_MS + 2000).unwrap();
}
