//! A server of the test's own, before or beside the real registry: it passes
//! requests on, answers some itself, and keeps what it was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    raw: Vec<u8>,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(known, _)| known == name)?;
        Some(value)
    }
}

/// What is done with a request.
pub enum Reply {
    /// The registry on this port answers.
    Pass(u16),
    /// This is the answer: head and body.
    Raw(Vec<u8>),
    /// As `Raw`, and then this over and over until nobody reads any more.
    Endless(Vec<u8>, Vec<u8>),
    /// The connection is closed without a word.
    Hang,
    /// This is said, and then nothing more; the connection stays open.
    Stall(Vec<u8>),
}

impl Reply {
    /// An answer with these header lines and this body.
    pub fn with(status: &str, headers: &[&str], body: &[u8]) -> Self {
        let mut head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
        for header in headers {
            head.push_str(&format!("{header}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        Self::Raw([head.as_bytes(), body].concat())
    }
}

/// Listens on a free port until it is dropped.
pub struct Front {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    over: Arc<AtomicBool>,
}

impl Front {
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let front = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            over: Arc::default(),
        };
        let (asked, over) = (Arc::clone(&front.asked), Arc::clone(&front.over));
        let answer = Arc::new(answer);
        thread::spawn(move || {
            let mut stalled = Vec::new();
            for stream in listener.incoming() {
                if over.load(Ordering::Acquire) {
                    return;
                }
                let mut stream = stream.unwrap();
                let Some(request) = read(&stream) else {
                    continue;
                };
                let reply = answer(&request);
                asked.lock().unwrap().push(request.clone());
                match reply {
                    Reply::Pass(port) => pass(&request, port, &mut stream),
                    // Who asked may have gone.
                    Reply::Raw(bytes) => drop(stream.write_all(&bytes)),
                    Reply::Endless(head, more) => {
                        let mut sent = stream.write_all(&head);
                        while sent.is_ok() {
                            sent = stream.write_all(&more);
                        }
                    }
                    Reply::Hang => {}
                    Reply::Stall(bytes) => {
                        drop(stream.write_all(&bytes));
                        stalled.push(stream);
                    }
                }
            }
        });
        front
    }

    pub fn at(&self, rest: &str) -> String {
        format!("oci://{}/{rest}", self.address)
    }

    /// Everything it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return None;
        }
    }
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let raw = [head.as_bytes(), &body].concat();
    Some(Asked {
        method,
        path,
        headers,
        raw,
    })
}

/// To the registry and back, unchanged but for the connection's end.
fn pass(request: &Asked, port: u16, stream: &mut TcpStream) {
    let mut registry = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let text = &request.raw;
    let end = text.windows(2).position(|pair| pair == b"\r\n").unwrap() + 2;
    registry.write_all(&text[..end]).unwrap();
    registry.write_all(b"Connection: close\r\n").unwrap();
    registry.write_all(&text[end..]).unwrap();
    let mut answer = Vec::new();
    registry.read_to_end(&mut answer).unwrap();
    drop(stream.write_all(&answer));
    drop(stream.shutdown(Shutdown::Write));
}
