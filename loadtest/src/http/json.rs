//! A JSON client for what surrounds a load: registering, logging in, creating a product. Convenience before speed.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::{Connection, Request, SendError};

/// Why a call has no JSON answer.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// The base is not `http://host[:port][/prefix]`.
    #[error("the base must be http://host[:port][/prefix], not {0:?}")]
    Base(String),
    /// The host has no address.
    #[error("{host} has no address: {reason}")]
    Lookup {
        /// What was looked up, with its port.
        host: String,
        /// What the resolver said.
        reason: String,
    },
    /// No answer.
    #[error("{call}: {source}")]
    Send {
        /// Method and path.
        call: String,
        /// What happened.
        source: SendError,
    },
    /// The answer's body is not JSON.
    #[error("{call}: status {status} and a body that is not JSON")]
    NotJson {
        /// Method and path.
        call: String,
        /// The status of the answer.
        status: u16,
    },
    /// The answer is an error of the API.
    #[error("{call}: {status} {reason}: {message}")]
    Refused {
        /// Method and path.
        call: String,
        /// The status of the answer.
        status: u16,
        /// The stable word of the envelope, or `""`.
        reason: String,
        /// The message of the envelope, or the whole body where there is none.
        message: String,
    },
}

/// An answer with its envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonAnswer {
    /// The HTTP status.
    pub status: u16,
    /// `Location`, if it was there.
    pub location: Option<String>,
    /// The whole body; null when it was empty.
    pub body: Value,
    call: String,
}

impl JsonAnswer {
    /// The envelope's `data` of an answer of class 2xx; any other is an error that says what was refused and why.
    pub fn data(mut self) -> Result<Value, JsonError> {
        if (200..300).contains(&self.status) {
            return Ok(self.body.get_mut("data").map(Value::take).unwrap_or_default());
        }
        let word = |field: &str| self.body.get(field).and_then(Value::as_str).map(str::to_owned);
        Err(JsonError::Refused {
            reason: word("reason").unwrap_or_default(),
            message: word("message").unwrap_or_else(|| self.body.to_string()),
            status: self.status,
            call: self.call,
        })
    }
}

/// A client of one base address on one connection, one call after the other.
#[derive(Debug)]
pub struct Json {
    connection: Connection,
    host: String,
    prefix: String,
}

impl Json {
    /// Looks the host of `base` (`http://host[:port][/prefix]`) up; connects at the first call. `deadline` is for each call.
    pub async fn new(base: &str, deadline: Duration) -> Result<Self, JsonError> {
        let bad = || JsonError::Base(base.to_owned());
        let rest = base.strip_prefix("http://").ok_or_else(bad)?;
        let (host, prefix) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        if host.is_empty() || host.contains(['@', '?', '#', ' ', '\r', '\n']) {
            return Err(bad());
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let lookup = if has_port { host.to_owned() } else { format!("{host}:80") };
        let failed = |reason: String| JsonError::Lookup { host: lookup.clone(), reason };
        let found: Option<SocketAddr> =
            tokio::net::lookup_host(&lookup).await.map_err(|error| failed(error.to_string()))?.next();
        let addr = found.ok_or_else(|| failed("no address".to_owned()))?;
        Ok(Self {
            connection: Connection::new(addr, None, deadline),
            host: host.to_owned(),
            prefix: prefix.trim_end_matches('/').to_owned(),
        })
    }

    /// GET `path` (below the base's prefix).
    pub async fn get(&mut self, path: &str, token: Option<&str>) -> Result<JsonAnswer, JsonError> {
        self.request("GET", path, token, &[], None).await
    }

    /// POST `body` to `path`.
    pub async fn post(
        &mut self,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> Result<JsonAnswer, JsonError> {
        self.request("POST", path, token, &[], Some(body)).await
    }

    /// Any method, with further headers. An answer of any status is `Ok`; see [`JsonAnswer::data`].
    pub async fn request(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<JsonAnswer, JsonError> {
        let call = format!("{method} {path}");
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = headers.to_vec();
        headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        let text = body.map(ToString::to_string);
        let path = format!("{}{path}", self.prefix);
        let request = Request::new(method, &path, &self.host, &headers, text.as_deref().map(str::as_bytes));
        let response = match self.connection.send(&request).await {
            Ok(response) => response,
            Err(source) => return Err(JsonError::Send { call, source }),
        };
        let status = response.status;
        let body = match response.body {
            [] => Value::Null,
            bytes => serde_json::from_slice(bytes)
                .map_err(|_| JsonError::NotJson { call: call.clone(), status })?,
        };
        let location = response.location.map(|text| String::from_utf8_lossy(text).into_owned());
        Ok(JsonAnswer { status, location, body, call })
    }
}
