//! Samples, their percentiles, and how they are printed.

use std::time::Duration;

use serde::Serialize;

/// The samples of one measurement, in seconds or whatever the unit says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1e6);
    }

    pub(crate) fn push_value(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The value below which `part` per mille of the samples lie.
    pub(crate) fn percentile(&self, per_mille: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = sorted.len().saturating_sub(1) * per_mille / 1_000;
        sorted.get(place).copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(500)
    }
}

/// One line of the report.
#[derive(Debug, Serialize)]
pub(crate) struct Measure {
    name: String,
    unit: &'static str,
    p50: f64,
    p99: f64,
    per_s: Option<f64>,
    raw_p50: Option<f64>,
    ratio: Option<f64>,
}

impl Measure {
    /// Times, in microseconds.
    pub(crate) fn times(name: impl Into<String>, figures: &Figures) -> Self {
        Self::values(name, "us", figures)
    }

    /// Values of any unit.
    pub(crate) fn values(name: impl Into<String>, unit: &'static str, figures: &Figures) -> Self {
        Self {
            name: name.into(),
            unit,
            p50: figures.median(),
            p99: figures.percentile(990),
            per_s: None,
            raw_p50: None,
            ratio: None,
        }
    }

    /// Adds how many a second: the median over rounds.
    pub(crate) fn rate(mut self, rates: &Figures) -> Self {
        self.per_s = Some(rates.median());
        self
    }

    /// Adds raw wasmtime's median, and how many times that ours is.
    pub(crate) fn beside(mut self, raw: &Figures) -> Self {
        let raw = raw.median();
        self.raw_p50 = Some(raw);
        self.ratio = Some(self.p50 / raw);
        self
    }
}

/// Prints measures as they come.
pub(crate) struct Report {
    json: bool,
    headed: bool,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            headed: false,
        }
    }

    pub(crate) fn line(&mut self, measure: &Measure) {
        if self.json {
            // Plain numbers and strings always serialise; a NaN becomes null.
            if let Ok(line) = serde_json::to_string(measure) {
                println!("{line}");
            }
            return;
        }
        if !self.headed {
            self.headed = true;
            println!(
                "{:<46} {:>5} {:>10} {:>10} {:>10} {:>10} {:>6}",
                "measure", "unit", "p50", "p99", "per s", "raw p50", "ratio"
            );
        }
        let optional = |value: Option<f64>, digits: usize| match value {
            Some(value) => format!("{value:.digits$}"),
            None => "-".to_owned(),
        };
        println!(
            "{:<46} {:>5} {:>10.2} {:>10.2} {:>10} {:>10} {:>6}",
            measure.name,
            measure.unit,
            measure.p50,
            measure.p99,
            optional(measure.per_s, 0),
            optional(measure.raw_p50, 2),
            optional(measure.ratio, 2),
        );
    }
}
