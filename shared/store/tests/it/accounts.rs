//! What administrators do to accounts.

use spike_domain::{Role, UserId};
use spike_store::{
    AuditFilter, ChangedUser, Conflict, NewAudit, NewUser, Result, Store, StoreError, UserChange, UserFilter,
};

fn new_user(email: &str, role: Role) -> NewUser {
    NewUser { email: email.into(), name: "n".into(), password_hash: "h".into(), role }
}

async fn change(store: &Store, user: UserId, change: UserChange) -> Result<ChangedUser> {
    store.change_user(user, change, 1000, &NewAudit { actor: Some(UserId(1)), ..NewAudit::default() }).await
}

fn conflict<T: std::fmt::Debug>(result: Result<T>) -> Conflict {
    match result {
        Err(StoreError::Conflict { what }) => what,
        other => panic!("{other:?} is no conflict"),
    }
}

const DISABLE: UserChange = UserChange { role: None, disabled: Some(true), version: None };
const DEMOTE: UserChange = UserChange { role: Some(Role::User), disabled: None, version: None };

pub async fn a_change_happens_once_and_is_recorded(store: &Store) {
    store.create_user(new_user("root@a.example", Role::Admin)).await.unwrap();
    let ann = store.create_user(new_user("ann@a.example", Role::User)).await.unwrap();
    let promote = UserChange { role: Some(Role::Admin), disabled: Some(false), version: Some(0) };
    let promoted = change(store, ann, promote).await.unwrap();
    assert!(promoted.changed);
    assert_eq!((promoted.row.role, promoted.row.token_version), (Role::Admin, 1));
    let again = change(store, ann, UserChange { version: None, ..promote }).await.unwrap();
    assert_eq!((again.changed, again.row.token_version), (false, 1), "asking twice changes nothing");
    assert_eq!(conflict(change(store, ann, promote).await), Conflict::Version);
    change(store, ann, DISABLE).await.unwrap();
    assert!(store.user_by_id(ann).await.unwrap().unwrap().disabled);
    assert!(matches!(change(store, UserId(i64::MAX), DISABLE).await, Err(StoreError::NotFound)));

    let filter = AuditFilter { action: Some("user.changed".into()), ..AuditFilter::default() };
    let rows = store.audit(&filter, None, 10).await.unwrap();
    let details: Vec<_> = rows.iter().map(|row| row.what.detail.as_str()).collect();
    assert_eq!(
        details,
        [
            r#"{"role":["admin","admin"],"disabled":[false,true]}"#,
            r#"{"role":["user","admin"],"disabled":[false,false]}"#
        ]
    );
    assert_eq!(rows[0].what.target.as_ref().unwrap().id, ann.to_string());
}

pub async fn an_administrator_is_always_left(store: &Store) {
    let mut admins = Vec::new();
    for name in ["a", "b", "c"] {
        admins.push(store.create_user(new_user(&format!("{name}@a.example"), Role::Admin)).await.unwrap());
    }
    let changes = [DISABLE, DEMOTE, DISABLE];
    // All three at once: two of them must win, and never all.
    let (a, b, c) = tokio::join!(
        change(store, admins[0], changes[0]),
        change(store, admins[1], changes[1]),
        change(store, admins[2], changes[2]),
    );
    let outcomes = [a, b, c];
    let refused: Vec<usize> = (0..3).filter(|at| outcomes[*at].is_err()).collect();
    assert_eq!(refused.len(), 1, "{outcomes:?}");
    let last = admins[refused[0]];
    for outcome in outcomes.into_iter().filter(Result::is_err) {
        assert_eq!(conflict(outcome), Conflict::LastAdministrator);
    }
    assert_eq!(conflict(change(store, last, DEMOTE).await), Conflict::LastAdministrator);
    let filter = UserFilter { role: Some(Role::Admin), disabled: Some(false), ..UserFilter::default() };
    assert_eq!(store.list_users(&filter, 1, 10).await.unwrap().items[0].id, last);
}

pub async fn accounts_are_listed_by_what_they_are(store: &Store) {
    for (email, role) in
        [("ann@a.example", Role::User), ("anna@a.example", Role::Admin), ("a%n@a.example", Role::User)]
    {
        store.create_user(new_user(email, role)).await.unwrap();
    }
    let bob = store.create_user(new_user("bob@b.example", Role::User)).await.unwrap();
    change(store, bob, DISABLE).await.unwrap();
    let list = async |prefix: Option<&str>, role: Option<Role>, disabled: Option<bool>, page: u32| {
        let filter = UserFilter { email_prefix: prefix.map(str::to_owned), role, disabled };
        let page = store.list_users(&filter, page, 2).await.unwrap();
        let emails: Vec<String> = page.items.into_iter().map(|row| row.email).collect();
        (emails.join(" "), page.total)
    };
    let want = |emails: &str, total| (emails.to_owned(), total);
    assert_eq!(list(None, None, None, 1).await, want("bob@b.example a%n@a.example", 4));
    assert_eq!(list(None, None, None, 2).await, want("anna@a.example ann@a.example", 4));
    assert_eq!(list(Some("ANN"), None, None, 1).await, want("anna@a.example ann@a.example", 2));
    assert_eq!(list(Some("a%"), None, None, 1).await, want("a%n@a.example", 1), "no pattern");
    assert_eq!(list(Some("' OR 1=1 --"), None, None, 1).await, want("", 0));
    assert_eq!(list(None, Some(Role::Admin), None, 1).await, want("anna@a.example", 1));
    assert_eq!(list(None, None, Some(true), 1).await, want("bob@b.example", 1));
    assert_eq!(list(Some("ann"), Some(Role::User), Some(false), 1).await, want("ann@a.example", 1));
}

pub async fn the_first_administrator_is_made_once(store: &Store) {
    assert!(!store.has_admin().await.unwrap());
    let first = new_user("Root@a.example", Role::Admin);
    let (one, two) =
        tokio::join!(store.create_first_admin(first.clone()), store.create_first_admin(first.clone()));
    let made: Vec<UserId> = [one.unwrap(), two.unwrap()].into_iter().flatten().collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert!(store.has_admin().await.unwrap());
    let row = store.user_by_id(made[0]).await.unwrap().unwrap();
    assert_eq!((row.email.as_str(), row.role), ("root@a.example", Role::Admin));
    let other = new_user("other@a.example", Role::Admin);
    assert_eq!(store.create_first_admin(other).await.unwrap(), None, "there is one");
}
