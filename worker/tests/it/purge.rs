//! The purge, beside everything else a worker does.

use spike_domain::clock::now_ms;
use spike_domain::{Revoked, Role, SessionId};
use spike_store::{NewAudit, NewSession, NewUser, Revoke, SessionRules};

use crate::sale::{Sale, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_over_are_forgotten_and_the_others_stay() {
    let sale = Sale::of(1).await;
    let email = "ann@shop.example".to_owned();
    let ann = NewUser { email, name: "Ann".into(), password_hash: "hash".into(), role: Role::User };
    let user = sale.store.create_user(ann).await.unwrap();
    let rules = SessionRules {
        refresh_ttl_ms: 3_600_000,
        session_ttl_ms: 3_600_000,
        retry_ms: 10_000,
        live_max: 10,
        token_life_ms: 900_000,
    };
    let by = NewAudit::default();
    let mut sessions = Vec::new();
    for number in 0..3 {
        let id = SessionId::new(now_ms());
        let new = NewSession { id, user, token_version: 0, address: None, refresh_hash: [number; 32] };
        sale.store.create_session(new, &rules, &by).await.unwrap().unwrap();
        let revoke = Revoke { why: Revoked::Logout, token_life_ms: 900_000, by: by.clone() };
        assert!(number == 2 || sale.store.revoke_session(id, &revoke).await.unwrap());
        sessions.push(id);
    }
    let old = sessions[0].to_string().replace('-', "");
    sale.sql(&format!("UPDATE refresh_tokens SET expires_at_ms = 1 WHERE session_id = x'{old}'"));
    sale.sql(&format!("UPDATE sessions SET expires_at_ms = 1 WHERE id = x'{old}'"));
    sale.sql(&format!("UPDATE revocations SET until_ms = 1 WHERE session_id = x'{old}'"));

    let worker = sale.worker();
    let count = |table: &str| sale.sql(&format!("SELECT COUNT(*) FROM {table}")).trim().to_owned();
    eventually("the old one is gone", async || {
        (["sessions", "refresh_tokens", "revocations"].map(count) == ["2", "2", "1"]).then_some(())
    })
    .await;
    worker.stop().await;
    let left = sale.store.revocations(0).await.unwrap();
    assert_eq!(left.iter().map(|revocation| revocation.session).collect::<Vec<_>>(), [sessions[1]]);
    let known = sale.store.account_in_session(user, sessions[2], 1, Role::User).await.unwrap();
    assert_eq!(known.map(|account| account.id), Some(user));
}
