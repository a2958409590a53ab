//! A book of the catalogue, and how it is kept and spoken of.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::text::{listed, slug, words};

/// The binding behind which the shelves are.
pub const BINDING: &str = "books";

/// The shelves, in the order in which their finds are laid on the desk.
pub const SHELVES: [&str; 3] = ["folio", "athenaeum", "stacks"];

/// The shelf that a visitor may walk along: it is searched without a request.
pub const OPEN_SHELF: &str = "stacks";

/// One copy: a work as one shelf describes it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Book {
    /// `urn:work:<title>::<first author>`, both as slugs; the same for every
    /// copy of a work.
    pub id: String,
    /// As it is best known in English.
    pub title: String,
    /// At least one; `Anonymous` where nobody knows.
    pub authors: Vec<String>,
    /// Negative before our era; none where nobody knows.
    #[serde(default)]
    pub first_publish_year: Option<i32>,
    /// Of the original: an ISO 639 code.
    #[serde(default)]
    pub language: String,
    /// What it is about and what kind it is of.
    #[serde(default)]
    pub subjects: Vec<String>,
    /// One or two sentences.
    #[serde(default)]
    pub summary: String,
    /// 0 to 5; illustrative.
    #[serde(default)]
    pub rating: f64,
    /// How many rated it; illustrative.
    #[serde(default)]
    pub ratings_count: u32,
    /// The shelf that this copy stands on.
    #[serde(default)]
    pub source: String,
}

impl Book {
    /// What copies of one work have in common: the id, else one made of title
    /// and first author.
    pub fn canonical_id(&self) -> String {
        if self.id.starts_with("urn:work:") {
            return self.id.clone();
        }
        let author = self.authors.first().map_or("", String::as_str);
        format!("urn:work:{}::{}", slug(&self.title), slug(author))
    }

    /// The merge key of this copy in its engram.
    pub fn key(&self) -> String {
        copy_key(&self.source, &self.canonical_id())
    }

    /// Every word that it can be found by, once each.
    pub fn index(&self) -> String {
        let fields = [
            self.title.clone(),
            self.authors.join(" "),
            self.subjects.join(" "),
            self.summary.clone(),
        ];
        let found: BTreeSet<String> = words(&fields.join(" ")).into_iter().collect();
        found.into_iter().collect::<Vec<_>>().join(" ")
    }

    /// How much its readers' opinion counts, 0 to 1: the rating, weighed by how
    /// many agreed on it.
    pub fn standing(&self) -> f64 {
        let voices = (1.0 + f64::from(self.ratings_count)).log10() / 5.0;
        self.rating / 5.0 * voices.min(1.0)
    }

    /// `*Title* (1851)`.
    pub fn dated(&self) -> String {
        match self.first_publish_year {
            Some(year) => format!("*{}* ({})", self.title, year_of(year)),
            None => format!("*{}*", self.title),
        }
    }

    /// `*Title* by Author (1851)`.
    pub fn cited(&self) -> String {
        let authors = listed(&self.authors);
        match self.first_publish_year {
            Some(year) => format!("*{}* by {authors} ({})", self.title, year_of(year)),
            None => format!("*{}* by {authors}", self.title),
        }
    }
}

/// The merge key of the copy of a work on a shelf.
pub fn copy_key(source: &str, id: &str) -> String {
    format!("{source}/{id}")
}

fn year_of(year: i32) -> String {
    match year {
        ..0 => format!("about {} BC", year.unsigned_abs()),
        0..1450 => format!("about {year}"),
        _ => year.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A book of a test.
    pub(crate) fn book(title: &str, author: &str, year: i32, subjects: &[&str]) -> Book {
        Book {
            id: format!("urn:work:{}::{}", slug(title), slug(author)),
            title: title.to_owned(),
            authors: vec![author.to_owned()],
            first_publish_year: Some(year),
            language: "en".to_owned(),
            subjects: subjects
                .iter()
                .map(|subject| (*subject).to_owned())
                .collect(),
            summary: format!("A short account of what happens in it, by {author}."),
            rating: 4.0,
            ratings_count: 999,
            source: "stacks".to_owned(),
        }
    }

    #[test]
    fn a_copy_without_an_id_is_known_by_title_and_first_author() {
        let mut copy = book("Villette", "Charlotte Brontë", 1853, &[]);
        copy.id = "B-17".to_owned();
        assert_eq!(copy.canonical_id(), "urn:work:villette::charlotte-bronte");
        assert_eq!(copy.key(), "stacks/urn:work:villette::charlotte-bronte");
    }

    #[test]
    fn old_books_are_dated_with_care() {
        assert_eq!(
            book("The Iliad", "Homer", -750, &[]).cited(),
            "*The Iliad* by Homer (about 750 BC)"
        );
        assert_eq!(
            book("Meditations", "Marcus Aurelius", 180, &[]).cited(),
            "*Meditations* by Marcus Aurelius (about 180)"
        );
        assert_eq!(
            book("Emma", "Jane Austen", 1815, &[]).cited(),
            "*Emma* by Jane Austen (1815)"
        );
    }

    #[test]
    fn the_index_holds_every_word_once_without_accents() {
        let copy = book("Shirley", "Charlotte Brontë", 1849, &["love", "love"]);
        assert_eq!(
            copy.index(),
            "account bronte charlotte happen love shirley short"
        );
    }
}
