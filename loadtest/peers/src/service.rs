//! The conventional service: axum on a current-thread tokio runtime, one EVALSHA with one buyer a press over a Redis
//! `ConnectionManager`, and, with a queue, one confirmed message an accepted order.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use redis::IntoConnectionInfo;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use spike_config::Config;
use spike_domain::{EventId, OrderId, QueuedOrder, Reason, UserId, clock};
use spike_gateway::hot::answer::{Answer, Asked};
use spike_gateway::hot::press::{BODY_MAX, key_digest};
use spike_gateway::tokens::bearer;
use spike_stock::reserve::{Buyer, Decided, Decision, decode};
use spike_stock::{EventKeys, Ledger, StockError, scripts};
use tokio::net::TcpListener;

use crate::answers::{self, Answers};
use crate::limiters::Limiters;
use crate::press::quantity;
use crate::queue::Publisher;
use crate::verifier::Verifier;

/// How often buckets that are full again are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(30);

/// What the service sells, and over which servers.
pub struct Selling<'a> {
    /// The ledger's Redis.
    pub redis: &'a str,
    /// The event, whose ledger stands.
    pub event: EventId,
    /// The ledger's epoch.
    pub epoch: u64,
    /// The broker, for the pipeline; without it the ledger's outbox is all that keeps an order.
    pub amqp: Option<&'a str>,
}

/// The service of one event.
struct Service {
    epoch: u64,
    per_user_limit: u32,
    keys: EventKeys,
    sha: String,
    redis: ConnectionManager,
    publisher: Option<Publisher>,
    verifier: Verifier,
    limiters: Limiters,
    answers: Answers,
    sold_out: AtomicBool,
}

/// The service's router, connected.
///
/// # Errors
/// A server cannot be reached, or the ledger of the event is not the one named.
pub async fn router(config: &Config, selling: &Selling<'_>) -> anyhow::Result<Router> {
    let service = Arc::new(Service::connect(config, selling).await?);
    let of_sweep = Arc::downgrade(&service);
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(FORGET_EVERY);
        loop {
            ticks.tick().await;
            let Some(service) = of_sweep.upgrade() else { return };
            service.limiters.forget_idle();
        }
    });
    let path = format!("/api/v1/spike/events/{}/orders", selling.event);
    Ok(Router::new().route(&path, post(buy)).fallback(not_found).with_state(service))
}

/// Serves `router` until `shutdown` resolves, with TCP_NODELAY on every connection.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let listener = listener.tap_io(|stream| {
        // It fails only for a connection that is gone already.
        let _ = stream.set_nodelay(true);
    });
    let serving = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>());
    tokio::select! {
        served = async { serving.await } => Ok(served?),
        () = shutdown => Ok(()),
    }
}

async fn buy(
    State(service): State<Arc<Service>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response<Body> {
    let asked = answers::asked(request.headers());
    let answer = service.press(peer.ip(), request, &asked).await.unwrap_or_else(|refusal| refusal);
    answers::response(answer, asked)
}

async fn not_found(headers: HeaderMap) -> Response<Body> {
    let asked = answers::asked(&headers);
    answers::response(Answer::refuse(Reason::NotFound, &asked), asked)
}

impl Service {
    async fn connect(config: &Config, selling: &Selling<'_>) -> anyhow::Result<Self> {
        let &Selling { redis, event, epoch, amqp } = selling;
        let settings = redis.into_connection_info()?;
        let tcp = settings.tcp_settings().clone().set_nodelay(true);
        let client = redis::Client::open(settings.set_tcp_settings(tcp))?;
        let timeout = Duration::from_millis(config.hot.redis_timeout_ms);
        let manager = ConnectionManagerConfig::new().set_response_timeout(Some(timeout));
        let redis =
            client.get_connection_manager_with_config(manager).await.context("connecting to Redis")?;
        let meta = Ledger::new(redis.clone()).meta(event).await?.context("the event has no ledger")?;
        ensure!(meta.epoch == epoch, "the ledger is of epoch {}, not {epoch}", meta.epoch);
        let per_user_limit = meta.doc.context("the ledger does not say what it sells")?.per_user_limit;
        let publisher = match amqp {
            Some(url) => Some(Publisher::connect(url, event, epoch).await?),
            None => None,
        };
        Ok(Self {
            epoch,
            per_user_limit,
            keys: EventKeys::new(event),
            sha: scripts::reserve(event, epoch).sha,
            redis,
            publisher,
            verifier: Verifier::new(&config.auth),
            limiters: Limiters::new(&config.limits),
            answers: Answers::of(event, per_user_limit),
            sold_out: AtomicBool::new(false),
        })
    }

    async fn press(&self, peer: IpAddr, request: Request, asked: &Asked) -> Result<Answer, Answer> {
        let (head, body) = request.into_parts();
        if self.sold_out.load(Ordering::Relaxed) && !head.headers.contains_key("idempotency-key") {
            return Err(self.answers.sold_out());
        }
        let user = self.admitted(peer, &head.headers, asked)?;
        let buyer = self.read(user, &head.headers, body, asked).await?;
        let (order, quantity) = (buyer.order, buyer.quantity);
        let accepted_at_ms = clock::now_ms();
        let decided = self.reserve(&buyer, accepted_at_ms).await;
        let decided = decided.map_err(|error| self.answers.undecided(&error, order, asked))?;
        if decided.stock == 0 {
            self.sold_out.store(true, Ordering::Relaxed);
        }
        if let (Some(publisher), Decision::Accepted) = (&self.publisher, decided.decisions[0]) {
            let key = buyer.key.map(String::from);
            let queued = QueuedOrder { order, user, quantity, key, accepted_at_ms };
            publisher.publish(queued).await.map_err(|_| self.answers.unknown(order, asked))?;
        }
        Ok(self.answers.decided(&decided, order, quantity, asked))
    }

    /// Token and buckets, in the gateway's order.
    fn admitted(&self, peer: IpAddr, headers: &HeaderMap, asked: &Asked) -> Result<UserId, Answer> {
        let early = |met| self.answers.too_early(met, asked);
        self.limiters.address(peer.to_canonical()).map_err(early)?;
        let user = bearer(headers).and_then(|token| self.verifier.user(token));
        let user = user.ok_or_else(|| Answer::refuse(Reason::Unauthorized, asked))?;
        self.limiters.press(user).map_err(early)?;
        Ok(user)
    }

    async fn read(
        &self,
        user: UserId,
        headers: &HeaderMap,
        body: Body,
        asked: &Asked,
    ) -> Result<Buyer, Answer> {
        let too_large = || Answer { close: true, ..Answer::refuse(Reason::BodyTooLarge, asked) };
        let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > BODY_MAX) {
            return Err(too_large());
        }
        let body = to_bytes(body, BODY_MAX).await.map_err(|_| too_large())?;
        let quantity = quantity(headers, &body).map_err(|bad| self.answers.bad_press(bad, asked))?;
        if quantity > self.per_user_limit {
            return Err(self.answers.over_limit(asked));
        }
        let key = key_digest(headers).map_err(|bad| self.answers.bad_press(bad, asked))?;
        Ok(Buyer { user, order: OrderId::new(clock::now_ms()), quantity, key, trace: None })
    }

    /// `Ledger::reserve` with one buyer, but with the script's digest and the keys' names at hand instead of made anew
    /// for each press.
    async fn reserve(&self, buyer: &Buyer, now_ms: u64) -> Result<Decided, StockError> {
        let keys = self.keys.reserve();
        let mut text = [0; OrderId::TEXT_LEN];
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.sha).arg(keys.len()).arg(&keys).arg(self.epoch).arg(now_ms);
        call.arg(buyer.user.0).arg(buyer.order.text(&mut text)).arg(buyer.quantity);
        call.arg(buyer.key.as_deref().unwrap_or_default());
        let reply: Vec<Vec<u8>> = call.query_async(&mut self.redis.clone()).await?;
        let decided = decode(reply.iter().map(Vec::as_slice), 1);
        Ok(decided.ok_or_else(|| StockError::reply("reserve", &reply))??)
    }
}
