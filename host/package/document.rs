//! A TOML or JSON file that knows where everything in it stands, so that all
//! that is wrong with it can be told at once and at its place.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use jsonschema::error::ValidationErrorKind;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

mod json;
mod places;
mod tagged;
mod toml;

use self::places::{Lines, MAX_KEY, Within};
use super::file;

/// A place in a file, counted from 1; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named.
    pub file: String,
    /// Where in it.
    pub place: Option<Place>,
    /// What is wrong: the dotted path of the key first, where it is about one.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    /// `file:line:column: message`, and below it the help.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", Plain(&self.message))?;
        let mut help = self.help.iter().flat_map(|help| help.lines());
        help.try_for_each(|line| write!(f, "\n  {}", Plain(line)))
    }
}

/// Shows a stranger's text on one line: what would move the cursor, change
/// colours or turn the direction of writing is shown as an escape.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            let hidden = matches!(
                c,
                '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            );
            if c.is_control() || hidden {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// Everything that is wrong, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Problems(pub Vec<Problem>);

/// Said behind as many problems as are told.
const MORE: &str = "more than that is wrong";

impl Problems {
    /// How many are told.
    pub const MOST: usize = 50;

    /// `done`, unless something is wrong.
    ///
    /// # Errors
    /// The first problems, sorted by their place.
    pub fn unless_any<T>(mut problems: Vec<Problem>, done: T) -> Result<T, Self> {
        if problems.is_empty() {
            return Ok(done);
        }
        let all = problems.len();
        problems.retain(|problem| problem.message != MORE);
        let is_cut = problems.len() < all;
        problems.sort_by(|one, other| (&one.file, one.place).cmp(&(&other.file, other.place)));
        problems.dedup();
        if is_cut || problems.len() > Self::MOST {
            problems.truncate(Self::MOST);
            let file = problems.last().map(|last| last.file.clone());
            problems.push(Problem {
                file: file.unwrap_or_default(),
                place: None,
                message: MORE.to_owned(),
                help: None,
            });
        }
        Err(Self(problems))
    }

    /// How many there are of these `nouns`, as a person says it.
    pub fn count(&self, noun: &str) -> String {
        match self.0.as_slice() {
            [_] => format!("1 {noun}"),
            [told @ .., last] if last.message == MORE => {
                format!("more than {} {noun}s", told.len())
            }
            all => format!("{} {noun}s", all.len()),
        }
    }
}

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Toml,
    Json,
}

impl Format {
    /// By the ending of the file's name.
    fn of(path: &Path) -> Self {
        match path.extension() {
            Some(json) if json == "json" => Self::Json,
            _ => Self::Toml,
        }
    }
}

/// See the module.
#[derive(Clone)]
pub struct Document {
    path: PathBuf,
    format: Format,
    text: String,
    value: Value,
    within: Within,
    lines: Lines,
}

impl fmt::Debug for Document {
    /// Which file it is, not what stands in it: that may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Document {
    /// Most bytes of a file.
    pub const MAX_BYTES: u64 = 4 << 20;

    /// Most bytes of a file of settings: a manifest or a deployment.
    pub const MAX_SETTINGS_BYTES: u64 = 256 << 10;

    /// Reads a file of at most `most` bytes: as JSON where its name ends in
    /// `.json`, else as TOML.
    ///
    /// # Errors
    /// When it cannot be read, or its syntax is wrong anywhere.
    pub fn read(path: &Path, most: u64) -> Result<Self, Problems> {
        Self::parse(path, Self::text_of(path, most)?)
    }

    /// As [`Document::read`], as JSON whatever the file's name.
    ///
    /// # Errors
    /// As there.
    pub fn read_as_json(path: &Path, most: u64) -> Result<Self, Problems> {
        Self::parse_as_json(path, Self::text_of(path, most)?)
    }

    fn text_of(path: &Path, most: u64) -> Result<String, Problems> {
        let told = |message: String| {
            Problems(vec![Problem {
                file: path.display().to_string(),
                place: None,
                message,
                help: None,
            }])
        };
        file::read_text(path, most).map_err(|error| told(format!("cannot read: {error}")))
    }

    /// As [`Document::read`], of text that stands for the file `path`.
    ///
    /// # Errors
    /// As there.
    pub fn parse(path: &Path, text: String) -> Result<Self, Problems> {
        match Format::of(path) {
            Format::Toml => Self::parse_toml(path, text),
            Format::Json => Self::parse_as_json(path, text),
        }
    }

    /// As [`Document::parse`], as JSON whatever the file's name.
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn parse_as_json(path: &Path, text: String) -> Result<Self, Problems> {
        let told = |place, message| Problem {
            file: path.display().to_string(),
            place: Some(place),
            message,
            help: None,
        };
        let located = json::read(&text).map_err(|error| {
            // The text without the place that serde adds to it.
            let words = error.to_string();
            let words = words.split(" at line ").next().unwrap_or_default();
            let place = Place {
                line: error.line(),
                column: error.column().max(1),
            };
            Problems(vec![told(place, format!("is no JSON: {words}"))])
        })?;
        let lines = Lines::of(&text);
        let shown = |key: &&Range<usize>| key.len() <= MAX_KEY;
        let repeated = located.repeated.iter().filter(shown).map(|key| {
            let name = text.get(key.clone()).unwrap_or_default();
            (key.start, format!("the key {name} is there twice"))
        });
        let long = located.long.iter().map(|key| {
            let message = format!("this key has more than {MAX_KEY} bytes");
            (key.start, message)
        });
        let wrong = long.chain(repeated).take(Problems::MOST + 1);
        let wrong = wrong
            .map(|(at, message)| told(lines.place(&text, at), message))
            .collect();
        let document = Self {
            path: path.to_owned(),
            format: Format::Json,
            text,
            value: located.value,
            within: located.within,
            lines,
        };
        Problems::unless_any(wrong, document)
    }

    fn parse_toml(path: &Path, text: String) -> Result<Self, Problems> {
        let located = toml::read(&text);
        let lines = Lines::of(&text);
        let told = |(span, message): &(Option<Range<usize>>, String)| Problem {
            file: path.display().to_string(),
            place: span.as_ref().map(|span| lines.place(&text, span.start)),
            message: message.clone(),
            help: None,
        };
        let wrong = located.wrong.iter().take(Problems::MOST + 1).map(told);
        let wrong = wrong.collect();
        let document = Self {
            path: path.to_owned(),
            format: Format::Toml,
            text,
            value: located.value,
            within: located.within,
            lines,
        };
        Problems::unless_any(wrong, document)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where in the text the value with these keys stands, in bytes.
    pub fn range(&self, keys: &[&str]) -> Option<Range<usize>> {
        let spans = self.within.find(&pointer(keys))?;
        Some(spans.value.clone())
    }

    /// The folder that relative paths in it start from.
    pub fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// A problem at the value with these keys, or at the nearest one around it
    /// that is there. The message begins with the keys.
    pub fn problem(&self, keys: &[&str], message: impl fmt::Display) -> Problem {
        self.told(&pointer(keys), true, message)
    }

    /// As [`Document::problem`], at the key rather than at its value.
    pub fn key_problem(&self, keys: &[&str], message: impl fmt::Display) -> Problem {
        self.told(&pointer(keys), false, message)
    }

    fn told(&self, pointer: &str, at_value: bool, message: impl fmt::Display) -> Problem {
        let keys = dotted(pointer);
        Problem {
            file: self.path.display().to_string(),
            place: self.nearest(pointer, at_value),
            message: cut(if keys.is_empty() {
                message.to_string()
            } else {
                format!("{keys}: {message}")
            }),
            help: None,
        }
    }

    fn nearest(&self, mut pointer: &str, mut at_value: bool) -> Option<Place> {
        loop {
            if let Some(spans) = self.within.find(pointer) {
                let span = if at_value { &spans.value } else { &spans.key };
                return Some(self.lines.place(&self.text, span.start));
            }
            // A table that is around something missing is shown by its name.
            at_value = false;
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }

    /// The file as a `T`, after a look at everything that `T`'s schema says.
    ///
    /// # Errors
    /// All that does not fit the schema.
    pub fn typed<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, Problems> {
        self.part(&[])
    }

    /// As [`Document::typed`], of the value with these keys.
    ///
    /// # Errors
    /// As there, and when there is no such value.
    pub fn part<T: DeserializeOwned + JsonSchema>(&self, keys: &[&str]) -> Result<T, Problems> {
        let base = pointer(keys);
        let Some(value) = self.value.pointer(&base) else {
            return Err(Problems(vec![self.told(&base, true, "is missing")]));
        };
        let schema = schema_of::<T>();
        let validator = jsonschema::validator_for(&schema)
            .map_err(|error| Problems(vec![self.told("", true, format!("its schema: {error}"))]))?;
        let mut wrong = Vec::new();
        for error in validator.iter_errors(value) {
            if wrong.len() > Problems::MOST {
                break;
            }
            self.explain(&base, &schema, &error, &mut wrong);
        }
        Problems::unless_any(wrong, ())?;
        // Whatever a schema cannot say is told here, one at a time.
        serde_path_to_error::deserialize(value.clone()).map_err(|error| {
            let key = |segment: &Segment| match segment {
                Segment::Seq { index } => index.to_string(),
                other => other.to_string(),
            };
            let within: Vec<_> = error.path().iter().map(key).collect();
            let within: Vec<_> = within.iter().map(String::as_str).collect();
            Problems(vec![self.problem(&[keys, &within].concat(), error.inner())])
        })
    }

    /// What an error says, of the value that the JSON pointer `base` leads to.
    fn explain(
        &self,
        base: &str,
        schema: &Value,
        error: &jsonschema::ValidationError<'_>,
        wrong: &mut Vec<Problem>,
    ) {
        let pointer = &format!("{base}{}", error.instance_path().as_str());
        let keyword = error.schema_path().as_str();
        let part = keyword
            .rfind('/')
            .and_then(|end| schema.pointer(&keyword[..end]));
        let about = |key: &str| part.and_then(|part| part.get(key));
        let shown = error.instance();
        let message = match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known = about("properties").and_then(Value::as_object);
                let known: Vec<_> = known
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| key.as_str())
                    .collect();
                for key in unexpected.iter().take(Problems::MOST + 1) {
                    let at = format!("{pointer}/{}", escaped(key));
                    let message = format!("unknown key; there are {}", list(&known));
                    wrong.push(self.told(&at, false, message));
                }
                return;
            }
            ValidationErrorKind::Required { property } => {
                format!(
                    "the key `{}` is missing",
                    property.as_str().unwrap_or_default()
                )
            }
            ValidationErrorKind::Type { .. } => {
                let wanted = about("type").map(|types| wanted(self.format, types));
                let wanted = wanted.unwrap_or_default();
                format!("must be {wanted}, not {}", kind(self.format, shown))
            }
            ValidationErrorKind::Enum { options } => {
                let options = options.as_array().into_iter().flatten();
                let options: Vec<_> = options.filter_map(Value::as_str).collect();
                format!("{shown} is none of {}", list(&options))
            }
            ValidationErrorKind::Pattern { .. } => {
                let says = about("$comment").and_then(Value::as_str);
                format!("{shown} is {}", says.unwrap_or("of another form"))
            }
            ValidationErrorKind::AnyOf { context }
            | ValidationErrorKind::OneOfNotValid { context } => {
                let branches = schema.pointer(keyword);
                if let Some((tag, names)) = branches.and_then(tagged::tags) {
                    let name = shown.get(tag).and_then(Value::as_str);
                    let chosen = names.iter().position(|known| Some(*known) == name);
                    match chosen.and_then(|chosen| context.get(chosen)) {
                        Some(errors) => {
                            for error in errors {
                                self.explain(base, schema, error, wrong);
                            }
                        }
                        None => wrong.push(self.untagged(pointer, tag, &names, shown)),
                    }
                    return;
                }
                let constants = branches.map(constants).unwrap_or_default();
                if constants.is_empty() {
                    // An optional value: what it is when it is there comes first.
                    for error in context.first().into_iter().flatten() {
                        self.explain(base, schema, error, wrong);
                    }
                    return;
                }
                format!("{shown} is none of {}", list(&constants))
            }
            _ => error.to_string(),
        };
        wrong.push(self.told(pointer, true, message));
    }
}

/// The texts that a list of alternatives allows, in its branches at any depth.
fn constants(branches: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    for branch in branches.as_array().into_iter().flatten() {
        found.extend(branch.get("const").and_then(Value::as_str));
        for key in ["oneOf", "anyOf"] {
            found.extend(branch.get(key).map(constants).unwrap_or_default());
        }
        let options = branch.get("enum").and_then(Value::as_array);
        found.extend(options.into_iter().flatten().filter_map(Value::as_str));
    }
    found
}

/// The JSON schema of a file that is read as `T`, without references.
pub fn schema_of<T: JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true);
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// A message is for people, however long the text is that it quotes.
fn cut(mut message: String) -> String {
    const MOST: usize = 2_000;
    if message.len() > MOST {
        message.truncate(message.floor_char_boundary(MOST));
        message.push('…');
    }
    message
}

/// A key within a JSON pointer.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn pointer(keys: &[&str]) -> String {
    keys.iter()
        .map(|key| format!("/{}", escaped(key)))
        .collect()
}

/// Keys as TOML would write them, for example in a table's heading.
pub(crate) fn heading(keys: &[&str]) -> String {
    dotted(&pointer(keys))
}

/// A pointer as TOML would write it.
fn dotted(pointer: &str) -> String {
    let keys = pointer.split('/').skip(1);
    let keys = keys.map(|key| key.replace("~1", "/").replace("~0", "~"));
    let bare = |key: &String| {
        key.chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    keys.map(|key| if bare(&key) { key } else { format!("{key:?}") })
        .collect::<Vec<_>>()
        .join(".")
}

fn list(words: &[&str]) -> String {
    match words {
        [] => "none".to_owned(),
        [one] => format!("`{one}`"),
        [first @ .., last] => format!("`{}` and `{last}`", first.join("`, `")),
    }
}

fn kind(format: Format, value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => table(format),
    }
}

/// What the file's own language calls a set of keys.
fn table(format: Format) -> &'static str {
    match format {
        Format::Toml => "a table",
        Format::Json => "an object",
    }
}

fn wanted(format: Format, types: &Value) -> String {
    let word = |name: &Value| match name.as_str() {
        Some("string") => "a text",
        Some("integer") => "a whole number",
        Some("number") => "a number",
        Some("boolean") => "true or false",
        Some("array") => "a list",
        Some("object") => table(format),
        _ => "nothing",
    };
    match types {
        // An optional value may be left out: what it is when it is there.
        Value::Array(types) => types.iter().map(word).find(|word| *word != "nothing"),
        one => Some(word(one)),
    }
    .unwrap_or("something else")
    .to_owned()
}
