//! Who may try a password now, and who may make an account: counted by account, by address and by both.
//!
//! Nobody can lock an account for its owner. The waits of an account and of an address do not hold for a pair that has
//! logged in before, and any other is let in after it has waited once, whoever else has tried meanwhile: the wait belongs
//! to the pair and cannot be used up by others. Behind one address of many people (NAT) all of them are the same pair:
//! its wait is at most 30 s, and whoever has waited with one password is let in with that one, although others have tried
//! theirs meanwhile. A few passwords of a pair may wait at a time, else each guess would need no more than to be announced;
//! who shares the owner's address and keeps all those places taken can still make the owner wait again. An account that does not exist is counted
//! like one that does, so a refusal tells nothing; and it comes before the password is hashed.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use spike_config::LoginConfig;

use crate::local::{GcraTable, Pace, Quota, Tries, TriesTable};

/// How long one who has waited for an account may take to come back, in milliseconds.
const RETURN_MS: u64 = 600_000;
/// How long the database is not asked again whether an address is known to an account, in milliseconds.
const ASKED_MS: u64 = 60_000;
/// Passwords of one pair that may wait at a time, and how soon there is a place again, in milliseconds.
const PLACES: Pace = Pace { free: 5, first_ms: 30_000, most_ms: 30_000, forget_ms: 30_000 };
/// The first wait after the free tries, in milliseconds.
const FIRST_WAIT_MS: u64 = 1000;

/// What is remembered of logins, in bounded memory of this process.
pub struct Logins {
    pairs: Counted,
    addresses: Counted,
    accounts: Counted,
    /// When a pair may come in spite of its account's and its address's wait, and a password in spite of its pair's.
    tickets: TriesTable,
    /// Passwords that a pair has waiting.
    places: Counted,
    /// Pairs that have logged in.
    known: TriesTable,
    /// Pairs of which the database was asked.
    asked: TriesTable,
    registrations: (GcraTable, Quota),
    refused_tokens: (GcraTable, Quota),
    hasher: RandomState,
}

struct Counted {
    tries: TriesTable,
    pace: Pace,
}

/// A login that may not be tried yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// How long, in milliseconds.
    pub ms: u64,
    /// Whether it would not wait if the account had logged in from this address before, which the database may know and
    /// has not been asked of lately.
    pub ask: bool,
}

/// A login under way. It counts as failed unless told otherwise.
#[must_use]
pub struct Attempt {
    logins: Arc<Logins>,
    pair: u64,
    address: u64,
    account: u64,
    /// What was waited for and used up.
    ticket: Option<u64>,
    now_ms: u64,
    over: bool,
}

impl Logins {
    /// Nothing remembered yet.
    pub fn new(login: &LoginConfig) -> Self {
        let table = || TriesTable::new(login.table_slots);
        let counted = |free, wait_max_s: u64| Counted {
            tries: table(),
            pace: Pace {
                free,
                first_ms: FIRST_WAIT_MS,
                most_ms: wait_max_s * 1000,
                forget_ms: login.forget_s * 1000,
            },
        };
        Self {
            pairs: counted(login.pair_free, login.pair_wait_max_s),
            addresses: counted(login.address_free, login.address_wait_max_s),
            accounts: counted(login.account_free, login.account_wait_max_s),
            tickets: table(),
            places: Counted { tries: table(), pace: PLACES },
            known: table(),
            asked: table(),
            registrations: (
                GcraTable::new(login.table_slots),
                Quota::burst_every_ms(login.register_burst, login.register_every_ms),
            ),
            refused_tokens: (
                GcraTable::new(login.table_slots),
                Quota::burst_every_ms(login.refresh_burst, login.refresh_every_ms),
            ),
            hasher: RandomState::new(),
        }
    }

    /// Lets a login be tried at `now_ms`. `account` is the e-mail as it is compared, of an account or of none; of the
    /// password only a keyed hash is kept, of 64 bits and in this process.
    ///
    /// # Errors
    /// How long to wait.
    pub fn admit(
        self: &Arc<Self>,
        account: &str,
        password: &str,
        address: Option<IpAddr>,
        now_ms: u64,
    ) -> Result<Attempt, Wait> {
        let guess = self.hash(&(account, network(address), password));
        let (pair, address, account) = self.keys(account, address);
        let refuse = |ms: u64, ask: bool| if ms > 0 { Err(Wait { ms, ask }) } else { Ok(()) };
        let waited = self.ticket(guess, now_ms).is_some_and(|due| due <= now_ms);
        if !waited {
            refuse(self.pair_wait_ms(pair, guess, now_ms), false)?;
        }
        if !waited && self.known.get(pair).last_ms().is_none() {
            let asked = self.asked.get(pair).last_ms().is_some_and(|at| now_ms.abs_diff(at) < ASKED_MS);
            refuse(self.strangers_wait_ms(pair, address, account, now_ms), !asked)?;
        }
        // Counted before the password is looked at: a thousand tries at once would else all be free.
        self.pairs.count(pair, now_ms);
        self.accounts.count(account, now_ms);
        self.addresses.count(address, now_ms);
        let ticket = self.ticket(guess, now_ms).map(|_| guess);
        if ticket.is_some() {
            self.tickets.change(guess, |_| Tries::default());
        }
        Ok(Attempt { logins: self.clone(), pair, address, account, ticket, now_ms, over: false })
    }

    /// What the database says of [`Wait::ask`].
    pub fn answered(&self, account: &str, address: Option<IpAddr>, known: bool, now_ms: u64) {
        let (pair, ..) = self.keys(account, address);
        let table = if known { &self.known } else { &self.asked };
        table.change(pair, |_| Tries::at(now_ms));
    }

    /// Lets an address make an account.
    ///
    /// # Errors
    /// How long to wait, in milliseconds.
    pub fn register(&self, address: Option<IpAddr>, now_ms: u64) -> Result<(), u64> {
        self.take(&self.registrations, address, now_ms)
    }

    /// Counts a refresh token that was refused. Only those are counted, and after they were looked up: whoever shares an
    /// address with somebody who guesses goes on refreshing.
    ///
    /// # Errors
    /// How long to wait, in milliseconds, when the address has sent too many.
    pub fn refused_token(&self, address: Option<IpAddr>, now_ms: u64) -> Result<(), u64> {
        self.take(&self.refused_tokens, address, now_ms)
    }

    fn take(
        &self,
        (table, quota): &(GcraTable, Quota),
        address: Option<IpAddr>,
        now_ms: u64,
    ) -> Result<(), u64> {
        let taken = table.take(self.hash(&network(address)), *quota, now_ms.saturating_mul(1_000_000));
        taken.map_err(|early| early.wait_ns.div_ceil(1_000_000))
    }

    /// The wait of a pair for one password.
    fn pair_wait_ms(&self, pair: u64, guess: u64, now_ms: u64) -> u64 {
        let wait = self.pairs.wait_ms(pair, now_ms);
        if wait == 0 {
            return 0;
        }
        match self.ticket(guess, now_ms) {
            // A clock set back must not make a wait of it.
            Some(due) => due.saturating_sub(now_ms).min(self.pairs.pace.most_ms),
            None => {
                if self.places.wait_ms(pair, now_ms) == 0 {
                    self.places.count(pair, now_ms);
                    self.tickets.change(guess, |_| Tries::at(now_ms + wait));
                }
                wait
            }
        }
    }

    /// The wait of an account and of an address for a pair that has not logged in before.
    fn strangers_wait_ms(&self, pair: u64, address: u64, account: u64, now_ms: u64) -> u64 {
        let of_address = self.addresses.wait_ms(address, now_ms);
        let of_account = self.accounts.wait_ms(account, now_ms);
        if of_address.max(of_account) == 0 {
            return 0;
        }
        match self.ticket(pair, now_ms) {
            Some(due) => {
                due.saturating_sub(now_ms).min(self.accounts.pace.most_ms.max(self.addresses.pace.most_ms))
            }
            None => {
                let of_account = match of_account {
                    0 => 0,
                    _ => self.accounts.tries.get(account).delay_ms(self.accounts.pace),
                };
                let whole = of_address.max(of_account);
                self.tickets.change(pair, |_| Tries::at(now_ms + whole));
                whole
            }
        }
    }

    /// When one who waits may come; `None` for one who does not, or has waited too long ago.
    fn ticket(&self, key: u64, now_ms: u64) -> Option<u64> {
        self.tickets.get(key).last_ms().filter(|due| now_ms.saturating_sub(*due) < RETURN_MS)
    }

    /// Pair, address, account. The hashes are keyed anew in each process: nobody can aim at another's slot.
    fn keys(&self, account: &str, address: Option<IpAddr>) -> (u64, u64, u64) {
        let network = network(address);
        (self.hash(&(account, network)), self.hash(&network), self.hash(account))
    }

    fn hash<T: Hash + ?Sized>(&self, value: &T) -> u64 {
        self.hasher.hash_one(value)
    }
}

impl Counted {
    fn wait_ms(&self, key: u64, now_ms: u64) -> u64 {
        self.tries.get(key).wait_ms(self.pace, now_ms)
    }

    fn count(&self, key: u64, now_ms: u64) {
        self.tries.change(key, |tries| tries.and_one(self.pace, now_ms));
    }

    fn uncount(&self, key: u64) {
        self.tries.change(key, Tries::less_one);
    }
}

impl Attempt {
    /// The password was right: the address is known to the account from now on, and the pair begins anew. What others
    /// have tried at the account or from the address stays counted.
    pub fn succeeded(mut self) {
        self.over = true;
        self.logins.pairs.tries.change(self.pair, |_| Tries::default());
        self.logins.accounts.uncount(self.account);
        self.logins.addresses.uncount(self.address);
        self.logins.known.change(self.pair, |_| Tries::at(self.now_ms));
        self.logins.tickets.change(self.pair, |_| Tries::default());
    }

    /// It was not looked at after all, for want of us.
    pub fn withdrawn(mut self) {
        self.over = true;
        self.logins.pairs.uncount(self.pair);
        self.logins.accounts.uncount(self.account);
        self.logins.addresses.uncount(self.address);
        if let Some(ticket) = self.ticket {
            self.logins.tickets.change(ticket, |_| Tries::at(self.now_ms));
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.over {
            self.logins.tickets.change(self.pair, |_| Tries::default());
        }
    }
}

/// What counts as one address: a customer has a /64 of IPv6, and its lower half is not another address.
pub fn network(address: Option<IpAddr>) -> IpAddr {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(v6)) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        Some(v4) => v4,
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

#[cfg(test)]
mod tests {
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
        let waits: Vec<u64> =
            (0..16).map(|_| fail(&logins, "a@b.example", "10.0.0.1", &mut now_ms)).collect();
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
        let again =
            logins.admit(account, "guess", at("198.51.100.9"), now_ms + wait.ms - 1000).err().unwrap();
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
        let at_once =
            |number: u32| logins.admit(&format!("{number}@b.example"), "guess", at("10.0.0.1"), NOW_MS);
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
        let logins =
            logins(&[("SPIKE_LOGIN_REGISTER_BURST", "3"), ("SPIKE_LOGIN_REGISTER_EVERY_MS", "2000")]);
        for _ in 0..3 {
            logins.register(at("10.0.0.1"), NOW_MS).unwrap();
        }
        assert_eq!(logins.register(at("10.0.0.1"), NOW_MS), Err(2000));
        logins.register(at("10.0.0.2"), NOW_MS).unwrap();
        logins.register(at("10.0.0.1"), NOW_MS + 2000).unwrap();
    }
}
