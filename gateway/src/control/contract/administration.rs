//! What administrators do to accounts, and the record of it, described.

use serde_json::{Value, json};
use spike_domain::Reason;

use super::operation::Operation;
use super::schema::{
    count, flag, id, list, moment, named, nullable, object, optional, request, required, saying_any_of, text,
    units, word, words,
};

pub(super) fn describe(method: &str, path: &str) -> Option<Operation> {
    let operation = |id, summary| Operation::new("accounts", id, summary);
    Some(match (method, path) {
        ("GET", "/api/v1/admin/users") => operation("listUsers", "Accounts, newest first")
            .paged()
            .query("email", "What the e-mail begins with.", text(1..=254))
            .query("role", "Of that role only.", role())
            .query("disabled", "Disabled or not.", word(["true", "false"]))
            .answers(200, "A page of accounts", super::catalogue::page_of("Account"), &[]),
        ("PATCH", "/api/v1/admin/users/{user}") => operation(
            "changeUser",
            "Change a role, disable or enable",
        )
        .notes(
            "May be repeated. A change ends every session of the account. At least one of role and disabled.",
        )
        .body(saying_any_of(
            request([
                optional("role", role()),
                optional("disabled", flag()),
                optional("version", count(0..=u32::MAX)),
            ]),
            &["role", "disabled"],
        ))
        .answers(200, "The account as it is now", named("Account"), &[])
        .refuses(&[Reason::PreconditionFailed, Reason::LastAdministrator, Reason::OwnAccount]),
        ("GET", "/api/v1/admin/audit") => operation("listAudit", "Who did what, newest first")
            .notes(
                "A row is written before its action. Its outcome is unknown while the action is under way, and stays so where \
                a gateway died before it could say how it ended.",
            )
            .query("cursor", "`next_cursor` of the page before.", id())
            .page_size()
            .query("actor", "Done by this user.", id())
            .query("action", "This action, as a row names it.", text(1..=128))
            .query("target", "`kind`, or `kind:id`, such as `event:7`.", text(1..=128))
            .answers(200, "A page of the record", page(), &[]),
        _ => return None,
    })
}

pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let account = object([
        required("id", id()),
        required("email", words()),
        required("name", words()),
        required("role", role()),
        required("created_at", moment()),
        required("disabled", flag()),
        required("version", units()),
    ]);
    let target = object([required("kind", words()), required("id", words())]);
    let line = object([
        required("id", id()),
        required("at", moment()),
        required("actor", nullable(id())),
        required("action", words()),
        required("target", nullable(target)),
        required("detail", json!({ "type": "object" })),
        required("outcome", word(["unknown", "done", "refused", "failed"])),
        required("request_id", nullable(words())),
        required("address", nullable(words())),
    ]);
    vec![("Account", account), ("AuditLine", line)]
}

fn role() -> Value {
    word(["user", "admin"])
}

fn page() -> Value {
    object([
        required("items", list(named("AuditLine"))),
        required("page_size", units()),
        required("next_cursor", nullable(id())),
    ])
}
