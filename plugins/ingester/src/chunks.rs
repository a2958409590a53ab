//! A document as chunks that end where a reader would pause.

use soma_embedding::{sentences, squeeze};

/// Splits at paragraphs where they fit into `most` characters, else at
/// sentences, else at words. Short paragraphs share a chunk. A single word that
/// is longer stays whole.
pub(crate) fn split(text: &str, most: usize) -> Vec<String> {
    let text = text.replace("\r\n", "\n");
    let mut chunks = Packer {
        most: most.max(1),
        done: Vec::new(),
        open: String::new(),
    };
    for paragraph in text.split("\n\n") {
        let whole = squeeze(paragraph);
        if chars(&whole) <= chunks.most {
            chunks.add(&whole, "\n\n");
            continue;
        }
        chunks.close();
        for sentence in sentences(paragraph) {
            if chars(&sentence) <= chunks.most {
                chunks.add(&sentence, " ");
            } else {
                sentence.split(' ').for_each(|word| chunks.add(word, " "));
            }
        }
    }
    chunks.close();
    chunks.done
}

struct Packer {
    most: usize,
    done: Vec<String>,
    open: String,
}

impl Packer {
    fn add(&mut self, piece: &str, separator: &str) {
        if piece.is_empty() {
            return;
        }
        let room = self.most.saturating_sub(chars(&self.open));
        if !self.open.is_empty() && chars(piece).saturating_add(chars(separator)) > room {
            self.close();
        }
        if !self.open.is_empty() {
            self.open.push_str(separator);
        }
        self.open.push_str(piece);
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
        }
    }
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::split;

    const TEXT: &str =
        "Title\n\nFirst one. Second\nsentence here. Third.\n\n\n\nShort.\n\nLast bit.";

    #[test]
    fn short_paragraphs_share_a_chunk_and_long_ones_end_at_sentences() {
        assert_eq!(
            split(TEXT, 24),
            [
                "Title",
                "First one.",
                "Second sentence here.",
                "Third.\n\nShort.",
                "Last bit."
            ]
        );
    }

    #[test]
    fn a_document_that_fits_is_one_chunk() {
        let chunks = split(TEXT, 600);
        assert_eq!(
            chunks,
            ["Title\n\nFirst one. Second sentence here. Third.\n\nShort.\n\nLast bit."]
        );
    }

    #[test]
    fn no_chunk_is_longer_than_asked_and_no_word_is_lost() {
        let text = "Wörter über Wörter ohne Punkt und Komma ".repeat(20);
        let chunks = split(&text, 50);
        assert!(
            chunks.iter().all(|chunk| chunk.chars().count() <= 50),
            "{chunks:?}"
        );
        assert_eq!(chunks.join(" "), text.trim_end());
    }

    #[test]
    fn an_empty_document_has_no_chunks() {
        assert!(split(" \n\n \r\n", 600).is_empty());
        assert_eq!(split("ab", 0), ["ab"]);
    }
}
