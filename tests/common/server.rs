//! A small HTTP server on this machine that counts who comes.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

/// Paths that it knows: `/hello`, `/echo`, `/redirect?URL`, `/wait` (never
/// answers), `/all/N` (answers when N have come), `/slow/MS`.
pub struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    connections: usize,
    /// Request lines in the order in which they came.
    requests: Vec<String>,
    /// Requests to `/wait` whose connection was closed from the other side.
    cut: usize,
}

/// A wait that fails says so instead of hanging.
const WATCHDOG: Duration = Duration::from_secs(60);

impl Seen {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.changed.notify_all();
    }

    fn wait_until(&self, mut reached: impl FnMut(&State) -> bool) {
        let mut state = self.state.lock();
        let waited = self
            .changed
            .wait_while_for(&mut state, |state| !reached(state), WATCHDOG);
        assert!(!waited.timed_out(), "the server waits in vain");
    }
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                for stream in listener.incoming() {
                    seen.change(|state| state.connections += 1);
                    let seen = Arc::clone(&seen);
                    thread::spawn(move || serve(stream.unwrap(), &seen));
                }
            }
        });
        Self { address, seen }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn connections(&self) -> usize {
        self.seen.state.lock().connections
    }

    pub fn requests(&self) -> Vec<String> {
        self.seen.state.lock().requests.clone()
    }

    /// Waiting requests that were cut by whoever made them.
    pub fn cuts(&self) -> usize {
        self.seen.state.lock().cut
    }

    /// Until so many waiting requests were cut by whoever made them.
    pub fn wait_for_cuts(&self, count: usize) {
        self.seen.wait_until(|state| state.cut >= count);
    }
}

fn serve(stream: TcpStream, seen: &Seen) {
    let mut reader = BufReader::new(&stream);
    let Some((line, body)) = request(&mut reader) else {
        return;
    };
    seen.change(|state| state.requests.push(line.clone()));
    let path = line.split(' ').nth(1).unwrap_or_default();
    let reply = |status: &str, more: &str, body: &str| {
        let length = body.len();
        let text = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{more}\r\n{body}"
        );
        // Whoever asked may be gone.
        drop((&stream).write_all(text.as_bytes()));
    };
    if let Some(place) = path.strip_prefix("/redirect?") {
        reply("302 Found", &format!("location: {place}\r\n"), "");
    } else if let Some(count) = path.strip_prefix("/all/") {
        let count: usize = count.parse().unwrap();
        seen.wait_until(|state| state.requests.len() >= count);
        reply("200 OK", "", "all");
    } else if let Some(ms) = path.strip_prefix("/slow/") {
        thread::sleep(Duration::from_millis(ms.parse().unwrap()));
        reply("200 OK", "", "slow");
    } else {
        match path {
            "/hello" => reply("200 OK", "", "hello"),
            "/echo" => reply("200 OK", "", &body),
            "/wait" => {
                let closed = reader.read(&mut [0]);
                assert!(matches!(closed, Ok(0) | Err(_)));
                seen.change(|state| state.cut += 1);
            }
            _ => reply("404 Not Found", "", ""),
        }
    }
}

/// Request line and body; `None` for what is no HTTP.
fn request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|length| *length > 0)?;
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        reader
            .read_line(&mut header)
            .ok()
            .filter(|length| *length > 0)?;
        match header.trim_end().split_once(": ") {
            Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
            None => break,
        };
    }
    let body = if headers.contains_key("transfer-encoding") {
        chunked(reader)?
    } else {
        let length = headers
            .get("content-length")
            .map_or(Some(0), |l| l.parse().ok())?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        String::from_utf8(body).ok()?
    };
    Some((line.trim_end().to_owned(), body))
}

fn chunked(reader: &mut impl BufRead) -> Option<String> {
    let mut all = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim_end(), 16).ok()?;
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk).ok()?;
        chunk.truncate(length);
        if length == 0 {
            return Some(all);
        }
        all += &String::from_utf8(chunk).ok()?;
    }
}
