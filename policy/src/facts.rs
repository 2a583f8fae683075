//! A call as Cedar sees it: entities for tenant and model, and a context for each region.

use std::collections::{BTreeSet, HashMap, HashSet};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema,
};
use reeve_domain::{
    DecisionInput, ModelFacts, Region, TenantFacts, Timestamp, TransferCount, Until, in_force,
};

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
pub fn laws(tenant: &TenantFacts, subject_country: Option<&str>) -> BTreeSet<String> {
    let of_subject = subject_country.map(|country| jurisdiction_of(country).to_owned());
    tenant.labels.get("jurisdiction").cloned().into_iter().chain(of_subject).collect()
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

/// What is the same in every region.
pub(crate) struct Called {
    pairs: Vec<(String, RestrictedExpression)>,
}

impl Called {
    pub(crate) fn new(input: &DecisionInput) -> Self {
        let country = input.subject_country.as_ref().map(|country| country.as_str());
        let laws = laws(&input.tenant, country);
        let transferred = transferred(input);
        let mut pairs = vec![
            ("action".to_owned(), string(input.action.as_str())),
            ("scopes".to_owned(), set(input.scopes.iter().map(|it| it.as_str()).collect())),
            ("laws".to_owned(), set(laws.iter().map(String::as_str).collect())),
            ("consents".to_owned(), set(input.consents.iter().map(String::as_str).collect())),
            (
                "data_categories".to_owned(),
                set(input.data_categories.iter().map(String::as_str).collect()),
            ),
            ("shared_key".to_owned(), RestrictedExpression::new_bool(input.shared_key)),
            ("break_glass".to_owned(), RestrictedExpression::new_bool(breaks_glass(input))),
            ("transferred".to_owned(), number(transferred.subjects)),
            ("transferred_sensitive".to_owned(), number(transferred.sensitive)),
            ("found".to_owned(), set(input.found.keys().map(|kind| kind.as_str()).collect())),
            ("items".to_owned(), number(input.items)),
            ("characters".to_owned(), number(input.characters)),
        ];
        let mut stated = |name: &str, value: Option<&str>| {
            pairs.extend(value.map(|value| (name.to_owned(), string(value))));
        };
        stated("purpose", input.purpose.as_ref().map(|it| it.as_str()));
        stated("subject_country", country);
        stated("subject_age", input.subject_age.map(reeve_domain::AgeGroup::as_str));
        stated("result_use", input.result_use.map(reeve_domain::ResultUse::as_str));
        Self { pairs }
    }

    pub(crate) fn context(
        &self,
        input: &DecisionInput,
        region: &Region,
        rules: &RegionRules,
    ) -> Option<Context> {
        let mut pairs = self.pairs.clone();
        pairs.push(("region".to_owned(), string(region.as_str())));
        pairs.push(("jurisdiction".to_owned(), string(&rules.jurisdiction)));
        let adequate_for = rules.adequate_for.iter().map(String::as_str).collect();
        pairs.push(("adequate_for".to_owned(), set(adequate_for)));
        if let Some(kind) = instrument(input, rules) {
            pairs.push(("instrument".to_owned(), string(kind)));
        }
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

fn number(n: u64) -> RestrictedExpression {
    RestrictedExpression::new_long(i64::try_from(n).unwrap_or(i64::MAX))
}
