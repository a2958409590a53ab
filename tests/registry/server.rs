//! A real registry server, of the test that starts it alone.

use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

/// Debian's docker-registry on a free port, with a folder of its own. It ends
/// with the test.
pub struct Server {
    child: Child,
    pub port: u16,
    folder: PathBuf,
}

/// User `soma`, password `open sesame`.
const HTPASSWD: &str = "soma:$2y$05$somaregistrytestsalt.ue1ZD8AjqbVpCB4kuwEkLVlrT7ICAazy\n";

impl Server {
    /// One that asks nobody who they are.
    pub fn start(name: &str) -> Self {
        Self::with(name, "", "")
    }

    /// One that knows the user `soma` with the password `open sesame`.
    pub fn with_password(name: &str) -> Self {
        let folder = folder(name);
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("htpasswd");
        fs::write(&file, HTPASSWD).unwrap();
        let auth = format!(
            "auth: {{htpasswd: {{realm: tests, path: {}}}}}",
            file.display()
        );
        Self::with(name, &auth, "")
    }

    /// One with these settings beside the usual ones.
    pub fn with(name: &str, settings: &str, http: &str) -> Self {
        let folder = folder(name);
        let data = folder.join("data");
        match fs::remove_dir_all(&data) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
            _ => fs::create_dir_all(&data).unwrap(),
        }
        let config = folder.join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: \"127.0.0.1:0\"{http}}}\n{settings}\n",
            data.display()
        );
        fs::write(&config, text).unwrap();
        let mut child = Command::new(program())
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let port = port(&mut log);
        // A full pipe would hold it up.
        thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Self {
            child,
            port,
            folder,
        }
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `oci://` of it and what follows.
    pub fn at(&self, rest: &str) -> String {
        format!("oci://{}/{rest}", self.host())
    }

    /// The file that holds the blob of this digest.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        let blobs = self.folder.join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    /// Ends it now; its port is free on return.
    pub fn stop(&mut self) {
        // It may have ended before.
        drop(self.child.kill());
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("registry")
        .join(name)
}

fn program() -> PathBuf {
    let unpacked =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/registry/usr/bin/docker-registry");
    if unpacked.is_file() {
        return unpacked;
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search)
        .map(|folder| folder.join("docker-registry"))
        .find(|file| file.is_file())
        .expect("docker-registry is missing: `cargo xtask test` gets it")
}

/// The server says in its log where it listens.
fn port(log: &mut impl BufRead) -> u16 {
    let mut said = String::new();
    loop {
        let start = said.len();
        let count = log.read_line(&mut said).unwrap();
        assert!(count > 0, "docker-registry did not start:\n{said}");
        let port = said[start..]
            .split_once("listening on 127.0.0.1:")
            .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit));
        if let Some(port) = port {
            return port.collect::<String>().parse().unwrap();
        }
    }
}
