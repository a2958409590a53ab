//! The standard sections for metadata, which other tools read and write too.
//! Whatever cannot be read of them is left out: nothing depends on it.

use wasmparser::{BinaryReader, ComponentName, ComponentNameSectionReader, ProducersSectionReader};

/// What a component's standard sections say, outermost component only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The sections that hold a text, by their name, in the file's order:
    /// `name`, `version`, `description`, `licenses`, `authors`, `source`,
    /// `homepage` and `revision`.
    pub texts: Vec<(String, String)>,
    /// By what it was made.
    pub producers: Vec<Producer>,
}

/// A tool or language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Producer {
    /// `language`, `processed-by` or `sdk`.
    pub role: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

const TEXTS: [&str; 7] = [
    "version",
    "description",
    "licenses",
    "authors",
    "source",
    "homepage",
    "revision",
];

impl<'a> FromIterator<(&'a str, &'a [u8])> for Metadata {
    /// From all custom sections.
    fn from_iter<T: IntoIterator<Item = (&'a str, &'a [u8])>>(sections: T) -> Self {
        let mut metadata = Self::default();
        for (section, bytes) in sections {
            match section {
                "component-name" => {
                    let name = component_name(bytes).map(|name| ("name".to_owned(), name));
                    metadata.texts.extend(name);
                }
                "producers" => metadata.producers.extend(producers(bytes)),
                text if TEXTS.contains(&text) => {
                    let words = String::from_utf8_lossy(bytes).into_owned();
                    metadata.texts.push((text.to_owned(), words));
                }
                _ => {}
            }
        }
        metadata
    }
}

fn component_name(bytes: &[u8]) -> Option<String> {
    let names = ComponentNameSectionReader::new(BinaryReader::new(bytes, 0));
    names.into_iter().find_map(|name| match name {
        Ok(ComponentName::Component { name, .. }) => Some(name.to_owned()),
        _ => None,
    })
}

fn producers(bytes: &[u8]) -> Vec<Producer> {
    let mut found = Vec::new();
    let fields = ProducersSectionReader::new(BinaryReader::new(bytes, 0));
    for field in fields.into_iter().flatten().flatten() {
        for value in field.values.into_iter().flatten() {
            found.push(Producer {
                role: field.name.to_owned(),
                name: value.name.to_owned(),
                version: value.version.to_owned(),
            });
        }
    }
    found
}
