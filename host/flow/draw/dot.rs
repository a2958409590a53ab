//! Graphviz.

use std::fmt::Write;

use super::{Chart, Picture, Shape, ShapeKind, Trace};

pub(super) fn write(picture: &Picture) -> String {
    let mut text = String::from(
        "digraph flow {\n  rankdir=LR\n  compound=true\n  node [shape=box, fontname=\"sans-serif\"]\n  \
         edge [fontname=\"sans-serif\", fontsize=10]\n",
    );
    for chart in &picture.charts {
        let _ = writeln!(text, "  subgraph cluster_{} {{", chart.id);
        let _ = writeln!(text, "    label={}", quoted(&chart.title));
        write_chart(&mut text, chart);
        text.push_str("  }\n");
    }
    for (from, to) in &picture.holds {
        let _ = writeln!(text, "  {from} -> {to} [style=dotted]");
    }
    text.push_str("}\n");
    text
}

fn write_chart(text: &mut String, chart: &Chart) {
    for shape in &chart.shapes {
        write_shape(text, shape, "    ");
    }
    for group in &chart.groups {
        // Arrows of a group begin and end at a point of its own.
        let _ = writeln!(text, "    subgraph cluster_{} {{", group.id);
        let _ = writeln!(text, "      label={}", told(&group.name, &group.trace));
        text.push_str("      style=dashed\n");
        let _ = writeln!(text, "      {} [shape=point]", group.id);
        for member in &group.members {
            write_shape(text, member, "      ");
        }
        text.push_str("    }\n");
    }
    for arrow in &chart.arrows {
        let times = if arrow.taken > 1 {
            format!(" ({}×)", arrow.taken)
        } else {
            String::new()
        };
        let label = quoted(&format!("{}{times}", arrow.route));
        let style = if arrow.taken > 0 { ", penwidth=3" } else { "" };
        let _ = writeln!(
            text,
            "    {} -> {} [label={label}{style}]",
            arrow.from, arrow.to
        );
    }
}

fn write_shape(text: &mut String, shape: &Shape, indent: &str) {
    let kind = match shape.kind {
        ShapeKind::Single => "box",
        ShapeKind::FanOut => "hexagon",
        ShapeKind::Deep => "component",
        ShapeKind::Completed => "doublecircle",
        ShapeKind::Failed => "octagon",
        ShapeKind::End => "oval",
    };
    let style = match (&shape.trace, shape.trace.failed) {
        (trace, _) if trace.is_empty() => "",
        (_, true) => ", penwidth=3, style=dashed",
        (_, false) => ", penwidth=3",
    };
    let told = told(&shape.name, &shape.trace);
    let _ = writeln!(
        text,
        "{indent}{} [shape={kind}, label={told}{style}]",
        shape.id
    );
}

fn told(name: &str, trace: &Trace) -> String {
    match trace.words() {
        None => quoted(name),
        Some(words) => quoted(&format!("{name}\n{words}")),
    }
}

/// A string of Graphviz: quotes and backslashes mean themselves.
fn quoted(name: &str) -> String {
    let mut text = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            '\n' => text.push_str("\\n"),
            c if c.is_control() => text.push(' '),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}
