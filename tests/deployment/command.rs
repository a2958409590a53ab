//! `soma check` and `soma up`.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    time::Duration,
};

use super::*;
use common::command::{command, end, told};

/// A site with an echo and a puppet.
fn site(name: &str) -> Site {
    let site = Site::new(name);
    let puppet = "id = \"puppet\"\nversion = \"2.0.0\"\n[engrams.memory]\naccess = \"read-write\"\n\
                  [grants]\norchestration = true\nsynapse = [\"PLAN\"]\nclock = \"wall\"\n\
                  random = \"system\"\nlog = true\n";
    site.add("echo", "echo.wasm", ECHO)
        .add("puppet", "puppet.wasm", puppet)
        .write(
            r#"[policy]
signatures = "off"

[tenants.acme.engrams.memory]
kind = "memory"

[tenants.acme.neurons.echo]
source = "echo.wasm"
grants.log = true

[tenants.acme.neurons.puppet]
source = "puppet.wasm"
bind.memory = { engram = "memory", access = "read-write" }
grants = { orchestration = true, synapse = ["PLAN"], clock = "wall", random = "system", log = true }
"#,
        );
    site
}

/// Digests differ from build to build.
fn shown(site: &Site, text: &str) -> String {
    let words = site.shown(text);
    let words = words.split_inclusive([' ', '\n']).map(|word| {
        if word.starts_with("sha256:") {
            "sha256:..\n"
        } else {
            word
        }
    });
    words.collect()
}

#[test]
fn check_shows_what_every_neuron_may_do() {
    let site = site("command-check");
    let run = end(command().arg("check").arg(site.file()));
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
    expect![[r#"
        acme/echo 1.0.0 sha256:..
          log
        acme/puppet 2.0.0 sha256:..
          engram memory: memory (read-write)
          orchestration
          log
          clock: wall
          random: system
          publish PLAN
        2 neurons can run
    "#]]
    .assert_eq(&shown(&site, &run.stdout));
}

#[test]
fn check_tells_problems_to_people_and_to_machines() {
    let site = Site::new("command-check-bad");
    site.write("[tenants.acme.neurons.echo]\nsorce = \"echo.wasm\"\n");
    let run = end(command().arg("check").arg(site.file()));
    assert_eq!((run.exit, run.stdout.as_str()), (3, ""));
    expect![[r#"
        error: 2 problems found
        soma.toml:1:1: tenants.acme.neurons.echo: the key `source` is missing
        soma.toml:2:1: tenants.acme.neurons.echo.sorce: unknown key; there are `source`, `digest`, `kind`, `capabilities`, `catch-all`, `bind`, `grants` and `limits`
    "#]].assert_eq(&site.shown(&run.stderr));
    let run = end(command().args(["check", "--json"]).arg(site.file()));
    assert_eq!(run.exit, 3);
    let first = &run.json()["problems"][0];
    assert_eq!((&first["line"], &first["column"]), (&json!(1), &json!(1)));
    assert_eq!(run.json()["neurons"], json!([]));
}

/// A running `soma up`.
struct Up {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Up {
    fn start(site: &Site) -> Self {
        Self::start_with(site, &[])
    }

    fn start_with(site: &Site, options: &[&str]) -> Self {
        let mut child = command()
            .arg("up")
            .args(options)
            .arg(site.file())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            requests: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn tell(&mut self, line: &str) {
        self.tell_bytes(format!("{line}\n").as_bytes());
    }

    fn tell_bytes(&mut self, bytes: &[u8]) {
        let requests = self.requests.as_mut().unwrap();
        requests.write_all(bytes).unwrap();
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    fn ask(&mut self, request: &Value) -> Value {
        self.tell(&request.to_string());
        self.next()
    }

    /// Ends the input; all that is asked is answered before it goes.
    fn end(mut self) -> i32 {
        drop(self.requests.take());
        self.child.wait().unwrap().code().unwrap()
    }
}

#[test]
fn up_answers_tasks_line_by_line_and_ends_with_its_input() {
    let site = site("command-up");
    let mut up = Up::start(&site);
    let answer = up.ask(&json!({"id": 7, "tenant": "acme", "neuron": "echo", "input": {"a": 1}}));
    assert_eq!(answer["id"], 7);
    assert_eq!(answer["type"], "AGENT_OUTPUT");
    assert_eq!(answer["payload"]["output"], json!({"a": 1}));
    up.tell(r#"{"id": "last", "tenant": "acme", "neuron": "echo"}"#);
    drop(up.requests.take());
    assert_eq!(up.next()["id"], "last");
    assert_eq!(up.end(), 0);
}

#[test]
fn up_stops_and_undoes_an_open_trace() {
    let site = site("command-up-stop");
    let mut up = Up::start(&site);
    let opened = up.ask(&json!({"tenant": "acme", "open": true}));
    let trace = &opened["trace_id"];
    let write = json!([{"write": {"to": "memory", "op": "append", "content": "x"}}]);
    let task =
        json!({"tenant": "acme", "neuron": "puppet", "trace": trace, "input": {"do": write}});
    assert_eq!(up.ask(&task)["type"], "AGENT_OUTPUT");
    let stopped = up.ask(&json!({"tenant": "acme", "stop": trace, "rollback": true}));
    assert_eq!(stopped["stopped"][0]["compensated"], 1);
    assert_eq!(stopped["stopped"][0]["rolled_back"], true);
    let late = up.ask(&task);
    assert!(
        late["error"].as_str().unwrap().contains("was stopped"),
        "{late}"
    );
    assert_eq!(up.end(), 0);
}

#[test]
fn up_reloads_on_demand_and_goes_on_when_that_fails() {
    let site = site("command-up-reload");
    let mut up = Up::start(&site);
    let status = up.ask(&json!({"status": true}));
    assert_eq!(status["neurons"].as_array().unwrap().len(), 2);
    site.put("echo.wasm", b"bad");
    let told = up.ask(&json!({"id": 1, "reload": true}));
    assert_eq!(
        told["error"],
        "the deployment was not reloaded; what ran goes on"
    );
    assert_eq!(told["problems"].as_array().unwrap().len(), 1);
    site.add("echo", "echo.wasm", &ECHO.replace("1.0.0", "1.1.0"));
    let told = up.ask(&json!({"reload": true}));
    assert_eq!(told["reloaded"]["replaced"], json!(["acme/echo"]));
    assert_eq!(up.end(), 0);
}

#[test]
fn up_reloads_by_itself_when_it_watches() {
    let site = site("command-up-watch");
    let mut up = Up::start_with(&site, &["--watch"]);
    // It is up once it answers.
    up.ask(&json!({"status": true}));
    site.add("echo", "echo.wasm", &ECHO.replace("1.0.0", "1.1.0"));
    assert_eq!(up.next()["reloaded"]["replaced"], json!(["acme/echo"]));
    assert_eq!(up.end(), 0);
}

#[test]
fn up_says_what_is_wrong_with_a_request_and_goes_on() {
    let site = site("command-up-requests");
    let mut up = Up::start(&site);
    let mut told = |line: &str| {
        up.tell(line);
        up.next().to_string()
    };
    let all = [
        told("not json"),
        told(r#"[10, "acme", "echo"]"#),
        told("7"),
        told(r#"{"id": 1, "tenant": "acme", "nuron": "echo"}"#),
        told(r#"{"id": 2, "tenant": "acme"}"#),
        told(r#"{"id": 3, "tenant": "acme", "neuron": "echo", "open": true}"#),
        told(r#"{"id": 4, "tenant": "acme", "neuron": "echo", "kind": "neuron"}"#),
        told(r#"{"id": 5, "neuron": "echo"}"#),
        told(r#"{"id": 6, "tenant": "other", "neuron": "echo"}"#),
        told(r#"{"id": 7, "tenant": "acme", "neuron": "nobody"}"#),
        told(r#"{"id": 8, "tenant": "acme", "stop": "trace 1"}"#),
        told(r#"{"id": 9, "tenant": "acme", "neuron": "echo", "timeout": "soon"}"#),
        told(
            r#"{"id": 10, "tenant": "acme", "neuron": "echo", "trace": "trc_01KDVDNA00JGPXEAYJHYJTS0CH"}"#,
        ),
    ];
    expect![[r#"
        {"id":null,"error":"the request makes no sense: expected ident at line 1 column 2"}
        {"id":null,"error":"the request makes no sense: it is no JSON object"}
        {"id":null,"error":"the request makes no sense: it is no JSON object"}
        {"id":1,"error":"the request makes no sense: unknown field `nuron`, expected one of `id`, `tenant`, `neuron`, `kind`, `capabilities`, `input`, `timeout`, `trace`, `open`, `commit`, `stop`, `rollback`, `reason`, `reload`, `status` at line 1 column 35"}
        {"id":2,"error":"a request holds one of `neuron`, `kind`, `capabilities`, `open`, `commit`, `stop`, `reload` and `status`"}
        {"id":3,"error":"a request holds one of `neuron`, `kind`, `capabilities`, `open`, `commit`, `stop`, `reload` and `status`"}
        {"id":4,"error":"a task is for one of `neuron`, `kind` and `capabilities`"}
        {"id":5,"error":"the key `tenant` is missing"}
        {"id":6,"error":"there is no tenant `other`"}
        {"id":7,"error":"no neuron of tenant `acme` is neuron `nobody`; registered: echo, puppet"}
        {"id":8,"error":"`trace 1` is no trace: an id must be a string that starts with `trc_`"}
        {"id":9,"error":"the request makes no sense: write a number and a unit, for example 500ms, 30s or 2m at line 1 column 64"}
        {"id":10,"error":"there is no open trace trc_01KDVDNA00JGPXEAYJHYJTS0CH: it was stopped or committed, or never opened"}"#]].assert_eq(&all.join("\n"));
    assert_eq!(up.end(), 0);
}

#[test]
fn of_the_hosts_own_variables_a_neuron_sees_those_that_are_passed_and_asked_for() {
    let site = Site::new("command-up-environment");
    let manifest = "id = \"probe\"\nversion = \"1.0.0\"\n[grants]\nlog = true\nwasi = true\n\
                    environment = [\"SOMA_TEST_LEVEL\"]\n";
    site.add("wasi_probe", "probe.wasm", manifest).write(
        r#"policy.signatures = "off"

[tenants.acme.neurons.probe]
source = "probe.wasm"

[tenants.acme.neurons.probe.grants]
log = true
wasi = true
pass-environment = ["SOMA_TEST_LEVEL", "SOMA_TEST_TOKEN", "SOMA_TEST_NOT_SET"]
"#,
    );
    let mut up = command();
    up.arg("up").arg(site.file());
    up.env("SOMA_TEST_LEVEL", "3").env("SOMA_TEST_TOKEN", "t");
    let task = json!({"tenant": "acme", "neuron": "probe", "input": {"do": ["environment"]}});
    let run = told(&mut up, &task.to_string());
    assert_eq!(run.exit, 0, "{}", run.stderr);
    let said = &run.json()["payload"]["output"]["said"];
    assert_eq!(*said, json!([[["SOMA_TEST_LEVEL", "3"]]]));
    let warned = run.stderr.lines().map(|line| site.shown(line.trim()));
    let warned: Vec<_> = warned.collect();
    expect![[r#"
        WARN soma::cli::up: soma.toml:9:40: tenants.acme.neurons.probe.grants.pass-environment.1: the component does not ask for the environment variable `SOMA_TEST_TOKEN`; this grant gives nothing
        WARN soma::cli::up: soma.toml:9:59: tenants.acme.neurons.probe.grants.pass-environment.2: the component does not ask for the environment variable `SOMA_TEST_NOT_SET`; this grant gives nothing
        1 neuron run; reading requests"#]].assert_eq(&warned.join("\n"));
}

#[test]
fn up_does_not_start_what_cannot_run() {
    let site = Site::new("command-up-bad");
    site.write("[tenants.acme.neurons.echo]\nsource = \"echo.wasm\"\n");
    let run = end(command().arg("up").arg(site.file()));
    assert_eq!((run.exit, run.stdout.as_str()), (3, ""));
    expect![[r#"
        error: 1 problem found
        soma.toml:2:10: tenants.acme.neurons.echo.source: cannot read echo.wasm: No such file or directory (os error 2)
    "#]].assert_eq(&site.shown(&run.stderr));
}

/// A registry that is asked and never answers, until it is dropped.
struct Silent(TcpListener);

impl Silent {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    /// Waits until somebody asks.
    fn asked(&self) -> TcpStream {
        for _ in 0..6_000 {
            match self.0.accept() {
                Ok((stream, _)) => return stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("nobody asks");
    }

    /// A neuron that is there.
    fn neuron(&self) -> String {
        let port = self.0.local_addr().unwrap().port();
        format!("\n[tenants.acme.neurons.far]\nsource = \"oci://127.0.0.1:{port}/far:1\"\n")
    }
}

fn add(site: &Site, text: &str) {
    let before = fs::read_to_string(site.file()).unwrap();
    site.put("soma.toml", (before + text).as_bytes());
}

#[test]
fn up_answers_while_a_reload_takes_its_time() {
    for options in [&[][..], &["--watch"]] {
        let site = site("command-up-slow");
        let mut up = Up::start_with(&site, options);
        let running = up.ask(&json!({"status": true}))["neurons"].clone();
        let silent = Silent::new();
        add(&site, &silent.neuron());
        if options.is_empty() {
            up.tell(r#"{"id": "first", "reload": true}"#);
            up.tell(r#"{"id": "second", "reload": true}"#);
        }
        let asked = silent.asked();
        let task = json!({"tenant": "acme", "neuron": "echo", "input": {"a": 1}});
        assert_eq!(up.ask(&task)["payload"]["output"], json!({"a": 1}));
        assert_eq!(up.ask(&json!({"status": true}))["neurons"], running);
        drop((silent, asked));
        let told = up.next();
        assert_eq!(
            told["error"],
            "the deployment was not reloaded; what ran goes on"
        );
        assert_eq!(up.end(), 0);
    }
}

#[test]
fn up_reloads_by_itself_however_much_it_is_asked() {
    let site = site("command-up-busy");
    let mut up = Up::start_with(&site, &["--watch"]);
    up.ask(&json!({"status": true}));
    site.add("echo", "echo.wasm", &ECHO.replace("1.0.0", "1.1.0"));
    let is_reloaded = |told: &Value| told["reloaded"]["replaced"] == json!(["acme/echo"]);
    while !is_reloaded(&up.ask(&json!({"status": true}))) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(up.end(), 0);
}

#[test]
fn up_answers_what_is_no_text_or_has_no_end_and_goes_on() {
    let site = site("command-up-bytes");
    let mut up = Up::start(&site);
    up.tell_bytes(b"{\"id\": \"\xff\"}\n");
    let told = up.next().to_string();
    expect![[r#"{"id":null,"error":"the request makes no sense: invalid unicode code point at line 1 column 9"}"#]].assert_eq(&told);
    let long = "x".repeat(17 << 20);
    up.tell_bytes(format!("{{\"id\": \"{long}\"}}\n").as_bytes());
    let told = up.next().to_string();
    expect![[r#"{"id":null,"error":"the request has more than 16777216 bytes"}"#]].assert_eq(&told);
    // The last line needs no end of its own.
    up.tell_bytes(b"\n\n{\"id\": 1, \"status\": true}");
    drop(up.requests.take());
    assert_eq!(up.next()["id"], 1);
    assert_eq!(up.end(), 0);
}

#[test]
fn up_takes_more_requests_than_anybody_reads_answers() {
    const COUNT: usize = 30_000;
    let site = site("command-up-many");
    let mut up = Up::start(&site);
    let mut requests = up.requests.take().unwrap();
    let asking = std::thread::spawn(move || {
        for id in 0..COUNT {
            writeln!(requests, r#"{{"id": {id}, "tenant": "acme", "open": 0}}"#).unwrap();
        }
    });
    let mut ids: Vec<_> = (0..COUNT).map(|_| up.next()["error"].is_string()).collect();
    ids.dedup();
    assert_eq!(ids, [true]);
    asking.join().unwrap();
    assert_eq!(up.end(), 0);
}

#[test]
fn up_says_when_it_cannot_read_any_more() {
    let site = site("command-up-unreadable");
    let run = end(command()
        .arg("up")
        .arg(site.file())
        .stdin(fs::File::open(&site.folder).unwrap()));
    assert_eq!((run.exit, run.stdout.as_str()), (5, ""));
    expect![[r#"
        2 neurons run; reading requests
        error: cannot read standard input: Is a directory (os error 21)
    "#]]
    .assert_eq(&run.stderr);
}

#[test]
fn a_trace_is_out_of_reach_of_another_tenant() {
    let site = site("command-up-tenants");
    add(
        &site,
        "\n[tenants.other.engrams.notes]\nkind = \"memory\"\n",
    );
    let mut up = Up::start(&site);
    let opened = up.ask(&json!({"tenant": "acme", "open": true}));
    let trace = &opened["trace_id"];
    let told = up.ask(&json!({"tenant": "other", "commit": trace}));
    assert_eq!(told["committed"], false);
    let told = up.ask(&json!({"tenant": "acme", "commit": trace}));
    assert_eq!(told["committed"], true);
    assert_eq!(up.end(), 0);
}

#[test]
fn a_reader_that_has_gone_away_is_no_failure() {
    let site = site("command-closed");
    for words in [&["check"][..], &["check", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = end(command().args(words).arg(site.file()).stdout(writer));
        assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
    }
}

#[test]
fn half_of_the_credentials_matter_where_a_registry_is_asked() {
    let site = site("command-credentials");
    let check = |word: &str| {
        end(command()
            .arg(word)
            .arg(site.file())
            .env("SOMA_REGISTRY_USER", "me"))
    };
    for word in ["check", "up"] {
        assert_eq!(check(word).exit, 0);
    }
    add(&site, &Silent::new().neuron());
    let expected = expect![[r#"
        error: SOMA_REGISTRY_HOST, SOMA_REGISTRY_USER and SOMA_REGISTRY_PASSWORD go together; missing: SOMA_REGISTRY_HOST, SOMA_REGISTRY_PASSWORD
    "#]];
    for word in ["check", "up"] {
        let run = check(word);
        assert_eq!(run.exit, 2);
        expected.assert_eq(&run.stderr);
    }
}
