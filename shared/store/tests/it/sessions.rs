//! Sessions: created, limited, refreshed and revoked.

use spike_domain::clock::now_ms;
use spike_domain::{Revoked, Role, SessionId, UserId};
use spike_store::{
    ALL_TOKENS, AuditFilter, Conflict, NewAudit, NewSession, NewUser, NewlyStarted, Presented, Purged,
    Refreshed, Revoke, SessionRules, Store, StoreError, TokenHash,
};

use crate::sale::eventually;

pub const RULES: SessionRules = SessionRules {
    refresh_ttl_ms: 3_600_000,
    session_ttl_ms: 7_200_000,
    retry_ms: 60_000,
    live_max: 3,
    token_life_ms: 900_000,
};

/// A token of a test is a number; what seals its successor is not the store's business.
pub fn hash(number: u8) -> TokenHash {
    [number; 32]
}

pub fn presented(session: SessionId, token: u8, successor: u8) -> Presented {
    Presented { session, hash: hash(token), successor: hash(successor), sealed: hash(successor | 0x80) }
}

pub async fn account(store: &Store) -> UserId {
    let email = format!("{}@shop.example", SessionId::new(now_ms()));
    let user = NewUser { email, name: "Ann".into(), password_hash: "hash".into(), role: Role::User };
    store.create_user(user).await.unwrap()
}

/// A session whose first token is `token`.
pub async fn start(
    store: &Store,
    user: UserId,
    token: u8,
    rules: &SessionRules,
) -> (SessionId, NewlyStarted) {
    let id = SessionId::new(now_ms());
    let token_version = store.user_by_id(user).await.unwrap().unwrap().token_version;
    let address = Some("2001:db8::1".parse().unwrap());
    let new = NewSession { id, user, token_version, address, refresh_hash: hash(token) };
    (id, store.create_session(new, rules, &nobody()).await.unwrap().expect("the account is as it was"))
}

/// The session that goes on after a change of password.
pub fn after(user: UserId, token_version: u32, token: u8) -> NewSession {
    NewSession { id: SessionId::new(now_ms()), user, token_version, address: None, refresh_hash: hash(token) }
}

pub fn nobody() -> NewAudit {
    NewAudit::default()
}

pub fn ending(why: Revoked, token_life_ms: u64) -> Revoke {
    Revoke { why, token_life_ms, by: NewAudit { request_id: Some("r-1".into()), ..nobody() } }
}

/// `min_ver` of a session's revocation.
pub async fn min_ver(store: &Store, session: SessionId) -> Option<u32> {
    let all = store.revocations(0).await.unwrap();
    let mut of_session = all.iter().filter(|revocation| revocation.session == session);
    let found = of_session.next().map(|revocation| revocation.min_ver);
    assert_eq!(of_session.next(), None, "one entry a session");
    found
}

pub async fn a_session_starts_only_for_the_account_that_was_checked(store: &Store) {
    let user = account(store).await;
    let (_, started) = start(store, user, 1, &RULES).await;
    assert_eq!((started.generation, started.refresh_expires_in_ms), (1, RULES.refresh_ttl_ms));
    assert_eq!(store.revocations(0).await.unwrap(), []);

    let new = |user, token_version| NewSession {
        id: SessionId::new(now_ms()),
        user,
        token_version,
        address: None,
        refresh_hash: hash(2),
    };
    store.set_role(user, Role::Admin).await.unwrap();
    for (user, token_version) in [(user, 0), (user, 2), (UserId(i64::MAX), 0)] {
        assert_eq!(store.create_session(new(user, token_version), &RULES, &nobody()).await.unwrap(), None);
    }
    assert!(store.create_session(new(user, 1), &RULES, &nobody()).await.unwrap().is_some());

    let short = SessionRules { session_ttl_ms: 1000, ..RULES };
    assert_eq!(start(store, user, 3, &short).await.1.refresh_expires_in_ms, 1000, "never beyond the session");
}

pub async fn the_oldest_session_makes_room(store: &Store) {
    let (user, other) = (account(store).await, account(store).await);
    start(store, other, 100, &RULES).await;
    let mut sessions = Vec::new();
    for token in 1..=5 {
        let (id, started) = start(store, user, token, &RULES).await;
        let oldest = token.checked_sub(4).map(|place| sessions[usize::from(place)]);
        assert_eq!(started.ended, Vec::from_iter(oldest));
        sessions.push(id);
    }
    let ended: Vec<_> = store.revocations(0).await.unwrap().iter().map(|r| r.session).collect();
    assert_eq!(ended, sessions[..2]);
    assert_eq!(
        store.revoke_sessions_of(user, &ending(Revoked::Disabled, 1000)).await.unwrap(),
        sessions[2..]
    );
    assert_eq!(store.revoke_sessions_of(user, &ending(Revoked::Disabled, 1000)).await.unwrap(), []);
    assert_eq!(store.revoke_sessions_of(other, &ending(Revoked::Role, 1000)).await.unwrap().len(), 1);
}

pub async fn a_revocation_is_told_until_it_is_over(store: &Store) {
    let user = account(store).await;
    let (short, _) = start(store, user, 1, &RULES).await;
    let (long, _) = start(store, user, 2, &RULES).await;
    let before = store.now_ms().await.unwrap();
    assert!(store.revoke_session(short, &ending(Revoked::Logout, 300)).await.unwrap());
    assert!(!store.revoke_session(short, &ending(Revoked::Logout, 300)).await.unwrap(), "once");
    assert!(!store.revoke_session(SessionId::new(now_ms()), &ending(Revoked::Logout, 300)).await.unwrap());
    assert!(store.revoke_session(long, &ending(Revoked::Logout, 900_000)).await.unwrap());
    eventually("the short one is over", async || min_ver(store, short).await.is_none().then_some(())).await;
    let left = store.revocations(before).await.unwrap();
    let [left] = left[..] else { panic!("{left:?}") };
    assert_eq!((left.session, left.min_ver), (long, ALL_TOKENS));
    assert_eq!(left.until_ms, left.created_at_ms + 900_000);
    assert_eq!(store.revocations(left.created_at_ms).await.unwrap(), [left], "the bound is inclusive");
    assert_eq!(store.revocations(left.created_at_ms + 1).await.unwrap(), []);
}

pub async fn a_refresh_rotates_and_its_answer_may_be_asked_for_again(store: &Store) {
    let user = account(store).await;
    let (session, _) = start(store, user, 1, &RULES).await;
    let Refreshed::Rotated(renewed) =
        store.refresh_session(&presented(session, 1, 2), &RULES, &nobody()).await.unwrap()
    else {
        panic!("the first use")
    };
    assert_eq!((renewed.user.id, renewed.generation), (user, 2));
    assert_eq!(renewed.refresh_expires_in_ms, RULES.refresh_ttl_ms);
    assert_eq!(min_ver(store, session).await, Some(2), "the older access token is dead");

    for other in [7, 8] {
        let answer = store.refresh_session(&presented(session, 1, other), &RULES, &nobody()).await.unwrap();
        let Refreshed::Repeated { renewed, sealed } = answer else { panic!("{answer:?}") };
        assert_eq!((renewed.generation, sealed), (2, hash(2 | 0x80)), "the very same successor");
    }
    let answer = store.refresh_session(&presented(session, 2, 3), &RULES, &nobody()).await.unwrap();
    let Refreshed::Rotated(renewed) = answer else { panic!("{answer:?}") };
    assert_eq!((renewed.generation, min_ver(store, session).await), (3, Some(3)));
}

pub async fn reuse_revokes_the_family_and_a_forgery_nothing(store: &Store) {
    let user = account(store).await;
    let at_once = SessionRules { retry_ms: 0, ..RULES };
    // The successor was used already; or the time for a lost answer is over.
    for (base, used, rules) in [(10, true, RULES), (20, false, at_once)] {
        let (session, _) = start(store, user, base, &RULES).await;
        store.refresh_session(&presented(session, base, base + 1), &RULES, &nobody()).await.unwrap();
        if used {
            store.refresh_session(&presented(session, base + 1, base + 2), &RULES, &nobody()).await.unwrap();
        }
        let forged = store.refresh_session(&presented(session, 99, 98), &rules, &nobody()).await.unwrap();
        assert!(matches!(forged, Refreshed::Refused), "{forged:?}");
        assert!(!store.revoke_by_token(session, &hash(99), &ending(Revoked::Logout, 1000)).await.unwrap());
        assert_ne!(min_ver(store, session).await, Some(ALL_TOKENS));

        let reused = store.refresh_session(&presented(session, base, 90), &rules, &nobody()).await.unwrap();
        assert!(matches!(reused, Refreshed::Reused { user: owner } if owner == user), "{reused:?}");
        assert_eq!(min_ver(store, session).await, Some(ALL_TOKENS));
        for token in [base, base + 1, base + 2] {
            let after =
                store.refresh_session(&presented(session, token, 91), &rules, &nobody()).await.unwrap();
            assert!(matches!(after, Refreshed::Refused), "{token}: {after:?}");
        }
    }
    // A token of one session under the name of another.
    let ((one, _), (two, _)) = (start(store, user, 30, &RULES).await, start(store, user, 31, &RULES).await);
    let mixed = store.refresh_session(&presented(one, 31, 32), &RULES, &nobody()).await.unwrap();
    assert!(matches!(mixed, Refreshed::Refused), "{mixed:?}");
    let logout = ending(Revoked::Logout, 1000);
    assert!(store.revoke_by_token(two, &hash(31), &logout).await.unwrap());
    assert!(!store.revoke_by_token(two, &hash(31), &logout).await.unwrap(), "once");
}

pub async fn a_token_expires_with_its_rest_and_with_its_session(store: &Store) {
    let user = account(store).await;
    let idle = SessionRules { refresh_ttl_ms: 300, ..RULES };
    let (rested, _) = start(store, user, 1, &idle).await;
    let absolute = SessionRules { session_ttl_ms: 300, ..RULES };
    let (old, _) = start(store, user, 2, &absolute).await;
    let begun = store.now_ms().await.unwrap();
    eventually("they are over", async || (store.now_ms().await.unwrap() > begun + 300).then_some(())).await;
    for (session, token) in [(rested, 1), (old, 2)] {
        let answer = store.refresh_session(&presented(session, token, 9), &RULES, &nobody()).await.unwrap();
        assert!(matches!(answer, Refreshed::Refused), "{token}: {answer:?}");
    }
}

pub async fn a_new_password_ends_every_session_and_every_login_under_way(store: &Store) {
    let (user, other) = (account(store).await, account(store).await);
    let (one, _) = start(store, user, 1, &RULES).await;
    let (two, _) = start(store, user, 2, &RULES).await;
    let (theirs, _) = start(store, other, 3, &RULES).await;
    let change = ending(Revoked::Password, 1000);
    let started = store.set_password(after(user, 0, 5), "new hash", &RULES, &change).await.unwrap();
    assert_eq!(started.ended, [one, two]);
    let row = store.user_by_id(user).await.unwrap().unwrap();
    assert_eq!((row.password_hash.as_str(), row.token_version), ("new hash", 1));
    assert_eq!(
        [min_ver(store, one).await, min_ver(store, two).await, min_ver(store, theirs).await],
        [Some(ALL_TOKENS), Some(ALL_TOKENS), None]
    );
    let late = store.set_password(after(user, 0, 6), "another hash", &RULES, &change).await.unwrap_err();
    assert!(matches!(late, StoreError::Conflict { what: Conflict::Other }), "{late:?}");
    let new = NewSession {
        id: SessionId::new(now_ms()),
        user,
        token_version: 0,
        address: None,
        refresh_hash: hash(4),
    };
    assert_eq!(store.create_session(new, &RULES, &nobody()).await.unwrap(), None, "checked the old password");

    let filter = AuditFilter { action: Some("session.revoked".into()), ..AuditFilter::default() };
    let lines = store.audit(&filter, None, 10).await.unwrap();
    let told: Vec<_> =
        lines.iter().map(|line| (line.what.target.clone().unwrap().id, &line.what.detail)).collect();
    let detail = format!(r#"{{"user":{user},"why":"password"}}"#);
    assert_eq!(told, [(two.to_string(), &detail), (one.to_string(), &detail)]);
    assert!(lines.iter().all(|line| line.what.request_id.as_deref() == Some("r-1")));
}

pub async fn a_new_password_starts_its_session_or_changes_nothing(store: &Store) {
    let user = account(store).await;
    let (old, _) = start(store, user, 1, &RULES).await;
    let change = ending(Revoked::Password, 1000);
    // The hash of its first refresh token is taken: the session cannot start.
    store.set_password(after(user, 0, 1), "new hash", &RULES, &change).await.unwrap_err();
    let row = store.user_by_id(user).await.unwrap().unwrap();
    assert_eq!((row.password_hash.as_str(), row.token_version), ("hash", 0), "all or nothing");
    assert_eq!(min_ver(store, old).await, None);

    let new = after(user, 0, 2);
    let started = store.set_password(new, "new hash", &RULES, &change).await.unwrap();
    assert_eq!((started.generation, started.ended), (1, vec![old]));
    let known = store.account_in_session(user, new.id, 1, Role::Admin).await.unwrap();
    assert_eq!(known.map(|row| row.password_hash), Some("new hash".to_owned()));
    let renewed = store.refresh_session(&presented(new.id, 2, 3), &RULES, &nobody()).await.unwrap();
    assert!(matches!(renewed, Refreshed::Rotated(_)), "{renewed:?}");
}

pub async fn an_administrators_session_has_a_row(store: &Store) {
    let (user, other) = (account(store).await, account(store).await);
    let (session, _) = start(store, user, 1, &RULES).await;
    for (who, session, claimed, want) in [
        (user, session, Role::Admin, true),
        (user, SessionId::new(now_ms()), Role::User, true),
        (user, SessionId::new(now_ms()), Role::Admin, false),
        (other, session, Role::Admin, false),
        (other, session, Role::User, false),
    ] {
        let known = store.account_in_session(who, session, 1, claimed).await.unwrap();
        assert_eq!(known.is_some(), want, "{who} {session} {claimed:?}");
    }
}

pub async fn an_account_is_made_with_its_line_in_the_log(store: &Store) {
    let user = |role| NewUser {
        email: "Root@shop.example".into(),
        name: "Root".into(),
        password_hash: "hash".into(),
        role,
    };
    let by = NewAudit { request_id: Some("r-2".into()), ..nobody() };
    let id = store.create_recorded_user(user(Role::Admin), &by).await.unwrap();
    let taken = store.create_recorded_user(user(Role::User), &by).await.unwrap_err();
    assert!(matches!(taken, StoreError::Conflict { what: Conflict::Email }), "{taken:?}");
    let filter = AuditFilter { action: Some("user.created".into()), ..AuditFilter::default() };
    let lines = store.audit(&filter, None, 10).await.unwrap();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let target = line.what.target.as_ref().unwrap();
    assert_eq!((target.kind.as_str(), &target.id), ("user", &id.to_string()));
    assert_eq!(
        (line.what.detail.as_str(), line.what.request_id.as_deref()),
        (r#"{"role":"admin"}"#, Some("r-2"))
    );
}

pub async fn an_account_is_known_by_the_newest_token_of_a_live_session(store: &Store) {
    let user = account(store).await;
    let (session, _) = start(store, user, 1, &RULES).await;
    let known = async |session, ver| {
        let account = store.account_in_session(user, session, ver, Role::User).await.unwrap();
        account.map(|account| account.id)
    };
    assert_eq!(known(session, 1).await, Some(user));
    assert_eq!(known(SessionId::new(now_ms()), 0).await, Some(user), "a session without a row");
    store.refresh_session(&presented(session, 1, 2), &RULES, &nobody()).await.unwrap();
    assert_eq!((known(session, 1).await, known(session, 2).await), (None, Some(user)));
    assert!(store.revoke_session(session, &ending(Revoked::Logout, 1000)).await.unwrap());
    assert_eq!((known(session, 2).await, known(session, u32::MAX).await), (None, None));
    assert!(store.account_in_session(UserId(i64::MAX), session, 9, Role::User).await.unwrap().is_none());
}

pub async fn what_is_over_is_purged_in_batches_and_nothing_else(store: &Store) {
    let user = account(store).await;
    let many = SessionRules { live_max: 100, ..RULES };
    let short = SessionRules { refresh_ttl_ms: 1, token_life_ms: 1, ..many };
    let (alive, _) = start(store, user, 1, &many).await;
    store.refresh_session(&presented(alive, 1, 2), &many, &nobody()).await.unwrap();
    for token in 10..15 {
        let (session, _) = start(store, user, token, &short).await;
        store.revoke_session(session, &ending(Revoked::Logout, 1)).await.unwrap();
    }
    let begun = store.now_ms().await.unwrap();
    eventually("they are over", async || (store.now_ms().await.unwrap() > begun + 1).then_some(())).await;
    let kept = store.purge_sessions(100, 3_600_000).await.unwrap();
    assert_eq!(kept, Purged { revocations: 5, ..Purged::default() }, "sessions are kept a while");
    let mut left = Purged { tokens: 5, sessions: 5, revocations: 0 };
    for _ in 0..10 {
        let purged = store.purge_sessions(2, 0).await.unwrap();
        assert!(purged.tokens <= 2 && purged.sessions <= 2, "{purged:?}");
        left =
            Purged { tokens: left.tokens - purged.tokens, sessions: left.sessions - purged.sessions, ..left };
    }
    assert_eq!(left, Purged::default());
    let (answer, again) = (presented(alive, 2, 3), presented(alive, 1, 4));
    let renewed = store.refresh_session(&answer, &many, &nobody()).await.unwrap();
    assert!(matches!(renewed, Refreshed::Rotated(_)), "{renewed:?}");
    let reused = store.refresh_session(&again, &many, &nobody()).await.unwrap();
    assert!(
        matches!(reused, Refreshed::Reused { .. }),
        "a spent token of a live session is remembered: {reused:?}"
    );
}

pub async fn a_session_is_purged_although_its_spent_tokens_would_live_longer(store: &Store) {
    let user = account(store).await;
    let lowered = SessionRules { refresh_ttl_ms: 1, ..RULES };
    for token in [10, 20] {
        let (session, _) = start(store, user, token, &RULES).await;
        let next = presented(session, token, token + 1);
        store.refresh_session(&next, &RULES, &nobody()).await.unwrap();
        let next = presented(session, token + 1, token + 2);
        let renewed = store.refresh_session(&next, &lowered, &nobody()).await.unwrap();
        assert!(matches!(renewed, Refreshed::Rotated(_)), "{renewed:?}");
    }
    let (alive, _) = start(store, user, 1, &RULES).await;
    let begun = store.now_ms().await.unwrap();
    eventually("they are over", async || (store.now_ms().await.unwrap() > begun + 1).then_some(())).await;
    let mut purged = Purged::default();
    for _ in 0..6 {
        let batch = store.purge_sessions(2, 0).await.unwrap();
        assert!(batch.tokens <= 2 && batch.sessions <= 2, "{batch:?}");
        purged.tokens += batch.tokens;
        purged.sessions += batch.sessions;
    }
    assert_eq!(purged, Purged { tokens: 6, sessions: 2, revocations: 0 });
    let renewed = store.refresh_session(&presented(alive, 1, 2), &RULES, &nobody()).await.unwrap();
    assert!(matches!(renewed, Refreshed::Rotated(_)), "{renewed:?}");
}

pub async fn of_many_refreshes_at_once_one_rotates(store: &Store) {
    let user = account(store).await;
    let (session, _) = start(store, user, 200, &RULES).await;
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..40 {
        let store = store.clone();
        asked.spawn(async move {
            store.refresh_session(&presented(session, 200, number), &RULES, &nobody()).await
        });
    }
    let (mut rotated, mut repeated) = (0, Vec::new());
    while let Some(answer) = asked.join_next().await {
        match answer.unwrap().unwrap() {
            Refreshed::Rotated(renewed) => {
                assert_eq!(renewed.generation, 2);
                rotated += 1;
            }
            Refreshed::Repeated { renewed, sealed } => {
                assert_eq!(renewed.generation, 2);
                repeated.push(sealed);
            }
            other => panic!("{other:?}"),
        }
    }
    repeated.dedup();
    assert_eq!((rotated, repeated.len()), (1, 1), "one winner, one successor");
}

/// While somebody holds the lock of a session (on SQLite of the whole database), a token that is none, or is of a session that
/// is over, is refused at once; a good one waits, and cannot be used.
pub async fn garbage_is_refused<Lock>(store: &Store, hold: impl AsyncFnOnce(SessionId) -> Lock) {
    let user = account(store).await;
    let (session, _) = start(store, user, 1, &RULES).await;
    let (over, _) = start(store, user, 2, &RULES).await;
    assert!(store.revoke_session(over, &ending(Revoked::Logout, 1000)).await.unwrap());
    let lock = hold(session).await;
    for (session, token) in [(session, 99), (SessionId::new(now_ms()), 1), (session, 2), (over, 2)] {
        let answer = store.refresh_session(&presented(session, token, 98), &RULES, &nobody()).await;
        assert!(matches!(answer, Ok(Refreshed::Refused)), "{token}: {answer:?}");
        let ended = store.revoke_by_token(session, &hash(token), &ending(Revoked::Logout, 1000)).await;
        assert!(!ended.unwrap(), "{token}");
    }
    let good = store.refresh_session(&presented(session, 1, 3), &RULES, &nobody()).await;
    assert!(good.is_err(), "the lock is held: {good:?}");
    drop(lock);
    eventually("the lock is gone", async || {
        let good = store.refresh_session(&presented(session, 1, 3), &RULES, &nobody()).await;
        matches!(good, Ok(Refreshed::Rotated(_))).then_some(())
    })
    .await;
}
