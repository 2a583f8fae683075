use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use reeve_privacy::Detector;
use serde::Serialize;

use super::say;

/// Find personal data in your own text.
#[derive(clap::Subcommand)]
pub(crate) enum PrivacyCommand {
    /// What is found in each line, with places in Unicode code points.
    Scan {
        /// A text file, or `-` for standard input.
        file: PathBuf,
        /// One JSON object for each line.
        #[arg(long)]
        json: bool,
        /// Leave out what is less sure than this, from 0 to 1. Policy acts from 0.4 on.
        #[arg(long, default_value_t = 0.0)]
        min_confidence: f32,
    },
    /// The kinds that are found, one a line.
    Kinds,
}

#[derive(Serialize)]
struct Line {
    findings: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    kind: String,
    start: usize,
    end: usize,
    confidence: f32,
}

impl PrivacyCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Scan { file, json, min_confidence } => scan(&file, json, min_confidence),
            Self::Kinds => Detector::known_kinds().iter().try_for_each(|kind| say(kind.as_str())),
        }
    }
}

fn scan(file: &Path, json: bool, min_confidence: f32) -> anyhow::Result<()> {
    let input: Box<dyn BufRead> = if file.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let open = File::open(file).with_context(|| format!("`{}`", file.display()))?;
        Box::new(BufReader::new(open))
    };
    let detector = Detector::new(&Detector::known_kinds()).at_least(min_confidence);
    for (number, line) in input.lines().enumerate() {
        let line = line.with_context(|| format!("line {}", number.saturating_add(1)))?;
        let points = |at: usize| line.get(..at).map_or(0, |before| before.chars().count());
        let findings: Vec<Found> = detector
            .scan_str(&line)?
            .into_iter()
            .map(|finding| Found {
                kind: finding.kind.to_string(),
                start: points(finding.range.start),
                end: points(finding.range.end),
                confidence: finding.confidence,
            })
            .collect();
        if json {
            say(&serde_json::to_string(&Line { findings })?)?;
        } else {
            for found in findings {
                let place = format!("{}:{}-{}", number.saturating_add(1), found.start, found.end);
                say(&format!("{place}  {}  {:.2}", found.kind, found.confidence))?;
            }
        }
    }
    Ok(())
}
