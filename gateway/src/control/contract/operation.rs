//! One route as a client sees it: what it takes, and every answer it can give.
//!
//! A description says only what is the route's own. What follows from its row of the table (the token, ids in the path,
//! a body's refusals) and what every route can answer is added here, so that it cannot be forgotten.

use serde_json::{Value, json};
use spike_domain::Reason;

use super::refusals::{self, Refusals};
use super::schema::{absent_or, id, object, required, uuid, words};
use crate::control::{Access, Route, Side};
use crate::envelope::JSON;

/// A description.
pub(in crate::control) struct Operation {
    tag: &'static str,
    id: &'static str,
    summary: &'static str,
    notes: &'static str,
    parameters: Vec<Value>,
    body: Option<(Value, bool)>,
    successes: Vec<Success>,
    refuses: Vec<Reason>,
}

struct Success {
    status: u16,
    description: &'static str,
    content: Value,
    headers: Vec<&'static str>,
}

impl Operation {
    /// `id` is the `operationId`, which clients' generators make a function of.
    pub fn new(tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        let (parameters, successes, refuses) = (Vec::new(), Vec::new(), Vec::new());
        Self { tag, id, summary, notes: "", parameters, body: None, successes, refuses }
    }

    /// What else there is to know.
    pub fn notes(mut self, notes: &'static str) -> Self {
        self.notes = notes;
        self
    }

    /// A JSON body that must be there.
    pub fn body(mut self, schema: Value) -> Self {
        self.body = Some((schema, true));
        self
    }

    /// A JSON body that may be missing.
    pub fn optional_body(mut self, schema: Value) -> Self {
        self.body = Some((schema, false));
        self
    }

    /// A parameter of the query that may be left out.
    pub fn query(self, name: &str, description: &str, schema: Value) -> Self {
        self.parameter("query", name, description, schema)
    }

    /// A header of the request that may be left out.
    pub fn header(self, name: &str, description: &str, schema: Value) -> Self {
        self.parameter("header", name, description, schema)
    }

    fn parameter(mut self, place: &str, name: &str, description: &str, schema: Value) -> Self {
        let mut parameter = json!({ "name": name, "in": place, "description": description });
        parameter["schema"] = schema;
        self.parameters.push(parameter);
        self
    }

    /// `page` and `page_size`.
    pub fn paged(mut self) -> Self {
        self.parameters.extend([parameter("Page"), parameter("PageSize")]);
        self
    }

    /// `cursor` and `page_size`.
    pub fn by_cursor(mut self) -> Self {
        self.parameters.extend([parameter("Cursor"), parameter("PageSize")]);
        self
    }

    /// `page_size`.
    pub fn page_size(mut self) -> Self {
        self.parameters.push(parameter("PageSize"));
        self
    }

    /// A parameter of the document's components.
    pub fn takes(mut self, name: &str) -> Self {
        self.parameters.push(parameter(name));
        self
    }

    /// A success in the envelope; `headers` are those of the document's components that it always has.
    pub fn answers(
        self,
        status: u16,
        description: &'static str,
        data: Value,
        headers: &[&'static str],
    ) -> Self {
        let enveloped = json!({ JSON: { "schema": envelope(data) } });
        self.answers_with(status, description, enveloped, headers)
    }

    /// A success in the envelope, or as a page.
    pub fn answers_also_html(self, status: u16, description: &'static str, data: Value) -> Self {
        let content = json!({
            JSON: { "schema": envelope(data) },
            "text/html": { "schema": { "type": "string" } },
        });
        self.answers_with(status, description, content, &[])
    }

    /// A success with other content than the envelope; an empty object for none at all.
    pub fn answers_with(
        mut self,
        status: u16,
        description: &'static str,
        content: Value,
        headers: &[&'static str],
    ) -> Self {
        self.successes.push(Success { status, description, content, headers: headers.to_vec() });
        self
    }

    /// Refusals of its own.
    pub fn refuses(mut self, reasons: &[Reason]) -> Self {
        self.refuses.extend(reasons);
        self
    }

    /// The operation object. Refusals are put among the document's components and referred to.
    pub(super) fn render(mut self, route: &Route, refusals: &mut Refusals) -> Value {
        self.refuses.extend(implied(route, &self));
        let mut responses = refusals.responses(&self.refuses);
        for success in &self.successes {
            responses.insert(success.status.to_string(), success.render());
        }
        let mut parameters = path_parameters(route.path);
        parameters.append(&mut self.parameters);
        parameters.extend([parameter("RequestId"), parameter("TraceParent")]);
        let mut operation = json!({
            "tags": [self.tag],
            "operationId": self.id,
            "summary": self.summary,
            "security": security(route.access),
            "parameters": parameters,
            "responses": responses,
        });
        if !self.notes.is_empty() {
            operation["description"] = self.notes.into();
        }
        if let Some((schema, required)) = self.body {
            operation["requestBody"] =
                json!({ "required": required, "content": { JSON: { "schema": schema } } });
        }
        operation
    }
}

impl Success {
    fn render(&self) -> Value {
        let mut headers = refusals::headers(&["X-Request-Id"]);
        headers.append(&mut refusals::headers(&self.headers));
        let mut response = json!({ "description": self.description, "headers": headers });
        if self.content.as_object().is_some_and(|content| !content.is_empty()) {
            response["content"] = self.content.clone();
        }
        response
    }
}

/// What a row of the table and a description's parts can be refused for.
fn implied(route: &Route, operation: &Operation) -> Vec<Reason> {
    // A path that is none of ours, a request nobody can read, a process that is full or broken.
    let mut reasons = vec![
        Reason::Malformed,
        Reason::BadHost,
        Reason::BodyTooLarge,
        Reason::Internal,
        Reason::Unavailable,
        Reason::Overloaded,
    ];
    // Pages are sent as they are, whatever is accepted.
    if route.path.starts_with("/api/") {
        reasons.push(Reason::NotAcceptable);
    }
    match route.access {
        Access::Anyone => {}
        Access::User => reasons.push(Reason::Unauthorized),
        Access::Admin => reasons.extend([Reason::Unauthorized, Reason::Forbidden]),
    }
    if route.path.contains('{') {
        reasons.push(Reason::NotFound);
    }
    if operation.body.is_some() {
        reasons.extend([Reason::UnsupportedMediaType, Reason::Validation]);
    }
    if operation.parameters.iter().any(in_query) {
        reasons.push(Reason::Validation);
    }
    if route.side == Side::Hot && route.access == Access::User {
        reasons.push(Reason::TooManyRequests);
    }
    reasons
}

fn in_query(parameter: &Value) -> bool {
    let referred = parameter["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    parameter["in"] == "query" || matches!(referred, Some("Page" | "PageSize" | "Cursor"))
}

fn parameter(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let schema = match name {
                "order" | "session" | "attempt" => uuid(),
                "reason" => super::schema::word(Reason::ALL.iter().map(|reason| reason.as_str())),
                "file" => super::schema::word(super::viewer::FILES),
                _ => id(),
            };
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect()
}

fn security(access: Access) -> Value {
    match access {
        Access::Anyone => json!([]),
        Access::User => json!([{ "userToken": [] }, { "adminToken": [] }]),
        Access::Admin => json!([{ "adminToken": [] }]),
    }
}

/// The envelope of a success.
fn envelope(data: Value) -> Value {
    object([
        required("code", json!({ "const": 0 })),
        required("message", words()),
        required("data", data),
        absent_or("request_id", words()),
    ])
}
