//! Input that does not fit the schema that a neuron came with.

use soma::{
    neuron::environment::Governor as _,
    package::{Document, Manifest, Package, Schema, Schemas, embed},
    tenant::Quotas,
};

use super::*;

/// A list of steps under `do`, and a question.
fn schema() -> Schema {
    Schema::new(&json!({
        "type": "object",
        "properties": {"do": {"type": "array"}, "question": {"type": "string"}},
        "required": ["question"],
    }))
    .unwrap()
}

fn choosy(stage: &Stage, host: &Host) {
    let neuron = stage.puppet("choosy", plugin(host, "puppet"));
    stage.tenant.register(neuron.input_schema(schema()));
}

async fn asked(tenant: &TenantHandle, input: Value) -> Answer {
    let task = Dispatch::to_neuron("choosy").input(input);
    tenant.dispatch_and_wait(task, LONG).await.unwrap()
}

#[test]
fn input_that_does_not_fit_the_neurons_schema_is_an_error_and_no_instance_is_made() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    choosy(&stage, &host);
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let answer = asked(&stage.tenant, json!({"do": [append("x")], "question": 7})).await;
        let told = error(&answer);
        assert_eq!(told.code, "INVALID_INPUT");
        assert_eq!(
            told.message,
            "the input does not fit the neuron's schema: at /question: 7 is not of type \"string\""
        );
        assert!(!told.recoverable);
        assert_eq!(answer.usage, soma::neuron::Usage::default());
        assert_eq!(tap.types(), [SignalType::Task, SignalType::Error]);
        assert!(common::contents(&stage.memory).await.is_empty());
        assert!(stage.tenant.traces().is_empty());
    });
}

#[test]
fn all_that_does_not_fit_is_told_at_once() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    choosy(&stage, &host);
    run(&host, async move {
        let answer = asked(&stage.tenant, json!({"do": {}})).await;
        assert_eq!(
            error(&answer).message,
            "the input does not fit the neuron's schema: \"question\" is a required property; \
             at /do: {} is not of type \"array\""
        );
    });
}

#[test]
fn input_that_fits_reaches_the_neuron() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    choosy(&stage, &host);
    run(&host, async move {
        let answer = asked(&stage.tenant, json!({"do": [], "question": "?"})).await;
        assert!(answer.is_output());
    });
}

#[test]
fn unfit_input_is_refused_while_the_tenants_only_place_is_taken() {
    let host = host();
    let quotas = Quotas {
        concurrent_tasks: 1,
        ..Quotas::default()
    };
    let stage = Stage::with_quotas(&host, "acme", quotas);
    choosy(&stage, &host);
    run(&host, async move {
        let waiting = stage
            .tenant
            .dispatch(puppet(json!([wait_at_gate()])))
            .unwrap();
        stage.gate.arrived(1).await;
        let answer = asked(&stage.tenant, json!({})).await;
        assert_eq!(error(&answer).code, "INVALID_INPUT");
        drop(waiting);
    });
}

#[test]
fn a_tenant_pays_fuel_for_the_look_at_its_input() {
    let host = host();
    let quotas = Quotas {
        fuel_per_second: Some(1_000_000),
        ..Quotas::default()
    };
    let stage = Stage::with_quotas(&host, "acme", quotas);
    let neuron = stage.puppet("choosy", plugin(&host, "puppet"));
    let numbers = json!({"properties": {"all": {"items": {"type": "string"}}}});
    stage
        .tenant
        .register(neuron.input_schema(Schema::new(&numbers).unwrap()));
    run(&host, async move {
        assert_eq!(stage.tenant.tenant().throttle(), None);
        let answer = asked(&stage.tenant, json!({"all": vec![0; 100_000]})).await;
        assert_eq!(
            error(&answer).message,
            "the input does not fit the neuron's schema: it is too large to be told where"
        );
        assert!(stage.tenant.tenant().throttle().is_some());
    });
}

#[test]
fn a_neuron_that_starts_another_with_unfit_input_sees_why() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    choosy(&stage, &host);
    run(&host, async move {
        let call = json!({"call": {"neuron": "choosy", "input": {"question": null}}});
        let said = said(&ask(&stage.tenant, json!([call])).await);
        assert_eq!(said[0]["error"]["code"], "INVALID_INPUT");
    });
}

#[test]
fn a_neuron_is_what_its_package_says() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let text = r#"
        id = "thinker"
        version = "1.0.0"
        kind = "mind"
        capabilities = ["think"]
        [engrams.memory]
        access = "read-write"
        [grants]
        orchestration = true
        synapse = ["AUDIT"]
        clock = "wall"
        log = true
        random = "system"
        [limits]
        fuel = 5_000_000
    "#;
    let document = Document::parse("neuron.toml".as_ref(), text.to_owned()).unwrap();
    let manifest: Manifest = document.typed().unwrap();
    let schemas = Schemas {
        input: Some(json!({"required": ["do"]})),
        output: None,
    };
    let wasm = std::fs::read(common::component("puppet")).unwrap();
    let wasm = embed(&wasm, &manifest, &schemas).unwrap();
    let package = Package::read(&wasm).unwrap();
    let plugin = host
        .load(&wasm, &common::all_grants(), Default::default())
        .unwrap();
    stage.tenant.deregister("puppet");
    stage
        .tenant
        .register(Neuron::of_package(plugin, &package).unwrap());
    run(&host, async move {
        assert_eq!(stage.tenant.neurons(), ["thinker".into()]);
        assert_eq!(who(&stage.tenant, kind("mind")).await, "thinker");
        assert_eq!(
            who(&stage.tenant, Target::capabilities(["think"])).await,
            "thinker"
        );
        let thinker = |steps| Dispatch::to_neuron("thinker").input(told(steps));
        let unfit = Dispatch::to_neuron("thinker");
        let answer = stage.tenant.dispatch_and_wait(unfit, LONG).await.unwrap();
        assert_eq!(error(&answer).code, "INVALID_INPUT");
        let answer = stage
            .tenant
            .dispatch_and_wait(thinker(json!(["spin"])), LONG);
        assert_eq!(
            error(&answer.await.unwrap()).message,
            "the neuron used up its 5000000 units of fuel; raise the fuel limit if the work is \
             legitimate"
        );
        let plan = json!({"emit": {"kind": "PLAN", "payload": {"steps": []}}});
        let answer = stage.tenant.dispatch_and_wait(thinker(json!([plan])), LONG);
        let said = said(&answer.await.unwrap());
        assert!(said[0]["error"].to_string().contains("DENIED"), "{said:?}");
    });
}
