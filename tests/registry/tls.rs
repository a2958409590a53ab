//! Over TLS: a registry of a name that only this test's proxy knows, with a
//! certificate of an authority that only this test trusts. Its key guards
//! nothing else.

use std::{
    io::{BufRead, BufReader, Read, Write, copy},
    net::{Shutdown, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use expect_test::expect;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::{User, component, server::Server};

const REFERENCE: &str = "oci://registry.test/a:1";

fn file(name: &str) -> String {
    format!("{}/tests/registry/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Tunnels every connection to this port, whatever name is asked for. Its own
/// port.
fn proxy(to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            assert!(head.starts_with("CONNECT registry.test:443 "), "{head}");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
            tunnel(stream.try_clone().unwrap(), server.try_clone().unwrap());
            tunnel(server, stream);
        }
    });
    port
}

fn tunnel(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // Either side may end it at any time.
        drop(copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Write));
    });
}

fn user(name: &str, port: u16) -> User {
    let mut user = User::new(name);
    user.set("HTTPS_PROXY", &format!("http://127.0.0.1:{}", proxy(port)));
    user
}

#[test]
fn other_hosts_than_this_one_are_spoken_to_over_tls() {
    let tls = format!(
        ", tls: {{certificate: {}, key: {}}}",
        file("server.pem"),
        file("key.pem")
    );
    let server = Server::with("tls", "", &tls);
    let mut user = user("tls", server.port);
    let wasm = user.file("a.wasm", &component("a"));
    user.push(&wasm, REFERENCE).refuses(5, &expect![[r#"
        error: cannot reach registry.test: invalid peer certificate: UnknownIssuer
        help: is it running, and is this its name? a registry without TLS needs `--plain-http`; what was pulled before is to be had with `--offline`
    "#]]);
    user.set("SSL_CERT_FILE", &file("authority.pem"));
    user.push(&wasm, REFERENCE).done();
    user.pull(REFERENCE, &[]).done();
}

#[test]
fn a_registry_without_tls_is_told() {
    let server = Server::start("plain");
    let mut user = user("plain", server.port);
    user.set("SSL_CERT_FILE", &file("authority.pem"));
    user.pull(REFERENCE, &[]).refuses(5, &expect![[r#"
        error: cannot reach registry.test: received corrupt message of type InvalidContentType
        help: is it running, and is this its name? a registry without TLS needs `--plain-http`; what was pulled before is to be had with `--offline`
    "#]]);
}

#[test]
fn without_certificates_of_authorities_nobody_is_asked() {
    let mut user = user("no-authorities", 1);
    user.set("SSL_CERT_FILE", "/nowhere");
    user.pull(REFERENCE, &[]).refuses(5, &expect![[r#"
        error: cannot ask registries: unexpected error: No CA certificates were loaded from the system; are the CA certificates installed?
    "#]]);
}

#[test]
fn a_redirect_from_tls_to_none_is_not_followed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = CertificateDer::from_pem_file(file("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![server], key)
        .unwrap();
    let config = Arc::new(config);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            let answer = "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://registry.test/a\r\n\
                          content-length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let mut user = user("downgrade", port);
    user.set("SSL_CERT_FILE", &file("authority.pem"));
    user.pull(REFERENCE, &[]).refuses(
        5,
        &expect![[r#"
        error: registry.test redirects where it may not: from TLS to none
    "#]],
    );
}
