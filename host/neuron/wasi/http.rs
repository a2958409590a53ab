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
use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource},
};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpHooks, WasiHttpView, default_send_request,
    p2::{
        add_only_http_to_linker_async,
        bindings::http::types::{HostOutgoingRequest, Method, OutgoingRequest},
    },
};

use crate::{
    neuron::{
        environment::{LogLevel, LogRecord},
        guest::{Guest, Log, cut},
    },
    package::{HttpRule, HttpScheme},
    signal::Object,
};

/// Connections that a task may have at a time; each is a file descriptor of the
/// host's.
const CONNECTIONS: usize = 16;

/// Bytes of a request's body that wait in the host.
const BODY_CHUNK: usize = 16 << 10;

/// Bytes of a method or an authority that a request is given before it is sent;
/// what lies beyond is refused like one that is malformed. Path and headers are
/// bounded by `wasmtime-wasi-http` itself.
const METHOD_BYTES: usize = 64;
const AUTHORITY_BYTES: usize = 512;

/// The interface whose functions [`link`] bounds, as `wasmtime-wasi-http` names
/// it.
const TYPES: &str = "wasi:http/types@0.2.12";

/// Adds `wasi:http`.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    choose_tls();
    add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: StoreContextMut<'_, Guest>,
         (request, method): (Resource<OutgoingRequest>, Method)| {
            let mut http = store.data_mut().http();
            if matches!(&method, Method::Other(name) if name.len() > METHOD_BYTES) {
                return Ok((Err(()),));
            }
            Ok((http.set_method(request, method)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: StoreContextMut<'_, Guest>,
         (request, authority): (Resource<OutgoingRequest>, Option<String>)| {
            let mut http = store.data_mut().http();
            if authority
                .as_ref()
                .is_some_and(|name| name.len() > AUTHORITY_BYTES)
            {
                return Ok((Err(()),));
            }
            Ok((http.set_authority(request, authority)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Chooses the cryptography of TLS, unless this process has chosen already.
fn choose_tls() {
    // An error says that there is one.
    drop(rustls::crypto::ring::default_provider().install_default());
}

type Sent = Result<(Response<WasiBody>, Driver), Error>;
type Driver = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// A task's requests.
pub(super) struct Requests {
    rules: Arc<[HttpRule]>,
    log: Log,
    connections: Arc<Connections>,
}

impl Requests {
    pub(super) fn new(rules: Arc<[HttpRule]>, log: Log) -> Self {
        Self {
            rules,
            log,
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
            message += &format!("; to allow it grant the http rule `{rule}`");
        }
        let record = LogRecord {
            level: LogLevel::Warn,
            message: cut(message, LogRecord::MAX_BYTES),
            fields: Object::from_iter([("denied".to_owned(), Value::from("http"))]),
        };
        let bytes = record.message.len();
        self.log.write(record, bytes);
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::{atomic::AtomicBool, mpsc};

    use futures_util::FutureExt;

    use super::*;

    /// Tells that it was dropped.
    struct Dropped(Arc<AtomicBool>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn waiting(connections: &Connections) -> (Cuttable<()>, Arc<AtomicBool>) {
        let told = Arc::new(AtomicBool::new(false));
        let dropped = Dropped(Arc::clone(&told));
        let future = connections.cuttable(async move {
            let _dropped = dropped;
            std::future::pending::<()>().await;
        });
        (future, told)
    }

    #[test]
    fn what_is_cut_is_dropped_when_the_cut_returns_and_never_ends() {
        let connections = Connections::default();
        let (mut future, dropped) = waiting(&connections);
        assert!((&mut future).now_or_never().is_none());
        assert!(!dropped.load(Ordering::SeqCst));
        connections.cut();
        assert!(dropped.load(Ordering::SeqCst));
        assert!((&mut future).now_or_never().is_none());
    }

    #[test]
    fn a_cut_waits_for_what_is_being_polled() {
        let connections = Connections::default();
        let (inside, is_inside) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let (done, is_done) = mpsc::channel();
        let future = connections.cuttable(async move {
            inside.send(()).unwrap();
            may_go_on.recv().unwrap();
            done.send(()).unwrap();
            std::future::pending::<()>().await;
        });
        std::thread::scope(|scope| {
            scope.spawn(move || future.now_or_never());
            is_inside.recv().unwrap();
            scope.spawn(move || go_on.send(()).unwrap());
            connections.cut();
            is_done.try_recv().unwrap();
        });
    }

    #[test]
    fn nothing_begins_after_the_cut() {
        let connections = Connections::default();
        connections.cut();
        let (future, dropped) = waiting(&connections);
        assert!(dropped.load(Ordering::SeqCst));
        assert!(future.now_or_never().is_none());
    }

    #[test]
    fn places_are_given_back() {
        let connections = Connections::default();
        let taken: Vec<_> = (0..CONNECTIONS).map(|_| connections.place()).collect();
        assert!(taken.iter().all(Result::is_ok));
        assert!(connections.place().is_err());
        drop(taken);
        assert!(connections.place().is_ok());
    }
}
