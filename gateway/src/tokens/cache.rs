//! Tokens that one core has verified, remembered until they expire: a buyer presses and polls with the same token.
//!
//! Found by a keyed hash of the whole token, 128 bits of SipHash-2-4 under a key of this cache's own, all of them compared:
//! whoever does not know the key finds no other text with the same hash. Only tokens that were verified get in, so garbage
//! evicts nothing; memory is what the settings allow, and a token goes where its hash says or not at all.
//! Times and revocations are looked at on every use, cached or not.

use siphasher::sip128::SipHasher24;
use spike_domain::{Role, SessionId, UserId};
use uuid::Uuid;

use super::{Access, TOKEN_BYTES_MAX, Tokens};

/// Slots that one token may lie in: 256 bytes, read one after the other.
const WAYS: usize = 4;

/// The tokens that one core remembers. 64 bytes a slot.
pub struct TokenCache {
    hasher: SipHasher24,
    slots: Box<[Slot]>,
    /// Takes the hash's bits to the first slot of a group.
    mask: usize,
}

/// Whether the cache knew a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// It did: no signature was checked.
    Hit,
    /// It did not, or not any more.
    Miss,
}

#[derive(Clone, Copy)]
struct Slot {
    tag: u128,
    access: Access,
}

impl Slot {
    /// Its `exp` of 0 lies before every other, and no token of that time is ever in time.
    const FREE: Self = Self {
        tag: 0,
        access: Access {
            user: UserId(0),
            sid: SessionId(Uuid::nil()),
            exp: 0,
            nbf: u64::MAX,
            ver: 0,
            role: Role::User,
        },
    };
}

impl TokenCache {
    /// A cache of `slots` tokens, rounded up to a power of two.
    ///
    /// # Panics
    /// Where the system has no randomness.
    pub fn new(slots: usize) -> Self {
        let slots = slots.max(WAYS).next_power_of_two();
        let mut key = [0; 16];
        aws_lc_rs::rand::fill(&mut key).expect("the system has randomness");
        let mask = (slots - 1) & !(WAYS - 1);
        Self { hasher: SipHasher24::new_with_key(&key), slots: vec![Slot::FREE; slots].into(), mask }
    }

    /// [`Tokens::authenticate`], with the signature checked only when this cache has not seen the token before.
    pub fn authenticate(&mut self, tokens: &Tokens, token: &str, now_s: u64) -> (Option<Access>, Lookup) {
        if token.len() > TOKEN_BYTES_MAX {
            return (None, Lookup::Miss);
        }
        let tag = self.hasher.hash(token.as_bytes()).as_u128();
        if let Some(access) = self.find(tag) {
            return (tokens.still_good(access, now_s), Lookup::Hit);
        }
        let verified = tokens.verify(token, now_s);
        if let Some(access) = verified {
            self.keep(tag, access);
        }
        (verified.and_then(|access| tokens.still_good(access, now_s)), Lookup::Miss)
    }

    fn find(&self, tag: u128) -> Option<Access> {
        let first = self.group(tag);
        let group = &self.slots[first..first + WAYS];
        group.iter().find(|slot| slot.tag == tag && slot.access.exp != 0).map(|slot| slot.access)
    }

    /// Takes the slot of the group whose token expires first; a free one does so before all.
    fn keep(&mut self, tag: u128, access: Access) {
        let first = self.group(tag);
        let group = &mut self.slots[first..first + WAYS];
        let slot = group.iter_mut().min_by_key(|slot| slot.access.exp).expect("a group has slots");
        *slot = Slot { tag, access };
    }

    fn group(&self, tag: u128) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let bits = tag as usize;
        bits & self.mask
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::tests::{NOW_S, config, session};
    use super::*;

    #[test]
    fn a_slot_is_a_cache_line() {
        assert_eq!(size_of::<Slot>(), 64);
    }

    #[test]
    fn a_token_is_verified_once_and_its_times_always() {
        let tokens = Tokens::new(&config());
        let mut cache = TokenCache::new(64);
        let token = tokens.mint(UserId(7), Role::Admin, session(1), 3, NOW_S);
        let (first, lookup) = cache.authenticate(&tokens, &token, NOW_S);
        assert_eq!(
            (first.map(|access| (access.user, access.role, access.ver)), lookup),
            (Some((UserId(7), Role::Admin, 3)), Lookup::Miss)
        );
        assert_eq!(cache.authenticate(&tokens, &token, NOW_S + 929), (first, Lookup::Hit));
        assert_eq!(
            cache.authenticate(&tokens, &token, NOW_S + 930),
            (None, Lookup::Hit),
            "expired meanwhile"
        );
        assert_eq!(
            cache.authenticate(&tokens, &token, NOW_S - 31),
            (None, Lookup::Hit),
            "the clock went back"
        );
    }

    #[test]
    fn a_changed_byte_is_another_token() {
        let tokens = Tokens::new(&config());
        let mut cache = TokenCache::new(64);
        let token = tokens.mint(UserId(7), Role::User, session(1), 3, NOW_S);
        cache.authenticate(&tokens, &token, NOW_S);
        for at in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(cache.authenticate(&tokens, &other, NOW_S), (None, Lookup::Miss), "byte {at}");
        }
        assert_eq!(cache.authenticate(&tokens, &token, NOW_S).1, Lookup::Hit, "garbage evicts nothing");
    }

    #[test]
    fn a_full_cache_forgets_what_expires_first_and_stays_as_big_as_it_is() {
        let tokens = Tokens::new(&config());
        let mut cache = TokenCache::new(WAYS);
        let old = |n: u64| tokens.mint(UserId(7), Role::User, session(n), 0, NOW_S + n);
        for n in 0..=WAYS as u64 {
            cache.authenticate(&tokens, &old(n), NOW_S + 10);
        }
        assert_eq!(cache.authenticate(&tokens, &old(4), NOW_S + 10).1, Lookup::Hit);
        assert_eq!(cache.authenticate(&tokens, &old(0), NOW_S + 10).1, Lookup::Miss, "the first to expire");
        assert_eq!(cache.slots.len(), WAYS);
    }

    #[test]
    fn a_revoked_token_is_refused_although_it_is_remembered() {
        let tokens = Tokens::new(&config());
        let mut cache = TokenCache::new(64);
        let token = |ver| tokens.mint(UserId(7), Role::User, session(1), ver, NOW_S);
        for ver in [1, 2] {
            assert!(cache.authenticate(&tokens, &token(ver), NOW_S).0.is_some());
        }
        tokens.revocations().learn([(session(1), 2, 1)], Instant::now());
        assert_eq!(cache.authenticate(&tokens, &token(1), NOW_S), (None, Lookup::Hit));
        assert!(cache.authenticate(&tokens, &token(2), NOW_S).0.is_some(), "its successor lives");
        assert_eq!(tokens.authenticate(&token(1), NOW_S), None);
    }
}
