//! The client and the sale against real sockets, whose other end says exactly what a case needs.

mod connection;
mod json;
mod open;
mod sale;
mod server;
