//! Whether a bundle may be activated.

use std::collections::BTreeMap;

use reeve_domain::BundleDocument;

use crate::{
    bundle::{Bundle, BundleUnreadable},
    cases::{self, Failure},
    compile::{self, Fault, Severity, Span},
    engine::Engine,
};

/// What was found when a bundle was checked as a whole.
pub struct Checked {
    /// The engine, if the bundle can be enforced at all.
    pub engine: Option<Engine>,
    /// What is wrong; errors first.
    pub faults: Vec<Fault>,
    /// Golden cases that came out otherwise.
    pub failures: Vec<Failure>,
}

impl Checked {
    /// Whether nothing keeps the bundle from being activated.
    pub fn may_be_activated(&self) -> bool {
        self.engine.is_some()
            && self.failures.is_empty()
            && self.faults.iter().all(|fault| fault.severity == Severity::Warning)
    }
}

/// Checks a bundle: syntax, types, annotations, what law does not allow, and its golden cases.
pub fn check(document: &BundleDocument) -> Checked {
    match Engine::compile(document) {
        Ok(engine) => {
            let mut faults = engine.faults();
            faults.sort_by_key(|fault| (fault.severity, fault.file.clone(), fault.span));
            let failures = cases::run(&engine);
            Checked { engine: Some(engine), faults, failures }
        }
        Err(error) => Checked { engine: None, faults: error.faults, failures: Vec::new() },
    }
}

/// Checks a bundle that is given as files, as [`Bundle::from_files`] takes them. Without a document
/// the files are not a bundle.
pub fn check_files(files: &BTreeMap<String, String>) -> (Option<BundleDocument>, Checked) {
    match Bundle::from_files(files) {
        Ok(bundle) => {
            let document = bundle.document();
            let checked = check(&document);
            (Some(document), checked)
        }
        Err(why) => {
            let faults = vec![unreadable(&why, files)];
            (None, Checked { engine: None, faults, failures: Vec::new() })
        }
    }
}

fn unreadable(why: &BundleUnreadable, files: &BTreeMap<String, String>) -> Fault {
    match why {
        BundleUnreadable::Toml { fault } => {
            let text = files.get("bundle.toml").map_or("", String::as_str);
            let span = fault.span().map(|range| compile::span(text, range.start, range.len()));
            Fault::of("bundle.toml", fault.message()).at(span)
        }
        BundleUnreadable::Cases { file, fault } => {
            let (line, column) = (fault.line(), fault.column().max(1));
            let end_column = column.saturating_add(1);
            let span = Span { line, column, end_line: line, end_column };
            Fault::of(file, fault.to_string()).at((line > 0).then_some(span))
        }
        BundleUnreadable::File { name } => Fault::of(name, why.to_string()),
        other => Fault::of("bundle.toml", other.to_string()),
    }
}
