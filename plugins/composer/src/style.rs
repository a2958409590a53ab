//! How well a draft is made, and what it learns from a critique.

use serde::{Deserialize, Serialize};

/// The writer's temper.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Style {
    /// Makes every draft as good as it can.
    #[default]
    Careful,
    /// Makes drafts that no validator lets through.
    Sloppy,
    /// Starts rough and mends what the critique names.
    Improving,
}

/// One finding of the validator.
#[derive(Debug, Deserialize)]
pub(crate) struct Complaint {
    rule: String,
    /// The word that gave offence, for findings about tone.
    found: Option<String>,
}

/// What is wrong with a draft on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Faults {
    /// Everything that was recalled instead of the sentences that answer.
    pub(crate) long: bool,
    pub(crate) citations: Citations,
    /// A condescending opening.
    pub(crate) rude: bool,
}

/// Where the draft's citations come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Citations {
    /// The recalled chunks.
    #[default]
    Real,
    /// Nowhere: ids that no engram holds.
    Invented,
    /// There are none.
    Missing,
}

impl Style {
    /// The faults of draft number `attempt`, counted from 1.
    pub(crate) fn faults(self, attempt: u64, critique: &[Complaint]) -> Faults {
        let blamed = |rule: &str| critique.iter().any(|complaint| complaint.rule == rule);
        let rough = Faults {
            long: true,
            citations: Citations::Missing,
            rude: false,
        };
        let invented = Faults {
            citations: Citations::Invented,
            ..Faults::default()
        };
        match self {
            Self::Careful => Faults::default(),
            Self::Sloppy if attempt % 2 == 1 => Faults {
                rude: true,
                ..rough
            },
            Self::Sloppy => Faults {
                rude: true,
                ..invented
            },
            Self::Improving if attempt <= 1 => rough,
            // Told to cite, it first cites from memory; told that those sources
            // are unknown, it looks them up.
            Self::Improving if blamed("citation") && !blamed("source") => invented,
            Self::Improving => Faults::default(),
        }
    }
}

/// Words that sentences must not contain, because the critique names them.
pub(crate) fn banned(critique: &[Complaint]) -> Vec<String> {
    let found = critique
        .iter()
        .filter_map(|complaint| complaint.found.as_ref());
    found.map(|word| word.to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blame(rules: &[&str]) -> Vec<Complaint> {
        let complaint = |rule: &&str| Complaint {
            rule: (*rule).to_owned(),
            found: None,
        };
        rules.iter().map(complaint).collect()
    }

    #[test]
    fn an_improving_writer_mends_what_the_critique_names() {
        let rough = Style::Improving.faults(1, &[]);
        assert_eq!((rough.long, rough.citations), (true, Citations::Missing));
        let second = Style::Improving.faults(2, &blame(&["length", "citation"]));
        assert_eq!(
            (second.long, second.citations),
            (false, Citations::Invented)
        );
        let third = Style::Improving.faults(3, &blame(&["source"]));
        assert_eq!(third, Faults::default());
    }

    #[test]
    fn a_careful_writer_has_no_faults_and_a_sloppy_one_always_some() {
        for attempt in 1..5 {
            let critique = blame(&["length", "citation", "source", "tone"]);
            assert_eq!(Style::Careful.faults(attempt, &critique), Faults::default());
            assert_ne!(Style::Sloppy.faults(attempt, &critique), Faults::default());
        }
    }
}
