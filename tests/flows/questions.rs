//! Neurons that ask back: the run parks, and goes on with the answer.

use soma::flow::{
    Ask, Checkpoint, ResumeError,
    document::{Combine, FanIn, Parallel},
};

use super::*;

/// A puppet that asks unless its input has an answer; it answers with that.
fn asking() -> Value {
    json!([{"clarify": {"question": "which one?"}}])
}

/// The state of a resumed run: the puppet is told to reply this time.
async fn answered(
    stage: &Stage,
    flow: &Flow,
    parked: Run,
    answers: Vec<(String, Value)>,
) -> Result<Run, ResumeError> {
    let text = parked.checkpoint.unwrap().to_string();
    let checkpoint = Checkpoint::parse(&text).unwrap();
    let execution = flow.resume(&stage.tenant, checkpoint, answers, RunOptions::default())?;
    Ok(execution.await)
}

#[test]
fn a_neuron_that_asks_back_parks_the_run_until_somebody_answers() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let flow = chain(&["only"]);
        let script = json!([append("before"), asking()[0]]);
        let parked = flow
            .run(&stage.tenant, state(script), RunOptions::default())
            .await;
        assert_eq!(parked.lifecycle(), Lifecycle::AwaitingInput);
        assert_eq!(parked.error, None);
        assert_eq!(parked.life.reason.as_deref(), Some("an answer to only"));
        let [question] = parked.questions.as_slice() else {
            panic!("{:?}", parked.questions);
        };
        assert_eq!(question.id(), "only");
        assert!(
            matches!(&question.ask, Ask::Clarification { question, .. } if question == "which one?")
        );
        assert_eq!(
            contents(&stage.memory).await,
            [json!("before")],
            "what was written stays"
        );
        // Without an answer it waits again, and nothing runs.
        let mut tap = Tap::on(&stage.tenant);
        let again = answered(&stage, &flow, parked.clone(), vec![])
            .await
            .unwrap();
        assert_eq!(again.lifecycle(), Lifecycle::AwaitingInput);
        assert!(tap.seen().is_empty());
        // With one the node finds question and answer in its input.
        let answers = vec![("only".to_owned(), json!("the left one"))];
        let asked_again = answered(&stage, &flow, parked, answers).await.unwrap();
        assert_eq!(asked_again.lifecycle(), Lifecycle::AwaitingInput);
        let seen = tap.seen();
        let Payload::Task(task) = &seen[0].payload else {
            panic!("{:?}", seen[0]);
        };
        assert_eq!(
            task.input["clarification"],
            json!({"question": "which one?", "answer": "the left one"})
        );
        assert_eq!(asked_again.state.get("clarification"), None);
    });
}

#[test]
fn leave_is_given_or_refused() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let flow = chain(&["only"]);
        let ask = json!({"ask_leave": {"action": "delete", "scope": {}, "reason": "old"}});
        let parked = flow
            .run(&stage.tenant, state(json!([ask])), RunOptions::default())
            .await;
        assert_eq!(parked.lifecycle(), Lifecycle::AwaitingInput);
        for (answer, expected) in [
            (
                json!(true),
                json!({"action": "delete", "scope": {}, "granted": true}),
            ),
            (
                json!({"granted": false, "reason": "keep it"}),
                json!({"action": "delete", "scope": {}, "granted": false, "reason": "keep it"}),
            ),
        ] {
            let mut tap = Tap::on(&stage.tenant);
            let answers = vec![("only".to_owned(), answer)];
            let _ = answered(&stage, &flow, parked.clone(), answers)
                .await
                .unwrap();
            let seen = tap.seen();
            let Payload::Task(task) = &seen[0].payload else {
                panic!("{:?}", seen[0]);
            };
            assert_eq!(task.input["permission"], expected);
        }
        let told = |answers| {
            let (stage, flow, parked) = (&stage, &flow, parked.clone());
            async move {
                answered(stage, flow, parked, answers)
                    .await
                    .unwrap_err()
                    .to_string()
            }
        };
        assert_eq!(
            told(vec![("only".to_owned(), json!("yes"))]).await,
            "the answer to `only` is not taken: it must be true, false or {\"granted\": …}"
        );
        assert_eq!(
            told(vec![("other".to_owned(), json!(true))]).await,
            "the run asked nothing at `other`; it asked at only"
        );
    });
}

#[test]
fn members_and_items_that_ask_are_answered_each_and_the_others_do_not_run_again() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let fan =
            ending(FanOut::new("each", "puppet", "items", FanIn::append("said")).item_key("do"));
        let fan_out = flow(Dag::builder("each", "1").place(fan).build());
        let said = json!([append("once"), {"output": {"value": {"n": 1}}}]);
        let items = json!({"items": [said, asking(), said, asking()]});
        let parked = fan_out
            .run(&stage.tenant, object(items), RunOptions::default())
            .await;
        let ids: Vec<_> = parked
            .questions
            .iter()
            .map(|question| question.id())
            .collect();
        assert_eq!(ids, ["each[1]", "each[3]"]);
        assert_eq!(contents(&stage.memory).await.len(), 2);
        let mut tap = Tap::on(&stage.tenant);
        let answers = vec![("each[3]".to_owned(), json!("three"))];
        let again = answered(&stage, &fan_out, parked, answers).await.unwrap();
        assert_eq!(again.questions.len(), 2, "item 3 asks again, item 1 still");
        let tasks = tap
            .seen()
            .iter()
            .filter(|one| one.signal_type() == SignalType::Task);
        assert_eq!(tasks.count(), 1, "only item 3 ran");
        assert_eq!(contents(&stage.memory).await.len(), 2);

        let group = Parallel::new("both", ["a", "b"], Combine::Collect).end("success");
        let dag = Dag::builder("both", "1")
            .place(group)
            .place(Single::new("a", "puppet"))
            .place(Single::new("b", "puppet"));
        let both = flow(dag.build());
        let parked = both
            .run(&stage.tenant, state(asking()), RunOptions::default())
            .await;
        let ids: Vec<_> = parked
            .questions
            .iter()
            .map(|question| question.id())
            .collect();
        assert_eq!(ids, ["a", "b"]);
        let answers = vec![("b".to_owned(), json!("me"))];
        let again = answered(&stage, &both, parked, answers).await.unwrap();
        assert_eq!(again.questions.len(), 2);
    });
}

#[test]
fn a_run_that_is_paused_after_a_question_says_what_was_asked() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let fan = FanOut::new("each", "puppet", "scripts", FanIn::append("out"));
        let fan = ending(fan.item_key("do").concurrency(1));
        let flow = flow(Dag::builder("each", "1").place(fan).build());
        let state = object(json!({"scripts": [asking(), asking()]}));
        let mut execution = flow.start(&stage.tenant, state, RunOptions::default());
        let control = execution.control();
        while let Some(event) = execution.next().await {
            if matches!(event.kind, EventKind::Asked(_)) {
                control.pause();
            }
        }
        let paused = execution.finish().await;
        assert_eq!(paused.lifecycle(), Lifecycle::Paused);
        let asked: Vec<_> = paused
            .questions
            .iter()
            .map(soma::flow::Question::id)
            .collect();
        assert_eq!(asked, ["each[0]"]);
    });
}
