//! The configuration of nginx.

use std::io::ErrorKind;

use spike_devstack::fixture;
use spike_peers::nginx::{NginxOptions, write_config};

use super::shop::{EPOCH, EVENT, PER_USER_LIMIT, config};

#[test]
fn a_folder_that_nginx_would_misread_is_refused() {
    let config = config(&[]);
    let options = NginxOptions {
        listen: "127.0.0.1:8080".parse().unwrap(),
        redis: "127.0.0.1:6379".parse().unwrap(),
        redis_timeout_ms: 1000,
        event: EVENT,
        epoch: EPOCH,
        per_user_limit: PER_USER_LIMIT,
        auth: &config.auth,
        limits: &config.limits,
    };
    let folder = fixture::folder("nginx");
    for name in ["with space", "a;b", "a\"b", "$pid"] {
        let odd = folder.join(name);
        std::fs::create_dir(&odd).unwrap();
        let refused = write_config(&odd, &options).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{name}");
        assert!(refused.to_string().contains(name), "{refused}");
    }
    assert!(write_config(&folder.join("missing"), &options).is_err());
    assert!(write_config(&folder, &options).unwrap().is_file());
}
