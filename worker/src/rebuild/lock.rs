//! A short lock around a rebuild, so that two workers do not do the same work. Epochs make it safe without: when Redis
//! restarts and the lock is gone, both rebuild and one of them is refused.

use std::time::Duration;

use redis::aio::ConnectionManager;
use spike_domain::EventId;

/// How long a lock outlives a worker that was killed.
const LIFE: Duration = Duration::from_secs(5);

pub(crate) struct Lock {
    connection: ConnectionManager,
    key: String,
    token: String,
}

impl Lock {
    /// `None` when another worker holds it.
    pub(crate) async fn take(
        mut connection: ConnectionManager,
        event: EventId,
    ) -> redis::RedisResult<Option<Self>> {
        let key = format!("spike:{{{event}}}:rebuild");
        let token = format!("{:016x}", fastrand::u64(..));
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(&token).arg("NX").arg("PX").arg(life_ms());
        let taken: Option<String> = set.query_async(&mut connection).await?;
        Ok(taken.map(|_| Self { connection, key, token }))
    }

    /// Runs `work` while the lock is kept alive, then gives it back.
    pub(crate) async fn hold<T>(mut self, work: impl Future<Output = T>) -> T {
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
    async fn keep_alive(&mut self) {
        loop {
            tokio::time::sleep(LIFE / 3).await;
            let mut renew = redis::cmd("PEXPIRE");
            renew.arg(&self.key).arg(life_ms());
            if renew.query_async::<i64>(&mut self.connection).await != Ok(1) {
                return;
            }
        }
    }

    /// Deletes the lock if it still is this one; a lock lost between the two commands costs its new holder a little work.
    async fn give_back(&mut self) -> redis::RedisResult<()> {
        let held: Option<String> = redis::cmd("GET").arg(&self.key).query_async(&mut self.connection).await?;
        if held.as_deref() == Some(self.token.as_str()) {
            redis::cmd("DEL").arg(&self.key).query_async::<i64>(&mut self.connection).await?;
        }
        Ok(())
    }
}

fn life_ms() -> u64 {
    u64::try_from(LIFE.as_millis()).expect("seconds fit")
}
