//! Outbound HTTP: what a rule allows and nothing near it.

use std::time::Duration;

use expect_test::expect;
use serde_json::{Value, json};
use soma::{
    Host,
    neuron::{Grants, HttpRule, Limits, Time, Wasi},
    orchestration::{Dispatch, StopOptions, TenantHandle},
};

use crate::{
    answer, common,
    common::{LONG, run, server::Server, until},
    error, lines, probe, probe_within, with,
};

fn rules(all: &[String]) -> Grants {
    let http = all.iter().map(|rule| rule.parse::<HttpRule>().unwrap());
    with(Wasi {
        http: http.collect(),
        ..Wasi::default()
    })
}

/// A rule for a method of the server.
fn rule(server: &Server, methods: &str) -> String {
    format!("{methods}={}", server.url(""))
}

fn get(url: &str) -> Value {
    json!({"method": "GET", "url": url})
}

fn to_ask(requests: Value) -> Dispatch {
    Dispatch::to_neuron("probe").input(json!({ "requests": requests }))
}

fn said(host: &Host, tenant: &TenantHandle, task: Dispatch) -> Vec<Value> {
    common::said(&answer(host, tenant, task))
}

/// What the probe is answered under these rules.
fn asked(all: &[String], requests: Value) -> Vec<Value> {
    let host = common::host();
    let tenant = probe(&host, "http_probe", &rules(all));
    said(&host, &tenant, to_ask(requests))
}

fn denied() -> Value {
    error("HttpRequestDenied")
}

#[test]
fn what_a_rule_allows_is_answered() {
    let server = Server::start();
    let requests = json!([
        get(&server.url("/hello")),
        {"method": "POST", "url": server.url("/echo"), "body": "a body"},
        get(&server.url("/nowhere")),
    ]);
    assert_eq!(
        asked(&[rule(&server, "GET,POST")], requests),
        [
            json!({"status": 200, "body": "hello"}),
            json!({"status": 200, "body": "a body"}),
            json!({"status": 404, "body": ""}),
        ]
    );
    assert_eq!(
        server.requests(),
        [
            "GET /hello HTTP/1.1",
            "POST /echo HTTP/1.1",
            "GET /nowhere HTTP/1.1"
        ]
    );
}

#[test]
fn another_scheme_host_port_or_method_is_denied_and_nobody_is_connected_to() {
    let server = Server::start();
    let port = server.port();
    let other = Server::start();
    let requests = json!([
        get(&format!("https://127.0.0.1:{port}/hello")),
        get(&format!("http://localhost:{port}/hello")),
        get(&format!("http://127.0.0.2:{port}/hello")),
        get(&format!("http://[::1]:{port}/hello")),
        get(&other.url("/hello")),
        get("http://127.0.0.1/hello"),
        {"method": "POST", "url": server.url("/hello")},
        {"method": "DELETE", "url": server.url("/hello")},
        {"method": "get", "url": server.url("/hello")},
        {"method": "CONNECT", "url": server.url("/hello")},
        {"method": "PURGE", "url": server.url("/hello")},
    ]);
    let count = requests.as_array().unwrap().len();
    let said = asked(&[rule(&server, "GET")], requests);
    assert_eq!(said, vec![denied(); count]);
    assert_eq!((server.connections(), other.connections()), (0, 0));
}

#[test]
fn a_name_without_a_rule_is_not_looked_up() {
    // A look-up would end in an error of its own.
    let said = asked(
        &["GET=http://allowed.invalid".to_owned()],
        json!([get("http://other.invalid/"), get("http://allowed.invalid/")]),
    );
    assert_eq!(said[0], denied());
    assert_ne!(said[1], denied());
    assert!(said[1].get("error").is_some(), "{said:?}");
}

#[test]
fn an_authority_that_hides_its_host_is_refused() {
    let server = Server::start();
    let place = format!("127.0.0.1:{}", server.port());
    for url in [
        format!("http://127.0.0.1@localhost:{}/hello", server.port()),
        format!("http://me@{place}/hello"),
        format!("http://me:word@{place}/hello"),
        format!("http://{place}\\@other.invalid/hello"),
        "http:///hello".to_owned(),
    ] {
        let said = asked(&[rule(&server, "GET")], json!([get(&url)]));
        assert!(said[0].get("error").is_some(), "{url}: {said:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_redirect_is_a_new_request_and_held_against_the_rules() {
    let allowed = Server::start();
    let denied_one = Server::start();
    let follow = |to: &str| {
        let url = allowed.url(&format!("/redirect?{to}"));
        json!({"method": "GET", "url": url, "follow": true})
    };
    let said = asked(
        &[rule(&allowed, "GET")],
        json!([
            follow(&denied_one.url("/hello")),
            follow(&format!("https://127.0.0.1:{}/hello", allowed.port())),
            follow(&allowed.url("/hello")),
        ]),
    );
    assert_eq!(
        said,
        [denied(), denied(), json!({"status": 200, "body": "hello"})]
    );
    assert_eq!(denied_one.connections(), 0);
    // A host follows none by itself.
    let url = allowed.url(&format!("/redirect?{}", allowed.url("/hello")));
    let said = asked(&[rule(&allowed, "GET")], json!([get(&url)]));
    assert_eq!(said, [json!({"status": 302, "body": ""})]);
}

#[test]
fn a_denial_is_logged_with_the_rule_that_would_allow_it() {
    lines::collect();
    let host = common::host();
    let tenant = probe(
        &host,
        "http_probe",
        &rules(&["GET=https://a.example".to_owned()]),
    );
    let requests = json!([
        {"method": "POST", "url": "https://A.example/x"},
        {"method": "CONNECT", "url": "https://a.example:8443/x"},
    ]);
    let answer = answer(&host, &tenant, to_ask(requests));
    assert_eq!(common::said(&answer), [denied(), denied()]);
    let told: Vec<_> = lines::of(&answer.signal.trace_id)
        .into_iter()
        .map(|line| format!("{} {}", line.level, line.message))
        .collect();
    expect![[r#"
        WARN request denied: no rule allows POST https://A.example:443; to allow it grant the http rule `POST=https://a.example:443`
        WARN request denied: no rule allows CONNECT https://a.example:8443"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn stop_cuts_a_request_that_waits() {
    let server = Server::start();
    let host = common::host();
    let limits = Limits {
        wall: LONG,
        ..Limits::default()
    };
    let tenant = probe_within(&host, "http_probe", &rules(&[rule(&server, "GET")]), limits);
    let url = server.url("/wait");
    run(&host, async move {
        let pathway = tenant.dispatch(to_ask(json!([get(&url)]))).unwrap();
        until(|| !server.requests().is_empty()).await;
        let trace = pathway.trace_id().clone();
        let acks = tenant.stop_trace(&trace, StopOptions::default()).await;
        assert_eq!(acks[0].cancelled, 1);
        assert_eq!(
            tenant.tenant().memory_held(),
            0,
            "the instance is still there"
        );
        until(|| server.cuts() == 1).await;
    });
}

#[test]
fn a_deadline_cuts_a_request_that_waits() {
    let server = Server::start();
    let (host, hand) = common::virtual_host();
    let tenant = probe(&host, "http_probe", &rules(&[rule(&server, "GET")]));
    let url = server.url("/wait");
    run(&host, async move {
        let mut pathway = tenant.dispatch(to_ask(json!([get(&url)]))).unwrap();
        until(|| !server.requests().is_empty()).await;
        hand.wait_for_pending(1).await;
        hand.advance(Limits::default().wall);
        let answer = pathway.wait(LONG).await.unwrap();
        assert_eq!(common::error(&answer).code, "NEURON_DEADLINE");
        until(|| server.cuts() == 1).await;
    });
}

#[test]
fn a_request_ends_with_the_task_that_made_it() {
    let server = Server::start();
    let url = server.url("/wait");
    let request = json!([
        {"method": "GET", "url": url, "ignore_reply": true},
        get(&server.url("/all/1")),
    ]);
    let said = asked(&[rule(&server, "GET")], request);
    assert_eq!(said, [json!("sent"), json!({"status": 200, "body": "all"})]);
    // Whether it was sent or not: it is not there any more.
    let sent = server
        .requests()
        .iter()
        .filter(|line| line.contains("/wait"))
        .count();
    server.wait_for_cuts(sent);
}

#[test]
fn a_task_has_so_many_connections_and_no_more() {
    let server = Server::start();
    let host = common::host();
    let tenant = probe(&host, "http_probe", &rules(&[rule(&server, "GET")]));
    let input = json!({"requests": [get(&server.url("/all/16"))], "at_once": 20});
    let task = || Dispatch::to_neuron("probe").input(input.clone());
    let mut expected = vec![json!(200); 16];
    expected.extend(vec![error("ConnectionLimitReached"); 4]);
    assert_eq!(said(&host, &tenant, task()), expected);
    // They are given back.
    let again = json!([get(&server.url("/hello"))]);
    assert_eq!(
        said(&host, &tenant, to_ask(again)),
        [json!({"status": 200, "body": "hello"})]
    );
}

#[test]
fn a_request_that_is_not_sent_keeps_no_more_than_it_needs() {
    let long = |bytes: usize| "A".repeat(bytes);
    let with_method = |method: &str| json!({"method": method, "url": "http://a.invalid/"});
    let said = asked(
        &["GET=http://b.invalid".to_owned()],
        json!([
            with_method(&long(64)),
            with_method(&long(65)),
            get(&format!("http://{}/", long(512))),
            get(&format!("http://{}/", long(513))),
            get(&format!("http://a.invalid/{}", long(65_534))),
        ]),
    );
    assert_eq!(
        said,
        [
            denied(),
            error("InternalError"),
            denied(),
            error("HttpRequestUriInvalid"),
            error("HttpRequestUriInvalid"),
        ]
    );
}

#[test]
fn in_virtual_time_a_timer_does_not_overtake_a_reply() {
    let server = Server::start();
    let host = common::host();
    let grants = rules(&[rule(&server, "GET")]).with_time(Time::Virtual);
    let tenant = probe(&host, "http_probe", &grants);
    let url = server.url("/slow/50");
    let task = Dispatch::to_neuron("probe").input(json!({"requests": [get(&url)], "timer_ms": 1}));
    assert_eq!(
        said(&host, &tenant, task),
        [json!({"status": 200, "body": "slow"})]
    );
}

#[test]
fn in_wall_time_a_timer_that_is_over_first_comes_first() {
    let server = Server::start();
    let (host, hand) = common::virtual_host();
    let tenant = probe(&host, "http_probe", &rules(&[rule(&server, "GET")]));
    let url = server.url("/wait");
    run(&host, async move {
        let task =
            Dispatch::to_neuron("probe").input(json!({"requests": [get(&url)], "timer_ms": 1_000}));
        let mut pathway = tenant.dispatch(task).unwrap();
        // The timer and the limit on the task.
        hand.wait_for_pending(2).await;
        hand.advance(Duration::from_secs(1));
        let answer = pathway.wait(LONG).await.unwrap();
        assert_eq!(common::said(&answer), [json!({"timer": true})]);
    });
}

#[test]
fn a_server_that_speaks_no_tls_is_no_https_server() {
    let server = Server::start();
    let url = format!("https://127.0.0.1:{}/hello", server.port());
    let said = asked(
        &[format!("GET={url}").replace("/hello", "")],
        json!([get(&url)]),
    );
    assert_eq!(said, [error("TlsProtocolError")]);
    assert_eq!(server.connections(), 1);
}
