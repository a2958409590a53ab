//! Why a component did not get to a registry or from one.

use std::path::PathBuf;

use super::reference::Reference;
use crate::{orchestration::Failed, package::Digest};

/// Why a push or a pull did not happen. No message holds credentials, and what
/// a registry says is cut short and freed of control characters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// What is to be pushed is something else.
    #[error("this is no WebAssembly component: {0}")]
    NotAComponent(String),
    /// More bytes than a component may have.
    #[error("the component has more than the {limit} bytes that this host takes")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
    /// A push names what does not exist yet.
    #[error("{0} names a manifest by its digest, and a push makes one: name a tag only")]
    PushByDigest(Box<Reference>),
    /// A push in offline mode.
    #[error("{0} cannot be pushed offline")]
    PushOffline(Box<Reference>),
    /// Offline mode, and the store does not have it.
    #[error("{wanted} is not in the local store, and offline mode asks no registry")]
    NotStored {
        /// The pinned digest, or the reference where none is pinned.
        wanted: String,
    },
    /// The component is another than the pinned one.
    #[error("{reference} is the component {actual}, but {pinned} is pinned")]
    Pinned {
        /// What was asked for.
        reference: Box<Reference>,
        /// Digest that it must have.
        pinned: Digest,
        /// Digest that it has.
        actual: Digest,
    },
    /// Bytes of a registry are not those that their digest promises.
    #[error("{what} is damaged: its digest is {actual} and should be {expected}")]
    Damaged {
        /// Manifest or component, and of which reference.
        what: String,
        /// By name.
        expected: Digest,
        /// By content.
        actual: Digest,
    },
    /// A file of the local store has changed.
    #[error(
        "the stored file {} is damaged: its digest is {actual} and should be {expected}",
        path.display()
    )]
    StoreDamaged {
        /// The file.
        path: PathBuf,
        /// By its name.
        expected: Digest,
        /// By its content.
        actual: Digest,
    },
    /// An artifact that holds no single component.
    #[error("{reference} {reason}")]
    Unfit {
        /// What was asked for.
        reference: Box<Reference>,
        /// In words, to be read behind the reference.
        reason: String,
    },
    /// The registry does not know it.
    #[error("{host} has no {name}: {said}")]
    NotFound {
        /// The registry.
        host: String,
        /// Repository with tag or digest.
        name: String,
        /// The registry's own words.
        said: String,
    },
    /// The registry wants to know who asks.
    #[error("{host} asks for credentials, and there are none for it")]
    NoCredentials {
        /// The registry.
        host: String,
    },
    /// The credentials are wrong.
    #[error("{host} refused the credentials of `{user}`")]
    WrongCredentials {
        /// The registry.
        host: String,
        /// Whose they are.
        user: String,
    },
    /// Who asks may not.
    #[error("{host} denies access to {repository}: {said}")]
    Denied {
        /// The registry.
        host: String,
        /// The repository.
        repository: String,
        /// The registry's own words.
        said: String,
    },
    /// Credentials cannot be read.
    #[error("{0}")]
    Credentials(String),
    /// No connection, or it broke.
    #[error("cannot reach {host}: {reason}")]
    Unreachable {
        /// Whom: the registry, or one that it sent us to.
        host: String,
        /// The system's words.
        reason: String,
    },
    /// No answer in time.
    #[error("{host} did not answer within {seconds} s")]
    Timeout {
        /// Whom.
        host: String,
        /// How long it had.
        seconds: u64,
    },
    /// Sent somewhere that is not gone to.
    #[error("{host} redirects where it may not: {reason}")]
    Redirect {
        /// Who did.
        host: String,
        /// Why it may not.
        reason: String,
    },
    /// An answer that is none of the expected ones.
    #[error("{host} answered {what} with {status}: {said}")]
    Answer {
        /// Who did.
        host: String,
        /// What it was asked for.
        what: &'static str,
        /// HTTP status.
        status: u16,
        /// Its own words.
        said: String,
    },
    /// The local store cannot be used.
    #[error("the store of components cannot be used: {}: {source}", path.display())]
    Store {
        /// File or folder.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// Nothing can be asked at all.
    #[error("cannot ask registries: {0}")]
    Client(String),
}

impl Failed for RegistryError {
    fn code(&self) -> &str {
        match self {
            Self::Unreachable { .. } => "REGISTRY_UNREACHABLE",
            Self::Timeout { .. } => "REGISTRY_TIMEOUT",
            Self::Answer { .. } => "REGISTRY_ANSWER",
            _ => "REGISTRY",
        }
    }

    /// Whether the same may go well a moment later.
    fn recoverable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Answer { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }
}

/// What somebody else wrote, fit to be printed: on one line, without control
/// characters, and not too long.
pub(super) fn printable(text: &str) -> String {
    const LONGEST: usize = 200;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let start: String = line.chars().take(LONGEST).collect();
    let more = if start.len() < line.len() { "…" } else { "" };
    let clean: String = start
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    format!("{clean}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_says_is_one_short_line_without_control_characters() {
        assert_eq!(printable(" no\n such \t thing "), "no such thing");
        assert_eq!(printable("\u{1b}[2J"), "\u{fffd}[2J");
        assert_eq!(printable(&"ä".repeat(201)), format!("{}…", "ä".repeat(200)));
    }
}
