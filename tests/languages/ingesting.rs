//! The ingester.

use std::{fs, path::Path, sync::Arc};

use serde_json::{Value, json};
use soma::{
    engram::{Engram, VectorEngram},
    neuron::Limits,
    orchestration::{Access, Dispatch, Neuron, StopOptions, TenantHandle},
    signal::{Payload, TraceId},
};

use super::{Language, RUST, ask, host, plugin};
use crate::common::{Gate, LONG, entries, error, run, tenant, until};

/// What came of one ingest.
#[derive(Debug, PartialEq)]
struct Ingest {
    answer: Payload,
    entries: Vec<Imprinted>,
}

/// All of an entry that does not depend on when it was written.
#[derive(Debug, PartialEq)]
struct Imprinted {
    content: Value,
    tags: Vec<String>,
    meta: Value,
    merge_key: Option<String>,
    /// The bits, so that -0 is not 0.
    embedding: Vec<u32>,
}

fn index(tenant: &TenantHandle, id: &str) -> VectorEngram {
    VectorEngram::new(
        id,
        16,
        tenant.clock().clone(),
        tenant.ids().clone(),
        Arc::clone(tenant.tenant()) as _,
    )
}

async fn imprinted(engram: &Arc<dyn Engram>) -> Vec<Imprinted> {
    let entries = entries(engram).await;
    let imprinted = entries.iter().map(|entry| Imprinted {
        content: entry.content.clone(),
        tags: entry.tags.clone(),
        meta: Value::Object(entry.meta.clone()),
        merge_key: entry.merge_key.clone(),
        embedding: entry
            .embedding
            .iter()
            .flat_map(|vector| vector.iter().map(|value| value.to_bits()))
            .collect(),
    });
    imprinted.collect()
}

/// Gives each input to the ingester, with an empty index of its own.
fn ingest(component: &str, inputs: &[Value]) -> Vec<Ingest> {
    let host = host();
    let plugin = plugin(&host, component);
    let tenant = tenant(&host, "acme");
    let inputs = inputs.to_vec();
    run(&host, async move {
        let mut all = Vec::new();
        for (number, input) in inputs.into_iter().enumerate() {
            let id = format!("ingester-{number}");
            let index = tenant.add_engram(index(&tenant, &format!("index-{number}")));
            // What the longest text takes an interpreter, many times over.
            let limits = Limits {
                fuel: u64::MAX,
                wall: LONG,
                ..Limits::default()
            };
            let neuron = Neuron::new(&*id, Arc::clone(&plugin)).limits(limits);
            tenant.register(neuron.bind("index", Arc::clone(&index), Access::ReadWrite));
            let answer = ask(&tenant, Dispatch::to_neuron(&*id).input(input)).await;
            all.push(Ingest {
                answer: answer.signal.payload.clone(),
                entries: imprinted(&index).await,
            });
        }
        all
    })
}

fn same_as_in_rust(language: &Language, inputs: &[Value]) {
    let expected = ingest(RUST.ingester, inputs);
    let found = ingest(language.ingester, inputs);
    for ((expected, found), input) in expected.iter().zip(&found).zip(inputs) {
        assert_eq!(found, expected, "of {input}");
    }
    assert_eq!(found.len(), expected.len());
}

fn document(id: &str, text: &str) -> Value {
    json!({"document": {"id": id, "title": format!("On {id}"), "text": text}})
}

/// The documents of `examples/data`.
fn documents() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        found.push((name, fs::read_to_string(&path).unwrap()));
    }
    found.sort();
    assert!(found.len() >= 4);
    found
}

pub(super) fn documents_become_the_same_answers_and_entries_as_in_rust(language: &Language) {
    let mut inputs = Vec::new();
    for (name, text) in documents() {
        for most in [None, Some(1), Some(80), Some(100_000)] {
            let mut input = document(&name, &text);
            if let Some(most) = most {
                input["chunk_chars"] = json!(most);
            }
            inputs.push(input);
        }
    }
    same_as_in_rust(language, &inputs);
}

/// Scripts with their own ideas of letters, case, spaces and sentences.
const SCRIPTS: &str = "\
Größe, Straße und Äpfel: ẞ ist groß. Ça va? Où? “Zitate.” (Und Klammern.) Prof. Ä. Ö. wohnt hier. \
ΟΔΥΣΣΕΥΣ ΣΣ Σ ΑΣ΄Α ΣΑΣ. Ὀδυσσεύς γύρισε. İstanbul, ISPARTA ve ığdır. ŽLUŤOUČKÝ KŮŇ. ДЛИННЫЙ Текст, да. \
नमस्ते दुनिया। यह हिन्दी है। ภาษาไทยไม่มีช่องว่าง ਪੰਜਾਬੀ தமிழ் বাংলা 日本語の文章です。次の文。 한국어 문장. \
العَرَبِيَّة لغة. עִבְרִית שפה. 𝕌𝕟𝕚𝕔𝕠𝕕𝕖 𝔸𝔹 Ⓐ ⓑ ⅷ Ⅷ ² ½ ٣ ३ ㊿ ﬁn ǅ ǆ ª º ʰ a\u{301}bc e\u{301}té \
👩‍👩‍👧 emoji🙂s are words? naïve cafés façades classes glass bus ss s S's As. ÉCOLES ecoles.";

pub(super) fn odd_texts_become_the_same_answers_and_entries_as_in_rust(language: &Language) {
    let spaces = "a\u{85}b\u{a0}c\u{1680}d\u{2003}e\u{2028}f\u{202f}g\u{205f}h\u{3000}i \
                  j\u{feff}k\u{200b}l\u{1c}m\u{1f}n\u{180e}o \u{b}\u{c} p";
    let texts = [
        String::new(),
        " \n\n \r\n\t".to_owned(),
        "word".to_owned(),
        "the of and".to_owned(),
        "...!? -- ??".to_owned(),
        "One\r\ntwo.\r\n\r\nThree\n\n\n\nfour.\n\nE.g. five. i.e. six. No. 7. J. R. Doe."
            .to_owned(),
        "\"Quoted.\" 'So!' [Sic.] lower follows. 9 lives. ".repeat(9),
        "x".repeat(2_000),
        SCRIPTS.to_owned(),
        spaces.to_owned(),
        "nul \0 and \u{1} control \u{7f} signs, \\ and / and \u{2029}".to_owned(),
        "Buses pass. Dendrites grow! A class of gas is glass? ".repeat(2_000),
    ];
    let mut inputs = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        for most in [0, 17, 600] {
            let mut input = document(&format!("текст-{number}"), text);
            input["chunk_chars"] = json!(most);
            inputs.push(input);
        }
    }
    // Without a title, with none, with what nobody asked for.
    inputs.push(json!({"document": {"id": "", "text": "Untitled."}, "other": [1, {"a": 2.5}]}));
    inputs.push(
        json!({"document": {"id": "n", "title": null, "text": "None."}, "crash_after": null}),
    );
    same_as_in_rust(language, &inputs);
}

pub(super) fn bad_input_is_refused_at_the_same_place_as_in_rust(language: &Language) {
    let good = document("d", "A text.");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut input = good.clone();
        change(&mut input);
        input
    };
    let inputs = [
        json!({}),
        json!({"document": "text"}),
        json!({"document": null}),
        json!({"document": {}}),
        json!({"document": {"id": "d"}}),
        with(&|input| input["document"]["id"] = json!(7)),
        with(&|input| input["document"]["title"] = json!([])),
        with(&|input| input["document"]["text"] = json!(false)),
        with(&|input| input["engram"] = Value::Null),
        with(&|input| input["chunk_chars"] = json!(-1)),
        with(&|input| input["chunk_chars"] = json!("80")),
        with(&|input| input["chunk_chars"] = json!(1.5)),
        with(&|input| input["chunk_chars"] = json!(4_294_967_296_u64)),
        with(&|input| input["crash_after"] = json!({})),
    ];
    let refused = |component: &str| -> Vec<_> {
        let all = ingest(component, &inputs);
        let told = all.into_iter().map(|ingest| {
            assert!(ingest.entries.is_empty());
            let Payload::Error(error) = ingest.answer else {
                panic!("no ERROR but {:?}", ingest.answer)
            };
            // The place; the words behind it are each language's own.
            let place = error.message.split(": ").next().unwrap().to_owned();
            (error.code, error.recoverable, place)
        });
        told.collect()
    };
    assert_eq!(refused(language.ingester), refused(RUST.ingester));
}

async fn roll_back(tenant: &TenantHandle, trace: &TraceId) -> u64 {
    let acks = tenant.stop_trace(trace, StopOptions::rollback()).await;
    acks.iter().map(|ack| ack.compensated).sum()
}

pub(super) fn a_crash_leaves_the_chunks_before_it_and_a_rollback_takes_them_away(
    language: &Language,
) {
    let host = host();
    let tenant = tenant(&host, "acme");
    let index = tenant.add_engram(index(&tenant, "index"));
    let neuron = Neuron::new("ingester", plugin(&host, language.ingester));
    tenant.register(neuron.bind("index", Arc::clone(&index), Access::ReadWrite));
    run(&host, async move {
        for chunks in [0, 3, 5] {
            let input = json!({
                "document": {"id": "d", "text": "One. Two. Three. Four. Five."},
                "chunk_chars": 6,
                "crash_after": chunks,
            });
            let answer = ask(&tenant, Dispatch::to_neuron("ingester").input(input)).await;
            let error = error(&answer);
            let told = format!("ingest of 'd' crashed after {chunks} chunks");
            assert_eq!((&*error.code, &*error.message), ("INGEST_CRASHED", &*told));
            assert!(!error.recoverable);
            assert_eq!(index.len(), chunks);
            let undone = roll_back(&tenant, &answer.signal.trace_id).await;
            assert_eq!((undone, index.len()), (chunks as u64, 0));
        }
    });
}

pub(super) fn a_stop_between_two_chunks_ends_the_ingest_and_undoes_it(language: &Language) {
    let host = host();
    let tenant = tenant(&host, "acme");
    let gate = Gate::new(index(&tenant, "index"));
    let engram = tenant.add_engram(gate.clone());
    let neuron = Neuron::new("ingester", plugin(&host, language.ingester));
    tenant.register(neuron.bind("index", Arc::clone(&engram), Access::ReadWrite));
    gate.shut_imprints();
    gate.let_imprints_through(2);
    run(&host, async move {
        let text = "One sentence after the other. ".repeat(50);
        let mut input = document("d", &text);
        input["chunk_chars"] = json!(30);
        let trace = tenant.open_trace();
        let task = Dispatch::to_neuron("ingester").input(input);
        let pathway = tenant.dispatch(task.on_trace(trace.id().clone())).unwrap();
        gate.arrived(3).await;
        assert_eq!((gate.inside(), engram.len()), (1, 2));
        let acks = trace.stop(StopOptions::rollback()).await;
        let ended: Vec<_> = acks
            .iter()
            .map(|ack| (ack.cancelled, ack.compensated, ack.kept.len()))
            .collect();
        assert_eq!(ended, [(1, 2, 0)]);
        // The fourth to come was the rollback: no further chunk did.
        assert_eq!((gate.inside(), gate.arrivals(), engram.len()), (0, 4, 0));
        drop(pathway);
        // The neuron is as it was: the next task runs to its end.
        gate.open_all();
        let task = Dispatch::to_neuron("ingester").input(document("e", "One sentence."));
        assert!(ask(&tenant, task).await.is_output());
        until(|| engram.len() == 1).await;
    });
}

pub(super) fn an_engram_that_refuses_is_a_failure_as_in_rust(language: &Language) {
    let told = |component: &str| {
        let host = host();
        let tenant = tenant(&host, "acme");
        let index = tenant.add_engram(index(&tenant, "index"));
        let neuron = Neuron::new("ingester", plugin(&host, component));
        tenant.register(neuron.bind("index", index, Access::Read));
        run(&host, async move {
            let mut told = Vec::new();
            for engram in ["index", "elsewhere"] {
                let mut input = document("d", "A text.");
                input["engram"] = json!(engram);
                let answer = ask(&tenant, Dispatch::to_neuron("ingester").input(input)).await;
                told.push(error(&answer).clone());
            }
            told
        })
    };
    let refused = told(language.ingester);
    assert_eq!(refused, told(RUST.ingester));
    let codes: Vec<_> = refused.iter().map(|error| &*error.code).collect();
    assert_eq!(codes, ["ENGRAM_DENIED", "ENGRAM_NOT_BOUND"]);
}
