//! Doing what `soma up` is told.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    task::{JoinSet, spawn_blocking},
};

use super::request::{Line, Request};
use crate::{
    Host,
    cli::check::Told,
    deployment::{Changes, Deployment, Running},
    orchestration::{Dispatch, OpenTrace, StopOptions, TenantHandle},
    package::{Problem, Problems},
    registry::Registry,
    signal::TraceId,
};

/// How often `--watch` looks.
const LOOK: Duration = Duration::from_millis(500);

/// A deployment at work.
pub(super) struct Server {
    file: PathBuf,
    host: Arc<Host>,
    registry: Registry,
    /// One change at a time.
    running: Mutex<Running>,
    /// Traces that a request opened and none has ended.
    open: Mutex<BTreeMap<TraceId, OpenTrace>>,
    /// The files of the deployment as it runs.
    files: Mutex<Vec<PathBuf>>,
}

impl Server {
    pub(super) fn new(file: PathBuf, host: Arc<Host>, registry: Registry) -> Self {
        Self {
            file,
            host,
            registry,
            running: Mutex::default(),
            open: Mutex::default(),
            files: Mutex::default(),
        }
    }

    /// Takes requests until there are no more and all are answered.
    pub(super) async fn serve(self: Arc<Self>, mut requests: mpsc::Receiver<String>, watch: bool) {
        let mut work = JoinSet::new();
        let mut seen = self.stamps();
        loop {
            tokio::select! {
                line = requests.recv() => match line {
                    Some(line) => {
                        work.spawn(Arc::clone(&self).answer(line));
                    }
                    None => break,
                },
                // What is done is forgotten, so that the set does not grow.
                Some(_) = work.join_next() => {}
                () = self.host.clock().sleep(LOOK), if watch => {
                    let now = self.stamps();
                    if now != seen {
                        seen = now;
                        let told = self.reload().await;
                        say(&Value::Null, told);
                        seen.clone_from(&self.stamps());
                    }
                }
            }
        }
        while work.join_next().await.is_some() {}
    }

    /// What tells whether a file of the deployment is another by now.
    fn stamps(&self) -> Vec<Option<(u64, i64, i64)>> {
        let stamp = |path: &PathBuf| {
            let data = fs::metadata(path).ok()?;
            Some((data.ino(), data.mtime(), data.mtime_nsec()))
        };
        self.files.lock().iter().map(stamp).collect()
    }

    async fn answer(self: Arc<Self>, text: String) {
        match Line::read(&text) {
            Err((id, words)) => say(&id, json!({"error": words})),
            Ok(line) => {
                let id = line.id.clone();
                let told = self.done(line).await;
                say(&id, told.unwrap_or_else(|words| json!({"error": words})));
            }
        }
    }

    async fn done(self: &Arc<Self>, line: Line) -> Result<Value, String> {
        let tenant = line.tenant.clone();
        let tenant = || {
            let name = tenant.as_deref().ok_or("the key `tenant` is missing")?;
            let found = self.host.tenant(name);
            found.ok_or_else(|| format!("there is no tenant `{name}`"))
        };
        match line.request()? {
            Request::Task(task, timeout) => {
                let timeout = timeout.map_or(Duration::MAX, |span| span.duration);
                run(tenant()?, *task, timeout).await
            }
            Request::Open => {
                let trace = tenant()?.open_trace();
                let id = trace.id().clone();
                self.open.lock().insert(id.clone(), trace);
                Ok(json!({"trace_id": id.to_string()}))
            }
            Request::Commit(trace) => {
                let tenant = tenant()?;
                let held = self.open.lock().remove(&trace);
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
                let held = self.open.lock().remove(&trace);
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

    fn status(&self) -> Value {
        let running = self.running.lock();
        json!({
            "neurons": running.summaries(),
            "live_instances": self.host.sandbox().live(),
        })
    }

    async fn reload(self: &Arc<Self>) -> Value {
        let changes = match Deployment::read(&self.file) {
            Ok(deployment) => self.apply(deployment).await,
            Err(problems) => Err(problems),
        };
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
        *self.files.lock() = deployment.files();
        Ok(changes)
    }

    /// On a thread of its own, so that tasks go on.
    async fn apply(self: &Arc<Self>, deployment: Deployment) -> Result<Changes, Problems> {
        let own = Arc::clone(self);
        let applied = spawn_blocking(move || own.apply_here(&deployment));
        match applied.await {
            Ok(changes) => changes,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
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

/// One answer, one line. A reader that has gone away has seen what it wanted.
fn say(id: &Value, mut answer: Value) {
    if let Some(keys) = answer.as_object_mut() {
        keys.shift_insert(0, "id".to_owned(), id.clone());
    }
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{answer}").and_then(|()| out.flush());
}
