//! Doing what `soma up` is told.

use std::{
    collections::BTreeMap,
    fs,
    future::{Future, pending},
    os::unix::fs::MetadataExt,
    panic::{AssertUnwindSafe, resume_unwind},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex as Turns, Semaphore, mpsc},
    task::{JoinError, JoinSet, spawn_blocking},
};

use super::request::{Keys, Request};
use crate::{
    Host,
    cli::check::Told,
    deployment::{Changes, Deployment, Running, Summary},
    orchestration::{Dispatch, OpenTrace, StopOptions, TenantHandle},
    package::{Problem, Problems},
    registry::Registry,
    signal::TraceId,
};

/// How often `--watch` looks.
const LOOK: Duration = Duration::from_millis(500);

/// Requests that are in hand at a time, those that wait for a task's turn
/// included, and KiB of them together; then standard input waits.
const IN_HAND: u32 = 10_000;
const IN_HAND_KIB: u32 = 256 << 10;

/// A line of standard input, or what is wrong with it.
pub(super) type Line = Result<Vec<u8>, String>;

/// Takes answers, one a line.
type Answers = mpsc::Sender<String>;

/// A deployment at work.
pub(super) struct Server {
    file: PathBuf,
    host: Arc<Host>,
    registry: Registry,
    /// One change at a time. Held by the thread that makes it, until the end.
    turns: Arc<Turns<()>>,
    /// Locked for as long as a change takes: not to be touched by a guest's
    /// thread.
    running: Mutex<Running>,
    /// What runs, as it is told.
    summaries: Mutex<Arc<Vec<Summary>>>,
    /// Traces that a request opened and none has ended, by their tenant.
    open: Mutex<BTreeMap<(Arc<str>, TraceId), OpenTrace>>,
    /// The files of the deployment as it runs.
    files: Mutex<Vec<PathBuf>>,
}

/// What tells that a file is another by now; none for one that is not there.
type Stamps = BTreeMap<PathBuf, Option<(u64, i64, i64)>>;

impl Server {
    pub(super) fn new(file: PathBuf, host: Arc<Host>, registry: Registry) -> Self {
        Self {
            file,
            host,
            registry,
            turns: Arc::default(),
            running: Mutex::default(),
            summaries: Mutex::default(),
            open: Mutex::default(),
            files: Mutex::default(),
        }
    }

    /// How many neurons run.
    pub(super) fn size(&self) -> usize {
        self.summaries.lock().len()
    }

    /// Takes requests until there are no more and all are answered.
    pub(super) async fn serve(
        self: Arc<Self>,
        requests: mpsc::Receiver<Line>,
        answers: Answers,
        watch: bool,
    ) {
        // Before the first answer: whoever has it may change a file.
        let seen = self.stamps().await;
        let watching = async {
            match watch {
                true => self.watch(seen, &answers).await,
                false => pending().await,
            }
        };
        tokio::select! {
            () = watching => {}
            () = self.take(requests, &answers) => {}
        }
        // A change that has begun ends before the host does.
        drop(self.turns.lock().await);
    }

    async fn take(self: &Arc<Self>, mut requests: mpsc::Receiver<Line>, answers: &Answers) {
        let room = Arc::new(Semaphore::new(IN_HAND_KIB as usize));
        let mut work = JoinSet::new();
        while let Some(line) = requests.recv().await {
            // Nobody closes it.
            let Ok(room) = Arc::clone(&room).acquire_many_owned(share(&line)).await else {
                break;
            };
            let (own, answers) = (Arc::clone(self), answers.clone());
            work.spawn(async move {
                own.answer(line, &answers).await;
                drop(room);
            });
            // What is done is forgotten, so that the set does not grow.
            while let Some(ended) = work.try_join_next() {
                whole(ended);
            }
        }
        while let Some(ended) = work.join_next().await {
            whole(ended);
        }
    }

    /// Reloads whenever a file of the deployment is another than it was `seen`.
    async fn watch(self: &Arc<Self>, mut seen: Stamps, answers: &Answers) {
        loop {
            self.host.clock().sleep(LOOK).await;
            let now = self.stamps().await;
            if now == seen {
                continue;
            }
            let told = async { Ok(self.reload().await) };
            tell(answers, &Value::Null, told).await;
            // There may be other files by now. What has changed while the reload
            // went on is looked at again.
            seen = self.stamps().await;
            for (file, stamp) in &mut seen {
                if let Some(before) = now.get(file) {
                    *stamp = *before;
                }
            }
        }
    }

    async fn stamps(self: &Arc<Self>) -> Stamps {
        let files = self.files.lock().clone();
        aside(move || {
            let stamp = |file: PathBuf| {
                let data = fs::metadata(&file).ok();
                let stamp = data.map(|data| (data.ino(), data.mtime(), data.mtime_nsec()));
                (file, stamp)
            };
            files.into_iter().map(stamp).collect()
        })
        .await
    }

    async fn answer(self: Arc<Self>, line: Line, answers: &Answers) {
        let read = line
            .map_err(|words| (Value::Null, words))
            .and_then(|line| Keys::read(&line));
        match read {
            Err((id, words)) => tell(answers, &id, async { Err(words) }).await,
            Ok(keys) => tell(answers, &keys.id.clone(), self.done(keys)).await,
        }
    }

    async fn done(self: &Arc<Self>, keys: Keys) -> Result<Value, String> {
        let tenant = keys.tenant.clone();
        let tenant = || {
            let name = tenant.as_deref().ok_or("the key `tenant` is missing")?;
            let found = self.host.tenant(name);
            found.ok_or_else(|| format!("there is no tenant `{name}`"))
        };
        match keys.request()? {
            Request::Task {
                task,
                trace,
                timeout,
            } => {
                let tenant = tenant()?;
                if let Some(trace) = trace {
                    known(&tenant, &trace)?;
                }
                let timeout = timeout.map_or(Duration::MAX, |span| span.duration);
                run(tenant, *task, timeout).await
            }
            Request::Open => {
                let tenant = tenant()?;
                let trace = tenant.open_trace();
                let id = trace.id().clone();
                let key = (Arc::clone(tenant.tenant().name()), id.clone());
                self.open.lock().insert(key, trace);
                Ok(json!({"trace_id": id.to_string()}))
            }
            Request::Commit(trace) => {
                let tenant = tenant()?;
                let held = self.held(&tenant, &trace);
                let committed = tenant.commit_trace(&trace).await;
                drop(held);
                Ok(json!({"committed": committed}))
            }
            Request::Stop {
                trace,
                rollback,
                reason,
            } => {
                let tenant = tenant()?;
                let held = self.held(&tenant, &trace);
                let options = StopOptions {
                    rollback,
                    reason: reason.map(Arc::from),
                };
                let stopped = tenant.stop_trace(&trace, options).await;
                drop(held);
                Ok(json!({"stopped": stopped.iter().map(|one| json!({
                    "node": &*one.node,
                    "cancelled": one.cancelled,
                    "compensated": one.compensated,
                    "rolled_back": one.rolled_back,
                    "kept": one.kept.iter().map(ToString::to_string).collect::<Vec<_>>(),
                })).collect::<Vec<_>>()}))
            }
            Request::Reload => Ok(self.reload().await),
            Request::Status => Ok(self.status()),
        }
    }

    /// A trace that the tenant opened by a request.
    fn held(&self, tenant: &TenantHandle, trace: &TraceId) -> Option<OpenTrace> {
        let key = (Arc::clone(tenant.tenant().name()), trace.clone());
        self.open.lock().remove(&key)
    }

    fn status(&self) -> Value {
        let summaries = Arc::clone(&self.summaries.lock());
        json!({
            "neurons": *summaries,
            "live_instances": self.host.sandbox().live(),
        })
    }

    async fn reload(self: &Arc<Self>) -> Value {
        let turn = Arc::clone(&self.turns).lock_owned().await;
        let own = Arc::clone(self);
        let changes = aside(move || {
            let deployment = Deployment::read(&own.file);
            let changes = deployment.and_then(|deployment| own.apply_here(&deployment));
            drop(turn);
            changes
        })
        .await;
        let told =
            |problems: &[Problem]| -> Vec<Told> { problems.iter().map(Told::from).collect() };
        match changes {
            Ok(Changes {
                added,
                replaced,
                removed,
                warnings,
            }) => json!({
                "reloaded": {
                    "added": added,
                    "replaced": replaced,
                    "removed": removed,
                    "warnings": told(&warnings),
                }
            }),
            Err(Problems(problems)) => json!({
                "error": "the deployment was not reloaded; what ran goes on",
                "problems": told(&problems),
            }),
        }
    }

    /// Brings the host to the deployment; blocks while it fetches and compiles.
    pub(super) fn apply_here(&self, deployment: &Deployment) -> Result<Changes, Problems> {
        let mut running = self.running.lock();
        let changes = deployment.apply(&self.host, &self.registry, &mut running)?;
        *self.summaries.lock() = Arc::new(running.summaries());
        *self.files.lock() = deployment.files();
        Ok(changes)
    }
}

/// On a thread that no guest uses.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// Work that was never told to end early has ended by itself, or by a panic
/// that nobody has caught: that is not to be missed.
fn whole(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        resume_unwind(error.into_panic());
    }
}

/// What a line takes of the room for requests.
fn share(line: &Line) -> u32 {
    let bytes = line.as_ref().map_or(0, Vec::len);
    let kibibytes = u32::try_from(bytes >> 10).unwrap_or(IN_HAND_KIB);
    kibibytes.clamp(IN_HAND_KIB / IN_HAND, IN_HAND_KIB)
}

/// A trace that nobody opened would be made for the task, and none that its id
/// was meant for.
fn known(tenant: &TenantHandle, trace: &TraceId) -> Result<(), String> {
    if tenant.traces().contains(trace) {
        return Ok(());
    }
    Err(format!(
        "there is no open trace {trace}: it was stopped or committed, or never opened"
    ))
}

async fn run(tenant: TenantHandle, task: Dispatch, timeout: Duration) -> Result<Value, String> {
    let answer = tenant.dispatch_and_wait(task, timeout).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let micros = u64::try_from(answer.usage.wall.as_micros()).unwrap_or(u64::MAX);
    Ok(json!({
        "type": answer.signal.signal_type().as_str(),
        "route": answer.route.as_deref(),
        "payload": answer.signal.payload.to_object(),
        "trace_id": answer.signal.trace_id.to_string(),
        "fuel": answer.usage.fuel,
        "wall_us": micros,
    }))
}

/// Says what comes of `work`, also where that panics: whoever asked waits for an
/// answer. What it shares is behind locks that a panic does not close.
async fn tell(answers: &Answers, id: &Value, work: impl Future<Output = Result<Value, String>>) {
    let told = AssertUnwindSafe(work).catch_unwind().await;
    let told = told.unwrap_or_else(|_| {
        let words = "the host panicked, which is a bug of its own; what came of this is not known";
        Err(words.to_owned())
    });
    let told = told.unwrap_or_else(|words| json!({"error": words}));
    say(answers, id, told).await;
}

/// One answer, one line.
async fn say(answers: &Answers, id: &Value, mut answer: Value) {
    if let Some(keys) = answer.as_object_mut() {
        keys.shift_insert(0, "id".to_owned(), id.clone());
    }
    // Nobody takes it any more when it cannot be written.
    drop(answers.send(answer.to_string()).await);
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test fails by panicking"
    )]

    use super::*;

    #[tokio::test]
    async fn a_request_at_which_the_host_panics_is_answered_with_its_id() {
        let (answers, mut written) = mpsc::channel(2);
        let id = json!({"any": 7});
        tell(&answers, &id, async { panic!("a bug") }).await;
        tell(&answers, &json!(8), async { Ok(json!({"done": true})) }).await;
        assert_eq!(
            written.recv().await.unwrap(),
            r#"{"id":{"any":7},"error":"the host panicked, which is a bug of its own; what came of this is not known"}"#
        );
        assert_eq!(written.recv().await.unwrap(), r#"{"id":8,"done":true}"#);
    }

    #[tokio::test]
    #[should_panic(expected = "a bug")]
    async fn a_panic_that_nothing_has_caught_is_not_missed() {
        let mut work = JoinSet::new();
        work.spawn(async { panic!("a bug") });
        whole(work.join_next().await.unwrap());
    }
}
