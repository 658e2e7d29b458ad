//! What a first start in dev leaves behind: an administrator whose password everybody knows. Prod does not serve beside it.

use std::net::TcpListener;
use std::path::Path;

use serde_json::json;

use crate::callers::{PASSWORD, post};
use crate::fresh::place;
use crate::poll::until;
use crate::process::{Env, Process, run};

const PUBLIC: (&str, &str) = ("admin@spike.example", "spike-development-admin");

#[test]
fn prod_does_not_serve_beside_an_administrator_whose_password_is_public() {
    let (dir, [http, ops], dev) = place();
    let login = json!({ "email": PUBLIC.0, "password": PUBLIC.1 });
    {
        let _serve = Process::start("serve", &dev, &dir, ops);
        until("dev has made its administrator", || {
            (post(http, "/auth/login", None, &login).status == 200).then_some(())
        });
    }
    let mut prod = dev.clone();
    for (name, value) in [
        ("SPIKE_PROFILE", "prod"),
        ("SPIKE_AUTH_SECRET", "0123456789abcdef0123456789abcdef"),
        ("SPIKE_PAYMENTS_CALLBACK_SECRET", "0123456789abcdef0123456789abcdef"),
        ("SPIKE_ADMIN_EMAIL", ""),
    ] {
        prod.insert(name.to_owned(), value.to_owned());
    }
    {
        // Had a port been bound before, the message would be of that.
        let _taken = [http, ops].map(|at| TcpListener::bind(at).expect("free"));
        let said = told(&["serve"], &prod, &dir, 2);
        for part in [PUBLIC.0, "SPIKE_PROFILE", "spike admin create-user", "spike admin disable-user"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("cannot listen") && !said.contains(PUBLIC.1), "{said}");
    }

    // The way out that the message names.
    let disable = ["admin", "disable-user", "--email", PUBLIC.0];
    assert!(told(&disable, &prod, &dir, 1).contains("last active administrator"));
    let own =
        ["admin", "create-user", "--email", "root@shop.example", "--role", "admin", "--password", PASSWORD];
    told(&own, &prod, &dir, 0);
    told(&disable, &prod, &dir, 0);
    assert!(
        told(&["admin", "disable-user", "--email", "x@shop.example"], &prod, &dir, 1).contains("no account")
    );
    let _serve = Process::start("serve", &prod, &dir, ops);
    assert_eq!(post(http, "/auth/login", None, &login).refused(401), "invalid-credentials");
    let root = json!({ "email": "root@shop.example", "password": PASSWORD });
    assert_eq!(post(http, "/auth/login", None, &root).status, 200);
}

/// What a command says on standard error, when it ends with this code.
fn told(words: &[&str], env: &Env, dir: &Path, code: i32) -> String {
    let output = run(words, env, dir);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
    said
}
