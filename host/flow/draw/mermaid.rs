//! Mermaid flowcharts.

use std::fmt::Write;

use super::{Arrow, Chart, Picture, Shape, ShapeKind, Trace};

pub(super) fn write(picture: &Picture) -> String {
    let mut text = String::from("flowchart LR\n");
    let mut arrows = Arrows::default();
    for (nth, chart) in picture.charts.iter().enumerate() {
        let _ = writeln!(text, "%% {}", line(&chart.title));
        if nth == 0 {
            write_chart(&mut text, chart, &mut arrows, "  ");
        } else {
            let _ = writeln!(text, "  subgraph {}[\"{}\"]", chart.id, label(&chart.title));
            write_chart(&mut text, chart, &mut arrows, "    ");
            text.push_str("  end\n");
        }
    }
    for (from, to) in &picture.holds {
        let _ = writeln!(text, "  {from} -.-> {to}");
        arrows.count += 1;
    }
    if picture.is_run {
        write_styles(&mut text, picture, &arrows);
    }
    text
}

/// Arrows are styled by their numbers.
#[derive(Default)]
struct Arrows {
    count: usize,
    taken: Vec<usize>,
}

fn write_chart(text: &mut String, chart: &Chart, arrows: &mut Arrows, indent: &str) {
    for shape in &chart.shapes {
        write_shape(text, shape, indent);
    }
    for group in &chart.groups {
        let told = told(&group.name, &group.trace);
        let _ = writeln!(text, "{indent}subgraph {}[\"{told}\"]", group.id);
        for member in &group.members {
            write_shape(text, member, &format!("{indent}  "));
        }
        let _ = writeln!(text, "{indent}end");
    }
    for arrow in &chart.arrows {
        let Arrow {
            from,
            to,
            route,
            taken,
        } = arrow;
        let times = if *taken > 1 {
            format!(" ({taken}×)")
        } else {
            String::new()
        };
        let _ = writeln!(text, "{indent}{from} -->|\"{}{times}\"| {to}", label(route));
        if *taken > 0 {
            arrows.taken.push(arrows.count);
        }
        arrows.count += 1;
    }
}

fn write_shape(text: &mut String, shape: &Shape, indent: &str) {
    let (open, close) = match shape.kind {
        ShapeKind::Single => ("[", "]"),
        ShapeKind::FanOut => ("{{", "}}"),
        ShapeKind::Deep | ShapeKind::End => ("([", "])"),
        ShapeKind::Completed => ("(((", ")))"),
        ShapeKind::Failed => (">", "]"),
    };
    let told = told(&shape.name, &shape.trace);
    let _ = writeln!(text, "{indent}{}{open}\"{told}\"{close}", shape.id);
}

/// A name, and what a run did there.
fn told(name: &str, trace: &Trace) -> String {
    match trace.words() {
        None => label(name),
        Some(words) => format!("{}<br/>{words}", label(name)),
    }
}

fn write_styles(text: &mut String, picture: &Picture, arrows: &Arrows) {
    text.push_str("  classDef ran stroke-width:3px\n");
    text.push_str("  classDef failed stroke-width:3px,stroke-dasharray:4\n");
    for chart in &picture.charts {
        let groups = chart.groups.iter();
        let groups = groups.map(|group| (&group.id, &group.trace));
        let members = chart.groups.iter().flat_map(|group| &group.members);
        let shapes = chart.shapes.iter().chain(members);
        let shapes = shapes.map(|shape| (&shape.id, &shape.trace));
        for (id, trace) in shapes.chain(groups) {
            if !trace.is_empty() {
                let class = if trace.failed { "failed" } else { "ran" };
                let _ = writeln!(text, "  class {id} {class}");
            }
        }
    }
    if !arrows.taken.is_empty() {
        let numbers: Vec<_> = arrows.taken.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "  linkStyle {} stroke-width:3px", numbers.join(","));
    }
}

/// Text within quotes: no character of it means anything to Mermaid or HTML.
fn label(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        match c {
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' => {
                let _ = write!(text, "#{};", u32::from(c));
            }
            c if c.is_control() => text.push(' '),
            c => text.push(c),
        }
    }
    text
}

/// Text of a comment, which ends with its line.
fn line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
