//! Who we are to a registry: from the environment, else from the file that
//! `docker login` writes. Passwords are printed nowhere.

use std::{
    collections::BTreeMap,
    env, fmt, fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;

use super::{error::RegistryError, reference::Reference};

const HOST: &str = "SOMA_REGISTRY_HOST";
const USER: &str = "SOMA_REGISTRY_USER";
const PASSWORD: &str = "SOMA_REGISTRY_PASSWORD";

/// Where credentials are looked up. The default is nowhere.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// For one host; goes before the file.
    given: Option<(String, Login)>,
    file: Option<PathBuf>,
}

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.user)
    }
}

/// What is read of docker's file. Its other keys are somebody else's.
#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    /// Base64 of `user:password`.
    auth: Option<String>,
}

/// A file of credentials is a page.
const MAX_FILE: u64 = 1 << 20;

impl Credentials {
    /// Those of `SOMA_REGISTRY_HOST`, `SOMA_REGISTRY_USER` and
    /// `SOMA_REGISTRY_PASSWORD`, and those in `config.json` of the folder
    /// `DOCKER_CONFIG`, by default `~/.docker`.
    ///
    /// # Errors
    /// When only some of the three variables are there.
    pub fn from_environment() -> Result<Self, RegistryError> {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let given = match (variable(HOST), variable(USER), variable(PASSWORD)) {
            (None, None, None) => None,
            (Some(host), Some(user), Some(password)) => {
                Some((host.to_ascii_lowercase(), Login { user, password }))
            }
            (host, user, password) => {
                let missing = [(HOST, host), (USER, user), (PASSWORD, password)];
                let missing = missing.into_iter().filter(|(_, value)| value.is_none());
                let missing: Vec<_> = missing.map(|(name, _)| name).collect();
                return Err(RegistryError::Credentials(format!(
                    "{HOST}, {USER} and {PASSWORD} go together; missing: {}",
                    missing.join(", ")
                )));
            }
        };
        let folder = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".docker"));
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
        let file = folder
            .or_else(home)
            .map(|folder| folder.join("config.json"));
        Ok(Self { given, file })
    }

    /// User and password for the registry of `reference`.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub(super) fn of(&self, reference: &Reference) -> Result<Option<Login>, RegistryError> {
        let host = reference.authority();
        if let Some((given, login)) = &self.given
            && *given == host
        {
            return Ok(Some(login.clone()));
        }
        match &self.file {
            Some(file) => in_file(file, &host),
            None => Ok(None),
        }
    }
}

fn in_file(path: &Path, host: &str) -> Result<Option<Login>, RegistryError> {
    let wrong = |what: String| RegistryError::Credentials(format!("{}: {what}", path.display()));
    let text = match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| wrong(error.to_string()))?,
    };
    // The parser's own message could repeat a password.
    let config: DockerConfig = serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        wrong(format!(
            "not as docker writes it, line {line} column {column}"
        ))
    })?;
    // The hub's own name among docker's.
    let host = if host == "docker.io" {
        "index.docker.io"
    } else {
        host
    };
    let entry = config.auths.iter().find(|(key, _)| is_for(key, host));
    let Some(encoded) = entry.and_then(|(_, auth)| auth.auth.as_deref()) else {
        return Ok(None);
    };
    let decoded = BASE64_STANDARD.decode(encoded).ok();
    let login = decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| {
            let (user, password) = text.split_once(':')?;
            Some(Login {
                user: user.to_owned(),
                password: password.trim_end_matches('\0').to_owned(),
            })
        });
    login
        .map(Some)
        .ok_or_else(|| wrong(format!("`auth` of {host} is not base64 of `user:password`")))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?
        .take(MAX_FILE)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// Docker writes some keys as URLs.
fn is_for(key: &str, host: &str) -> bool {
    let bare = key
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let bare = bare.split('/').next().unwrap_or(bare);
    bare.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn file(name: &str, text: &str) -> PathBuf {
        let path = env::temp_dir().join(format!("soma-credentials-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        path
    }

    fn looked_up(name: &str, text: &str, host: &str) -> Result<Option<Login>, String> {
        let path = file(name, text);
        let reference = format!("oci://{host}/a").parse().unwrap();
        let credentials = Credentials {
            given: None,
            file: Some(path.clone()),
        };
        let found = credentials
            .of(&reference)
            .map_err(|error| error.to_string());
        fs::remove_file(&path).unwrap();
        found.map_err(|text| text.replace(&path.display().to_string(), "FILE"))
    }

    fn login(user: &str, password: &str) -> Login {
        Login {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    /// `me:pass:word` and `other:pw`.
    const DOCKER: &str = r#"{
        "auths": {
            "registry.example.org:5000": {"auth": "bWU6cGFzczp3b3Jk", "email": "x"},
            "https://plain.example.org/v1/": {"auth": "b3RoZXI6cHc="},
            "helped.example.org": {}
        },
        "credsStore": "desktop"
    }"#;

    #[test]
    fn dockers_file_is_read_by_host_and_port() {
        let of = |host| looked_up("hosts", DOCKER, host).unwrap();
        assert_eq!(
            of("registry.example.org:5000"),
            Some(login("me", "pass:word"))
        );
        assert_eq!(of("plain.example.org"), Some(login("other", "pw")));
        for host in [
            "registry.example.org",
            "registry.example.org:5001",
            "plain.example.org:443",
            "helped.example.org",
            "example.org",
        ] {
            assert_eq!(of(host), None, "{host}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_without_what_is_in_it() {
        let of = |text: &str| looked_up("broken", text, "a").unwrap_err();
        let broken = of("{\"auths\": {\"a\": {\"auth\": [\"secret\"]}}}");
        assert_eq!(broken, "FILE: not as docker writes it, line 1 column 25");
        for auth in ["secret!", "c2VjcmV0", "/w=="] {
            let text = format!("{{\"auths\": {{\"a\": {{\"auth\": \"{auth}\"}}}}}}");
            assert_eq!(
                of(&text),
                "FILE: `auth` of a is not base64 of `user:password`"
            );
        }
    }

    #[test]
    fn without_a_file_there_are_no_credentials() {
        let file = Some(PathBuf::from("/nowhere/config.json"));
        let credentials = Credentials { given: None, file };
        assert_eq!(credentials.of(&"oci://a/b".parse().unwrap()).unwrap(), None);
    }

    #[test]
    fn those_of_the_environment_are_for_their_host_only() {
        let given = Some(("a:5000".to_owned(), login("me", "pw")));
        let credentials = Credentials { given, file: None };
        let of = |text: &str| credentials.of(&text.parse().unwrap()).unwrap();
        assert_eq!(of("oci://A:5000/b"), Some(login("me", "pw")));
        assert_eq!(of("oci://a/b"), None);
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(format!("{:?}", login("me", "secret")), "Login(me)");
    }
}
