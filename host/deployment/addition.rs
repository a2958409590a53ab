//! What would have to be written into the file, in a form that can be pasted:
//! each table once, and none that is there already.

use crate::package::{Document, heading};

/// Lines that are missing, by the neuron's table that they belong to.
#[derive(Default)]
pub(super) struct Addition {
    /// Whole tables, of engrams that are not there.
    engrams: Vec<String>,
    /// Name of the table, with its lines.
    lines: Vec<(&'static str, Vec<String>)>,
}

impl Addition {
    /// A table of its own, heading and all.
    pub(super) fn table(&mut self, text: String) {
        if !self.engrams.contains(&text) {
            self.engrams.push(text);
        }
    }

    /// A line of the neuron's table `name`.
    pub(super) fn line(&mut self, name: &'static str, line: String) {
        match self.lines.iter_mut().find(|(known, _)| *known == name) {
            Some((_, lines)) if lines.contains(&line) => {}
            Some((_, lines)) => lines.push(line),
            None => self.lines.push((name, vec![line])),
        }
    }

    /// All of it behind `goal`, for the neuron whose table has these keys;
    /// nothing where nothing is missing.
    pub(super) fn told(&self, goal: &str, document: &Document, neuron: &[&str]) -> Option<String> {
        let mut new = self.engrams.clone();
        let mut parts = Vec::new();
        for (name, lines) in &self.lines {
            match there(document, neuron, name, lines) {
                Some(part) => parts.push(part),
                None => {
                    let table = heading(&[neuron, &[name]].concat());
                    new.push(format!("[{table}]\n{}", lines.join("\n")));
                }
            }
        }
        if !new.is_empty() {
            parts.insert(0, format!("write:\n{}", new.join("\n")));
        }
        (!parts.is_empty()).then(|| format!("{goal}, {}", parts.join("\nand ")))
    }
}

/// Where the lines go if their table, or the neuron's, cannot have a heading:
/// a second one, or one of an inline table, is no TOML.
fn there(document: &Document, neuron: &[&str], name: &str, lines: &[String]) -> Option<String> {
    let line_of = |keys: &[&str]| Some(document.key_problem(keys, "").place?.line);
    let is_inline = |keys: &[&str]| {
        let text = document.text().get(document.range(keys)?)?;
        Some(text.starts_with('{'))
    };
    let keys = [neuron, &[name]].concat();
    let Some(inline) = is_inline(&keys) else {
        let line = line_of(neuron)?;
        let list = lines.join(", ");
        return is_inline(neuron)?.then(|| format!("add to line {line}:\n{name} = {{ {list} }}"));
    };
    let line = line_of(&keys)?;
    if inline {
        let list = lines.join(", ");
        return Some(format!("add to the `{name}` in line {line}:\n{list}"));
    }
    let text = document.text().lines().nth(line.checked_sub(1)?)?;
    if text.trim_start().starts_with('[') {
        return Some(format!("add below line {line}:\n{}", lines.join("\n")));
    }
    let dotted: Vec<_> = lines.iter().map(|line| format!("{name}.{line}")).collect();
    Some(format!("add beside line {line}:\n{}", dotted.join("\n")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    use expect_test::{Expect, expect};

    use super::*;

    fn told(text: &str, expected: &Expect) {
        let document = Document::parse(Path::new("soma.toml"), text.to_owned()).unwrap();
        let mut addition = Addition::default();
        addition.line("grants", "log = true".to_owned());
        addition.line("grants", "clock = \"wall\"".to_owned());
        let keys = ["tenants", "acme", "neurons", "echo"];
        expected.assert_eq(&addition.told("to grant that", &document, &keys).unwrap());
    }

    #[test]
    fn lines_go_into_the_table_that_is_there_in_the_form_that_it_has() {
        let start = "[tenants.acme.neurons.echo]\nsource = \"echo.wasm\"\n";
        told(
            start,
            &expect![[r#"
                to grant that, write:
                [tenants.acme.neurons.echo.grants]
                log = true
                clock = "wall""#]],
        );
        told(
            &format!("{start}grants = {{ wasi = true }}\n"),
            &expect![[r#"
                to grant that, add to the `grants` in line 3:
                log = true, clock = "wall""#]],
        );
        told(
            &format!("{start}[tenants.acme.neurons.echo.grants]\nwasi = true\n"),
            &expect![[r#"
                to grant that, add below line 3:
                log = true
                clock = "wall""#]],
        );
        told(
            &format!("{start}grants.wasi = true\n"),
            &expect![[r#"
                to grant that, add beside line 3:
                grants.log = true
                grants.clock = "wall""#]],
        );
        told(
            "[tenants.acme.neurons]\necho = { source = \"echo.wasm\" }\n",
            &expect![[r#"
                to grant that, add to line 2:
                grants = { log = true, clock = "wall" }"#]],
        );
    }

    #[test]
    fn a_table_is_told_once_and_nothing_where_nothing_is_missing() {
        let document = Document::parse(Path::new("soma.toml"), String::new()).unwrap();
        let mut addition = Addition::default();
        assert_eq!(addition.told("to bind it", &document, &["a"]), None);
        addition.table("[e]\nkind = \"memory\"".to_owned());
        addition.table("[e]\nkind = \"memory\"".to_owned());
        addition.line("bind", "e = 1".to_owned());
        expect![[r#"
            to bind it, write:
            [e]
            kind = "memory"
            [a.bind]
            e = 1"#]]
        .assert_eq(&addition.told("to bind it", &document, &["a"]).unwrap());
    }
}
