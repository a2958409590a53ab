//! Signals as JSON text and back (Cosmonapse wire v1, section 2.1).
//!
//! Encoding is deterministic: nine keys in a fixed order, nulls included, no spaces. Decoding
//! accepts what the Python peer accepts, with three differences:
//!
//! - The payload must fit its type ([`PayloadError`]); the peer lets anything pass and fails later.
//! - `NaN` and `Infinity` are refused. They are not JSON, and the peer would turn them into null.
//! - JSON may be nested 127 levels deep, envelope included; the peer takes about 200.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::json::{kind_of, put};
use super::{
    Directed, IdError, Object, Payload, PayloadError, Signal, SignalId, SignalType, Timestamp,
    TraceId,
};

/// Gives values for envelope fields that a decoded signal lacks.
pub trait MissingFields {
    /// A fresh signal id.
    fn signal_id(&mut self) -> SignalId;
    /// A fresh trace id. The signal is then on a trace that nobody else knows.
    fn trace_id(&mut self) -> TraceId;
    /// The present.
    fn ts(&mut self) -> Timestamp;
}

/// Why bytes are not a signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There is nothing but white space.
    #[error("the frame is empty")]
    Empty,
    /// The frame starts with a byte order mark.
    #[error("the frame starts with a byte order mark")]
    ByteOrderMark,
    /// The bytes are not UTF-8.
    #[error("the frame is not UTF-8 at byte {at}")]
    NotUtf8 {
        /// Offset of the first wrong byte, from 0.
        at: usize,
    },
    /// JSON has no such numbers.
    #[error("`{literal}` at line {line} column {column} is not a JSON number")]
    NotFinite {
        /// `NaN` or `Infinity`.
        literal: &'static str,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// More than 127 levels of lists and objects.
    #[error("nested deeper than 127 levels at line {line} column {column}")]
    TooDeep {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// The text is not JSON.
    #[error("not JSON: {reason}")]
    Syntax {
        /// What the parser says, with line and column.
        reason: String,
    },
    /// The text is JSON, but not an object.
    #[error("a signal must be an object, found {found}")]
    NotAnObject {
        /// What it is.
        found: &'static str,
    },
    /// A field that must be there is not.
    #[error("`{field}` is missing")]
    Missing {
        /// The envelope key.
        field: &'static str,
    },
    /// A field holds the wrong kind of value.
    #[error("`{field}` must be {expected}, found {found}")]
    WrongKind {
        /// The envelope key, or a path into it.
        field: &'static str,
        /// What it must hold.
        expected: &'static str,
        /// What it holds.
        found: &'static str,
    },
    /// The version is not 1.
    #[error("`v` must be \"1\" or start with \"1.\", found {found}")]
    Version {
        /// The version, quoted and cut.
        found: String,
    },
    /// The type is none of the 31.
    #[error("`type` must be one of the 31 signal types, found {found}")]
    UnknownType {
        /// The type, quoted and cut.
        found: String,
    },
    /// An id has the wrong prefix.
    #[error("`{field}` must be {expected}, found {found}")]
    Id {
        /// The envelope key.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
        /// The id, quoted and cut.
        found: String,
    },
    /// The time cannot be read.
    #[error(
        "`ts` must be an RFC 3339 time or an epoch number within the years 1 to 9999, found {found}"
    )]
    Time {
        /// The time, quoted and cut.
        found: String,
    },
    /// The payload does not fit the type.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

/// The wire form: one line of JSON without the line feed.
#[must_use]
pub fn encode(signal: &Signal) -> String {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(br#"{"v":"1","id":"#);
    signal.id.with_text(|id| put(&mut out, id));
    out.extend_from_slice(br#","trace_id":"#);
    signal.trace_id.with_text(|id| put(&mut out, id));
    out.extend_from_slice(br#","parent_id":"#);
    match &signal.parent_id {
        Some(id) => id.with_text(|id| put(&mut out, id)),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(br#","type":""#);
    out.extend_from_slice(signal.signal_type().as_str().as_bytes());
    out.extend_from_slice(br#"","directed":"#);
    put_directed(&mut out, signal.directed.as_ref());
    out.extend_from_slice(br#","ts":""#);
    out.extend_from_slice(signal.ts.to_string().as_bytes());
    out.extend_from_slice(br#"","payload":"#);
    signal.payload.write_json(&mut out);
    out.extend_from_slice(br#","meta":"#);
    put(&mut out, &signal.meta);
    out.push(b'}');
    String::from_utf8(out)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn put_directed(out: &mut Vec<u8>, directed: Option<&Directed>) {
    let Some(directed) = directed else {
        out.extend_from_slice(b"null");
        return;
    };
    out.extend_from_slice(br#"{"id":"#);
    put(out, &directed.id.as_deref());
    out.extend_from_slice(br#","type":"#);
    put(out, &directed.kind.as_deref());
    out.extend_from_slice(br#","capabilities":["#);
    for (index, capability) in directed.capabilities.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        put(out, capability.as_ref());
    }
    out.extend_from_slice(b"]}");
}

/// Reads one signal. Its id, trace id and time must be there.
///
/// # Errors
/// See [`DecodeError`]; no input panics.
pub fn decode(bytes: &[u8]) -> Result<Signal, DecodeError> {
    decode_fields(bytes, None)
}

/// Reads one signal; a missing id, trace id or time comes from `missing`, as the peer does it.
///
/// # Errors
/// See [`DecodeError`]; no input panics.
pub fn decode_with(bytes: &[u8], missing: &mut dyn MissingFields) -> Result<Signal, DecodeError> {
    decode_fields(bytes, Some(missing))
}

fn decode_fields(
    bytes: &[u8],
    mut missing: Option<&mut dyn MissingFields>,
) -> Result<Signal, DecodeError> {
    let text = std::str::from_utf8(bytes).map_err(|error| DecodeError::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    let fields = read_fields(text)?;
    check_version(fields.v)?;
    let kind = read_type(fields.kind)?;
    Ok(Signal {
        id: match read_id("id", fields.id)? {
            Some(id) => id,
            None => missing
                .as_deref_mut()
                .ok_or(DecodeError::Missing { field: "id" })?
                .signal_id(),
        },
        trace_id: match read_id("trace_id", fields.trace_id)? {
            Some(id) => id,
            None => missing
                .as_deref_mut()
                .ok_or(DecodeError::Missing { field: "trace_id" })?
                .trace_id(),
        },
        parent_id: read_id(
            "parent_id",
            fields.parent_id.filter(|parent| !parent.is_null()),
        )?,
        directed: read_directed(fields.directed)?,
        ts: match fields.ts {
            Some(ts) => read_time(&ts)?,
            None => missing.ok_or(DecodeError::Missing { field: "ts" })?.ts(),
        },
        payload: Payload::from_object(kind, read_object("payload", fields.payload)?)?,
        meta: read_object("meta", fields.meta)?,
    })
}

/// The nine envelope keys as they came. A key that came twice holds the last value.
#[derive(Default)]
struct Fields {
    v: Option<Value>,
    id: Option<Value>,
    trace_id: Option<Value>,
    parent_id: Option<Value>,
    kind: Option<Value>,
    directed: Option<Value>,
    ts: Option<Value>,
    payload: Option<Value>,
    meta: Option<Value>,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    // Unknown values are read whole as well, so that they obey the same limits.
                    let mut dropped = None;
                    let slot = match key.as_ref() {
                        "v" => &mut fields.v,
                        "id" => &mut fields.id,
                        "trace_id" => &mut fields.trace_id,
                        "parent_id" => &mut fields.parent_id,
                        "type" => &mut fields.kind,
                        "directed" => &mut fields.directed,
                        "ts" => &mut fields.ts,
                        "payload" => &mut fields.payload,
                        "meta" => &mut fields.meta,
                        _ => &mut dropped,
                    };
                    *slot = Some(map.next_value()?);
                }
                Ok(fields)
            }
        }

        from.deserialize_map(FieldsVisitor)
    }
}

fn read_fields(text: &str) -> Result<Fields, DecodeError> {
    let body = text.trim_ascii_start();
    if body.is_empty() {
        return Err(DecodeError::Empty);
    }
    if text.starts_with('\u{feff}') {
        return Err(DecodeError::ByteOrderMark);
    }
    if body.starts_with('{') {
        return serde_json::from_str(text).map_err(|error| syntax_error(text, &error));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(value) => Err(DecodeError::NotAnObject {
            found: kind_of(&value),
        }),
        Err(error) => Err(syntax_error(text, &error)),
    }
}

/// Names the two refusals that the parser's own words would leave unclear.
fn syntax_error(text: &str, error: &serde_json::Error) -> DecodeError {
    let (line, column) = (error.line(), error.column());
    let reason = error.to_string();
    if reason.starts_with("recursion limit exceeded") {
        return DecodeError::TooDeep { line, column };
    }
    // The parser stops at the literal's first or second letter, or at its sign.
    let source = text
        .split('\n')
        .nth(line.saturating_sub(1))
        .unwrap_or_default()
        .as_bytes();
    let (before, after) = source.split_at(column.saturating_sub(1).min(source.len()));
    for literal in ["NaN", "Infinity"] {
        let starts = |bytes: &[u8]| bytes.starts_with(literal.as_bytes());
        if starts(after) || starts(after.get(1..).unwrap_or_default()) {
            let sign = usize::from(!starts(after));
            return DecodeError::NotFinite {
                literal,
                line,
                column: before.len() + 1 + sign,
            };
        }
    }
    DecodeError::Syntax { reason }
}

fn check_version(version: Option<Value>) -> Result<(), DecodeError> {
    match version {
        None => Ok(()),
        Some(Value::String(text)) if text.split('.').next() == Some("1") => Ok(()),
        Some(Value::String(text)) => Err(DecodeError::Version {
            found: quoted(&text),
        }),
        Some(other) => Err(wrong_kind("v", "a string", &other)),
    }
}

fn read_type(kind: Option<Value>) -> Result<SignalType, DecodeError> {
    match kind {
        None => Err(DecodeError::Missing { field: "type" }),
        Some(Value::String(name)) => name.parse().map_err(|_| DecodeError::UnknownType {
            found: quoted(&name),
        }),
        Some(other) => Err(wrong_kind("type", "a string", &other)),
    }
}

fn read_id<T>(field: &'static str, value: Option<Value>) -> Result<Option<T>, DecodeError>
where
    T: std::str::FromStr<Err = IdError>,
{
    match value {
        None => Ok(None),
        Some(Value::String(text)) => {
            text.parse()
                .map(Some)
                .map_err(|error: IdError| DecodeError::Id {
                    field,
                    expected: error.expected(),
                    found: quoted(&text),
                })
        }
        Some(other) => Err(wrong_kind(field, "a string", &other)),
    }
}

fn read_directed(value: Option<Value>) -> Result<Option<Directed>, DecodeError> {
    let mut object = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(object)) => object,
        Some(other) => return Err(wrong_kind("directed", "an object or null", &other)),
    };
    let capabilities = match object.remove("capabilities") {
        None => Vec::new(),
        Some(Value::Array(items)) => items
            .iter()
            .map(read_capability)
            .collect::<Result<_, _>>()?,
        Some(other) => {
            return Err(wrong_kind(
                "directed.capabilities",
                "a list of strings",
                &other,
            ));
        }
    };
    Ok(Some(Directed {
        id: read_name("directed.id", object.remove("id"))?,
        kind: read_name("directed.type", object.remove("type"))?,
        capabilities,
    }))
}

fn read_capability(value: &Value) -> Result<std::sync::Arc<str>, DecodeError> {
    match value {
        Value::String(text) => Ok(text.as_str().into()),
        other => Err(wrong_kind("directed.capabilities[]", "a string", other)),
    }
}

fn read_name(
    field: &'static str,
    value: Option<Value>,
) -> Result<Option<std::sync::Arc<str>>, DecodeError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.into())),
        Some(other) => Err(wrong_kind(field, "a string or null", &other)),
    }
}

fn read_time(value: &Value) -> Result<Timestamp, DecodeError> {
    match value {
        Value::String(text) => text.parse().map_err(|_| DecodeError::Time {
            found: quoted(text),
        }),
        Value::Number(number) => Timestamp::from_epoch(number).map_err(|_| DecodeError::Time {
            found: cut(&number.to_string()).to_owned(),
        }),
        other => Err(wrong_kind("ts", "a string or a number", other)),
    }
}

fn read_object(field: &'static str, value: Option<Value>) -> Result<Object, DecodeError> {
    match value {
        None => Ok(Object::new()),
        Some(Value::Object(object)) => Ok(object),
        Some(other) => Err(wrong_kind(field, "an object", &other)),
    }
}

fn wrong_kind(field: &'static str, expected: &'static str, value: &Value) -> DecodeError {
    DecodeError::WrongKind {
        field,
        expected,
        found: kind_of(value),
    }
}

/// Quotes and cuts a peer's text, so that a message stays one short line.
fn quoted(text: &str) -> String {
    format!("{:?}", cut(text))
}

fn cut(text: &str) -> &str {
    const LONGEST_BYTES: usize = 64;
    text.get(..text.floor_char_boundary(LONGEST_BYTES))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
