//! A short lock around a rebuild, so that two workers do not do the same work. Epochs make it safe without: when Redis
//! restarts and the lock is gone, both rebuild and one of them is refused.

use std::time::Duration;

use spike_domain::EventId;
use spike_stock::{Stock, StockError};

/// How long a lock outlives a worker that was killed.
const LIFE: Duration = Duration::from_secs(5);

pub(crate) struct Lock {
    stock: Stock,
    key: String,
    token: String,
}

impl Lock {
    /// `None` when another worker holds it.
    pub(crate) async fn take(stock: Stock, event: EventId) -> Result<Option<Self>, StockError> {
        let key = format!("spike:{{{event}}}:rebuild");
        let token = format!("{:016x}", fastrand::u64(..));
        let taken = stock.try_lock(&key, &token, LIFE).await?;
        Ok(taken.then_some(Self { stock, key, token }))
    }

    /// Runs `work` while the lock is kept alive, then gives it back.
    pub(crate) async fn hold<T>(self, work: impl Future<Output = T>) -> T {
        let result = {
            let keep = self.keep_alive();
            tokio::pin!(work, keep);
            tokio::select! {
                result = &mut work => result,
                () = keep => work.await,
            }
        };
        if let Err(error) = self.give_back().await {
            tracing::debug!(%error, "rebuild lock left to expire");
        }
        result
    }

    /// Returns when the lock cannot be kept: the work goes on, it is safe without.
    async fn keep_alive(&self) {
        loop {
            tokio::time::sleep(LIFE / 3).await;
            if !matches!(self.stock.keep_lock(&self.key, &self.token, Some(LIFE)).await, Ok(true)) {
                return;
            }
        }
    }

    async fn give_back(&self) -> Result<bool, StockError> {
        self.stock.keep_lock(&self.key, &self.token, None).await
    }
}
