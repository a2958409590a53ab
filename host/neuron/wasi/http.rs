//! Outbound HTTP: each request is held against the rules before anything is
//! looked up or connected to, and none outlives its task.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use ::http::{Request, Response};
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::Value;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, default_send_request};

use crate::{
    neuron::environment::{Environment, LogLevel, LogRecord},
    package::{HttpRule, HttpScheme},
    signal::Object,
};

/// Connections that a task may have at a time; each is a file descriptor of the
/// host's.
const CONNECTIONS: usize = 16;

/// Bytes of a request's body that wait in the host.
const BODY_CHUNK: usize = 16 << 10;

/// Chooses the cryptography of TLS, unless this process has chosen already.
pub(super) fn choose_tls() {
    // An error says that there is one.
    drop(rustls::crypto::ring::default_provider().install_default());
}

type Sent = Result<(Response<WasiBody>, Driver), Error>;
type Driver = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// A task's requests.
pub(super) struct Requests {
    rules: Arc<[HttpRule]>,
    environment: Arc<dyn Environment>,
    connections: Arc<Connections>,
}

impl Requests {
    pub(super) fn new(rules: Arc<[HttpRule]>, environment: Arc<dyn Environment>) -> Self {
        Self {
            rules,
            environment,
            connections: Arc::default(),
        }
    }

    fn check(&self, request: &Request<WasiBody>) -> Result<(), Error> {
        let uri = request.uri();
        let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
        let scheme = match uri.scheme_str() {
            Some("http") => HttpScheme::Http,
            Some("https") => HttpScheme::Https,
            _ => return Err(Error::HttpProtocolError),
        };
        // Names that are not the host's belong to no rule.
        if authority.as_str().contains('@') {
            return Err(Error::HttpRequestUriInvalid);
        }
        let host = authority.host();
        let port = authority.port_u16().unwrap_or(scheme.default_port());
        let method = request.method().as_str();
        let allowed = |rule: &HttpRule| rule.allows(scheme, host, port, method);
        if self.rules.iter().any(allowed) {
            return Ok(());
        }
        self.log_denial(scheme, host, port, method);
        Err(Error::HttpRequestDenied)
    }

    fn log_denial(&self, scheme: HttpScheme, host: &str, port: u16, method: &str) {
        let name = scheme.name();
        let mut message = format!("request denied: no rule allows {method} {name}://{host}:{port}");
        if let Ok(rule) = HttpRule::new(scheme, host, port, [method]) {
            message += &format!(
                "; to allow it grant the http rule {{ scheme = \"{name}\", host = \"{}\", \
                 port = {port}, methods = [\"{method}\"] }} (`--http {rule}`)",
                rule.host()
            );
        }
        message.truncate(message.floor_char_boundary(LogRecord::MAX_BYTES));
        self.environment.log(LogRecord {
            level: LogLevel::Warn,
            message,
            fields: Object::from_iter([("denied".to_owned(), Value::from("http"))]),
        });
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.connections.cut();
    }
}

impl WasiHttpHooks for Requests {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Driver,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let place = self.check(&request).and_then(|()| self.connections.place());
        let place = match place {
            Ok(place) => place,
            Err(error) => return Box::new(async { Err(error) }),
        };
        let connections = Arc::clone(&self.connections);
        let sent = async move {
            let (response, driver) = default_send_request(request, options).await?;
            let driver = connections.cuttable(async move {
                let _place = place;
                driver.await
            });
            let driver: Driver = Box::new(driver);
            Ok((response.map(BodyExt::boxed_unsync), driver))
        };
        Box::new(self.connections.cuttable(sent))
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK
    }
}

/// The futures that move a task's bytes. They run beside the task; with it they
/// are dropped, by whoever drops it and before that returns.
#[derive(Default)]
struct Connections {
    taken: Arc<AtomicUsize>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    futures: Vec<Weak<dyn Cut>>,
    closed: bool,
}

/// One of the places of [`CONNECTIONS`].
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Connections {
    fn place(&self) -> Result<Place, Error> {
        let place = Place(Arc::clone(&self.taken));
        if self.taken.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS {
            return Err(Error::ConnectionLimitReached);
        }
        Ok(place)
    }

    /// Makes a future end with the task.
    fn cuttable<T: 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Cuttable<T> {
        let mut open = self.open.lock();
        let future: Option<BoxFuture<'static, T>> = if open.closed {
            None
        } else {
            Some(Box::pin(future))
        };
        let future = Arc::new(Mutex::new(future));
        open.futures.retain(|one| one.strong_count() > 0);
        let weak: Weak<dyn Cut> = Arc::downgrade(&(Arc::clone(&future) as Arc<dyn Cut>));
        open.futures.push(weak);
        Cuttable(future)
    }

    fn cut(&self) {
        let futures = {
            let mut open = self.open.lock();
            open.closed = true;
            std::mem::take(&mut open.futures)
        };
        for future in futures.iter().filter_map(Weak::upgrade) {
            future.cut();
        }
    }
}

/// A future that can be dropped where it is.
struct Cuttable<T>(Arc<Mutex<Option<BoxFuture<'static, T>>>>);

trait Cut: Send + Sync {
    fn cut(&self);
}

impl<T> Cut for Mutex<Option<BoxFuture<'static, T>>> {
    /// Waits for a poll that is on its way.
    fn cut(&self) {
        drop(self.lock().take());
    }
}

impl<T> Future for Cuttable<T> {
    type Output = T;

    /// Once cut it never ends; its owner is gone and drops it.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.0.lock();
        let Some(future) = slot.as_mut() else {
            return Poll::Pending;
        };
        let polled = future.as_mut().poll(context);
        if polled.is_ready() {
            *slot = None;
        }
        polled
    }
}
