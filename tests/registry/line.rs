//! A line that breaks, and a registry that does not answer.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use expect_test::expect;
use soma::{
    clock::{Clock, Random, VirtualClock},
    registry::{Registry, RegistryError, Settings},
};

use crate::{
    User, component,
    front::{Front, Reply},
    raw::block,
    server::Server,
};

#[test]
fn a_registry_that_is_down_is_told() {
    // A port that is ours, and that nobody listens on.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let host = socket.local_addr().unwrap().to_string();
    let mut user = User::new("down");
    user.mask(&host, "HOST");
    let reference = format!("oci://{host}/a:1");
    user.pull(&reference, &[]).refuses(5, &expect![[r#"
        error: cannot reach HOST: Connection refused (os error 111)
        help: is it running, and is this its name? a registry without TLS needs `--plain-http`; what was pulled before is to be had with `--offline`
    "#]]);
    let file = user.file("a.wasm", &component("a"));
    user.push(&file, &reference).refuses(5, &expect![[r#"
        error: cannot reach HOST: Connection refused (os error 111)
        help: is it running, and is this its name? a registry without TLS needs `--plain-http`; what was pulled before is to be had with `--offline`
    "#]]);
}

/// A registry of which the first requests fail in this way.
fn failing(port: u16, times: usize, how: fn() -> Reply) -> Front {
    let count = AtomicUsize::new(0);
    Front::start(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        done if done < times => how(),
        _ => Reply::Pass(port),
    })
}

#[test]
fn a_failure_that_may_pass_is_tried_again_twice() {
    let server = Server::start("again-twice");
    let user = User::of("again-twice", &server);
    let file = user.file("a.wasm", &component("a"));
    user.push(&file, &server.at("a:1")).done();
    let hang: fn() -> Reply = || Reply::Hang;
    let busy: fn() -> Reply = || Reply::with("503 Service Unavailable", &[], b"");
    // Three for the manifest, and one for the component, which then is stored.
    for (how, requests) in [(hang, 4), (busy, 3)] {
        let front = failing(server.port, 2, how);
        user.pull(&front.at("a:1"), &[]).done();
        assert_eq!(front.asked().len(), requests);
        let front = failing(server.port, 3, how);
        assert_eq!(user.pull(&front.at("a:1"), &[]).exit, 5);
        assert_eq!(front.asked().len(), 3);
    }
}

#[test]
fn an_upload_that_broke_is_begun_again() {
    let server = Server::start("upload");
    let user = User::of("upload", &server);
    let port = server.port;
    let puts = AtomicUsize::new(0);
    let front = Front::start(move |asked| {
        let first = || puts.fetch_add(1, Ordering::Relaxed) == 0;
        match asked.method.as_str() {
            "PUT" if first() => Reply::Hang,
            _ => Reply::Pass(port),
        }
    });
    let file = user.file("a.wasm", &component("a"));
    user.push(&file, &front.at("a:1")).done();
    user.pull(&server.at("a:1"), &[]).done();
}

#[test]
fn a_refusal_is_not_tried_again() {
    let front = Front::start(|_| {
        let said = br#"{"errors": [{"code": "TAG_INVALID", "message": "no\u001b such\ntag"}]}"#;
        Reply::with("400 Bad Request", &[], said)
    });
    let mut user = User::new("refusal");
    user.mask(&front.address.to_string(), "HOST");
    user.pull(&front.at("a:1"), &[]).refuses(
        5,
        &expect![[r#"
            error: HOST answered a request for the manifest with 400: no� such tag (TAG_INVALID)
        "#]],
    );
    assert_eq!(front.asked().len(), 1);
}

/// A pull under a clock that jumps to whatever is waited for.
fn pull(front: &Front) -> (RegistryError, Duration) {
    let (clock, hand): (Clock, VirtualClock) =
        Clock::virtual_at("2026-11-22T08:00:00Z".parse().unwrap());
    let registry = Registry::new(Settings::default(), clock.clone(), Random::seeded(1));
    let reference = front.at("a:1").parse().unwrap();
    let ended = block(async {
        let time = async {
            loop {
                hand.wait_for_pending(1).await;
                hand.advance_to_next();
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            ended = registry.pull(&reference, None) => ended,
            () = time => panic!("time ended"),
        }
    });
    (ended.unwrap_err(), clock.monotonic())
}

#[test]
fn a_registry_that_is_silent_is_left_after_half_a_minute_three_times() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    for said in [&b""[..], &head[..]] {
        let front = Front::start(|_| Reply::Stall(said.to_vec()));
        let (error, time) = pull(&front);
        assert_eq!(
            error.to_string(),
            format!("{} did not answer within 30 s", front.address)
        );
        assert_eq!(time.as_secs(), 90);
    }
}

#[test]
fn work_on_a_registry_can_move_between_threads() {
    fn is_send(_: &impl Send) {}
    let (clock, _) = Clock::virtual_at("2026-11-22T08:00:00Z".parse().unwrap());
    let registry = Registry::new(Settings::default(), clock, Random::seeded(1));
    let reference = "oci://a/b".parse().unwrap();
    is_send(&registry.pull(&reference, None));
    is_send(&registry.push(Vec::new(), &reference, &std::collections::BTreeMap::new()));
}
