use anyhow::{Context as _, Result};
use reeve_classifier::{Card, LongInput};

/// What a bundle's card says of its model.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Card")]
pub(crate) struct CardArguments {
    /// The model's name.
    #[arg(long)]
    name: Option<String>,
    /// The model's version.
    #[arg(long, default_value = "1.0.0")]
    version: String,
    /// What the model may be used for.
    #[arg(long)]
    intended_use: Option<String>,
    /// Languages of the data (BCP 47).
    #[arg(long, value_delimiter = ',')]
    languages: Option<Vec<String>>,
    /// SPDX expression.
    #[arg(long)]
    license: Option<String>,
    /// Risk class of the intended use under the EU AI Act: minimal, limited or high.
    #[arg(long, default_value = "minimal", value_parser = ["minimal", "limited", "high"])]
    risk_class: String,
    /// What the model cannot do; as often as need be.
    #[arg(long = "limit")]
    limits: Vec<String>,
}

/// What the card says where nothing else was said.
pub(crate) struct Defaults<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) intended_use: Option<&'a str>,
    pub(crate) languages: &'a [&'a str],
    pub(crate) license: Option<&'a str>,
}

impl CardArguments {
    /// The card, with limits that follow from how the model was made.
    pub(crate) fn card(&self, defaults: &Defaults<'_>, limits: Vec<String>) -> Result<Card> {
        let or = |what: &str, given: &Option<String>, default: Option<&str>| {
            let given = given.clone().or_else(|| default.map(str::to_owned));
            given.with_context(|| format!("`--{what}` is needed"))
        };
        let languages = defaults.languages.iter().map(|l| (*l).to_owned()).collect();
        Ok(Card {
            name: or("name", &self.name, defaults.name)?,
            version: self.version.clone(),
            intended_use: or("intended-use", &self.intended_use, defaults.intended_use)?,
            languages: self.languages.clone().unwrap_or(languages),
            license: or("license", &self.license, defaults.license)?,
            limits: self.limits.iter().cloned().chain(limits).collect(),
            risk_class: self.risk_class.clone(),
            ..Card::default()
        })
    }
}

/// What becomes of long texts, in words.
pub(crate) fn long_texts(long: LongInput, most: u32) -> String {
    match long {
        LongInput::Cut => format!("It reads the first {most} tokens of a text."),
        LongInput::Refuse => format!("It refuses texts of more than {most} tokens."),
        LongInput::Split { overlap } => format!(
            "It reads texts of more than {most} tokens in windows of {most} that overlap by \
             {overlap}, and answers with their mean."
        ),
    }
}
