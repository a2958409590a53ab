//! Members and items, side by side.

use std::{borrow::Cow, future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};

use super::{
    attempt::{Attempted, Interrupted, Place as Where},
    driver::{Driver, End, input, nowhere, work_of},
};
use crate::{
    clock::Stopwatch,
    flow::{
        cause::Cause,
        event::{EventKind, Node},
        plan::{Kind, Place, Plan},
        progress::Slot,
    },
    orchestration::DispatchError,
    signal::{Object, SignalId},
};

/// One attempt that has ended.
struct Ended {
    job: Job,
    attempted: Attempted,
}

/// A member or an item under way.
struct Job {
    node: Node,
    at: usize,
    /// The placement whose node it runs.
    place: Place,
    input: Arc<Object>,
    stopwatch: Stopwatch,
}

type Attempt = Pin<Box<dyn Future<Output = Ended> + Send>>;

type Running = FuturesUnordered<Attempt>;

/// What is under way.
#[derive(Default)]
struct Going {
    running: Running,
    /// Jobs for which there was no room.
    waiting: Vec<Job>,
    /// Whether any of them waits for an answer.
    asks: bool,
    /// Whether nothing is begun any more.
    paused: bool,
}

/// A group while its jobs run.
struct Ward {
    dag: usize,
    placement: Arc<str>,
    pass: u32,
    /// The placements of members; none of a list's items.
    members: Option<Vec<Place>>,
    place: Place,
    most: usize,
    len: usize,
    /// What all tasks follow from.
    parent: Option<SignalId>,
}

impl Driver {
    /// Runs what has not ended of the group at a placement.
    pub(super) async fn group(&mut self, plan: &Arc<Plan>, place: Place) -> Result<(), End> {
        let Some(ward) = self.ward(plan, place) else {
            return Err(nowhere());
        };
        let ended = self.progress.top().and_then(|frame| frame.group.as_ref());
        let ended = ended.map_or(0, |group| group.ended);
        self.begins(&ward.placement);
        self.emit(|_| EventKind::Group {
            placement: Arc::clone(&ward.placement),
            of: ward.len,
            ended,
        })
        .await;
        let mut going = Going::default();
        let ended = self.all(plan, &ward, &mut going).await;
        if ended.is_err() {
            // What has ended meanwhile has been done: it is not done again.
            while let Some(Some(ended)) = going.running.next().now_or_never() {
                self.drained(plan, ended).await?;
            }
        }
        ended?;
        match going.asks {
            true => Err(End::Awaiting),
            false => Ok(()),
        }
    }

    /// Starts what there is room for, and takes up what ends.
    async fn all(&mut self, plan: &Arc<Plan>, ward: &Ward, going: &mut Going) -> Result<(), End> {
        let mut next = 0;
        loop {
            while !going.paused && going.running.len() < ward.most {
                let job = match going.waiting.pop() {
                    Some(job) => job,
                    None if next < ward.len => {
                        let at = next;
                        next += 1;
                        match self.fresh(plan, ward, at, going) {
                            Some(job) => job,
                            None => continue,
                        }
                    }
                    None => break,
                };
                match self.may_go_on(&job.node, going.running.len()) {
                    Ok(()) => {}
                    // What runs is let end before a pause; else it is stopped.
                    Err(End::Paused) => {
                        going.paused = true;
                        break;
                    }
                    Err(end) => return Err(end),
                }
                let ready = self.launch(plan, ward, job, None, going).await;
                self.take_up(plan, ward, ready, going).await?;
                if !going.waiting.is_empty() {
                    break;
                }
            }
            let Some(ended) = going.running.next().await else {
                break;
            };
            self.take_up(plan, ward, Some(ended), going).await?;
        }
        if going.paused {
            return Err(End::Paused);
        }
        Ok(())
    }

    /// Takes up an attempt that has ended, and those that follow at once.
    async fn take_up(
        &mut self,
        plan: &Arc<Plan>,
        ward: &Ward,
        mut ready: Option<Ended>,
        going: &mut Going,
    ) -> Result<(), End> {
        while let Some(ended) = ready.take() {
            ready = self.ended(plan, ward, ended, going).await?;
        }
        self.fits_in_memory(plan)
    }

    /// A job that has not been begun here; none where it has ended or waits for
    /// an answer.
    fn fresh(&mut self, plan: &Plan, ward: &Ward, at: usize, going: &mut Going) -> Option<Job> {
        let slot = self.open_slot(at)?;
        if slot.asked.is_some() {
            going.asks = true;
            return None;
        }
        let node = self.node_of(plan, ward, at, &slot);
        Some(self.job(ward, at, node, &slot))
    }

    /// What has ended when the run ends too.
    async fn drained(&mut self, plan: &Plan, ended: Ended) -> Result<(), End> {
        let Ended { job, attempted } = ended;
        match attempted {
            Attempted::Done { done, usage, .. } if done.failed.is_none() => {
                self.done(plan, job.node, Some(job.at), &job.stopwatch, done, usage)
                    .await
            }
            _ => Ok(()),
        }
    }

    fn ward(&self, plan: &Plan, place: Place) -> Option<Ward> {
        let frame = self.progress.top()?;
        let placed = plan.placed(frame.dag, place)?;
        let len = frame.group.as_ref()?.items.len();
        let (members, concurrency) = match &placed.kind {
            Kind::Parallel { members, .. } => (Some(members.clone()), None),
            Kind::FanOut(fan) => (None, fan.concurrency),
            _ => return None,
        };
        let most = self.options.max_concurrency.max(1);
        Some(Ward {
            dag: frame.dag,
            placement: frame.path(placed),
            pass: frame.pass(place),
            members,
            place,
            most: concurrency.map_or(most, |asked| asked.clamp(1, most)),
            len,
            parent: self.last.clone(),
        })
    }

    /// What is known of a job that has not ended.
    fn open_slot(&self, at: usize) -> Option<Slot> {
        let item = self.progress.top()?.group.as_ref()?.items.get(at)?;
        item.done.is_none().then(|| item.slot.clone())
    }

    fn node_of(&self, plan: &Plan, ward: &Ward, at: usize, slot: &Slot) -> Node {
        let member = ward.members.as_ref().and_then(|members| {
            let place = *members.get(at)?;
            let frame = self.progress.top()?;
            Some(frame.path(plan.placed(ward.dag, place)?))
        });
        Node {
            placement: member.unwrap_or_else(|| Arc::clone(&ward.placement)),
            item: ward.members.is_none().then_some(at),
            pass: ward.pass,
            attempt: slot.tried.saturating_add(1),
        }
    }

    fn job(&mut self, ward: &Ward, at: usize, node: Node, slot: &Slot) -> Job {
        let plan = Arc::clone(&self.flow.0);
        let kind = plan.placed(ward.dag, ward.place).map(|placed| &placed.kind);
        let values = match (kind, self.progress.top_mut()) {
            (Some(Kind::FanOut(fan)), Some(frame)) => Cow::Owned(frame.item_values(fan, at)),
            (_, Some(frame)) => Cow::Borrowed(&frame.values),
            _ => Cow::Owned(Object::new()),
        };
        let member = ward.members.as_ref().and_then(|members| members.get(at));
        Job {
            input: Arc::new(input(values, slot).into_owned()),
            place: member.copied().unwrap_or(ward.place),
            stopwatch: self.around.tenant.clock().stopwatch(),
            node,
            at,
        }
    }

    /// Begins an attempt of a job, behind a failed one `after` a wait. What waits
    /// for nothing has ended on return; all else is running.
    async fn launch(
        &mut self,
        plan: &Arc<Plan>,
        ward: &Ward,
        job: Job,
        after: Option<Duration>,
        going: &mut Going,
    ) -> Option<Ended> {
        let node = job.node.clone();
        self.emit(|_| EventKind::NodeBegan(node)).await;
        let around = Arc::clone(&self.around);
        let (dag, parent) = (ward.dag, ward.parent.clone());
        let plan = Arc::clone(plan);
        let mut attempt: Attempt = Box::pin(async move {
            let rested = match after {
                Some(after) => around.rest(after, &job.node).await,
                None => None,
            };
            let attempted = match rested {
                Some(Interrupted::Halted(cause)) => Attempted::Halted(cause),
                Some(Interrupted::Paused) => Attempted::Paused,
                None => match work_of(&plan, dag, job.place, false) {
                    Some(work) => {
                        let input = Cow::Borrowed(&*job.input);
                        let parent = parent.as_ref();
                        around
                            .attempt(work, &job.node, input, parent, Where::Beside)
                            .await
                    }
                    None => Attempted::nothing(),
                },
            };
            Ended { job, attempted }
        });
        let first = poll_fn(|context| Poll::Ready(attempt.as_mut().poll(context))).await;
        match first {
            Poll::Ready(ended) => Some(ended),
            Poll::Pending => {
                going.running.push(attempt);
                None
            }
        }
    }

    /// An attempt has ended. So has its job, or there is another attempt, which
    /// may have ended too.
    async fn ended(
        &mut self,
        plan: &Arc<Plan>,
        ward: &Ward,
        ended: Ended,
        going: &mut Going,
    ) -> Result<Option<Ended>, End> {
        let Ended { mut job, attempted } = ended;
        let slot = Some(job.at);
        let (done, usage) = match attempted {
            Attempted::Halted(cause) => return Err(cause.into()),
            Attempted::Paused => {
                going.paused = true;
                return Ok(None);
            }
            Attempted::Asked(ask) => {
                self.asked(plan, &job.node, slot, ask).await?;
                going.asks = true;
                return Ok(None);
            }
            Attempted::Done { done, usage, .. } => (done, usage),
        };
        // There was no room for it beside the others: it waits for one to end.
        let no_room = matches!(
            &done.failed,
            Some(Cause::Dispatch {
                error: DispatchError::Overloaded(_),
                ..
            })
        );
        if no_room && !going.running.is_empty() {
            going.waiting.push(job);
            return Ok(None);
        }
        let again = match work_of(plan, ward.dag, job.place, false) {
            Some(work) => self.again(plan, work, &job.node, slot, &done).await?,
            None => None,
        };
        match again {
            None => {
                self.done(plan, job.node, slot, &job.stopwatch, done, usage)
                    .await?;
                Ok(None)
            }
            Some(after) => {
                job.node.attempt = job.node.attempt.saturating_add(1);
                match self.may_go_on(&job.node, going.running.len()) {
                    Ok(()) => Ok(self.launch(plan, ward, job, Some(after), going).await),
                    Err(End::Paused) => {
                        going.paused = true;
                        Ok(None)
                    }
                    Err(end) => Err(end),
                }
            }
        }
    }
}
