//! What keeps a run's records, and what becomes of a run whose journal fails.

use std::{
    io,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use common::command::{cache_home, command, end};

use soma::{
    engram::BoxFuture,
    flow::{
        Call, Checkpoint, CheckpointFile, Failure, Journal, NativeNode, Output, document::FanIn,
    },
};

use super::{
    checkpoints::{Kept, documents, each, nodes, with},
    command::deployment,
    *,
};

#[test]
fn a_run_whose_journal_is_full_fails_and_has_done_no_more_than_it_kept() {
    let (host, _hand) = virtual_host();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        let runs = Arc::new(Mutex::new(Vec::new()));
        let journal = Kept {
            full_after: Some(4),
            ..Kept::default()
        };
        let flow = Flow::new(&documents(), &nodes(&runs, || Ok(()))).unwrap();
        let failed = flow.run(&tenant, Object::new(), with(&journal)).await;
        assert_eq!(
            failed.error.unwrap().to_string(),
            "the checkpoint could not be written: the disk is full"
        );
        assert_eq!(
            *runs.lock().unwrap(),
            [0, 1, 2],
            "two are kept, the third was in vain"
        );
        let checkpoint = Checkpoint::parse(&journal.text()).unwrap();
        let done = flow.resume(&tenant, checkpoint, [], RunOptions::default());
        assert_eq!(done.unwrap().await.state["sum"], json!(55));
    });
}

/// Fails once, at its fourth line, and takes everything afterwards.
#[derive(Clone, Default)]
struct Hiccup(Kept, Arc<AtomicU32>);

impl Journal for Hiccup {
    fn begin(&mut self, checkpoint: &str) -> io::Result<()> {
        self.0.begin(checkpoint)
    }

    fn record(&mut self, record: &str) -> io::Result<()> {
        match self.1.fetch_add(1, Ordering::Relaxed) {
            3 => Err(io::Error::other("not now")),
            _ => self.0.record(record),
        }
    }

    fn end(&mut self, goes_on: bool) -> io::Result<()> {
        self.0.end(goes_on)
    }
}

#[test]
fn behind_a_line_that_could_not_be_kept_nothing_is_kept() {
    let (host, hand) = virtual_host();
    hand.skip_waits();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        // All wake at the same moment: others have ended when one fails.
        let nodes = Nodes::new().native("work", Contract::open(), Dozer);
        let flow = Flow::new(&[each(FanIn::append("out"))], &nodes).unwrap();
        let journal = Hiccup::default();
        let options = RunOptions {
            journal: Some(Box::new(journal.clone())),
            ..RunOptions::default()
        };
        let state = object(json!({"items": [0, 1, 2, 3, 4, 5, 6, 7]}));
        let ended = flow.run(&tenant, state, options).await;
        assert_eq!(
            ended.error.unwrap().to_string(),
            "the checkpoint could not be written: not now"
        );
        assert_eq!(journal.1.load(Ordering::Relaxed), 4, "it was asked again");
        let checkpoint = Checkpoint::parse(&journal.0.text()).unwrap();
        let resumed = flow.resume(&tenant, checkpoint, [], RunOptions::default());
        let resumed = resumed.unwrap().await;
        assert_eq!(resumed.error, None);
        assert_eq!(resumed.state["out"].as_array().unwrap().len(), 8);
    });
}

/// Sleeps a moment.
struct Dozer;

impl NativeNode for Dozer {
    fn run<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Result<Output, Failure>> {
        Box::pin(async move {
            call.clock.sleep(Duration::from_secs(1)).await;
            Ok(Output::default())
        })
    }
}

#[test]
fn one_run_at_a_time_has_a_checkpoint_file_and_a_completed_run_removes_it() {
    let folder = common::command::scratch_folder("flow-checkpoint-file");
    let path = folder.join("run.json");
    let (host, _hand) = virtual_host();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        let file = CheckpointFile::create(&path).unwrap();
        for taken in [
            CheckpointFile::create(&path).map(drop),
            CheckpointFile::open(&path).map(drop),
        ] {
            let told = taken.unwrap_err().to_string();
            assert!(
                told.ends_with("run.json is in use by another run"),
                "{told}"
            );
        }
        let runs = Arc::new(Mutex::new(Vec::new()));
        let fails_once = Arc::new(AtomicU32::new(0));
        let nodes = nodes(&runs, move || {
            if fails_once.fetch_add(1, Ordering::Relaxed) == 0 {
                panic!("the first time");
            }
            Ok(())
        });
        // The panic makes item 3 fail, the item's error makes the flow fail.
        let flow = Flow::new(&documents(), &nodes).unwrap();
        let options = RunOptions {
            journal: Some(Box::new(file)),
            ..RunOptions::default()
        };
        let failed = flow.run(&tenant, Object::new(), options).await;
        assert_eq!(failed.error, Some(Cause::Terminal("lost".into())));
        assert!(failed.checkpoint.is_none(), "it has come to an end");
        assert!(!path.exists(), "nothing can go on from there");
        let file = CheckpointFile::create(&path).unwrap().durable();
        let options = RunOptions {
            journal: Some(Box::new(file)),
            ..RunOptions::default()
        };
        let done = flow.run(&tenant, Object::new(), options).await;
        assert_eq!(done.error, None);
        assert!(!path.exists());
    });
}

#[test]
fn a_journal_that_was_cut_within_a_character_is_read_up_to_there() {
    let folder = common::command::scratch_folder("flow-cut");
    let path = folder.join("run.json");
    let (host, _hand) = virtual_host();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        let nodes = Nodes::new().function("work", Contract::open(), |_| {
            Ok(Output::default().set("said", "größer"))
        });
        let dag = Dag::builder("two", "1")
            .place(Single::new("a", "work").route("success", "b"))
            .place(Single::new("b", "work").end("success"))
            .build();
        let flow = Flow::new(&[dag], &nodes).unwrap();
        let journal = Kept::default();
        flow.run(&tenant, Object::new(), with(&journal)).await;
        let text = journal.text();
        let cut = text.rfind('ö').unwrap() + 1;
        std::fs::write(&path, &text.as_bytes()[..cut]).unwrap();
        let (file, checkpoint) = CheckpointFile::open(&path).unwrap();
        let options = RunOptions {
            journal: Some(Box::new(file)),
            ..RunOptions::default()
        };
        let resumed = flow.resume(&tenant, checkpoint, [], options).unwrap().await;
        assert_eq!(steps(&resumed), [("b", Some("success"), 1)]);
        assert!(!path.exists());
    });
}

#[test]
fn a_file_that_holds_nothing_is_that_of_a_run_that_never_began() {
    let folder = common::command::scratch_folder("flow-empty-file");
    let path = folder.join("run.json");
    drop(CheckpointFile::create(&path).unwrap());
    let told = CheckpointFile::open(&path).unwrap_err().to_string();
    assert!(told.contains("there is no checkpoint"), "{told}");
    drop(CheckpointFile::create(&path).unwrap());
    fs::write(&path, "mine").unwrap();
    let told = CheckpointFile::create(&path).unwrap_err().to_string();
    assert!(told.ends_with("run.json is there already; resume it, or remove it to begin anew"));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[test]
fn a_file_that_takes_half_a_line_holds_what_was_written_before() {
    let folder = common::command::scratch_folder("flow-half-a-line");
    let document = folder.join("each.json");
    let fan = FanOut::new("each", "work", "items", FanIn::append("out"));
    let dag = Dag::builder("each", "1").place(ending(fan)).build();
    fs::write(&document, dag.to_string()).unwrap();
    let deployment = deployment(&folder, "soma.toml", "echo");
    let input = json!({"items": (0..40).collect::<Vec<_>>(), "more": "x".repeat(600)});
    // Its code is in the cache: the limit below is on every file.
    let known = end(command()
        .args(["flow", "check", "--deployment"])
        .args([&deployment, &document]));
    assert_eq!(known.exit, 0, "{}", known.stderr);
    // No file may be longer than 8 KiB: a write ends in its midst.
    let mut first = Command::new("sh");
    first
        .current_dir(&folder)
        .env("XDG_CACHE_HOME", cache_home())
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_soma"))
        .args(["flow", "run", "each.json", "--deployment", "soma.toml"])
        .args(["--checkpoint", "run.json", "--input", &input.to_string()]);
    let first = end(&mut first);
    assert_eq!(first.exit, 1, "{}", first.stderr);
    assert!(
        first
            .stderr
            .contains("the checkpoint could not be written: File too large"),
        "{}",
        first.stderr
    );
    let kept = fs::read_to_string(folder.join("run.json")).unwrap();
    assert!(kept.ends_with('\n'), "half a line stays");
    let done = kept.lines().count() - 1;
    assert!((2..40).contains(&done), "{done} lines");
    let second = end(command()
        .current_dir(&folder)
        .args(["flow", "resume", "each.json", "--deployment", "soma.toml"])
        .args(["--checkpoint", "run.json", "--json"]));
    let told = second.json();
    assert_eq!(told["lifecycle"], json!("completed"));
    assert_eq!(told["state"]["out"].as_array().unwrap().len(), 40);
}
