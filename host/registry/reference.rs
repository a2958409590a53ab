//! Where a component is: `oci://host[:port]/repository[:tag][@sha256:…]`.

use std::{fmt, net::IpAddr, str::FromStr};

use crate::package::Digest;

/// The name of a component in a registry.
///
/// The digest behind `@` is that of the manifest, as everywhere in the OCI
/// world; it decides, and a tag beside it is for people. Without both the tag
/// is `latest`. Hosts are compared in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    host: String,
    port: Option<u16>,
    repository: String,
    /// There is a tag, a digest, or both.
    tag: Option<String>,
    digest: Option<Digest>,
}

/// Why a text is no [`Reference`]. No message repeats more of the text than the
/// part that is wrong: somebody may have written a password into it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// Another scheme, or none.
    #[error(
        "a reference starts with `oci://`, for example oci://registry.example.org/team/ingester:1.0.0"
    )]
    Scheme,
    /// `user:password@` before the host.
    #[error(
        "a reference carries no credentials; \
         `~/.docker/config.json` or the variables SOMA_REGISTRY_* hold them"
    )]
    Credentials,
    /// What should be host and port.
    #[error("`{0}` is no host: it is a name or an address, and a port from 1 to 65535 behind `:`")]
    Host(String),
    /// What should be the repository.
    #[error(
        "`{0}` is no repository: it is parts with `/` between them, \
         each of lower-case letters and digits with `.`, `_`, `__` or dashes between"
    )]
    Repository(String),
    /// What should be the tag.
    #[error(
        "`{0}` is no tag: it is at most 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two"
    )]
    Tag(String),
    /// What should be the digest.
    #[error("`{0}` is no digest: it is `sha256:` and 64 lower-case hexadecimal digits")]
    Digest(String),
}

/// The tag where neither tag nor digest is given.
const DEFAULT_TAG: &str = "latest";
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

impl Reference {
    /// Host, and port where one is given: who is spoken to.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// The path below the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, unless there is a digest only.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The manifest's digest, where it is given.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same repository's manifest of that digest.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// Whether the registry is on this machine, where nobody can listen in.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// What the registry calls it: the digest if there is one, else the tag.
    pub(super) fn key(&self) -> String {
        match (self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.as_deref().unwrap_or(DEFAULT_TAG).to_owned(),
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("oci://").ok_or(ReferenceError::Scheme)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(ReferenceError::Credentials);
        }
        let (host, port) =
            host_and_port(authority).ok_or_else(|| ReferenceError::Host(shown(authority)))?;
        let (name, digest) = match path.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (path, None),
        };
        let (repository, tag) = match name.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (name, None),
        };
        if !is_repository(repository) {
            return Err(ReferenceError::Repository(shown(repository)));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag(shown(tag)));
        }
        let unknown = |digest| ReferenceError::Digest(shown(digest));
        let digest = digest
            .map(|digest: &str| digest.parse::<Digest>().map_err(|_| unknown(digest)))
            .transpose()?;
        let tag = tag.or(digest.is_none().then_some(DEFAULT_TAG));
        Ok(Self {
            host,
            port,
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.authority(), self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Whether a host is this machine by its very name; an IPv6 address is in
/// brackets.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// What somebody wrote, fit to be printed.
fn shown(part: &str) -> String {
    const LONGEST: usize = 80;
    let start: String = part.chars().take(LONGEST).collect();
    let more = if start.len() < part.len() { "…" } else { "" };
    format!("{}{more}", start.escape_debug())
}

fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        // An IPv6 address is full of colons.
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            let port = match port.strip_prefix(':') {
                None if port.is_empty() => None,
                port => Some(port?),
            };
            (format!("[{address}]"), port)
        }
        None => {
            let (host, port) = match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            (is_host(host).then(|| host.to_owned())?, port)
        }
    };
    let port = match port {
        // `parse` would take a sign, too.
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(port.parse().ok().filter(|port| *port > 0)?)
        }
        Some(_) => return None,
        None => None,
    };
    Some((host.to_ascii_lowercase(), port))
}

fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

/// By the grammar of the OCI distribution specification.
fn is_repository(repository: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_separator =
        |text: &[u8]| matches!(text, b"." | b"_" | b"__") || text.iter().all(|byte| *byte == b'-');
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        let ends_well = bytes.first().is_some_and(is_word) && bytes.last().is_some_and(is_word);
        ends_well
            && bytes
                .split(is_word)
                .filter(|text| !text.is_empty())
                .all(is_separator)
    };
    repository.len() <= MAX_REPOSITORY && repository.split('/').all(is_part)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=MAX_TAG).contains(&tag.len())
        && tag.bytes().next().is_some_and(is_word)
        && tag
            .bytes()
            .all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const DIGEST: &str = "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

    fn read(text: &str) -> Reference {
        text.parse().unwrap()
    }

    fn refusal(text: &str) -> ReferenceError {
        text.parse::<Reference>().unwrap_err()
    }

    #[test]
    fn a_reference_is_host_repository_tag_and_digest() {
        let text = format!("oci://registry.example.org:5000/team/a.b_c__d--e:v1.0-rc_1@{DIGEST}");
        let reference = read(&text);
        assert_eq!(reference.authority(), "registry.example.org:5000");
        assert_eq!(reference.repository(), "team/a.b_c__d--e");
        assert_eq!(reference.tag(), Some("v1.0-rc_1"));
        assert_eq!(reference.digest().unwrap().to_string(), DIGEST);
        assert_eq!(reference.to_string(), text);
        // The digest decides.
        assert_eq!(reference.key(), DIGEST);
    }

    #[test]
    fn without_tag_and_digest_the_tag_is_latest() {
        assert_eq!(read("oci://a/b").to_string(), "oci://a/b:latest");
        let by_digest = read(&format!("oci://a/b@{DIGEST}"));
        assert_eq!(
            (by_digest.tag(), by_digest.key()),
            (None, DIGEST.to_owned())
        );
    }

    #[test]
    fn a_host_is_the_same_in_either_case() {
        assert_eq!(
            read("oci://Registry.Example/a"),
            read("oci://registry.example/a")
        );
    }

    #[test]
    fn only_hosts_of_this_machine_are_loopback() {
        for host in [
            "localhost",
            "LOCALHOST:5000",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]:5000",
            "[::1]",
        ] {
            assert!(read(&format!("oci://{host}/a")).is_loopback(), "{host}");
        }
        for host in [
            "localhost.example.org",
            "128.0.0.1",
            "[::2]",
            "10.0.0.1",
            "127-0-0-1",
        ] {
            assert!(!read(&format!("oci://{host}/a")).is_loopback(), "{host}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_part() {
        for text in ["", "a/b:1", "https://a/b", "OCI://a/b", "oci:/a/b"] {
            assert_eq!(refusal(text), ReferenceError::Scheme, "{text}");
        }
        for host in [
            "", "a_b", "-a", "a-", "a..b", ".", "a:", "a:0", "a:65536", "a:+1", "a:1:2", "::1",
            "[::1", "[a]", "[::1]5", "ä", "a b",
        ] {
            assert_eq!(
                refusal(&format!("oci://{host}/b")),
                ReferenceError::Host(host.to_owned()),
                "{host}"
            );
        }
        for repository in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "a._b", "_a", "a-", "a b", "../a",
            "a\u{e9}",
        ] {
            assert_eq!(
                refusal(&format!("oci://a/{repository}:1")),
                ReferenceError::Repository(repository.to_owned()),
                "{repository}"
            );
        }
        assert_eq!(
            refusal("oci://a"),
            ReferenceError::Repository(String::new())
        );
        for tag in ["", ".a", "-a", "a/b", "a:b", "a b"] {
            assert_eq!(
                refusal(&format!("oci://a/b:{tag}")),
                ReferenceError::Tag(tag.to_owned()),
                "{tag}"
            );
        }
        for digest in [
            "",
            "sha256:",
            "sha512:00",
            &DIGEST[7..],
            &DIGEST.to_uppercase(),
            &DIGEST[..70],
        ] {
            assert_eq!(
                refusal(&format!("oci://a/b@{digest}")),
                ReferenceError::Digest(digest.to_owned()),
                "{digest}"
            );
        }
    }

    #[test]
    fn bounds_are_those_of_the_specification() {
        read(&format!("oci://a/b:{}", "t".repeat(128)));
        let long = "t".repeat(129);
        let told = ReferenceError::Tag(format!("{}…", &long[..80]));
        assert_eq!(refusal(&format!("oci://a/b:{long}")), told);
        read(&format!("oci://a/{}", "r".repeat(255)));
        assert!(matches!(
            refusal(&format!("oci://a/{}", "r".repeat(256))),
            ReferenceError::Repository(_)
        ));
    }

    #[test]
    fn a_password_in_a_reference_is_refused_and_not_repeated() {
        for text in [
            "oci://me:secret@registry.example.org/a:1",
            "https://me:secret@registry.example.org/a",
            "oci://me:secret@a",
        ] {
            assert!(!refusal(text).to_string().contains("secret"), "{text}");
        }
        assert_eq!(refusal("oci://me:secret@a/b"), ReferenceError::Credentials);
    }

    #[test]
    fn control_characters_are_not_repeated_as_they_are() {
        assert_eq!(
            refusal("oci://a/b:\u{1b}[2J"),
            ReferenceError::Tag("\\u{1b}[2J".to_owned())
        );
    }
}
