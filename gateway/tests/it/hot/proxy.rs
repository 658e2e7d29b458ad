//! The PROXY protocol, as the trusted proxy 127.0.0.2 speaks it and as others may not.

use axum::extract::Request;
use spike_gateway::bridge::ClientAddress;

use super::core::{HotCore, Wishes};
use super::raw::Client;

const REQUEST: &[u8] = b"GET /who HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n";

fn core() -> HotCore {
    let who = async |request: Request| request.extensions().get::<ClientAddress>().unwrap().0.to_string();
    let env = [
        ("SPIKE_HTTP_TRUSTED_PROXIES", "127.0.0.2"),
        ("SPIKE_HTTP_PROXY_PROTOCOL", "true"),
        ("SPIKE_HTTP_HEADER_TIMEOUT_MS", "1000"),
    ];
    let env = env.map(|(name, value)| (name, value.to_owned())).to_vec();
    HotCore::start_with(Wishes { env, router: axum::Router::new().fallback(who), ..Wishes::default() })
}

/// A block of version 2.
fn block(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, payload].concat()
}

#[test]
fn a_trusted_proxy_names_its_client_and_nonsense_is_closed() {
    let core = core();
    let v4 = [&[1, 2, 3, 4, 10, 0, 0, 1, 0, 80, 0, 80][..], b"an extension"].concat();
    let mut v6 = [0; 36];
    (v6[0], v6[1], v6[15]) = (0x20, 0x01, 1);
    let cases: [(Vec<u8>, Option<&str>); 12] = [
        (b"PROXY TCP4 1.2.3.4 10.0.0.1 5000 80\r\n".to_vec(), Some("1.2.3.4")),
        (b"PROXY TCP6 2001::1 2001::2 5000 80\r\n".to_vec(), Some("2001::1")),
        (b"PROXY UNKNOWN\r\n".to_vec(), Some("127.0.0.2")),
        (block(0x21, 0x11, &v4), Some("1.2.3.4")),
        (block(0x21, 0x21, &v6), Some("2001::1")),
        (block(0x20, 0, &[]), Some("127.0.0.2")),
        (block(0x21, 0x11, &v4[..4]), None),
        (block(0x31, 0x11, &v4), None),
        (block(0x21, 0x11, &vec![0; 5000]), None),
        (b"PROXY TCP4 nonsense 10.0.0.1 5000 80\r\n".to_vec(), None),
        ([&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat(), None),
        (Vec::new(), None),
    ];
    for (header, want) in cases {
        let mut client = Client::connect_from([127, 0, 0, 2].into(), core.address);
        client.try_send(&[&header[..], REQUEST].concat());
        let shown = client.answer().map(|answer| String::from_utf8(answer.body).unwrap());
        assert_eq!(shown.as_deref(), want, "{:?}", String::from_utf8_lossy(&header));
    }
    let mut silent = Client::connect_from([127, 0, 0, 2].into(), core.address);
    silent.send(b"PROXY TCP4 ");
    assert!(silent.closed(), "a header that never ends has a deadline");
}

#[test]
fn nobody_else_may_name_a_client() {
    let core = core();
    let mut client = core.client();
    client.send(REQUEST);
    assert_eq!(client.answer().unwrap().body, b"127.0.0.1");
    let mut liar = core.client();
    liar.send(&[b"PROXY TCP4 1.2.3.4 10.0.0.1 5000 80\r\n", REQUEST].concat());
    assert_eq!(liar.answer().unwrap().status, 400);
}
