//! HTTP under bounds: of time on the host's clock, of size before anything is
//! held, of where a redirect may lead.

use std::{error::Error, future::Future, time::Duration};

use bytes::Bytes;
use reqwest::{
    Method, StatusCode, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect::{Action, Attempt, Policy},
};

use super::error::{RegistryError, printable};
use crate::clock::Clock;

/// How long a registry may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// A transfer may take a second longer for each so many bytes.
const SLOWEST_BYTES_PER_S: u64 = 64 << 10;
const MAX_REDIRECTS: usize = 5;

/// Sends requests.
pub(super) struct Transport {
    http: reqwest::Client,
    clock: Clock,
}

/// A request that can be sent again.
#[derive(Clone)]
pub(super) struct Ask {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Ask {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

/// An answer, its body not yet read.
pub(super) struct Answer {
    response: reqwest::Response,
    clock: Clock,
}

impl Transport {
    /// `local` registries are reached without a proxy.
    ///
    /// # Errors
    /// When TLS cannot be set up, for want of the system's certificates.
    pub(super) fn new(local: bool, clock: Clock) -> Result<Self, RegistryError> {
        // The one provider that is built in; whoever embeds this host may have
        // chosen another before, which then stays.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("soma/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::custom(redirect))
            .referer(false);
        if local {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| {
            let reason = deepest(&error);
            RegistryError::Client(format!("{reason}; are the CA certificates installed?"))
        })?;
        Ok(Self { http, clock })
    }

    /// Sends a request and waits for the head of the answer.
    pub(super) async fn send(&self, ask: Ask) -> Result<Answer, RegistryError> {
        let host = authority(&ask.url);
        let limit = limit_for(ask.body.len() as u64);
        let sent = self
            .http
            .request(ask.method, ask.url)
            .headers(ask.headers)
            .body(ask.body)
            .send();
        let response = within(&self.clock, &host, limit, sent).await?;
        Ok(Answer {
            response: response.map_err(|error| broken(&host, &error))?,
            clock: self.clock.clone(),
        })
    }
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Who answered, after redirects.
    pub(super) fn url(&self) -> &Url {
        self.response.url()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header that is text.
    pub(super) fn header(&self, name: impl reqwest::header::AsHeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// The body, or nothing where it has more than `limit` bytes.
    pub(super) async fn body(mut self, limit: u64) -> Result<Option<Vec<u8>>, RegistryError> {
        let host = authority(self.url());
        let end = self.clock.monotonic().saturating_add(limit_for(limit));
        let mut body = Vec::new();
        loop {
            let left = end.saturating_sub(self.clock.monotonic());
            let chunk = within(&self.clock, &host, left.min(SILENCE), self.response.chunk());
            let Some(chunk) = chunk.await?.map_err(|error| broken(&host, &error))? else {
                return Ok(Some(body));
            };
            if body.len() as u64 + chunk.len() as u64 > limit {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
    }
}

/// The longest that so many bytes may be on their way.
fn limit_for(bytes: u64) -> Duration {
    SILENCE.saturating_add(Duration::from_secs(bytes / SLOWEST_BYTES_PER_S))
}

async fn within<T>(
    clock: &Clock,
    host: &str,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, RegistryError> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = clock.sleep(limit) => Err(RegistryError::Timeout {
            host: host.to_owned(),
            seconds: limit.as_secs(),
        }),
    }
}

/// Credentials are taken off by the client as soon as scheme, host or port are
/// others; what is left to decide is where to go at all.
fn redirect(attempt: Attempt<'_>) -> Action {
    let from_tls = attempt
        .previous()
        .last()
        .is_some_and(|url| url.scheme() == "https");
    if from_tls && attempt.url().scheme() != "https" {
        return attempt.error("from TLS to none");
    }
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error(format!("more than {MAX_REDIRECTS} times"));
    }
    attempt.follow()
}

fn broken(host: &str, error: &reqwest::Error) -> RegistryError {
    let host = error.url().map_or_else(|| host.to_owned(), authority);
    let reason = deepest(error);
    if error.is_redirect() {
        return RegistryError::Redirect { host, reason };
    }
    RegistryError::Unreachable { host, reason }
}

/// The first cause: those above it say less.
fn deepest(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    printable(&cause.to_string())
}

/// Host, and port where it is not the scheme's own.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
