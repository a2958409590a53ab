//! Who we are to a registry, and to whom that is told.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use expect_test::expect;
use rustls::{
    SignatureScheme,
    crypto::ring::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::json;

use crate::{
    User, component,
    front::{Asked, Front, Reply},
    server::Server,
};

const PASSWORD: &str = "open sesame";

fn basic(password: &str) -> String {
    BASE64_STANDARD.encode(format!("soma:{password}"))
}

/// As `docker login` leaves it.
fn log_in(user: &User, host: &str, password: &str) {
    let config = json!({"auths": {host: {"auth": basic(password)}}});
    user.file(".docker/config.json", config.to_string().as_bytes());
}

#[test]
fn a_password_is_asked_for_found_and_checked() {
    let server = Server::with_password("password");
    let user = User::of("password", &server);
    let file = user.file("a.wasm", &component("a"));
    let reference = server.at("a:1");
    user.push(&file, &reference).refuses(3, &expect![[r#"
        error: HOST asks for credentials, and there are none for it
        help: set SOMA_REGISTRY_HOST=HOST, SOMA_REGISTRY_USER and SOMA_REGISTRY_PASSWORD, or `docker login HOST` without a credential helper
    "#]]);
    log_in(&user, &server.host(), "open barley");
    user.push(&file, &reference).refuses(3, &expect![[r#"
        error: HOST refused the credentials of `soma`
        help: set SOMA_REGISTRY_HOST=HOST, SOMA_REGISTRY_USER and SOMA_REGISTRY_PASSWORD, or `docker login HOST` without a credential helper
    "#]]);
    log_in(&user, &server.host(), PASSWORD);
    user.push(&file, &reference).done();
    user.pull(&reference, &[]).done();
    // Somebody else's are not ours.
    log_in(&user, "registry.example.org", PASSWORD);
    user.pull(&reference, &[]).refuses(3, &expect![[r#"
        error: HOST asks for credentials, and there are none for it
        help: set SOMA_REGISTRY_HOST=HOST, SOMA_REGISTRY_USER and SOMA_REGISTRY_PASSWORD, or `docker login HOST` without a credential helper
    "#]]);
    user.file(
        ".docker/config.json",
        b"{\"auths\": {\"a\": {\"auth\": [\"open sesame\"]}}}",
    );
    user.pull(&reference, &[]).refuses(
        3,
        &expect![[r#"
        error: HOME/.docker/config.json: not as docker writes it, line 1 column 25
    "#]],
    );
}

#[test]
fn credentials_of_the_environment_are_for_one_host_and_go_first() {
    let server = Server::with_password("environment");
    let mut user = User::of("environment", &server);
    let file = user.file("a.wasm", &component("a"));
    let reference = server.at("a:1");
    log_in(&user, &server.host(), "open barley");
    user.set("SOMA_REGISTRY_HOST", &server.host());
    user.set("SOMA_REGISTRY_USER", "soma");
    user.push(&file, &reference).refuses(2, &expect![[r#"
        error: SOMA_REGISTRY_HOST, SOMA_REGISTRY_USER and SOMA_REGISTRY_PASSWORD go together; missing: SOMA_REGISTRY_PASSWORD
    "#]]);
    user.set("SOMA_REGISTRY_PASSWORD", PASSWORD);
    user.push(&file, &reference).done();
    user.set("SOMA_REGISTRY_HOST", "registry.example.org");
    assert_eq!(user.pull(&reference, &[]).exit, 3);
}

/// A token of the kind that docker-registry takes, for what was asked.
fn token(scope: Option<&str>) -> String {
    let read = |name| {
        let path = format!("{}/tests/registry/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).unwrap()
    };
    let authority = CertificateDer::from_pem_slice(&read("authority.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&read("key.pem")).unwrap();
    let access = scope.map(|scope| {
        let [kind, name, actions] = scope.splitn(3, ':').collect::<Vec<_>>()[..] else {
            panic!("{scope}");
        };
        json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()})
    });
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let head = json!({"typ": "JWT", "alg": "RS256", "x5c": [BASE64_STANDARD.encode(&authority)]});
    let claims = json!({
        "iss": "soma tests", "aud": "soma registry", "sub": "soma", "jti": "1",
        "nbf": now - 60, "iat": now, "exp": now + 3600,
        "access": access.into_iter().collect::<Vec<_>>(),
    });
    let part = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = [head, claims]
        .map(|json| part(json.to_string().as_bytes()))
        .join(".");
    let key = any_supported_type(&key).unwrap();
    let signer = key
        .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
        .unwrap();
    format!(
        "{signed}.{}",
        part(&signer.sign(signed.as_bytes()).unwrap())
    )
}

/// What a token service was asked for, and by whom.
fn asked_for(asked: &Asked) -> (Option<String>, Option<String>) {
    let url: reqwest::Url = format!("http://tokens{}", asked.path).parse().unwrap();
    let mut query = url.query_pairs();
    let scope = query.find(|(name, _)| name == "scope");
    (
        scope.map(|(_, scope)| scope.into_owned()),
        asked.header("authorization").map(str::to_owned),
    )
}

#[test]
fn a_token_is_fetched_where_the_registry_wants_one() {
    let tokens = Front::start(|asked| {
        let (scope, who) = asked_for(asked);
        let right = format!("Basic {}", basic(PASSWORD));
        let granted = match who {
            // Anybody gets a token, for nothing.
            None => token(None),
            Some(who) if who == right => token(scope.as_deref()),
            Some(_) => return Reply::with("401 Unauthorized", &[], b""),
        };
        let granted = json!({"token": granted, "expires_in": 300}).to_string();
        Reply::with(
            "200 OK",
            &["content-type: application/json"],
            granted.as_bytes(),
        )
    });
    let settings = format!(
        "auth: {{token: {{realm: \"http://{}/token\", service: soma registry, issuer: soma tests, \
         rootcertbundle: {}/tests/registry/authority.pem}}}}",
        tokens.address,
        env!("CARGO_MANIFEST_DIR")
    );
    let server = Server::with("token", &settings, "");
    let user = User::of("token", &server);
    let file = user.file("a.wasm", &component("a"));
    let reference = server.at("team/a:1");
    user.push(&file, &reference).refuses(3, &expect![[r#"
        error: HOST asks for credentials, and there are none for it
        help: set SOMA_REGISTRY_HOST=HOST, SOMA_REGISTRY_USER and SOMA_REGISTRY_PASSWORD, or `docker login HOST` without a credential helper
    "#]]);
    log_in(&user, &server.host(), "open barley");
    user.push(&file, &reference).refuses(3, &expect![[r#"
        error: HOST refused the credentials of `soma`
        help: set SOMA_REGISTRY_HOST=HOST, SOMA_REGISTRY_USER and SOMA_REGISTRY_PASSWORD, or `docker login HOST` without a credential helper
    "#]]);
    log_in(&user, &server.host(), PASSWORD);
    let before = tokens.asked().len();
    user.push(&file, &reference).done();
    user.pull(&reference, &[]).done();
    let scopes: Vec<_> = tokens.asked()[before..]
        .iter()
        .map(|asked| asked_for(asked).0.unwrap())
        .collect();
    assert_eq!(
        scopes,
        ["repository:team/a:pull,push", "repository:team/a:pull"]
    );
}

#[test]
fn an_answer_of_a_token_service_that_is_no_token_is_refused() {
    let mut told = String::new();
    for answer in ["{\"token\": \"a\\nb\"}", "{}", "<html>"] {
        let tokens = Front::start(|_| Reply::with("200 OK", &[], answer.as_bytes()));
        let challenge = format!(
            "www-authenticate: Bearer realm=\"http://{}/\"",
            tokens.address
        );
        let registry =
            Front::start(move |_| Reply::with("401 Unauthorized", &[challenge.as_str()], b""));
        let mut user = User::new("no-token");
        user.mask(&tokens.address.to_string(), "TOKENS");
        let refused = user.pull(&registry.at("a:1"), &[]);
        assert_eq!(refused.exit, 5);
        told.push_str(&refused.stderr);
    }
    expect![[r#"
        error: TOKENS answered a request for a token with 200: something that is no token
        error: TOKENS answered a request for a token with 200: something that is no token
        error: TOKENS answered a request for a token with 200: something that is no token
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_redirect_is_followed_without_credentials() {
    let server = Server::with_password("redirect");
    let mut user = User::of("redirect", &server);
    let bytes = component("a");
    // Where large registries keep their blobs.
    let content = bytes.clone();
    let storage = Front::start(move |_| Reply::with("200 OK", &[], &content));
    let place = format!("location: http://{}/kept", storage.address);
    let port = server.port;
    let front = Front::start(move |asked| {
        if asked.method == "GET" && asked.path.contains("/blobs/") {
            return Reply::with("307 Temporary Redirect", &[place.as_str()], b"");
        }
        Reply::Pass(port)
    });
    user.mask(&front.address.to_string(), "FRONT");
    log_in(&user, &front.address.to_string(), PASSWORD);
    let file = user.file("a.wasm", &bytes);
    let reference = front.at("a:1");
    user.push(&file, &reference).done();
    let out = user.path("b.wasm");
    user.pull(&reference, &["-o", out.to_str().unwrap()]).done();
    assert_eq!(std::fs::read(out).unwrap(), bytes);

    let right = format!("Basic {}", basic(PASSWORD));
    let asked = front.asked();
    let redirected = asked
        .iter()
        .find(|asked| asked.method == "GET" && asked.path.contains("/blobs/"));
    assert_eq!(
        redirected.unwrap().header("authorization"),
        Some(right.as_str())
    );
    let [kept] = &storage.asked()[..] else {
        panic!()
    };
    assert_eq!(
        (kept.path.as_str(), kept.header("authorization")),
        ("/kept", None)
    );
    assert_eq!(kept.header("referer"), None);
}

#[test]
fn a_place_for_uploads_elsewhere_is_not_told_who_we_are() {
    let server = Server::with_password("elsewhere");
    let mut user = User::of("elsewhere", &server);
    let storage = Front::start(|_| {
        Reply::with(
            "401 Unauthorized",
            &["www-authenticate: Basic realm=\"x\""],
            b"",
        )
    });
    let place = format!("location: http://{}/put?a=b", storage.address);
    let port = server.port;
    let front = Front::start(move |asked| match asked.method.as_str() {
        "POST" => Reply::with("202 Accepted", &[place.as_str()], b""),
        _ => Reply::Pass(port),
    });
    user.mask(&storage.address.to_string(), "STORAGE");
    log_in(&user, &front.address.to_string(), PASSWORD);
    let file = user.file("a.wasm", &component("a"));
    user.push(&file, &front.at("a:1")).refuses(
        5,
        &expect![[r#"
            error: STORAGE answered an upload with 401: unauthorized
        "#]],
    );
    let [put] = &storage.asked()[..] else {
        panic!()
    };
    assert_eq!(
        (put.method.as_str(), put.header("authorization")),
        ("PUT", None)
    );
    assert!(
        put.path.starts_with("/put?a=b&digest=sha256%3A"),
        "{}",
        put.path
    );
}

#[test]
fn a_redirect_without_end_is_left() {
    let front = Front::start(|asked| {
        let place = format!("location: {}", asked.path);
        Reply::with("307 Temporary Redirect", &[place.as_str()], b"")
    });
    let mut user = User::new("loop");
    user.mask(&front.address.to_string(), "HOST");
    user.pull(&front.at("a:1"), &[]).refuses(
        5,
        &expect![[r#"
            error: HOST redirects where it may not: more than 5 times
        "#]],
    );
    assert_eq!(front.asked().len(), 6);
}
