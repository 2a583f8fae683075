//! Bundles, what keeps them from being enforced, and what they decide.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use reeve_domain::{
    Action, Currency, Decision, DecisionInput, Digest, Kind, KindCounts, ModelFacts, ModelName,
    Money, Purpose, Redaction, Region, Scope, TenantFacts, TenantId, Timestamp, Usage,
};
use reeve_policy::{Bundle, CompileError, Engine, Prices, default_bundle};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    input: Input,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    residency: BTreeSet<Region>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    purposes: BTreeSet<Purpose>,
    purpose: Option<Purpose>,
    scopes: Option<BTreeSet<Scope>>,
    action: Option<Action>,
    risk_class: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    permitted: Vec<Region>,
    rules: Option<Vec<String>>,
    redact: Option<Vec<String>>,
    retain_days: Option<u32>,
    notices: Option<Vec<String>>,
    #[serde(default)]
    human_review: bool,
}

fn input(of: &Input) -> DecisionInput {
    DecisionInput {
        at: Timestamp::from_micros(0),
        tenant: TenantFacts {
            id: TenantId::new("acme").unwrap(),
            residency: of.residency.clone(),
            purposes: of.purposes.clone(),
            labels: of.labels.clone(),
        },
        scopes: of.scopes.clone().unwrap_or_else(|| [Scope::new("classify").unwrap()].into()),
        action: of.action.unwrap_or(Action::Classify),
        model: ModelFacts {
            name: ModelName::new("support").unwrap(),
            version: "1".to_owned(),
            digest: Digest::of(b"model"),
            generative: false,
            risk_class: of.risk_class.clone().unwrap_or_else(|| "minimal".to_owned()),
        },
        purpose: of.purpose.clone(),
        subject_country: None,
        consents: BTreeSet::new(),
        found: KindCounts::new(),
        items: 1,
        characters: 10,
        candidates: vec![Region::new("eu-west").unwrap(), Region::new("us-east").unwrap()],
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../bundles/default/cases/decisions.json")).unwrap()
}

/// What differs from what a case expects.
fn difference(case: &Case, decision: &Decision) -> Option<String> {
    let expect = &case.expect;
    let rules: BTreeSet<String> = decision
        .rules
        .iter()
        .chain(
            decision
                .refused
                .iter()
                .filter(|_| decision.permitted.is_empty())
                .flat_map(|refused| &refused.rules),
        )
        .map(|rule| rule.id.to_string())
        .collect();
    let redact: Vec<String> = decision
        .obligations
        .redact
        .iter()
        .map(|(kind, how)| match how {
            Redaction::Replace => kind.to_string(),
            how => format!("{}:{kind}", how.as_str()),
        })
        .collect();
    let notices: Vec<String> = decision.obligations.notices.iter().cloned().collect();
    let same = decision.permitted == expect.permitted
        && expect
            .rules
            .as_ref()
            .is_none_or(|expected| expected.iter().all(|rule| rules.contains(rule)))
        && expect.redact.as_ref().is_none_or(|expected| *expected == redact)
        && expect.retain_days.is_none_or(|days| decision.obligations.retain_days == Some(days))
        && expect.notices.as_ref().is_none_or(|expected| *expected == notices)
        && expect.human_review == decision.obligations.human_review
        && !decision.refused.iter().any(|refused| refused.failed);
    (!same).then(|| format!("{}: {decision:?}", case.name))
}

fn compile(bundle: &Bundle) -> Result<Engine, CompileError> {
    Engine::compile(&bundle.document())
}

#[test]
fn the_default_bundle_decides_as_its_cases_say() {
    let engine = compile(&default_bundle()).unwrap();
    for case in cases() {
        if let Some(difference) = difference(&case, &engine.decide(&input(&case.input))) {
            panic!("{difference}");
        }
    }
}

#[test]
fn without_any_one_rule_some_case_fails() {
    let bundle = default_bundle();
    for rule in compile(&bundle).unwrap().rules() {
        let mut without = bundle.clone();
        let text = without.cedar.get_mut(&rule.file).unwrap();
        let begin = text.find(&format!("@id(\"{}\")", rule.id)).unwrap();
        let end = text[begin..].find(";\n").unwrap() + begin + 1;
        text.replace_range(begin..end, "");
        let engine = compile(&without).unwrap();
        let noticed = cases()
            .iter()
            .any(|case| difference(case, &engine.decide(&input(&case.input))).is_some());
        assert!(noticed, "no case needs `{}`", rule.id);
    }
}

#[test]
fn the_built_in_bundle_is_the_directorys_and_documents_round_trip() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("bundles/default");
    let bundle = Bundle::from_dir(&dir).unwrap();
    assert_eq!(bundle, default_bundle());
    let document = bundle.document();
    assert_eq!(Bundle::parse(&document).unwrap(), bundle);
    assert_eq!(Bundle::parse(&document).unwrap().document(), document);
    let mut changed = document;
    changed.document.push(' ');
    assert!(Bundle::parse(&changed).is_err());
    assert!(Engine::compile(&changed).is_err());
}

#[test]
fn what_cannot_be_enforced_is_refused_with_its_place() {
    let rule = |text: &str| {
        let mut bundle = default_bundle();
        bundle.cedar.insert("mine.cedar".to_owned(), format!("\n{text}"));
        compile(&bundle).map(drop).unwrap_err().to_string()
    };
    let head = "@id(\"mine\")@title(\"t\")@reason(\"r\")";
    for (text, expected) in [
        ("permit (principal".to_owned(), "mine.cedar:"),
        ("permit (principal, action, resource);".to_owned(), "mine.cedar:2:1: `@id"),
        (
            format!("{head} permit (principal, action, resource) when {{ context.purpose == \"x\" }};"),
            "mine.cedar:2:",
        ),
        (
            format!("{head} permit (principal, action, resource) when {{ principal.salary == 1 }};"),
            "salary",
        ),
        (format!("{head} @colour(\"red\") permit (principal, action, resource);"), "@colour"),
        (format!("{head} @redact(\"EMAIL_ADDRESS\") permit (principal, action == Action::\"classify\", resource);"), "obligations belong"),
        (format!("{head} permit (principal, action == Action::\"obligate\", resource);"), "obliges to nothing"),
        (format!("{head} @redact(\"SHOE_SIZE\") permit (principal, action == Action::\"obligate\", resource);"), "not a kind that can be found"),
        (format!("{head} @generalise(\"EMAIL_ADDRESS\") permit (principal, action == Action::\"obligate\", resource);"), "no coarser form"),
        (format!("{head} @mask(\"email\") permit (principal, action == Action::\"obligate\", resource);"), "`@mask` must name kinds"),
        (format!("{head} @redact_profile(\"gdpr\") permit (principal, action == Action::\"obligate\", resource);"), "hipaa-safe-harbor"),
        (format!("{head} @retain_days(\"many\") permit (principal, action == Action::\"obligate\", resource);"), "number of days"),
        ("@id(\"redact-always\")@title(\"t\")@reason(\"r\") forbid (principal, action, resource);".to_owned(), "named `redact-always` too"),
    ] {
        let found = rule(&text);
        assert!(found.contains(expected), "{text}: {found}");
    }
    let mut bundle = default_bundle();
    bundle.plans.values_mut().next().unwrap().burst = 0;
    assert!(compile(&bundle).map(drop).unwrap_err().to_string().contains("plans.standard"));
}

/// The default bundle with one rule and one section more.
fn with(rule: &str, privacy: &str) -> Result<Engine, CompileError> {
    let mut bundle = default_bundle();
    bundle.cedar.insert("mine.cedar".to_owned(), rule.to_owned());
    let mut document = toml::Table::try_from(&bundle.privacy).unwrap();
    document.extend(privacy.parse::<toml::Table>().unwrap());
    bundle.privacy = document.try_into().unwrap();
    compile(&bundle)
}

fn in_the_eu() -> DecisionInput {
    input(&Input {
        residency: [Region::new("eu-west").unwrap()].into(),
        labels: [("jurisdiction".to_owned(), "EU".to_owned())].into(),
        purposes: BTreeSet::new(),
        purpose: None,
        scopes: None,
        action: None,
        risk_class: None,
    })
}

#[test]
fn of_two_ways_to_redact_the_stricter_holds() {
    let rule = "@id(\"mine\") @title(\"t\") @reason(\"r\") \
        @mask(\"CREDIT_CARD,ZIP_CODE\") @remove(\"EMAIL_ADDRESS\") @pseudonymise(\"US_NPI\") \
        permit (principal, action == Action::\"obligate\", resource);";
    let engine = with(rule, "").unwrap();
    let redact = engine.decide(&in_the_eu()).obligations.redact;
    let way = |kind: &'static str| redact.get(&Kind::of(kind)).copied();
    assert_eq!(way("CREDIT_CARD"), Some(Redaction::Replace), "`redact-always` replaces it");
    assert_eq!(way("EMAIL_ADDRESS"), Some(Redaction::Remove));
    assert_eq!(way("ZIP_CODE"), Some(Redaction::Mask));
    assert_eq!(way("US_NPI"), Some(Redaction::Pseudonymise));
    // What is redacted is looked for.
    let tenant = TenantId::new("acme").unwrap();
    let found = engine.detector(&tenant).scan_str("NPI 1234567893").unwrap();
    assert_eq!(found[0].kind, Kind::of("US_NPI"));
}

#[test]
fn a_kind_that_was_found_can_block_the_call() {
    let rule = "@id(\"mine\") @title(\"t\") @reason(\"No card numbers here.\") \
        forbid (principal, action == Action::\"classify\", resource) \
        when { context.found.contains(\"CREDIT_CARD\") };";
    let engine = with(rule, "").unwrap();
    let mut input = in_the_eu();
    assert!(engine.decide(&input).is_allowed());
    input.found = [(Kind::CREDIT_CARD, 1)].into();
    let decision = engine.decide(&input);
    assert!(!decision.is_allowed());
    assert_eq!(decision.refused[0].rules[0].id.as_str(), "mine");
}

#[test]
fn recognisers_and_thresholds_come_with_the_bundle() {
    let rule = "@id(\"mine\") @title(\"t\") @reason(\"r\") @redact(\"EMPLOYEE_NUMBER\") \
        permit (principal, action == Action::\"obligate\", resource);";
    let own = r#"
        detect = ["DATE_TIME", "EMPLOYEE_NUMBER"]
        thresholds = { DATE_TIME = 0.9 }
        [[recognisers]]
        kind = "EMPLOYEE_NUMBER"
        tenants = ["acme"]
        patterns = ['\bE-\d{6}\b']
        context = ["badge"]
    "#;
    let engine = with(rule, own).unwrap();
    let kinds = |tenant: &str| {
        let tenant = TenantId::new(tenant).unwrap();
        let found = engine.detector(&tenant).scan_str("E-123456 on 2024-03-15").unwrap();
        found.into_iter().map(|one| one.kind.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(kinds("acme"), ["EMPLOYEE_NUMBER"]);
    assert_eq!(kinds("other"), [""; 0]);
    for (privacy, part) in [
        ("thresholds = { SHOE_SIZE = 0.5 }", "SHOE_SIZE"),
        ("detect = ['SHOE_SIZE']", "SHOE_SIZE"),
        ("[[recognisers]]\nkind = 'A1'\npatterns = ['(']", "`A1`"),
    ] {
        let refused = with("", privacy).map(drop).unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}");
    }
    assert!(r#"thresholds = { DATE_TIME = 2 }"#.parse::<toml::Table>().unwrap()
        .try_into::<reeve_policy::Privacy>().is_err());
}

#[test]
fn names_are_taken_out_only_where_a_model_finds_them() {
    let rule = "@id(\"mine\") @title(\"t\") @reason(\"r\") @redact_profile(\"hipaa-safe-harbor\") \
        permit (principal, action == Action::\"obligate\", resource);";
    let refused = with(rule, "").map(drop).unwrap_err().to_string();
    assert!(refused.contains("privacy.names"), "{refused}");
    let engine = with(rule, "names = { model = \"names\", minimum = 0.3 }").unwrap();
    let redact = engine.decide(&in_the_eu()).obligations.redact;
    assert_eq!(redact.get(&Kind::of("PERSON")), Some(&Redaction::Replace));
    assert_eq!(redact.get(&Kind::of("ZIP_CODE")), Some(&Redaction::Generalise));
    assert_eq!(redact.len(), reeve_privacy::Detector::known_kinds().len() + 4);
    let pipl = rule.replace("hipaa-safe-harbor", "pipl");
    let engine = with(&pipl, "names = { model = \"names\" }").unwrap();
    let redact = engine.decide(&in_the_eu()).obligations.redact;
    for kind in ["CN_RESIDENT_ID", "PHONE_NUMBER", "CREDIT_CARD", "CN_PASSPORT", "PERSON"] {
        assert!(redact.contains_key(&Kind::named(kind)), "{kind}");
    }
    assert!(!redact.contains_key(&Kind::of("US_DRIVER_LICENSE")));
}

#[test]
fn a_rule_that_errs_denies() {
    let mut bundle = default_bundle();
    // Overflows at run time for large inputs; validation cannot know.
    bundle.cedar.insert(
        "mine.cedar".to_owned(),
        "@id(\"mine\")@title(\"t\")@reason(\"r\")\n\
         forbid (principal, action == Action::\"classify\", resource)\n\
         when { context.characters * 9223372036854775807 < 0 };"
            .to_owned(),
    );
    let engine = compile(&bundle).unwrap();
    let case = cases().into_iter().next().unwrap();
    let decision = engine.decide(&input(&case.input));
    assert!(decision.permitted.is_empty());
    assert!(decision.refused.iter().all(|refused| refused.failed));
    assert!(compile(&default_bundle()).unwrap().decide(&input(&case.input)).is_allowed());
}

#[test]
fn an_engine_follows_a_tenant_that_changes() {
    let engine = compile(&default_bundle()).unwrap();
    let mut case = cases().into_iter().next().unwrap();
    assert!(engine.decide(&input(&case.input)).is_allowed());
    case.input.residency.clear();
    assert!(!engine.decide(&input(&case.input)).is_allowed());
}

#[test]
fn prices_round_up_to_the_millionth() {
    let prices = Prices {
        per_item: Money::new(20, Currency::Eur),
        per_thousand_characters: Money::new(10, Currency::Eur),
    };
    let cost = |items, characters| prices.cost(&Usage { items, characters, tokens: 0 }).micros;
    assert_eq!(cost(0, 0), 0);
    assert_eq!(cost(1, 1), 21);
    assert_eq!(cost(2, 100), 41);
    assert_eq!(cost(2, 101), 42);
    assert_eq!(cost(u64::MAX, u64::MAX), i64::MAX);
}
