//! Subjects and the patterns that match them (Cosmonapse wire v1, section 2.3).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::signal::{Payload, Signal, SignalType};

const ROOT: &str = "cosmonapse";
const ROUTED: &str = "routed";

/// Where a signal is published: `cosmonapse.<namespace>.<TYPE>`, or
/// `cosmonapse.<namespace>.TASK.routed` for a task that capabilities route.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    namespace: Arc<str>,
    kind: SignalType,
    routed: bool,
}

impl Subject {
    /// The plain subject of a signal type.
    #[must_use]
    pub fn new(namespace: Arc<str>, kind: SignalType) -> Self {
        Subject {
            namespace,
            kind,
            routed: false,
        }
    }

    /// The subject of tasks that are routed by capabilities.
    #[must_use]
    pub fn routed_tasks(namespace: Arc<str>) -> Self {
        Subject {
            namespace,
            kind: SignalType::Task,
            routed: true,
        }
    }

    /// The subject that a signal belongs on. A TASK is routed when it names capabilities and is
    /// directed at no id.
    #[must_use]
    pub fn of(namespace: &Arc<str>, signal: &Signal) -> Self {
        let routed = match &signal.payload {
            Payload::Task(task) => {
                let named = task
                    .capabilities
                    .as_ref()
                    .is_some_and(|caps| !caps.is_empty());
                let directed = signal.directed.as_ref().is_some_and(|to| to.id.is_some());
                named && !directed
            }
            _ => false,
        };
        Subject {
            namespace: Arc::clone(namespace),
            kind: signal.signal_type(),
            routed,
        }
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }

    /// The signal type.
    #[must_use]
    pub const fn kind(&self) -> SignalType {
        self.kind
    }

    /// Whether it ends in `.routed`.
    #[must_use]
    pub const fn is_routed(&self) -> bool {
        self.routed
    }

    fn tokens(&self) -> impl Iterator<Item = &str> {
        std::iter::once(ROOT)
            .chain(self.namespace.split('.'))
            .chain(std::iter::once(self.kind.as_str()))
            .chain(self.routed.then_some(ROUTED))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ROOT}.{}.{}", self.namespace, self.kind)?;
        if self.routed {
            write!(f, ".{ROUTED}")?;
        }
        Ok(())
    }
}

impl FromStr for Subject {
    type Err = SubjectError;

    /// Reads what `Display` writes. A namespace may itself hold dots.
    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let body = text
            .strip_prefix(ROOT)
            .and_then(|rest| rest.strip_prefix('.'));
        let body = body.ok_or(SubjectError)?;
        let (body, routed) = match body.strip_suffix(".TASK.routed") {
            Some(namespace) => (namespace, true),
            None => (body, false),
        };
        let (namespace, kind) = if routed {
            (body, SignalType::Task)
        } else {
            let (namespace, kind) = body.rsplit_once('.').ok_or(SubjectError)?;
            (namespace, kind.parse().map_err(|_| SubjectError)?)
        };
        if namespace.split('.').any(|token| !is_token(token)) {
            return Err(SubjectError);
        }
        Ok(Subject {
            namespace: namespace.into(),
            kind,
            routed,
        })
    }
}

fn is_token(token: &str) -> bool {
    !token.is_empty()
        && !token.contains(|c: char| c.is_whitespace() || c.is_control() || "*>".contains(c))
}

/// The text is no subject that a signal can be published on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a subject must be `cosmonapse.<namespace>.<TYPE>`, or `cosmonapse.<namespace>.TASK.routed`"
)]
pub struct SubjectError;

/// Which subjects a subscription wants. A token is taken literally; `*` stands for any one
/// token, and `>` at the end for one or more.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern(Shape);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Shape {
    /// Matches exactly one subject.
    Literal(Subject),
    /// Has wildcards, or is a literal that no signal is ever published on.
    Tokens(Arc<str>),
}

impl Pattern {
    /// Everything in a namespace: `cosmonapse.<namespace>.>`.
    #[must_use]
    pub fn all_of(namespace: &str) -> Self {
        Pattern(Shape::Tokens(format!("{ROOT}.{namespace}.>").into()))
    }

    /// Whether the subject is one of those that the pattern stands for.
    #[must_use]
    pub fn matches(&self, subject: &Subject) -> bool {
        let pattern = match &self.0 {
            Shape::Literal(literal) => return literal == subject,
            Shape::Tokens(pattern) => pattern,
        };
        let mut tokens = subject.tokens();
        for wanted in pattern.split('.') {
            match (wanted, tokens.next()) {
                (_, None) => return false,
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(token)) if wanted == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    pub(super) const fn shape(&self) -> &Shape {
        &self.0
    }
}

impl From<Subject> for Pattern {
    /// The pattern that matches this subject alone.
    fn from(subject: Subject) -> Self {
        Pattern(Shape::Literal(subject))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Shape::Literal(subject) => subject.fmt(f),
            Shape::Tokens(pattern) => f.pad(pattern),
        }
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if let Ok(subject) = text.parse() {
            return Ok(Pattern(Shape::Literal(subject)));
        }
        let mut rest = text.split('.').peekable();
        while let Some(token) = rest.next() {
            match token {
                "" => return Err(PatternError::EmptyToken),
                "*" => {}
                ">" if rest.peek().is_none() => {}
                ">" => return Err(PatternError::TailNotLast),
                token if is_token(token) => {}
                token => return Err(PatternError::Token(token.to_owned())),
            }
        }
        Ok(Pattern(Shape::Tokens(text.into())))
    }
}

/// The text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Two dots in a row, or a dot or nothing at an end.
    #[error("a pattern must not have an empty token")]
    EmptyToken,
    /// `>` stands anywhere but at the end.
    #[error("`>` must be the last token of a pattern")]
    TailNotLast,
    /// A token has white space or control characters, or `*` or `>` beside other characters.
    #[error("{0:?} cannot be a token of a pattern: `*` and `>` stand alone, without white space")]
    Token(String),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use crate::signal::{Directed, Object, Task, Timestamp, Ulid};

    fn matches(pattern: &str, subject: &str) -> bool {
        let pattern: Pattern = pattern.parse().unwrap();
        pattern.matches(&subject.parse().unwrap())
    }

    fn task(capabilities: Option<Vec<String>>, directed: Option<Directed>) -> Signal {
        let ulid = Ulid::from_parts(1, 1);
        Signal {
            id: crate::signal::SignalId::from_ulid(ulid),
            trace_id: crate::signal::TraceId::from_ulid(ulid),
            parent_id: None,
            directed,
            ts: Timestamp::from_micros(0),
            payload: Task {
                capabilities,
                ..Task::new(Object::new())
            }
            .into(),
            meta: Object::new(),
        }
    }

    #[test]
    fn a_star_is_one_token_and_a_tail_is_one_or_more() {
        let routed = "cosmonapse.dev.TASK.routed";
        assert!(matches("cosmonapse.dev.>", routed));
        assert!(matches("cosmonapse.*.TASK", "cosmonapse.dev.TASK"));
        assert!(matches("cosmonapse.*.*", "cosmonapse.dev.TASK"));
        assert!(matches(">", routed));
        assert!(!matches("cosmonapse.*.TASK", routed));
        assert!(!matches("cosmonapse.dev.TASK.routed.>", routed));
        assert!(!matches("cosmonapse.dev.TASK.*", "cosmonapse.dev.TASK"));
        assert!(!matches("cosmonapse.dev.>", "cosmonapse.devil.TASK"));
        assert!(!matches("cosmonapse.dev.FINAL", "cosmonapse.dev.TASK"));
        assert!(!matches("cosmonapse.dev", "cosmonapse.dev.TASK"));
    }

    #[test]
    fn a_pattern_for_a_namespace_matches_all_of_it_and_nothing_else() {
        let pattern = Pattern::all_of("a.b");
        assert!(pattern.matches(&"cosmonapse.a.b.STOP".parse().unwrap()));
        assert!(!pattern.matches(&"cosmonapse.a.STOP".parse().unwrap()));
        assert_eq!(pattern.to_string().parse(), Ok(pattern));
    }

    #[test]
    fn a_task_is_routed_by_capabilities_only_when_it_is_directed_at_no_id() {
        let namespace: Arc<str> = "dev".into();
        let of = |caps: Option<&[&str]>, directed| {
            let caps = caps.map(|caps| caps.iter().map(|c| (*c).to_owned()).collect());
            Subject::of(&namespace, &task(caps, directed)).to_string()
        };
        let kind_only = Directed {
            kind: Some("x".into()),
            ..Directed::default()
        };
        assert_eq!(of(Some(&["a"]), None), "cosmonapse.dev.TASK.routed");
        assert_eq!(
            of(Some(&["a"]), Some(kind_only)),
            "cosmonapse.dev.TASK.routed"
        );
        assert_eq!(
            of(Some(&["a"]), Some(Directed::to("n"))),
            "cosmonapse.dev.TASK"
        );
        assert_eq!(of(Some(&[]), None), "cosmonapse.dev.TASK");
        assert_eq!(of(None, None), "cosmonapse.dev.TASK");
    }

    #[test]
    fn subjects_read_what_they_write() {
        for text in [
            "cosmonapse.dev.TASK",
            "cosmonapse.dev.TASK.routed",
            "cosmonapse.a.b.STOPPED",
        ] {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "cosmonapse",
            "cosmonapse.TASK",
            "cosmonapse..TASK",
            "cosmonapse.dev.task",
            "cosmonapse.dev.STOP.routed",
            "other.dev.TASK",
            "cosmonapse.*.TASK",
        ] {
            assert_eq!(text.parse::<Subject>(), Err(SubjectError), "{text:?}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused_with_their_reason() {
        let refuse = |text: &str| text.parse::<Pattern>().unwrap_err().to_string();
        assert_eq!(refuse("a..b"), "a pattern must not have an empty token");
        assert_eq!(refuse(""), "a pattern must not have an empty token");
        assert_eq!(refuse("a.>.b"), "`>` must be the last token of a pattern");
        assert_eq!(
            refuse("a.b*"),
            "\"b*\" cannot be a token of a pattern: `*` and `>` stand alone, without white space"
        );
        assert_eq!(
            refuse("a.b c"),
            "\"b c\" cannot be a token of a pattern: `*` and `>` stand alone, without white space"
        );
    }
}
