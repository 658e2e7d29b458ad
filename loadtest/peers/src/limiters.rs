//! The gateway's token buckets, kept by governor.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};
use spike_config::LimitsConfig;
use spike_domain::Rate;
use spike_domain::UserId;
use spike_gateway::local::Quota as Told;
use spike_gateway::rate_limit::{Met, Policy};

/// A limiter and the limit as clients are told of it; `None` is no limit.
type Limiter<L> = Option<(L, Policy)>;

/// Token buckets of one event's service in every dimension. A limit that is off costs nothing.
pub(crate) struct Limiters {
    clock: DefaultClock,
    addresses: Limiter<DefaultKeyedRateLimiter<IpAddr>>,
    presses: Limiter<DefaultKeyedRateLimiter<UserId>>,
    users: Limiter<DefaultKeyedRateLimiter<UserId>>,
    global: Limiter<DefaultDirectRateLimiter>,
    event: Limiter<DefaultDirectRateLimiter>,
}

impl Limiters {
    /// Buckets as configured.
    pub(crate) fn new(limits: &LimitsConfig) -> Self {
        let debounce = Quota::with_period(Duration::from_millis(limits.debounce_ms.into()));
        let told = Told::every_ms(limits.debounce_ms.into()).policy("press");
        Self {
            clock: DefaultClock::default(),
            addresses: of(limits.address, "address", RateLimiter::keyed),
            presses: debounce.map(|quota| (RateLimiter::keyed(quota), told)),
            users: of(limits.user, "user", RateLimiter::keyed),
            global: of(limits.global, "all", RateLimiter::direct),
            event: of(limits.event, "event", RateLimiter::direct),
        }
    }

    /// A token of one address; a /64 is one address.
    pub(crate) fn address(&self, address: IpAddr) -> Result<(), Met> {
        let Some((limiter, policy)) = &self.addresses else { return Ok(()) };
        let network = match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        };
        limiter.check_key(&network).map_err(|early| self.met(&early, *policy))
    }

    /// One press a user per debounce time, then a token of the user, of all, and of the event.
    pub(crate) fn press(&self, user: UserId) -> Result<(), Met> {
        for (limiter, policy) in self.presses.iter().chain(&self.users) {
            limiter.check_key(&user).map_err(|early| self.met(&early, *policy))?;
        }
        for (limiter, policy) in self.global.iter().chain(&self.event) {
            limiter.check().map_err(|early| self.met(&early, *policy))?;
        }
        Ok(())
    }

    /// Forgets the buckets that are full again, so that memory stays bounded by who presses now.
    pub(crate) fn forget_idle(&self) {
        self.addresses.iter().for_each(|(limiter, _)| limiter.retain_recent());
        self.presses.iter().chain(&self.users).for_each(|(limiter, _)| limiter.retain_recent());
    }

    fn met(&self, early: &NotUntil<<DefaultClock as Clock>::Instant>, policy: Policy) -> Met {
        let wait = early.wait_time_from(self.clock.now());
        Met { policy, wait_ns: u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX) }
    }
}

fn of<L>(rate: Rate, name: &'static str, limiter: impl Fn(Quota) -> L) -> Limiter<L> {
    let quota = Quota::per_second(NonZeroU32::new(rate.per_s)?).allow_burst(NonZeroU32::new(rate.burst)?);
    Some((limiter(quota), Told::new(rate.per_s, rate.burst).policy(name)))
}
