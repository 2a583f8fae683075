//! Golden cases: what a bundle must decide, written down beside it.

use std::collections::{BTreeMap, BTreeSet};

use reeve_domain::{
    Action, AgeGroup, Country, Decision, DecisionInput, Digest, EntityName, Instrument, Kind,
    LegalFacts, LogLevel, ModelFacts, ModelName, Purpose, Redaction, Region, ResultUse, RuleId,
    Scope, TenantFacts, TenantId, Timestamp, TransferCount, Until,
};
use serde::{Deserialize, Serialize};

use crate::{bundle::Bundle, compile::CompileError, engine::Engine};

/// One golden case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The call.
    pub input: CaseInput,
    /// What must come out.
    pub expect: Expected,
}

/// A call, of which only what matters is written down. The rest is a call to classify one text by
/// a key of its own with the scope `classify`, to a model of minimal risk, that could be processed
/// in every region of the bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaseInput {
    /// The tenant; `somebody` if it does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantId>,
    /// When the call comes (RFC 3339); 1970 if it does not matter.
    #[serde(skip_serializing_if = "Option::is_none", with = "moment")]
    pub at: Option<Timestamp>,
    /// Regions where the tenant's data may be processed.
    pub residency: BTreeSet<Region>,
    /// Labels of the tenant.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Purposes that it has registered.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub purposes: BTreeSet<Purpose>,
    /// Its legal entity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<EntityName>,
    /// Its agreements, and until when (RFC 3339).
    #[serde(skip_serializing_if = "BTreeMap::is_empty", with = "moments")]
    pub agreements: BTreeMap<String, Until>,
    /// Kinds of its instruments of transfer by jurisdiction.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub instruments: BTreeMap<String, String>,
    /// Until when (RFC 3339) instruments hold, where they run out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", with = "moments")]
    pub instruments_until: BTreeMap<String, Until>,
    /// Its bases for categories of data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bases: BTreeMap<String, String>,
    /// Purposes that are overseen, and until when (RFC 3339).
    #[serde(skip_serializing_if = "BTreeMap::is_empty", with = "moments")]
    pub overseen: BTreeMap<String, Until>,
    /// Until when somebody broke the glass (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none", with = "moment")]
    pub break_glass: Option<Timestamp>,
    /// Scopes of the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<BTreeSet<Scope>>,
    /// What is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The model's risk class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_class: Option<String>,
    /// Whether the model generates content.
    pub generative: bool,
    /// Whether a declaration of conformity is on file for the model.
    pub conformity: bool,
    /// Whether instructions for use are on file for the model.
    pub instructions: bool,
    /// The stated purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// Where the subject is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_country: Option<Country>,
    /// How old the subject is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_age: Option<AgeGroup>,
    /// What is done with the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_use: Option<ResultUse>,
    /// Consents.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub consents: BTreeSet<String>,
    /// Categories of data.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub data_categories: BTreeSet<String>,
    /// Whether the key is shared.
    pub shared_key: bool,
    /// Subjects whose data left their jurisdiction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transferred: Option<TransferCount>,
    /// Kinds of personal data in the text.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub found: BTreeSet<Kind>,
    /// Texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// Unicode code points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub characters: Option<u64>,
    /// Regions where the model is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Vec<Region>>,
}

/// What must come out. What is left out may be anything, but for `human_review`, which is then
/// not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expected {
    /// Exactly these regions; empty: denied.
    pub permitted: Vec<Region>,
    /// Rules that permit, or that refuse where nothing is permitted, and maybe others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<RuleId>>,
    /// Exactly these kinds are redacted: `EMAIL_ADDRESS`, or `mask:EMAIL_ADDRESS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redact: Option<BTreeSet<String>>,
    /// How much is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogLevel>,
    /// Days for which the record is kept at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain_days: Option<u32>,
    /// Days for which it is kept at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain_at_most_days: Option<u32>,
    /// Exactly these notices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notices: Option<BTreeSet<String>>,
    /// Whether a person must review the result.
    pub human_review: bool,
}

/// A case that came out otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The file.
    pub file: String,
    /// The case.
    pub case: String,
    /// What was expected and what came, one line for each difference.
    pub differences: Vec<String>,
}

impl CaseInput {
    /// The whole input, with `regions` as candidates where the case names none.
    pub fn input(&self, regions: &[Region]) -> Result<DecisionInput, reeve_domain::InvalidId> {
        let until = |jurisdiction: &String| self.instruments_until.get(jurisdiction).copied();
        let instruments = self.instruments.iter().map(|(jurisdiction, kind)| {
            let until = until(jurisdiction).flatten();
            (jurisdiction.clone(), Instrument { kind: kind.clone(), until })
        });
        let overseen = self.overseen.iter().map(|(name, until)| Ok((Purpose::new(name)?, *until)));
        Ok(DecisionInput {
            at: self.at.unwrap_or(Timestamp::from_micros(0)),
            tenant: TenantFacts {
                id: self.tenant.clone().map_or_else(|| TenantId::new("somebody"), Ok)?,
                residency: self.residency.clone(),
                purposes: self.purposes.clone(),
                labels: self.labels.clone(),
                legal: LegalFacts {
                    entity: self.entity.clone(),
                    agreements: self.agreements.clone(),
                    instruments: instruments.collect(),
                    bases: self.bases.clone(),
                    overseen: overseen.collect::<Result<_, reeve_domain::InvalidId>>()?,
                    break_glass: self.break_glass,
                },
            },
            scopes: match &self.scopes {
                Some(scopes) => scopes.clone(),
                None => BTreeSet::from([Scope::new("classify")?]),
            },
            action: self.action.unwrap_or(Action::Classify),
            model: ModelFacts {
                name: ModelName::new("support")?,
                version: "1".to_owned(),
                digest: Digest::of(b"model"),
                generative: self.generative,
                risk_class: self.risk_class.clone().unwrap_or_else(|| "minimal".to_owned()),
                conformity: self.conformity,
                instructions: self.instructions,
            },
            purpose: self.purpose.clone(),
            subject_country: self.subject_country.clone(),
            consents: self.consents.clone(),
            data_categories: self.data_categories.clone(),
            subject_age: self.subject_age,
            result_use: self.result_use,
            shared_key: self.shared_key,
            transferred: self.transferred,
            found: self.found.iter().map(|kind| (kind.clone(), 1)).collect(),
            items: self.items.unwrap_or(1),
            characters: self.characters.unwrap_or(10),
            candidates: self.candidates.clone().unwrap_or_else(|| regions.to_vec()),
        })
    }
}

impl Case {
    /// What an engine decides otherwise than the case says; nothing if all is as it must be.
    pub fn differences(&self, engine: &Engine) -> Vec<String> {
        let regions: Vec<Region> = engine.bundle().regions.keys().cloned().collect();
        match self.input.input(&regions) {
            Ok(input) => self.expect.differences(&engine.decide(&input)),
            Err(why) => vec![why.to_string()],
        }
    }
}

impl Expected {
    fn differences(&self, decision: &Decision) -> Vec<String> {
        let mut found = Vec::new();
        let mut differ = |what: &str, expected: String, came: String| {
            if expected != came {
                found.push(format!("{what}: expected {expected}, got {came}"));
            }
        };
        let rules: BTreeSet<&RuleId> = if decision.is_allowed() {
            decision.rules.iter().map(|rule| &rule.id).collect()
        } else {
            let refused = decision.refused.iter().flat_map(|region| &region.rules);
            refused.map(|rule| &rule.id).collect()
        };
        differ("permitted", list(&self.permitted), list(&decision.permitted));
        let missing: Vec<&RuleId> =
            self.rules.iter().flatten().filter(|rule| !rules.contains(rule)).collect();
        if !missing.is_empty() {
            differ("rules", list(self.rules.iter().flatten()), list(&rules));
        }
        let obligations = &decision.obligations;
        if let Some(expected) = &self.redact {
            let redact: BTreeSet<String> = obligations
                .redact
                .iter()
                .map(|(kind, how)| match how {
                    Redaction::Replace => kind.to_string(),
                    how => format!("{}:{kind}", how.as_str()),
                })
                .collect();
            differ("redact", list(expected), list(&redact));
        }
        if let Some(expected) = self.log {
            differ("log", format!("{expected:?}"), format!("{:?}", obligations.log));
        }
        let days = |days: Option<u32>| days.map_or("nothing".to_owned(), |days| days.to_string());
        if self.retain_days.is_some() {
            differ("retain_days", days(self.retain_days), days(obligations.retain_days));
        }
        if self.retain_at_most_days.is_some() {
            let came = days(obligations.retain_at_most_days);
            differ("retain_at_most_days", days(self.retain_at_most_days), came);
        }
        if let Some(expected) = &self.notices {
            differ("notices", list(expected), list(&obligations.notices));
        }
        let review = |needed: bool| needed.to_string();
        differ("human_review", review(self.human_review), review(obligations.human_review));
        let failed: Vec<_> =
            decision.refused.iter().filter(|it| it.failed).map(|it| &it.region).collect();
        differ("regions that could not be decided", "none".to_owned(), list(failed));
        found
    }
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// Runs a bundle's own cases.
pub fn run(engine: &Engine) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (file, cases) in &engine.bundle().cases {
        for case in cases {
            let differences = case.differences(engine);
            if !differences.is_empty() {
                failures.push(Failure { file: file.clone(), case: case.name.clone(), differences });
            }
        }
    }
    failures
}

/// Rules of a bundle's own that no case notices the absence of. `cases` go beyond the bundle's own.
pub fn unproven(bundle: &Bundle, cases: &[Case]) -> Result<Vec<RuleId>, CompileError> {
    let engine = Engine::compile(&bundle.document())?;
    let own = bundle.cases.values().flatten().chain(cases);
    let own: Vec<&Case> = own.filter(|case| case.differences(&engine).is_empty()).collect();
    let mut unproven = Vec::new();
    for rule in engine.rules().into_iter().filter(|rule| bundle.cedar.contains_key(&rule.file)) {
        let without = engine.without(&rule.id)?;
        if !own.iter().any(|case| !case.differences(&without).is_empty()) {
            unproven.push(rule.id);
        }
    }
    Ok(unproven)
}

/// A moment as RFC 3339.
mod moment {
    use reeve_domain::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "as serde calls it")]
    pub(super) fn serialize<S: Serializer>(
        at: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => to.serialize_some(&at.to_string()),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text: Option<String> = Option::deserialize(from)?;
        text.map(|text| Timestamp::parse(&text).map_err(D::Error::custom)).transpose()
    }
}

/// Names, each with a moment as RFC 3339 or `null` for no end.
mod moments {
    use std::collections::BTreeMap;

    use reeve_domain::{Timestamp, Until};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(
        all: &BTreeMap<String, Until>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let texts: BTreeMap<&String, Option<String>> =
            all.iter().map(|(name, until)| (name, until.map(|at| at.to_string()))).collect();
        texts.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<String, Until>, D::Error> {
        let texts: BTreeMap<String, Option<String>> = BTreeMap::deserialize(from)?;
        let moment = |text: String| Timestamp::parse(&text).map_err(D::Error::custom);
        texts.into_iter().map(|(name, text)| Ok((name, text.map(moment).transpose()?))).collect()
    }
}
