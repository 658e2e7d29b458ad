//! Password hashing on a few threads of its own, behind a bounded queue: a storm of logins can neither take the
//! sidecar's threads nor fill memory, it is told to come back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use spike_config::AuthConfig;
use spike_domain::Reason;
use spike_metrics::catalogue::gateway::{PASSWORD_HASH_DURATION, PASSWORD_REFUSED};
use spike_metrics::{Counts, Page, Spreads};
use tokio::sync::oneshot;

use super::refusal::{Refusal, Result};

/// The hashing threads. They end when this is dropped.
pub struct Passwords {
    jobs: SyncSender<Job>,
    metrics: Arc<PasswordMetrics>,
    argon2: Argon2<'static>,
    /// Hash of a password nobody has, for accounts that do not exist.
    dummy: String,
}

type Job = Box<dyn FnOnce() + Send>;

/// What is measured of hashing.
#[derive(Debug)]
pub struct PasswordMetrics {
    waiting: AtomicUsize,
    durations: Spreads,
    refused: Counts,
}

impl Default for PasswordMetrics {
    fn default() -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            durations: Spreads::new(&PASSWORD_HASH_DURATION),
            refused: Counts::new(&PASSWORD_REFUSED),
        }
    }
}

impl PasswordMetrics {
    /// How many passwords wait for a thread.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Shows how long they take and how many were refused.
    pub fn write(&self, page: &mut Page) {
        self.durations.write(page);
        self.refused.write(page);
    }
}

/// A place in the queue, left by being dropped.
struct Place(Arc<PasswordMetrics>);

impl Place {
    fn taken(metrics: &Arc<PasswordMetrics>) -> Self {
        metrics.waiting.fetch_add(1, Ordering::Relaxed);
        Self(metrics.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Passwords {
    /// Starts the threads and hashes once.
    ///
    /// # Errors
    /// A thread cannot be started, argon2 refuses its parameters, or there is no randomness for the salt.
    pub fn start(auth: &AuthConfig) -> anyhow::Result<Self> {
        let argon2 = argon2(auth)?;
        let dummy = argon2.hash_password(b"a password nobody has").map_err(anyhow::Error::msg)?.to_string();
        let (jobs, inbox) = sync_channel(auth.argon2_queue_max);
        let inbox = Arc::new(Mutex::new(inbox));
        for number in 0..auth.argon2_threads {
            let inbox = Arc::clone(&inbox);
            std::thread::Builder::new().name(format!("password-{number}")).spawn(move || work(&inbox))?;
        }
        Ok(Self { jobs, metrics: Arc::default(), argon2, dummy })
    }

    /// What is measured.
    pub fn metrics(&self) -> Arc<PasswordMetrics> {
        self.metrics.clone()
    }

    /// Whether `hash` was made with less work than is configured now, or is none; then the next right password is hashed
    /// again.
    pub fn outgrown(&self, hash: &str) -> bool {
        let Ok(parsed) = PasswordHash::new(hash) else { return true };
        let Ok(old) = Params::try_from(&parsed) else { return true };
        let now = self.argon2.params();
        old.m_cost() < now.m_cost() || old.t_cost() < now.t_cost() || old.p_cost() < now.p_cost()
    }

    /// The PHC string of a new password. Errors: `overloaded` when the queue is full.
    pub async fn hash(&self, password: String) -> Result<String> {
        let argon2 = self.argon2.clone();
        let hash = self.run(move || argon2.hash_password(password.as_bytes()).map(|hash| hash.to_string()));
        hash.await?.map_err(|error| Refusal::internal(error.to_string()))
    }

    /// Whether `password` is the one of `hash`; without a hash the same work is done and the answer is no, so that
    /// nobody can tell by the clock whether an account exists. Errors: `overloaded` when the queue is full.
    /// A wrong password of an outgrown hash costs one of today's hashes besides, for the same reason.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        let exists = hash.is_some();
        let cheap = hash.as_deref().is_some_and(|hash| self.outgrown(hash)).then(|| self.dummy.clone());
        let hash = hash.unwrap_or_else(|| self.dummy.clone());
        let argon2 = self.argon2.clone();
        let verdict = self.run(move || {
            // A hash in the database that is none: a person must look, the client only learns that it did not work.
            let parsed = PasswordHash::new(&hash).map_err(|error| format!("password hash: {error}"))?;
            let matches = argon2.verify_password(password.as_bytes(), &parsed).is_ok();
            if let Some(dummy) = cheap.filter(|_| !matches) {
                let parsed = PasswordHash::new(&dummy).map_err(|error| format!("dummy hash: {error}"))?;
                let _ = argon2.verify_password(password.as_bytes(), &parsed);
            }
            Ok(matches)
        });
        let matches = verdict.await?.map_err(|error: String| Refusal::internal(error))?;
        Ok(exists && matches)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let (place, metrics) = (Place::taken(&self.metrics), self.metrics.clone());
        let job: Job = Box::new(move || {
            drop(place);
            // Whoever asked may have gone while the job waited; then its work is not worth 30 ms.
            if !reply.is_closed() {
                let since = Instant::now();
                let done = work();
                metrics.durations.took_at(0, since.elapsed());
                let _ = reply.send(done);
            }
        });
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => {
                self.metrics.refused.add(1);
                Refusal::new(Reason::Overloaded)
            }
            TrySendError::Disconnected(_) => Refusal::internal("the password threads have ended"),
        })?;
        answer.await.map_err(|_| Refusal::internal("a password thread panicked"))
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passwords").field("argon2", &self.argon2).finish_non_exhaustive()
    }
}

/// The PHC string of a password, computed here and now, for the command line and for seeding.
///
/// # Errors
/// As [`Passwords::start`].
pub fn hash_now(auth: &AuthConfig, password: &str) -> anyhow::Result<String> {
    Ok(argon2(auth)?.hash_password(password.as_bytes()).map_err(anyhow::Error::msg)?.to_string())
}

/// Whether `password` is the one of a PHC string, by its own parameters, computed here and now. Text that is no PHC string
/// is the hash of none.
pub fn verify_now(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
}

fn argon2(auth: &AuthConfig) -> anyhow::Result<Argon2<'static>> {
    let params = Params::new(auth.argon2_memory_kib, auth.argon2_iterations, auth.argon2_parallelism, None);
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params.map_err(anyhow::Error::msg)?))
}

fn work(inbox: &Mutex<Receiver<Job>>) {
    loop {
        // Held while waiting for a job and never while doing it, so one idle thread waits for all.
        let next = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // The job's reply is dropped by the unwinding, which its asker sees; the thread serves the next one.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth() -> AuthConfig {
        let mut auth = spike_config::Config::load(None, []).unwrap().auth;
        (auth.argon2_threads, auth.argon2_queue_max) = (1, 1);
        auth
    }

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other() {
        let passwords = Passwords::start(&auth()).unwrap();
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("correct horse ".into(), Some(hash)).await.unwrap());
        assert!(
            !passwords.verify("a password nobody has".into(), None).await.unwrap(),
            "not even the dummy's"
        );
        let by_hand = hash_now(&auth(), "x").unwrap();
        assert!(verify_now("x", &by_hand) && !verify_now("y", &by_hand) && !verify_now("x", "no hash"));
        assert!(passwords.verify("x".into(), Some(by_hand)).await.unwrap());
        let broken = passwords.verify("x".into(), Some("no hash".into())).await.unwrap_err();
        assert_eq!(broken.reason, Reason::Internal);
    }

    #[tokio::test]
    async fn a_hash_that_was_cheaper_is_outgrown() {
        let mut cheap = auth();
        let old = hash_now(&cheap, "x").unwrap();
        cheap.argon2_iterations += 1;
        let grown = Passwords::start(&cheap).unwrap();
        assert!(grown.outgrown(&old) && grown.outgrown("no hash"));
        assert!(!grown.outgrown(&hash_now(&cheap, "x").unwrap()));
        assert!(
            !Passwords::start(&auth()).unwrap().outgrown(&hash_now(&cheap, "x").unwrap()),
            "dearer is fine"
        );
    }

    #[tokio::test]
    async fn a_wrong_password_of_a_cheaper_hash_takes_as_long_as_one_of_nobody() {
        let mut settings = auth();
        (settings.argon2_iterations, settings.argon2_memory_kib) = (1, 8 * 1024);
        let old = hash_now(&settings, "x").unwrap();
        (settings.argon2_iterations, settings.argon2_memory_kib) = (4, 32 * 1024);
        let passwords = Passwords::start(&settings).unwrap();
        // The quickest of a few: what else the machine does only makes them longer.
        let quickest = async |hash: Option<String>| {
            let mut least = std::time::Duration::MAX;
            for _ in 0..5 {
                let started = std::time::Instant::now();
                assert!(!passwords.verify("wrong".into(), hash.clone()).await.unwrap());
                least = least.min(started.elapsed());
            }
            least
        };
        let (known, unknown) = (quickest(Some(old.clone())).await, quickest(None).await);
        // Without today's hash it would be a sixteenth of it.
        assert!(known * 2 > unknown, "{known:?} {unknown:?}");
        assert!(passwords.verify("x".into(), Some(old)).await.unwrap());
    }

    #[tokio::test]
    async fn a_full_queue_sheds_and_a_panic_costs_no_thread() {
        let passwords = Passwords::start(&auth()).unwrap();
        let (started, has_started) = oneshot::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let busy = passwords.run(move || {
            started.send(()).unwrap();
            released.recv().unwrap();
            panic!("planted");
        });
        let waiting = async {
            has_started.await.unwrap();
            let queued = passwords.run(|| 5);
            let shed = async {
                let refusal = passwords.run(|| 6).await.unwrap_err();
                assert_eq!(passwords.metrics().waiting(), 1);
                release.send(()).unwrap();
                refusal.reason
            };
            tokio::join!(queued, shed)
        };
        let (busy, (queued, shed)): (Result<()>, _) = tokio::join!(busy, waiting);
        assert_eq!(busy.unwrap_err().reason, Reason::Internal);
        assert_eq!((queued.unwrap(), shed), (5, Reason::Overloaded));
        assert_eq!(passwords.metrics().waiting(), 0);
    }
}
