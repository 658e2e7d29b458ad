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
mod tests;
