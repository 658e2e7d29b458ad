//! The limits in front of a buy: token buckets in four dimensions, and the debounce of presses.
//!
//! Their quotas start as configured and are replaced by the follower when an administrator has set others. Cores read them
//! without a lock. Each dimension is decided by its own quota alone, so a request that meets one dimension's old quota and
//! another's new one is no different from one that came a moment before or after.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use spike_config::LimitsConfig;
use spike_domain::{EventId, Rate, RateLimits, UserId};

use super::gcra::{Gcra, GcraTable, LiveQuota, Quota, TooEarly, mix};
use crate::rate_limit::Met;

/// Token buckets in the four dimensions, and the debounce of presses.
pub struct Limits {
    quotas: Quotas,
    global: Gcra,
    users: GcraTable,
    addresses: GcraTable,
    presses: GcraTable,
    configured: RateLimits,
    /// 0: nobody has said yet which limits are in force.
    version: AtomicU32,
}

/// Read at every request and hardly ever written: on a cache line of their own, away from the buckets, which are.
#[repr(align(64))]
struct Quotas {
    global: LiveQuota,
    /// Each event has a bucket of its own.
    event: LiveQuota,
    user: LiveQuota,
    address: LiveQuota,
    press: LiveQuota,
}

impl Limits {
    /// Buckets as configured.
    pub fn new(limits: &LimitsConfig) -> Self {
        let table = || GcraTable::new(limits.table_slots);
        let configured = limits.rates();
        Self {
            quotas: Quotas::new(&configured),
            global: Gcra::default(),
            users: table(),
            addresses: table(),
            presses: table(),
            configured,
            version: AtomicU32::new(0),
        }
    }

    /// Puts version `version` of the limits in force: those that an administrator has `set`, else the configured ones.
    /// Buckets keep their state.
    pub fn put_in_force(&self, version: u32, set: Option<&RateLimits>) {
        self.quotas.set(set.unwrap_or(&self.configured));
        self.version.store(version, Ordering::Release);
    }

    /// The version in force; 0 until the first is known.
    pub fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }

    /// A token for any request at all.
    pub fn global(&self, now_ns: u64) -> Result<(), Met> {
        let quota = self.quotas.global.get();
        self.global.take(quota, now_ns).map_err(|early| met(quota, "all", early))
    }

    /// A token of one event's bucket.
    pub fn event(&self, bucket: &Gcra, now_ns: u64) -> Result<(), Met> {
        let quota = self.quotas.event.get();
        bucket.take(quota, now_ns).map_err(|early| met(quota, "event", early))
    }

    /// A token of one user.
    pub fn user(&self, user: UserId, now_ns: u64) -> Result<(), Met> {
        let quota = self.quotas.user.get();
        let taken = self.users.take(mix(user.0.cast_unsigned(), 1), quota, now_ns);
        taken.map_err(|early| met(quota, "user", early))
    }

    /// A token of one address.
    pub fn address(&self, address: IpAddr, now_ns: u64) -> Result<(), Met> {
        let hash = match address {
            IpAddr::V4(v4) => mix(u64::from(v4.to_bits()), 2),
            // One customer has a /64: its lower half is not another address.
            IpAddr::V6(v6) => mix(u64::try_from(v6.to_bits() >> 64).expect("64 bits are left"), 3),
        };
        let quota = self.quotas.address.get();
        self.addresses.take(hash, quota, now_ns).map_err(|early| met(quota, "address", early))
    }

    /// One press a user and event per debounce time.
    pub fn press(&self, user: UserId, event: EventId, now_ns: u64) -> Result<(), Met> {
        let hash = mix(mix(user.0.cast_unsigned(), 4), event.0.cast_unsigned());
        let quota = self.quotas.press.get();
        self.presses.take(hash, quota, now_ns).map_err(|early| met(quota, "press", early))
    }
}

impl Quotas {
    fn new(limits: &RateLimits) -> Self {
        let [global, event, user, address, press] = quotas(limits).map(LiveQuota::new);
        Self { global, event, user, address, press }
    }

    fn set(&self, limits: &RateLimits) {
        let live = [&self.global, &self.event, &self.user, &self.address, &self.press];
        for (live, quota) in live.into_iter().zip(quotas(limits)) {
            live.set(quota);
        }
    }
}

/// Global, event, user, address, press.
fn quotas(limits: &RateLimits) -> [Quota; 5] {
    let quota = |rate: Rate| Quota::new(rate.per_s, rate.burst);
    let press = Quota::every_ms(u64::from(limits.debounce_ms));
    [quota(limits.global), quota(limits.event), quota(limits.user), quota(limits.address), press]
}

fn met(quota: Quota, name: &'static str, early: TooEarly) -> Met {
    Met { policy: quota.policy(name), wait_ns: early.wait_ns }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const HOLDING: Rate = Rate { per_s: 1, burst: 1 };
    const OFF: Rate = Rate { per_s: 0, burst: 1 };
    const NONE: RateLimits = RateLimits { global: OFF, event: OFF, user: OFF, address: OFF, debounce_ms: 0 };

    fn configured(rates: RateLimits) -> Limits {
        let RateLimits { global, event, user, address, debounce_ms } = rates;
        Limits::new(&LimitsConfig { global, event, user, address, debounce_ms, table_slots: 1024 })
    }

    /// Which dimensions refuse the second of two requests.
    fn refusing(limits: &Limits, now_ns: u64) -> Vec<&'static str> {
        let (bucket, ip) = (Gcra::default(), IpAddr::from([192, 0, 2, 1]));
        let mut met = Vec::new();
        for _ in 0..2 {
            let answers = [
                limits.global(now_ns),
                limits.event(&bucket, now_ns),
                limits.user(UserId(1), now_ns),
                limits.address(ip, now_ns),
                limits.press(UserId(1), EventId(1), now_ns),
            ];
            met = answers.into_iter().filter_map(|answer| Some(answer.err()?.policy.name)).collect();
        }
        met
    }

    #[test]
    fn each_dimension_obeys_its_own_limit_and_the_configuration_comes_back() {
        let limits = configured(NONE);
        assert_eq!((refusing(&limits, S), limits.version()), (vec![], 0));
        let cases = [
            ("all", RateLimits { global: HOLDING, ..NONE }),
            ("event", RateLimits { event: HOLDING, ..NONE }),
            ("user", RateLimits { user: HOLDING, ..NONE }),
            ("address", RateLimits { address: HOLDING, ..NONE }),
            ("press", RateLimits { debounce_ms: 1000, ..NONE }),
        ];
        for (version, (name, set)) in (2..).zip(cases) {
            limits.put_in_force(version, Some(&set));
            assert_eq!(
                (refusing(&limits, 10 * S * u64::from(version)), limits.version()),
                (vec![name], version)
            );
        }
        limits.put_in_force(9, None);
        assert_eq!((refusing(&limits, 90 * S), limits.version()), (vec![], 9));
    }

    #[test]
    fn an_eased_limit_is_eased_for_those_who_have_met_it() {
        let limits = configured(RateLimits { user: HOLDING, ..NONE });
        assert_eq!(refusing(&limits, S), ["user"]);
        limits.put_in_force(2, Some(&RateLimits { user: Rate { per_s: 1000, burst: 100 }, ..NONE }));
        assert_eq!(limits.user(UserId(1), S).map_err(|met| met.wait_ns), Err(S / 1000), "not a whole second");
        assert_eq!(limits.user(UserId(1), S + S / 1000), Ok(()));
    }

    #[test]
    fn every_limit_that_may_be_set_fits() {
        let most = Rate { per_s: Rate::PER_S_MAX, burst: Rate::BURST_MAX };
        let slowest = Rate { per_s: 1, burst: Rate::BURST_MAX };
        let debounce_ms = RateLimits::DEBOUNCE_MS_MAX;
        let limits = configured(RateLimits {
            global: most,
            event: slowest,
            user: most,
            address: slowest,
            debounce_ms,
        });
        assert_eq!(refusing(&limits, S), ["press"]);
    }
}
