//! One repository of one registry, by the OCI distribution specification.

use std::{future::pending, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::{
    Method, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION},
};
use serde::Deserialize;

use super::{
    artifact::{self, Layer, MANIFEST, MAX_MANIFEST},
    credentials::Login,
    error::{RegistryError, printable},
    login::Applicant,
    reference::Reference,
    transport::{Answer, Ask, Transport, authority},
};
use crate::{
    clock::{Clock, Random},
    orchestration::{Failed, RetryPolicy, retry},
    package::Digest,
};

/// What is to be done there.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Pull,
    Push,
}

/// A conversation with a registry about one reference.
pub(super) struct Session<'a> {
    transport: Transport,
    reference: &'a Reference,
    /// `https://host/v2/repository/`
    repository: Url,
    purpose: Purpose,
    login: Option<Login>,
    plain_http: bool,
    /// As the reference names it.
    host: String,
    /// What the registry accepted last.
    authorization: Mutex<Option<HeaderValue>>,
    clock: &'a Clock,
    random: &'a Random,
}

/// Errors in the words of the specification.
#[derive(Deserialize)]
struct Errors {
    errors: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    code: String,
    message: Option<String>,
}

/// Most bytes of an error that are looked at.
const MAX_ERROR: u64 = 16 << 10;

/// A registry that has more than a moment's trouble is for its people.
fn patience() -> RetryPolicy {
    RetryPolicy {
        base_delay: Duration::from_millis(200),
        multiplier: 3.0,
        jitter_factor: 0.2,
        ..RetryPolicy::default()
    }
}

impl<'a> Session<'a> {
    /// Says nothing to anybody yet.
    pub(super) fn new(
        reference: &'a Reference,
        purpose: Purpose,
        login: Option<Login>,
        plain_http: bool,
        clock: &'a Clock,
        random: &'a Random,
    ) -> Result<Self, RegistryError> {
        let local = reference.is_loopback();
        let scheme = if plain_http || local { "http" } else { "https" };
        let host = match reference.authority() {
            // The hub's registry is not where its name is.
            hub if hub == "docker.io" => "registry-1.docker.io".to_owned(),
            host => host,
        };
        let url = format!("{scheme}://{host}/v2/{}/", reference.repository());
        let repository = url
            .parse()
            .map_err(|error| RegistryError::Client(format!("{url}: {error}")))?;
        Ok(Self {
            transport: Transport::new(local, clock.clone())?,
            reference,
            repository,
            purpose,
            login,
            plain_http,
            host: reference.authority(),
            authorization: Mutex::new(None),
            clock,
            random,
        })
    }

    /// The manifest, and the media type that it came as. Its digest is checked
    /// where the reference has one.
    pub(super) async fn manifest(&self) -> Result<(Vec<u8>, Option<String>), RegistryError> {
        let (body, media_type) = self.retrying(|| self.read_manifest()).await?;
        if let Some(expected) = self.reference.digest() {
            check(
                || format!("the manifest of {}", self.reference),
                expected,
                &body,
            )?;
        }
        Ok((body, media_type))
    }

    async fn read_manifest(&self) -> Result<(Vec<u8>, Option<String>), RegistryError> {
        let url = self.at(&format!("manifests/{}", self.reference.key()))?;
        let accepted = HeaderValue::from_str(&artifact::accepted())
            .map_err(|error| RegistryError::Client(error.to_string()))?;
        let ask = Ask::new(Method::GET, url).header(ACCEPT, accepted);
        let answer = self.exchange(ask).await?;
        let answer = self
            .expect(answer, StatusCode::OK, "a request for the manifest")
            .await?;
        let media_type = answer.header(CONTENT_TYPE).map(str::to_owned);
        let body = answer.body(MAX_MANIFEST).await?;
        let body = body.ok_or_else(|| {
            self.unfit(format!("has a manifest of more than {MAX_MANIFEST} bytes"))
        })?;
        Ok((body, media_type))
    }

    /// The bytes of a layer, as its digest says.
    pub(super) async fn layer(&self, layer: Layer) -> Result<Vec<u8>, RegistryError> {
        let bytes = self.retrying(|| self.read_layer(layer)).await?;
        check(
            || format!("the component of {}", self.reference),
            layer.digest,
            &bytes,
        )?;
        Ok(bytes)
    }

    async fn read_layer(&self, layer: Layer) -> Result<Vec<u8>, RegistryError> {
        let url = self.at(&format!("blobs/{}", layer.digest))?;
        let answer = self.exchange(Ask::new(Method::GET, url)).await?;
        let answer = self
            .expect(answer, StatusCode::OK, "a request for the component")
            .await?;
        let body = answer.body(layer.bytes).await?;
        body.ok_or_else(|| {
            let bytes = layer.bytes;
            self.unfit(format!("sends more than the {bytes} bytes of its manifest"))
        })
    }

    /// Brings bytes there, unless they are there.
    pub(super) async fn upload(&self, digest: Digest, bytes: Bytes) -> Result<(), RegistryError> {
        self.retrying(|| self.send_blob(digest, bytes.clone()))
            .await
    }

    async fn send_blob(&self, digest: Digest, bytes: Bytes) -> Result<(), RegistryError> {
        let there = self.at(&format!("blobs/{digest}"))?;
        let there = self.exchange(Ask::new(Method::HEAD, there)).await?;
        if there.status() == StatusCode::OK {
            return Ok(());
        }
        let what = "the start of an upload";
        let start = Ask::new(Method::POST, self.at("blobs/uploads/")?)
            .header(CONTENT_LENGTH, HeaderValue::from_static("0"));
        let answer = self.exchange(start).await?;
        let answer = self.expect(answer, StatusCode::ACCEPTED, what).await?;
        let mut place = self.location(&answer)?;
        place
            .query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        let binary = HeaderValue::from_static("application/octet-stream");
        let ask = Ask::new(Method::PUT, place).header(CONTENT_TYPE, binary);
        let answer = self.exchange(ask.body(bytes)).await?;
        self.expect(answer, StatusCode::CREATED, "an upload")
            .await?;
        Ok(())
    }

    /// Where the registry wants an upload. It may be another host, which then
    /// is not told who we are.
    fn location(&self, answer: &Answer) -> Result<Url, RegistryError> {
        let refused = |reason: &str| RegistryError::Redirect {
            host: authority(answer.url()),
            reason: reason.to_owned(),
        };
        let location = answer.header(LOCATION);
        let location = location.ok_or_else(|| refused("it names no place for an upload"))?;
        let place = answer.url().join(location);
        let place = place.map_err(|_| refused("its place for an upload is no URL"))?;
        match (self.repository.scheme(), place.scheme()) {
            (_, "https") | ("http", "http") => Ok(place),
            _ => Err(refused("its place for an upload is not reached over TLS")),
        }
    }

    /// Puts a manifest under the reference's tag.
    pub(super) async fn publish(
        &self,
        manifest: &Bytes,
        digest: Digest,
    ) -> Result<(), RegistryError> {
        self.retrying(|| self.send_manifest(manifest.clone(), digest))
            .await
    }

    async fn send_manifest(&self, manifest: Bytes, digest: Digest) -> Result<(), RegistryError> {
        let url = self.at(&format!("manifests/{}", self.reference.key()))?;
        let ask = Ask::new(Method::PUT, url)
            .header(CONTENT_TYPE, HeaderValue::from_static(MANIFEST))
            .body(manifest);
        let answer = self.exchange(ask).await?;
        let answer = self
            .expect(answer, StatusCode::CREATED, "the manifest")
            .await?;
        // A registry that rewrites manifests would break every pinned one.
        let kept = answer
            .header("docker-content-digest")
            .and_then(|kept| kept.parse().ok());
        match kept {
            Some(actual) if actual != digest => Err(RegistryError::Damaged {
                what: format!("the manifest that {} kept", self.host),
                expected: digest,
                actual,
            }),
            _ => Ok(()),
        }
    }

    /// A place below the repository.
    fn at(&self, path: &str) -> Result<Url, RegistryError> {
        // By its `:` a digest would look like a scheme.
        let url = self.repository.join(&format!("./{path}"));
        url.map_err(|error| RegistryError::Client(format!("{path}: {error}")))
    }

    /// Sends a request, and once more when the registry first wants to know who
    /// asks.
    async fn exchange(&self, ask: Ask) -> Result<Answer, RegistryError> {
        let answer = self.send(ask.clone()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED || !self.is_registry(answer.url()) {
            return Ok(answer);
        }
        let applicant = self.applicant();
        let authorization = applicant.authorize(&self.transport, &answer).await?;
        *self.authorization.lock() = Some(authorization);
        let answer = self.send(ask).await?;
        if answer.status() == StatusCode::UNAUTHORIZED && self.is_registry(answer.url()) {
            return Err(applicant.refused());
        }
        Ok(answer)
    }

    async fn send(&self, mut ask: Ask) -> Result<Answer, RegistryError> {
        let known = self.authorization.lock().clone();
        if let Some(authorization) = known
            && self.is_registry(ask.url())
        {
            ask = ask.header(AUTHORIZATION, authorization);
        }
        self.transport.send(ask).await
    }

    /// Whether that is where the credentials belong: scheme, host and port.
    fn is_registry(&self, url: &Url) -> bool {
        url.origin() == self.repository.origin()
    }

    fn applicant(&self) -> Applicant<'_> {
        let actions = match self.purpose {
            Purpose::Pull => "pull",
            Purpose::Push => "pull,push",
        };
        Applicant {
            host: &self.host,
            login: self.login.as_ref(),
            scope: format!("repository:{}:{actions}", self.reference.repository()),
            plain_http: self.plain_http,
            local: self.reference.is_loopback(),
        }
    }

    /// The answer, if it has that status.
    async fn expect(
        &self,
        answer: Answer,
        status: StatusCode,
        what: &'static str,
    ) -> Result<Answer, RegistryError> {
        if answer.status() == status {
            return Ok(answer);
        }
        let host = authority(answer.url());
        let status = answer.status();
        let said = said(answer).await;
        Err(match status {
            StatusCode::FORBIDDEN => RegistryError::Denied {
                host,
                repository: self.reference.repository().to_owned(),
                said,
            },
            StatusCode::NOT_FOUND => RegistryError::NotFound {
                host,
                name: self.name(),
                said,
            },
            _ => RegistryError::Answer {
                host,
                what,
                status: status.as_u16(),
                said,
            },
        })
    }

    /// The reference without the registry.
    fn name(&self) -> String {
        let repository = self.reference.repository();
        match self.reference.digest() {
            Some(digest) => format!("{repository}@{digest}"),
            None => format!("{repository}:{}", self.reference.key()),
        }
    }

    fn unfit(&self, reason: String) -> RegistryError {
        RegistryError::Unfit {
            reference: Box::new(self.reference.clone()),
            reason,
        }
    }

    /// Does a step again, a few times, when what stopped it may pass.
    async fn retrying<T, F>(&self, step: impl Fn() -> F) -> Result<T, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        let step = |attempt| {
            let step = step();
            async move {
                step.await.inspect_err(|error| {
                    if error.recoverable() {
                        tracing::info!(%error, attempt, "the registry was asked in vain");
                    }
                })
            }
        };
        let done = retry(&patience(), self.clock, self.random, pending(), step).await;
        done.map_err(|abandoned| {
            let why = abandoned.to_string();
            abandoned.into_last().unwrap_or(RegistryError::Client(why))
        })
    }
}

fn check(what: impl Fn() -> String, expected: Digest, bytes: &[u8]) -> Result<(), RegistryError> {
    let actual = Digest::of(bytes);
    if actual == expected {
        return Ok(());
    }
    Err(RegistryError::Damaged {
        what: what(),
        expected,
        actual,
    })
}

/// The words in which a registry refuses: its errors, else the status.
async fn said(answer: Answer) -> String {
    let status = answer.status();
    let reason = status.canonical_reason().unwrap_or("no known status");
    let body = answer.body(MAX_ERROR).await.ok().flatten();
    let errors = body.and_then(|body| serde_json::from_slice::<Errors>(&body).ok());
    let first = errors.and_then(|errors| errors.errors.into_iter().next());
    match first {
        Some(Said {
            code,
            message: Some(message),
        }) if !message.is_empty() => printable(&format!("{message} ({code})")),
        Some(Said { code, .. }) => printable(&code),
        None => reason.to_lowercase(),
    }
}
