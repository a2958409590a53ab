//! Whether what a draft cites is really there.

use soma_neuron::engram::{Binding, Error, Query, RecallOptions};

use crate::{Citation, Complaint, Recalled};

/// Asks the engram itself for every cited entry that the composer says it
/// recalled: a state can claim anything.
pub(crate) fn sources(
    engram: &str,
    citations: &[Citation],
    recalled: &[Recalled],
) -> Result<Vec<Complaint>, Error> {
    let mut critique = Vec::new();
    let mut claimed = Vec::new();
    for citation in citations {
        match key_of(citation, recalled) {
            Some(key) => claimed.push((citation, key)),
            None => critique.push(unknown(citation, "was never recalled")),
        }
    }
    let queries = claimed.iter().map(|(_, key)| Query::new().merge_key(*key));
    let answers = Binding::new(engram).recall_many(queries, RecallOptions::default());
    for ((citation, _), answer) in claimed.iter().zip(answers) {
        if answer?.hits.iter().all(|hit| hit.id != citation.id) {
            critique.push(unknown(citation, "is not in the engram"));
        }
    }
    Ok(critique)
}

/// An entry is looked up by its merge key; one without cannot be.
fn key_of<'a>(citation: &Citation, recalled: &'a [Recalled]) -> Option<&'a str> {
    let recalled = recalled
        .iter()
        .find(|recalled| recalled.id == citation.id)?;
    recalled.merge_key.as_deref()
}

fn unknown(citation: &Citation, how: &str) -> Complaint {
    Complaint::new(
        "source",
        format!("[{}] cites {}, which {how}", citation.n, citation.id),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_entry_that_was_recalled_can_be_looked_up() {
        let recalled = [Recalled {
            id: "e1".to_owned(),
            merge_key: Some("d#1".to_owned()),
        }];
        let cites = |id: &str| Citation {
            n: 1,
            id: id.to_owned(),
        };
        assert_eq!(key_of(&cites("e1"), &recalled), Some("d#1"));
        assert_eq!(key_of(&cites("e2"), &recalled), None);
    }
}
