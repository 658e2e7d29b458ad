//! Two things at once happen to a user's sessions: whichever is first, nothing of a dead session is left alive, and a user
//! never holds more sessions than are allowed.

use spike_domain::{Revoked, Role, SessionId, UserId};
use spike_store::{
    ALL_TOKENS, Conflict, NewSession, NewUser, Refreshed, SessionRules, Store, StoreError, UserChange,
};

use crate::sessions::{RULES, account, after, ending, hash, min_ver, nobody, presented, start};

/// Races of each kind; odd ones begin with the other.
const ROUNDS: u8 = 12;
const LIFE_MS: u64 = 900_000;

/// What ends every session that a user has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Disable,
    Role,
    Password,
    LogoutByToken,
    LogoutBySession,
}

/// A session and the number of its first refresh token; its successor is the next one, and one more is free.
#[derive(Clone, Copy)]
struct Begun {
    user: UserId,
    session: SessionId,
    token: u8,
}

async fn begin(store: &Store, token: u8) -> Begun {
    let user = account(store).await;
    Begun { user, session: start(store, user, token, &RULES).await.0, token }
}

/// Ends what the user has; the session that goes on after it, if one does.
async fn end(store: &Store, end: End, Begun { user, session, token }: Begun) -> Option<SessionId> {
    let change = async |change: UserChange| {
        store.change_user(user, change, LIFE_MS, &nobody()).await.unwrap();
    };
    match end {
        End::Disable => change(UserChange { disabled: Some(true), ..UserChange::default() }).await,
        End::Role => change(UserChange { role: Some(Role::Admin), ..UserChange::default() }).await,
        End::Password => {
            let new = after(user, 0, token + 2);
            let revoke = ending(Revoked::Password, LIFE_MS);
            store.set_password(new, "new hash", &RULES, &revoke).await.unwrap();
            return Some(new.id);
        }
        End::LogoutByToken => {
            let revoke = ending(Revoked::Logout, LIFE_MS);
            assert!(store.revoke_by_token(session, &hash(token), &revoke).await.unwrap(), "spent or not");
        }
        End::LogoutBySession => {
            assert!(store.revoke_session(session, &ending(Revoked::Logout, LIFE_MS)).await.unwrap());
        }
    }
    None
}

/// Both at once: the second begins first in every other round.
async fn both<A, B>(round: u8, one: impl Future<Output = A>, two: impl Future<Output = B>) -> (A, B) {
    if round.is_multiple_of(2) {
        tokio::join!(one, two)
    } else {
        let (two, one) = tokio::join!(two, one);
        (one, two)
    }
}

/// No access token of any generation is taken on the cold side (which asks for the account) or on the hot one (which knows the
/// revocations), and no refresh token is left.
async fn dead(store: &Store, Begun { user, session, token }: Begun, what: &str) {
    assert_eq!(min_ver(store, session).await, Some(ALL_TOKENS), "{what}: the hot cores are told");
    for ver in [0, 1, 2, 3, u32::MAX] {
        for role in [Role::User, Role::Admin] {
            let known = store.account_in_session(user, session, ver, role).await.unwrap();
            assert!(known.is_none(), "{what}: generation {ver} as {role:?}");
        }
    }
    for token in [token, token + 1] {
        let answer = store.refresh_session(&presented(session, token, 255), &RULES, &nobody()).await.unwrap();
        assert!(matches!(answer, Refreshed::Refused), "{what}: {token} gave {answer:?}");
        let logout = ending(Revoked::Logout, 1);
        assert!(!store.revoke_by_token(session, &hash(token), &logout).await.unwrap(), "{what}: ended again");
    }
}

pub async fn a_session_that_ends_while_it_is_refreshed_is_dead(store: &Store) {
    let ends = [End::Disable, End::Role, End::Password, End::LogoutByToken, End::LogoutBySession];
    let mut token = 0;
    for how in ends {
        let mut rotated = 0;
        for round in 0..ROUNDS {
            token += 3;
            let begun = begin(store, token).await;
            let step = presented(begun.session, token, token + 1);
            let refresh = async { store.refresh_session(&step, &RULES, &nobody()).await.unwrap() };
            let (refreshed, goes_on) = both(round, refresh, end(store, how, begun)).await;
            let what = format!("{how:?}, round {round}, {refreshed:?}");
            match refreshed {
                Refreshed::Rotated(_) => rotated += 1,
                Refreshed::Refused => {}
                Refreshed::Repeated { .. } | Refreshed::Reused { .. } => panic!("{what}"),
            }
            dead(store, begun, &what).await;
            if let Some(next) = goes_on {
                let known = store.account_in_session(begun.user, next, 1, Role::Admin).await.unwrap();
                assert!(known.is_some(), "{what}: the new session lives");
            }
        }
        println!("{how:?}: the refresh was first in {rotated} of {ROUNDS} rounds");
    }
}

pub async fn a_login_while_its_account_ends_leaves_no_session(store: &Store) {
    let mut token = 0;
    for how in [End::Disable, End::Role, End::Password] {
        let mut started = 0;
        for round in 0..ROUNDS {
            token += 4;
            let begun = begin(store, token).await;
            // The password was checked before: the login knows the account as it was then.
            let login = after(begun.user, 0, token + 3);
            let create = async { store.create_session(login, &RULES, &nobody()).await.unwrap() };
            let (login_won, _) = both(round, create, end(store, how, begun)).await;
            let what = format!("{how:?}, round {round}, {login_won:?}");
            dead(store, begun, &what).await;
            if login_won.is_some() {
                started += 1;
                dead(store, Begun { session: login.id, token: token + 3, ..begun }, &what).await;
            } else {
                assert_eq!(min_ver(store, login.id).await, None, "{what}: there never was one");
                let late = presented(login.id, token + 3, 255);
                let late = store.refresh_session(&late, &RULES, &nobody()).await.unwrap();
                assert!(matches!(late, Refreshed::Refused), "{what}: {late:?}");
            }
        }
        println!("{how:?}: the login was first in {started} of {ROUNDS} rounds");
    }
}

pub async fn logins_at_once_never_hold_more_sessions_than_are_allowed(store: &Store) {
    const LOGINS: u8 = 20;
    let user = account(store).await;
    let logins: Vec<NewSession> = (1..=LOGINS).map(|token| after(user, 0, token)).collect();
    let mut started = tokio::task::JoinSet::new();
    for login in logins.clone() {
        let store = store.clone();
        started.spawn(async move { store.create_session(login, &RULES, &nobody()).await });
    }
    let started = started.join_all().await;
    assert!(started.iter().all(|started| matches!(started, Ok(Some(_)))), "{started:?}");
    let mut living = 0;
    for (login, token) in logins.iter().zip(1..) {
        let known = store.account_in_session(user, login.id, 1, Role::Admin).await.unwrap();
        living += usize::from(known.is_some());
        if known.is_none() {
            dead_token(store, login.id, token).await;
        }
    }
    assert_eq!(living, RULES.live_max as usize, "neither more nor fewer");
}

/// With room for one, a login ends the session that is being refreshed.
pub async fn a_session_that_makes_room_while_it_is_refreshed_is_dead(store: &Store) {
    let one = SessionRules { live_max: 1, ..RULES };
    let mut token = 0;
    for round in 0..ROUNDS {
        token += 4;
        let begun = begin(store, token).await;
        let step = presented(begun.session, token, token + 1);
        let refresh = async { store.refresh_session(&step, &one, &nobody()).await.unwrap() };
        let login = after(begun.user, 0, token + 3);
        let create = async { store.create_session(login, &one, &nobody()).await.unwrap() };
        let (refreshed, started) = both(round, refresh, create).await;
        let what = format!("round {round}, {refreshed:?}");
        assert_eq!(started.map(|started| started.ended), Some(vec![begun.session]), "{what}");
        dead(store, begun, &what).await;
        assert!(
            store.account_in_session(begun.user, login.id, 1, Role::Admin).await.unwrap().is_some(),
            "{what}"
        );
    }
}

async fn dead_token(store: &Store, session: SessionId, token: u8) {
    assert_eq!(min_ver(store, session).await, Some(ALL_TOKENS));
    let answer = store.refresh_session(&presented(session, token, 255), &RULES, &nobody()).await.unwrap();
    assert!(matches!(answer, Refreshed::Refused), "{token}: {answer:?}");
}

/// Nothing is left of a registration whose session cannot start, so that it can be made again.
pub async fn an_account_is_registered_with_its_session_or_not_at_all(store: &Store) {
    let taken = begin(store, 1).await;
    let user = |name: &str| NewUser {
        email: format!("{name}@shop.example"),
        name: name.into(),
        password_hash: "hash".into(),
        role: Role::User,
    };
    let session = |token| after(UserId(0), 77, token);
    // The hash of its first refresh token is taken: the session cannot start.
    store.register(user("ann"), session(taken.token), &RULES, &nobody()).await.unwrap_err();
    assert!(store.user_by_email("ann@shop.example").await.unwrap().is_none(), "all or nothing");
    let first = session(2);
    let (row, started) = store.register(user("Ann"), first, &RULES, &nobody()).await.unwrap();
    assert_eq!((row.email.as_str(), row.token_version, started.generation), ("ann@shop.example", 0, 1));
    let known = store.account_in_session(row.id, first.id, 1, Role::Admin).await.unwrap();
    assert_eq!(known.map(|row| row.id), Some(row.id));
    let again = store.register(user("ann"), session(3), &RULES, &nobody()).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict { what: Conflict::Email }), "{again:?}");
}
