//! MariaDB keeps committed rows, gives each test a database, and runs READ COMMITTED.

use spike_devstack::{MariaDbServer, fixture};

#[test]
fn a_committed_row_survives_kill_9() {
    let server = MariaDbServer::start(&fixture::folder("mariadb")).expect("started");
    let url = server.create_database("kept").expect("created");
    assert_eq!(url, format!("mysql://spike:spike@127.0.0.1:{}/kept", server.port()));
    server
        .query("CREATE TABLE kept.t (id INT PRIMARY KEY); INSERT INTO kept.t VALUES (1), (2)")
        .expect("written");
    server.kill9();
    assert!(server.query("SELECT 1").is_err());
    server.restart().expect("restarted");
    assert_eq!(server.query("SELECT COUNT(*) FROM kept.t").expect("counted"), "2");
    assert_eq!(server.create_database("kept").expect("still there"), url);
}

#[test]
fn the_shared_server_has_the_shipped_settings() {
    let answer = fixture::mariadb()
        .query("SELECT @@tx_isolation, @@innodb_flush_log_at_trx_commit, @@time_zone, @@collation_server")
        .expect("answered");
    assert_eq!(answer, "READ-COMMITTED\t1\t+00:00\tutf8mb4_unicode_ci");
}

#[test]
fn each_database_is_new() {
    let (first, second) = (fixture::database(), fixture::database());
    assert_ne!(first, second);
    let name = first.rsplit('/').next().expect("a url has a path");
    let tables = format!("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '{name}'");
    assert_eq!(fixture::mariadb().query(&tables).expect("counted"), "0");
}

#[test]
fn a_database_name_is_never_sql() {
    let error = fixture::mariadb().create_database("x`; DROP DATABASE mysql; --").expect_err("refused");
    assert!(error.to_string().contains("letters, digits"), "{error}");
}
