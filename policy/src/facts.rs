//! A call as Cedar sees it: entities for tenant and model, and a context for each region.

use std::collections::{BTreeSet, HashMap, HashSet};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema,
};
use reeve_domain::{
    DecisionInput, Kind, ModelFacts, Region, Scope, TenantFacts, Timestamp, TransferCount, Until,
    in_force,
};
use serde::Serialize;

use crate::{
    bundle::RegionRules,
    compile::{CompileError, single},
};

/// The countries of the European Economic Area (ISO 3166-1), where the law of the EU protects.
const EEA: [&str; 31] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "EU", "FI", "FR", "GR", "HR", "HU", "IE",
    "IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// The jurisdiction that a country belongs to: `EU` for the European Economic Area, else itself.
pub fn jurisdiction_of(country: &str) -> &str {
    if EEA.contains(&country) { "EU" } else { country }
}

/// The laws that protect the person whom a call is about.
pub fn laws<'a>(tenant: &'a TenantFacts, subject_country: Option<&'a str>) -> Vec<&'a str> {
    let of_tenant = tenant.labels.get("jurisdiction").map(String::as_str);
    let laws: BTreeSet<&str> =
        of_tenant.into_iter().chain(subject_country.map(jurisdiction_of)).collect();
    laws.into_iter().collect()
}

/// Entity names that are the same for every call.
pub(crate) struct Names {
    tenant: EntityTypeName,
    model: EntityTypeName,
    pub(crate) classify: EntityUid,
    pub(crate) explain: EntityUid,
    pub(crate) obligate: EntityUid,
}

impl Names {
    pub(crate) fn new() -> Result<Self, CompileError> {
        let kind =
            |name: &str| name.parse::<EntityTypeName>().map_err(|fault| single(fault.to_string()));
        let action = |name: &str| {
            Ok::<_, CompileError>(EntityUid::from_type_name_and_id(
                kind("Action")?,
                EntityId::new(name),
            ))
        };
        Ok(Self {
            tenant: kind("Tenant")?,
            model: kind("Model")?,
            classify: action("classify")?,
            explain: action("explain")?,
            obligate: action("obligate")?,
        })
    }

    pub(crate) fn tenant(&self, tenant: &TenantFacts) -> EntityUid {
        EntityUid::from_type_name_and_id(self.tenant.clone(), EntityId::new(tenant.id.as_str()))
    }

    pub(crate) fn model(&self, model: &ModelFacts) -> EntityUid {
        let id = EntityId::new(model.digest.to_string());
        EntityUid::from_type_name_and_id(self.model.clone(), id)
    }

    /// The entities of a call at a moment: what has run out by then is not among their attributes.
    pub(crate) fn entities(
        &self,
        tenant: &TenantFacts,
        model: &ModelFacts,
        at: Timestamp,
        schema: &Schema,
    ) -> Option<Entities> {
        let legal = &tenant.legal;
        let attribute = |name: &str, values: Vec<&str>| (name.to_owned(), set(values));
        let tenant_entity = Entity::new_with_tags(
            self.tenant(tenant),
            [
                attribute("residency", tenant.residency.iter().map(|it| it.as_str()).collect()),
                attribute("purposes", tenant.purposes.iter().map(|it| it.as_str()).collect()),
                attribute("agreements", standing(&legal.agreements, at)),
                attribute("bases", legal.bases.keys().map(String::as_str).collect()),
                attribute("overseen", standing(&legal.overseen, at)),
            ],
            HashSet::new(),
            tenant.labels.iter().map(|(name, value)| (name.clone(), string(value))),
        )
        .ok()?;
        let model_entity = Entity::new(
            self.model(model),
            HashMap::from([
                ("name".to_owned(), string(model.name.as_str())),
                ("generative".to_owned(), RestrictedExpression::new_bool(model.generative)),
                ("risk_class".to_owned(), string(&model.risk_class)),
                ("conformity".to_owned(), RestrictedExpression::new_bool(model.conformity)),
                ("instructions".to_owned(), RestrictedExpression::new_bool(model.instructions)),
            ]),
            HashSet::new(),
        )
        .ok()?;
        Entities::from_entities([tenant_entity, model_entity], Some(schema)).ok()
    }
}

fn standing<K: AsRef<str>>(
    terms: &std::collections::BTreeMap<K, Until>,
    at: Timestamp,
) -> Vec<&str> {
    terms.iter().filter(|(_, until)| in_force(**until, at)).map(|(name, _)| name.as_ref()).collect()
}

/// The moments at which something on file for a tenant runs out.
pub(crate) fn ends(tenant: &TenantFacts) -> impl Iterator<Item = Timestamp> + '_ {
    let legal = &tenant.legal;
    let agreements = legal.agreements.values().copied().flatten();
    let overseen = legal.overseen.values().copied().flatten();
    let instruments = legal.instruments.values().filter_map(|instrument| instrument.until);
    agreements.chain(overseen).chain(instruments).chain(legal.break_glass)
}

/// An attribute of the context in which rules are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Attribute {
    Action,
    AdequateFor,
    BreakGlass,
    Characters,
    Consents,
    DataCategories,
    Found,
    Instrument,
    Items,
    Jurisdiction,
    Laws,
    Purpose,
    Region,
    ResultUse,
    Scopes,
    SharedKey,
    SubjectAge,
    SubjectCountry,
    Transferred,
    TransferredSensitive,
}

impl Attribute {
    pub(crate) const ALL: [Self; 20] = [
        Self::Action,
        Self::AdequateFor,
        Self::BreakGlass,
        Self::Characters,
        Self::Consents,
        Self::DataCategories,
        Self::Found,
        Self::Instrument,
        Self::Items,
        Self::Jurisdiction,
        Self::Laws,
        Self::Purpose,
        Self::Region,
        Self::ResultUse,
        Self::Scopes,
        Self::SharedKey,
        Self::SubjectAge,
        Self::SubjectCountry,
        Self::Transferred,
        Self::TransferredSensitive,
    ];

    /// Whether it is rarely the same in two calls.
    pub(crate) fn counts(self) -> bool {
        matches!(
            self,
            Self::Characters | Self::Items | Self::Transferred | Self::TransferredSensitive
        )
    }

    /// Its name in Cedar.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::AdequateFor => "adequate_for",
            Self::BreakGlass => "break_glass",
            Self::Characters => "characters",
            Self::Consents => "consents",
            Self::DataCategories => "data_categories",
            Self::Found => "found",
            Self::Instrument => "instrument",
            Self::Items => "items",
            Self::Jurisdiction => "jurisdiction",
            Self::Laws => "laws",
            Self::Purpose => "purpose",
            Self::Region => "region",
            Self::ResultUse => "result_use",
            Self::Scopes => "scopes",
            Self::SharedKey => "shared_key",
            Self::SubjectAge => "subject_age",
            Self::SubjectCountry => "subject_country",
            Self::Transferred => "transferred",
            Self::TransferredSensitive => "transferred_sensitive",
        }
    }
}

/// What an attribute is in a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Value<'a> {
    Text(&'a str),
    Names(Vec<&'a str>),
    Flag(bool),
    Number(i64),
}

impl Value<'_> {
    fn to_cedar(&self) -> RestrictedExpression {
        match self {
            Self::Text(text) => string(text),
            Self::Names(names) => set(names.clone()),
            Self::Flag(flag) => RestrictedExpression::new_bool(*flag),
            Self::Number(number) => RestrictedExpression::new_long(*number),
        }
    }

    /// Appends it so that one attribute's values are told apart, whatever follows.
    fn write(&self, to: &mut Vec<u8>) {
        let mut text = |text: &str| {
            to.extend_from_slice(&text.len().to_le_bytes());
            to.extend_from_slice(text.as_bytes());
        };
        match self {
            Self::Text(one) => text(one),
            Self::Names(names) => {
                names.iter().for_each(|name| text(name));
                to.extend_from_slice(&usize::MAX.to_le_bytes());
            }
            Self::Flag(flag) => to.push(u8::from(*flag)),
            Self::Number(number) => to.extend_from_slice(&number.to_le_bytes()),
        }
    }
}

/// A call in one region: the context in which rules are asked.
#[derive(Clone, Copy)]
pub(crate) struct Called<'a> {
    input: &'a DecisionInput,
    region: &'a Region,
    rules: &'a RegionRules,
}

impl<'a> Called<'a> {
    pub(crate) fn new(
        input: &'a DecisionInput,
        region: &'a Region,
        rules: &'a RegionRules,
    ) -> Self {
        Self { input, region, rules }
    }

    /// What an attribute is; none if it was not stated.
    pub(crate) fn value(&self, attribute: Attribute) -> Option<Value<'a>> {
        let Self { input, rules, .. } = *self;
        let number = |n: u64| Value::Number(i64::try_from(n).unwrap_or(i64::MAX));
        let country = input.subject_country.as_ref().map(|country| country.as_str());
        Some(match attribute {
            Attribute::Action => Value::Text(input.action.as_str()),
            Attribute::AdequateFor => {
                Value::Names(rules.adequate_for.iter().map(String::as_str).collect())
            }
            Attribute::BreakGlass => Value::Flag(breaks_glass(input)),
            Attribute::Characters => number(input.characters),
            Attribute::Consents => {
                Value::Names(input.consents.iter().map(String::as_str).collect())
            }
            Attribute::DataCategories => {
                Value::Names(input.data_categories.iter().map(String::as_str).collect())
            }
            Attribute::Found => Value::Names(input.found.keys().map(Kind::as_str).collect()),
            Attribute::Instrument => Value::Text(instrument(input, rules)?),
            Attribute::Items => number(input.items),
            Attribute::Jurisdiction => Value::Text(&rules.jurisdiction),
            Attribute::Laws => Value::Names(laws(&input.tenant, country)),
            Attribute::Purpose => Value::Text(input.purpose.as_ref()?.as_str()),
            Attribute::Region => Value::Text(self.region.as_str()),
            Attribute::ResultUse => Value::Text(input.result_use?.as_str()),
            Attribute::Scopes => Value::Names(input.scopes.iter().map(Scope::as_str).collect()),
            Attribute::SharedKey => Value::Flag(input.shared_key),
            Attribute::SubjectAge => Value::Text(input.subject_age?.as_str()),
            Attribute::SubjectCountry => Value::Text(country?),
            Attribute::Transferred => number(transferred(input).subjects),
            Attribute::TransferredSensitive => number(transferred(input).sensitive),
        })
    }

    /// Writes attributes as bytes, over what was there: calls with the same bytes have the same
    /// values of them.
    pub(crate) fn write(&self, attributes: &[Attribute], to: &mut Vec<u8>) {
        to.clear();
        for attribute in attributes {
            let value = self.value(*attribute);
            to.push(u8::from(value.is_some()));
            if let Some(value) = value {
                value.write(to);
            }
        }
    }

    /// Attributes as Cedar sees them.
    pub(crate) fn context(&self, attributes: &[Attribute]) -> Option<Context> {
        let pairs = attributes.iter().filter_map(|attribute| {
            Some((attribute.as_str().to_owned(), self.value(*attribute)?.to_cedar()))
        });
        Context::from_pairs(pairs).ok()
    }
}

/// The tenant's instrument for transfers to a region, if it is in force and one that is used there.
pub(crate) fn instrument<'a>(input: &'a DecisionInput, rules: &RegionRules) -> Option<&'a str> {
    let instrument = input.tenant.legal.instruments.get(&rules.jurisdiction)?;
    let used = rules.instruments.is_empty() || rules.instruments.contains(&instrument.kind);
    (used && in_force(instrument.until, input.at)).then_some(instrument.kind.as_str())
}

/// How many subjects' data left. What is not known counts as more than any number.
pub(crate) fn transferred(input: &DecisionInput) -> TransferCount {
    input.transferred.unwrap_or(TransferCount { subjects: u64::MAX, sensitive: u64::MAX })
}

fn breaks_glass(input: &DecisionInput) -> bool {
    input.tenant.legal.break_glass.is_some_and(|until| input.at < until)
}

fn string(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn set(names: Vec<&str>) -> RestrictedExpression {
    RestrictedExpression::new_set(names.into_iter().map(string))
}
