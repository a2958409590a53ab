//! `soma neuron check`: whether this host can run a component, and every reason
//! why not, at once.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::component;
use crate::{
    cli::{
        Exit, Failed, log,
        out::{self, Plain},
        refusal, start,
    },
    neuron::{Grants, Limits, LoadError, Plugin},
    package::{Manifest, Package, Problem, Problems, Schemas},
};

/// Arguments of `soma neuron check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component file, or the folder of a project that was built
    #[arg(default_value = ".")]
    path: PathBuf,

    /// Look at the file only: what shows when it is compiled is not found
    #[arg(long)]
    no_compile: bool,

    /// Write one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Something that was found, and what to do about it.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Finding {
    fn new(message: impl std::fmt::Display, help: Option<String>) -> Self {
        Self {
            message: message.to_string(),
            help,
        }
    }
}

/// What was found about a component.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Why this host cannot run it.
    pub(super) reasons: Vec<Finding>,
    /// What should be otherwise, and keeps nothing from running.
    pub(super) warnings: Vec<Finding>,
}

/// The keys of `--json`.
#[derive(Serialize)]
struct Keys<'a> {
    file: String,
    runs: bool,
    compiled: bool,
    reasons: &'a [Finding],
    warnings: &'a [Finding],
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    log::start(false)?;
    let compile = !args.no_compile;
    let (file, findings) = if args.path.is_dir() {
        project(&args.path, compile)?
    } else {
        (args.path.clone(), of_file(&args.path, compile)?)
    };
    let runs = findings.reasons.is_empty();
    if args.json {
        out::write_json(&Keys {
            file: file.display().to_string(),
            runs,
            compiled: runs && compile,
            reasons: &findings.reasons,
            warnings: &findings.warnings,
        })?;
    } else {
        out::write(&shown(&file, &findings, compile))?;
    }
    Ok(if runs { Exit::Ok } else { Exit::Input })
}

fn shown(file: &Path, findings: &Findings, compiled: bool) -> String {
    let file = file.display();
    let mut text = match findings.reasons.len() {
        0 if compiled => format!("{file}: this host can run it\n"),
        0 => format!("{file}: nothing speaks against it; it was not compiled\n"),
        1 => format!("{file}: this host cannot run it\n"),
        count => format!("{file}: this host cannot run it, for {count} reasons\n"),
    };
    for reason in &findings.reasons {
        let _ = write!(text, "{}", Item("- ", reason));
    }
    for warning in &findings.warnings {
        let _ = write!(text, "{}", Item("warning: ", warning));
    }
    text
}

/// A finding behind a mark, its help below it.
pub(super) struct Item<'a>(pub(super) &'static str, pub(super) &'a Finding);

impl std::fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(mark, finding) = self;
        writeln!(f, "{mark}{}", Plain(&finding.message))?;
        match &finding.help {
            Some(help) => writeln!(f, "  {}", Plain(help)),
            None => Ok(()),
        }
    }
}

/// A project's manifest, and the component that was built of it.
fn project(folder: &Path, compile: bool) -> Result<(PathBuf, Findings), Failed> {
    let read = Manifest::read(folder).and_then(|(manifest, document)| {
        let schemas = Schemas::read(&manifest, &document)?;
        Ok((manifest, schemas))
    });
    let (manifest, schemas) = match read {
        Ok(read) => read,
        Err(problems) => return Ok((folder.join(Manifest::FILE), of_problems(&problems))),
    };
    let file = manifest.component(folder);
    if !file.is_file() {
        let help = format!("build it: soma neuron build {}", out::word(folder));
        let reason = Finding::new("there is no such file: it is not built yet", Some(help));
        let findings = Findings {
            reasons: vec![reason],
            ..Findings::default()
        };
        return Ok((file, findings));
    }
    let bytes = component::read(&file)?;
    let mut findings = examine(&bytes, compile)?;
    if let Ok(package) = Package::read(&bytes)
        && (package.manifest != Some(manifest) || package.schemas != schemas)
    {
        let help = format!("build it again: soma neuron build {}", out::word(folder));
        findings.warnings.push(Finding::new(
            "neuron.toml or a schema has changed since it was built",
            Some(help),
        ));
    }
    Ok((file, findings))
}

fn of_problems(Problems(problems): &Problems) -> Findings {
    let reason = |problem: &Problem| {
        let bare = Problem {
            help: None,
            ..problem.clone()
        };
        Finding::new(bare, problem.help.clone())
    };
    Findings {
        reasons: problems.iter().map(reason).collect(),
        ..Findings::default()
    }
}

fn of_file(path: &Path, compile: bool) -> Result<Findings, Failed> {
    match Plugin::read(path) {
        Ok(bytes) => examine(&bytes, compile),
        Err(error @ LoadError::Read { .. }) => Err(Failed::new(Exit::Input, error)),
        Err(error) => Ok(Findings {
            reasons: vec![Finding::new(error, None)],
            ..Findings::default()
        }),
    }
}

/// Looks at a component from outside, and if nothing speaks against it and it
/// is wanted, loads it as a host does.
///
/// # Errors
/// When there is no host to load it with.
pub(super) fn examine(bytes: &[u8], compile: bool) -> Result<Findings, Failed> {
    let mut findings = Findings::default();
    if let Err(error) = Plugin::check_form(bytes) {
        findings.reasons.push(of_refusal(&error));
        return Ok(findings);
    }
    let package = match Package::read(bytes) {
        Ok(package) => package,
        Err(error) => {
            findings.reasons.push(Finding::new(error, None));
            return Ok(findings);
        }
    };
    look(&package, &mut findings);
    if findings.reasons.is_empty() && compile {
        let loaded = start::small_host()?.load_package(bytes, &package, &Grants::offered());
        match loaded {
            Ok(_) => {}
            Err(error) if refusal::exit(&error) == Exit::Host => {
                return Err(Failed::new(Exit::Host, error));
            }
            Err(error) => findings.reasons.push(of_refusal(&error)),
        }
    }
    Ok(findings)
}

fn of_refusal(error: &LoadError) -> Finding {
    Finding::new(error, refusal::advice(error))
}

fn look(package: &Package, findings: &mut Findings) {
    let misfits = Plugin::misfits(package, &Grants::offered());
    findings.reasons.extend(misfits.iter().map(of_refusal));
    for unasked in package.unasked() {
        let help = unasked.help();
        findings.reasons.push(Finding::new(unasked, Some(help)));
    }
    let Some(manifest) = &package.manifest else {
        let help = "embed one: soma neuron build FOLDER --component FILE".to_owned();
        findings.warnings.push(Finding::new(
            "it carries no manifest: nobody can tell what it is and asks for",
            Some(help),
        ));
        return;
    };
    let beyond = Limits::ceiling().exceeded_by(&manifest.limits);
    for excess in Limits::default().exceeded_by(&manifest.limits) {
        if let Some(beyond) = beyond.iter().find(|one| one.limit == excess.limit) {
            let message = format!("{beyond}, the most that this host gives for a wish");
            findings.reasons.push(Finding::new(message, None));
        } else {
            let message = format!("{excess}: a deployment has to allow it");
            findings.warnings.push(Finding::new(message, None));
        }
    }
    let unused = package.unused().into_iter();
    findings
        .warnings
        .extend(unused.map(|one| Finding::new(one, None)));
    for signature in &package.signatures {
        if let Err(error) = signature.fits(package) {
            findings.warnings.push(Finding::new(error, None));
        }
    }
}
