//! Pictures of flows, and of runs.

use expect_test::expect_file;
use soma::flow::{Output, PictureFormat, document::DagFile, draw};

use super::{
    native::{always, run_flow},
    *,
};

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/flows/pictures")
        .join(name)
}

fn everything() -> Vec<Dag> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/flows/valid/everything.json");
    DagFile::read(&file).unwrap().dags().to_vec()
}

#[test]
fn a_flow_is_drawn_with_every_kind_of_placement() {
    let dags = everything();
    expect_file![fixture("everything.mmd")].assert_eq(&draw(&dags, &[], PictureFormat::Mermaid));
    expect_file![fixture("everything.dot")].assert_eq(&draw(&dags, &[], PictureFormat::Dot));
}

#[test]
fn a_run_is_drawn_with_the_way_it_took_its_attempts_and_times() {
    let turns = std::sync::atomic::AtomicU32::new(0);
    let nodes = Nodes::new()
        .function(
            "compose-response",
            Contract::routes(["drafted"]),
            always(Output::on("drafted")),
        )
        .function(
            "validate-response",
            Contract::routes(["approved", "retry", "exhausted"]),
            move |_| {
                let turn = turns.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok(Output::on(if turn < 1 { "retry" } else { "approved" }))
            },
        );
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/flows/compose-retry-loop.json");
    let dags = DagFile::read(&file).unwrap().dags().to_vec();
    let mut run = run_flow(
        Flow::new(&dags, &nodes).unwrap(),
        json!({}),
        RunOptions::default(),
    );
    for (step, millis) in run.executed.iter_mut().zip(1..) {
        step.took = Duration::from_millis(millis);
    }
    let drawn = draw(&dags, &run.executed, PictureFormat::Mermaid);
    expect_file![fixture("run.mmd")].assert_eq(&drawn);
    let drawn = draw(&dags, &run.executed, PictureFormat::Dot);
    expect_file![fixture("run.dot")].assert_eq(&drawn);
}

#[test]
fn a_name_means_nothing_to_the_reader_of_a_picture() {
    let name = "a\"] --> <b>\n%% \\";
    let dag = Dag::builder("odd", "1")
        .place(Single::new(name, "x").end("su\"ccess"))
        .build();
    let drawn = draw(std::slice::from_ref(&dag), &[], PictureFormat::Mermaid);
    assert!(
        drawn.contains("f0n0[\"a#34;] --#62; #60;b#62; %% #92;\"]"),
        "{drawn}"
    );
    let drawn = draw(&[dag], &[], PictureFormat::Dot);
    assert!(drawn.contains(r#"label="a\"] --> <b>\n%% \\""#), "{drawn}");
}
