//! Members and items, side by side.

use std::{borrow::Cow, future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};

use super::{
    attempt::{Attempted, Place as Where},
    driver::{Driver, End, input, work_of},
};
use crate::{
    clock::Stopwatch,
    flow::{
        event::{EventKind, Node, Question},
        plan::{Kind, Place, Plan},
        progress::Slot,
    },
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
            return Ok(());
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
        let mut running = Running::new();
        let mut questions = Vec::new();
        let mut interrupted = None;
        let mut next = 0;
        loop {
            while interrupted.is_none() && running.len() < ward.most && next < ward.len {
                let at = next;
                next += 1;
                let Some(slot) = self.open_slot(at) else {
                    continue;
                };
                let node = self.node_of(plan, &ward, at, &slot);
                if let Some(ask) = slot.asked {
                    let question = Question {
                        placement: node.placement,
                        item: node.item,
                        ask,
                    };
                    questions.push((at, question));
                    continue;
                }
                if let Err(end) = self.may_go_on(&node, running.len()) {
                    // What runs is let end before a pause; else it is stopped.
                    match end {
                        End::Paused => interrupted = Some(End::Paused),
                        end => return Err(end),
                    }
                    break;
                }
                let job = self.job(&ward, at, node, &slot);
                let mut ready = self
                    .launch(plan, &ward, job, Duration::ZERO, &mut running)
                    .await;
                while let Some(ended) = ready.take() {
                    ready = self
                        .ended(plan, &ward, ended, &mut running, &mut questions)
                        .await?;
                }
            }
            let Some(ended) = running.next().await else {
                break;
            };
            let mut ready = Some(ended);
            while let Some(ended) = ready.take() {
                ready = self
                    .ended(plan, &ward, ended, &mut running, &mut questions)
                    .await?;
            }
        }
        match interrupted {
            Some(end) => Err(end),
            None if questions.is_empty() => Ok(()),
            None => {
                // In the order of the group, whoever asked first.
                questions.sort_by_key(|(at, _)| *at);
                let questions = questions.into_iter().map(|(_, question)| question);
                Err(End::Awaiting(questions.collect()))
            }
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
            most: concurrency.map_or(most, |asked| asked.min(most)),
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

    /// Begins an attempt of a job, after a wait. What waits for nothing has
    /// ended on return; all else is running.
    async fn launch(
        &mut self,
        plan: &Arc<Plan>,
        ward: &Ward,
        job: Job,
        after: Duration,
        running: &mut Running,
    ) -> Option<Ended> {
        if after.is_zero() {
            let node = job.node.clone();
            self.emit(|_| EventKind::NodeBegan(node)).await;
        }
        let around = Arc::clone(&self.around);
        let (dag, parent) = (ward.dag, ward.parent.clone());
        let plan = Arc::clone(plan);
        let mut attempt: Attempt = Box::pin(async move {
            let attempted = match around.pause(after, &job.node).await {
                Some(cause) => Attempted::Halted(cause),
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
                running.push(attempt);
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
        running: &mut Running,
        questions: &mut Vec<(usize, Question)>,
    ) -> Result<Option<Ended>, End> {
        let Ended { mut job, attempted } = ended;
        let slot = Some(job.at);
        let (done, usage) = match attempted {
            Attempted::Halted(cause) => return Err(cause.into()),
            Attempted::Asked(ask) => {
                let question = self.asked(plan, &job.node, slot, ask).await?;
                questions.push((job.at, question));
                return Ok(None);
            }
            Attempted::Done { done, usage, .. } => (done, usage),
        };
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
                Ok(self.launch(plan, ward, job, after, running).await)
            }
        }
    }
}
