//! Access tokens, sessions and passwords.

use crate::reader::Reader;
use crate::secret::Secret;
use crate::token_key::{Ed25519Seed, RetiredKey, TokenAlgorithm};

/// By how much a clock may be set back while a revocation holds, in seconds.
const CLOCK_STEP_S: u64 = 600;

/// Section `[auth]`.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// How access tokens are signed: HS256 with `secret`, or EdDSA (Ed25519) with `private_key`.
    ///
    /// `SPIKE_AUTH_ALGORITHM`: HS256 or EdDSA
    pub algorithm: TokenAlgorithm,
    /// Secret. Key that signs HS256 tokens. The default is public: prod refuses it, and any shorter than
    /// 32 bytes; staging warns.
    ///
    /// `SPIKE_AUTH_SECRET`: any text that is not empty
    pub secret: Secret,
    /// Secret. Key that signs EdDSA tokens, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// `SPIKE_AUTH_PRIVATE_KEY`: an Ed25519 private key as PEM, or the path of a PEM file, or empty
    pub private_key: Option<Ed25519Seed>,
    /// Secret. Keys that sign no more but whose tokens are still valid until they expire: how a key is changed
    /// without logging anybody out. In the variable no key may hold a comma.
    ///
    /// `SPIKE_AUTH_RETIRED_KEYS`: a list of `kid=HS256:secret` and `kid=EdDSA:key`, the key as PEM or a path
    pub retired_keys: Vec<RetiredKey>,
    /// Who issues the tokens; a token of another issuer is refused.
    ///
    /// `SPIKE_AUTH_ISSUER`: any text that is not empty
    pub issuer: String,
    /// Whom the tokens are for; a token for another audience is refused.
    ///
    /// `SPIKE_AUTH_AUDIENCE`: any text that is not empty
    pub audience: String,
    /// Name of the key that signs, carried by each token (`kid`); a new key needs a new name.
    ///
    /// `SPIKE_AUTH_KEY_ID`: any text that is not empty
    pub key_id: String,
    /// Life of an access token, in seconds.
    ///
    /// `SPIKE_AUTH_ACCESS_TTL_S`: 60 to 86400
    pub access_ttl_s: u64,
    /// How far clocks may differ when a token's times are checked, in seconds.
    ///
    /// `SPIKE_AUTH_LEEWAY_S`: 30 to 60
    pub leeway_s: u64,
    /// Life of a refresh token that nobody uses, in seconds: how long a session may rest.
    ///
    /// `SPIKE_AUTH_REFRESH_TTL_S`: 60 to 31536000
    pub refresh_ttl_s: u64,
    /// Life of a session, however often it is refreshed, in seconds.
    ///
    /// `SPIKE_AUTH_SESSION_TTL_S`: 300 to 315360000
    pub session_ttl_s: u64,
    /// How long a refresh may be repeated with the same token, because its answer was lost, in seconds;
    /// later it is taken for a theft.
    ///
    /// `SPIKE_AUTH_REFRESH_RETRY_S`: 0 to 60
    pub refresh_retry_s: u64,
    /// Live sessions of one user; one more ends the oldest.
    ///
    /// `SPIKE_AUTH_SESSIONS_PER_USER_MAX`: 1 to 1000
    pub sessions_per_user_max: u32,
    /// Memory of one password hash, in KiB.
    ///
    /// `SPIKE_AUTH_ARGON2_MEMORY_KIB`: 19456 to 1048576
    pub argon2_memory_kib: u32,
    /// Passes of one password hash.
    ///
    /// `SPIKE_AUTH_ARGON2_ITERATIONS`: 2 to 100
    pub argon2_iterations: u32,
    /// Lanes of one password hash.
    ///
    /// `SPIKE_AUTH_ARGON2_PARALLELISM`: 1 to 64
    pub argon2_parallelism: u32,
    /// Threads that hash passwords; logins wait for one of them.
    ///
    /// `SPIKE_AUTH_ARGON2_THREADS`: 1 to 64
    pub argon2_threads: usize,
    /// Logins waiting for a hashing thread; one more is answered 503.
    ///
    /// `SPIKE_AUTH_ARGON2_QUEUE_MAX`: 1 to 10000
    pub argon2_queue_max: usize,
}

impl AuthConfig {
    /// The longest that an access token minted now is taken anywhere, in milliseconds: its life, the leeway of the one who
    /// mints it and of the one who checks it, and ten minutes by which the sale's or the database's clock may be set back
    /// meanwhile.
    pub fn token_life_ms(&self) -> u64 {
        (self.access_ttl_s + 2 * self.leeway_s + CLOCK_STEP_S) * 1000
    }

    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("auth");
        Self {
            algorithm: s.choice("algorithm"),
            secret: s.secret("secret"),
            private_key: s.private_key("private_key"),
            retired_keys: s.retired_keys("retired_keys"),
            issuer: s.text("issuer"),
            audience: s.text("audience"),
            key_id: s.text("key_id"),
            access_ttl_s: s.number("access_ttl_s", 60..=86_400),
            leeway_s: s.number("leeway_s", 30..=60),
            refresh_ttl_s: s.number("refresh_ttl_s", 60..=31_536_000),
            session_ttl_s: s.number("session_ttl_s", 300..=315_360_000),
            refresh_retry_s: s.number("refresh_retry_s", 0..=60),
            sessions_per_user_max: s.number("sessions_per_user_max", 1..=1000),
            argon2_memory_kib: s.number("argon2_memory_kib", 19_456..=1_048_576),
            argon2_iterations: s.number("argon2_iterations", 2..=100),
            argon2_parallelism: s.number("argon2_parallelism", 1..=64),
            argon2_threads: s.number("argon2_threads", 1..=64),
            argon2_queue_max: s.number("argon2_queue_max", 1..=10_000),
        }
    }
}
