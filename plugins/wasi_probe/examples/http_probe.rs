//! Makes the requests that its input says, through `wasi:http`, one after the
//! other.
//!
//! Input: `{"requests": [{"method": "GET", "url": "http://..", "body"?: text,
//! "follow"?: true, "ignore_reply"?: true}, ..], "at_once"?: n, "timer_ms"?: n}`.
//! Output: `{"said": [result, ..]}`, a result being `{"status", "body"}` or
//! `{"error": code}`. With `follow` a redirect is followed, as a client library
//! in the guest does it. With `at_once` the first request is made so many times
//! and the replies are kept. With `timer_ms` a timer runs beside each request:
//! `{"timer": true}` is said when it was first.

use serde::Deserialize;
use serde_json::{Value, json};
use soma_neuron::{Failure, Task};
use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, Scheme,
};
use wasip2::io::poll;
use wasip2::io::streams::StreamError;

#[derive(Deserialize)]
struct Input {
    requests: Vec<Asked>,
    #[serde(default)]
    at_once: usize,
    #[serde(default)]
    timer_ms: Option<u64>,
}

#[derive(Clone, Deserialize)]
struct Asked {
    method: String,
    url: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    follow: bool,
    #[serde(default)]
    ignore_reply: bool,
}

fn handle(task: Task<Input>) -> Result<Value, Failure> {
    let Input {
        requests,
        at_once,
        timer_ms,
    } = task.input;
    if at_once > 0 {
        let kept = requests.iter().cycle().take(at_once).map(send);
        let kept: Vec<_> = kept.collect();
        let said = kept.iter().map(|sent| match sent {
            Ok(future) => wait(future).map_or_else(error, |reply| json!(reply.status())),
            Err(code) => error(code.clone()),
        });
        return Ok(json!({"said": said.collect::<Vec<_>>()}));
    }
    let said = requests.iter().map(|asked| {
        let outcome = ask(asked, timer_ms);
        outcome.unwrap_or_else(error)
    });
    Ok(json!({"said": said.collect::<Vec<_>>()}))
}

fn error(code: ErrorCode) -> Value {
    // `ErrorCode::HttpRequestDenied`, or a case with its facts.
    let shown = format!("{code:?}");
    let case = shown.trim_start_matches("ErrorCode::");
    json!({"error": case.split(['(', ' ']).next()})
}

fn ask(asked: &Asked, timer_ms: Option<u64>) -> Result<Value, ErrorCode> {
    let future = send(asked)?;
    if asked.ignore_reply {
        return Ok(json!("sent"));
    }
    if let Some(ms) = timer_ms {
        let timer = monotonic_clock::subscribe_duration(ms.saturating_mul(1_000_000));
        let ready = poll::poll(&[&timer, &future.subscribe()]);
        if ready.contains(&0) {
            return Ok(json!({"timer": true}));
        }
    }
    let reply = wait(&future)?;
    let status = reply.status();
    if asked.follow && (300..400).contains(&status) {
        let places = reply.headers().get("location");
        let place = places
            .first()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let next = Asked {
            url: place.unwrap_or_default(),
            ..asked.clone()
        };
        return ask(&next, timer_ms);
    }
    Ok(json!({"status": status, "body": body(&reply)?}))
}

fn internal() -> ErrorCode {
    ErrorCode::InternalError(None)
}

/// Taken apart as written, whatever it is: the host has to see through it.
fn send(asked: &Asked) -> Result<FutureIncomingResponse, ErrorCode> {
    let (scheme, rest) = asked.url.split_once("://").unwrap_or(("http", &asked.url));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let request = OutgoingRequest::new(Fields::new());
    let method = match asked.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        other => Method::Other(other.to_owned()),
    };
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request.set_method(&method).map_err(|()| internal())?;
    request.set_scheme(Some(&scheme)).map_err(|()| internal())?;
    request
        .set_authority(Some(authority))
        .map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    request
        .set_path_with_query(Some(path))
        .map_err(|()| ErrorCode::HttpRequestUriInvalid)?;
    let sending = request.body().map_err(|()| internal())?;
    let future = outgoing_handler::handle(request, None)?;
    if let Some(text) = &asked.body {
        let stream = sending.write().map_err(|()| internal())?;
        stream
            .blocking_write_and_flush(text.as_bytes())
            .map_err(|_| internal())?;
    }
    OutgoingBody::finish(sending, None)?;
    Ok(future)
}

fn wait(future: &FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    future.subscribe().block();
    future
        .get()
        .ok_or_else(internal)?
        .map_err(|()| internal())?
}

fn body(reply: &IncomingResponse) -> Result<String, ErrorCode> {
    let body = reply.consume().map_err(|()| internal())?;
    let stream = body.stream().map_err(|()| internal())?;
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(10_000) {
            Ok(bytes) => all.extend(bytes),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return Err(internal()),
        }
    }
    Ok(String::from_utf8_lossy(&all).into_owned())
}

soma_neuron::neuron!(handle);
