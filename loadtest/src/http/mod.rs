//! A lean HTTP/1.1 keep-alive client: prebuilt requests, one write each, an incremental parser, no task of its own.
//!
//! It speaks to one server at a time, does not pipeline, follows no redirect and knows no TLS.

mod connection;
mod json;
mod request;
mod response;

pub use connection::{Connection, SendError, probe};
pub use json::{Json, JsonAnswer, JsonError};
pub use request::{Request, Template};
pub use response::{BadResponse, Parser, Response};
