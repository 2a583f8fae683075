//! Bundles, what keeps them from being enforced, and what they decide.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::path::Path;

use reeve_domain::{
    Currency, DecisionInput, Kind, LogLevel, Money, Purpose, Redaction, Region, TenantId, Usage,
};
use reeve_policy::{
    Bundle, CompileError, Engine, Pack, Prices, cases, cases::CaseInput, check, default_bundle,
};

fn input(of: &CaseInput) -> DecisionInput {
    of.input(&["eu-west", "us-east"].map(|name| Region::new(name).unwrap())).unwrap()
}

fn compile(bundle: &Bundle) -> Result<Engine, CompileError> {
    Engine::compile(&bundle.document())
}

#[test]
fn the_default_bundle_decides_as_its_cases_say() {
    let checked = check(&default_bundle().document());
    assert!(checked.may_be_activated(), "{:?} {:?}", checked.faults, checked.failures);
    assert_eq!(checked.faults, []);
}

#[test]
fn without_any_one_rule_some_case_fails() {
    assert_eq!(cases::unproven(&default_bundle(), &[]).unwrap(), []);
}

#[test]
fn packs_decide_as_their_cases_say_and_every_rule_is_needed_by_one() {
    for pack in Pack::ALL {
        let whole = compile(&Pack::reference(&[pack])).unwrap();
        for case in pack.cases() {
            let differences = case.differences(&whole);
            assert!(differences.is_empty(), "{}: {}: {differences:?}", pack.name, case.name);
        }
        let cases = pack.cases();
        for rule in whole.rules().iter().filter(|rule| rule.file == pack.file()) {
            assert!(rule.article.is_some(), "{}: no article", rule.id);
            let without = whole.without(&rule.id).unwrap();
            let missed = cases.iter().any(|case| !case.differences(&without).is_empty());
            assert!(missed, "{}: no case needs `{}`", pack.name, rule.id);
        }
    }
}

#[test]
fn packs_compose() {
    // Each pair, and all at once, can be activated, and the strictest of each obligation holds.
    for (at, first) in Pack::ALL.iter().enumerate() {
        for second in &Pack::ALL[at + 1..] {
            let checked = check(&Pack::reference(&[*first, *second]).document());
            assert!(checked.may_be_activated(), "{:?}", checked.faults);
        }
    }
    let engine = compile(&Pack::reference(&Pack::ALL)).unwrap();
    let all = CaseInput {
        residency: [Region::new("eu-west").unwrap()].into(),
        labels: [("jurisdiction", "EU"), ("hipaa", "covered-entity")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        purposes: [Purpose::new("treatment").unwrap()].into(),
        purpose: Some(Purpose::new("treatment").unwrap()),
        agreements: [("baa".to_owned(), None), ("dpa".to_owned(), None)].into(),
        ..CaseInput::default()
    };
    let decision = engine.decide(&input(&all));
    assert_eq!(decision.permitted, [Region::new("eu-west").unwrap()]);
    let obligations = &decision.obligations;
    assert_eq!(obligations.log, LogLevel::Sealed, "hipaa asks for more than gdpr");
    assert_eq!(obligations.retain_days, Some(2190));
    assert_eq!(obligations.retain_at_most_days, Some(2190));
    assert!(obligations.redact.contains_key(&Kind::of("US_NPI")), "{obligations:?}");
    // What only one of them asks for denies.
    let without = CaseInput { agreements: [("dpa".to_owned(), None)].into(), ..all };
    let decision = engine.decide(&input(&without));
    assert_eq!(decision.refused[0].rules[0].id.as_str(), "hipaa-no-baa");
}

#[test]
fn what_law_does_not_allow_cannot_be_activated() {
    let faults = |text: &str| {
        let mut bundle = default_bundle();
        bundle.cedar.insert("mine.cedar".to_owned(), text.to_owned());
        let checked = check(&bundle.document());
        assert!(checked.engine.is_some(), "{:?}", checked.faults);
        let told = checked.faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        (checked.may_be_activated(), told)
    };
    let head = "@id(\"mine\")@title(\"t\")@reason(\"r\")";
    let duty = "permit (principal, action == Action::\"obligate\", resource);";
    for (rule, may, part) in [
        (format!("{head}@retain_days(\"183\") {duty}"), true, ""),
        (format!("{head}@retain_days(\"182\") {duty}"), false, "Regulation (EU) 2024/1689 Art. 19"),
        (format!("{head}@retain_at_most_days(\"182\") {duty}"), false, "Art. 19, 26(6)"),
        (
            format!(
                "{head}@retain_at_most_days(\"183\") {duty}\n{}@retain_days(\"184\") {duty}",
                head.replace("mine", "longer")
            ),
            false,
            "mine.cedar:1:1: `mine` keeps records for 183 days at most, `longer` for 184 at least",
        ),
        (
            format!(
                "{head} permit (principal, action == Action::\"classify\", resource) when {{ context has purpose && context.purpose == \"social-scoring\" }};"
            ),
            false,
            "prohibited practice (Regulation (EU) 2024/1689 Art. 5)",
        ),
        (
            format!(
                "{head} forbid (principal, action, resource) when {{ context has instrument && context.instrument == \"x\" }};"
            ),
            true,
            "`regions.us-east` (US) names no instrument",
        ),
        (
            format!(
                "{head} forbid (principal, action == Action::\"classify\", resource) when {{ false }};"
            ),
            true,
            "mine.cedar:1:",
        ),
    ] {
        let (may_be_activated, told) = faults(&rule);
        assert_eq!(may_be_activated, may, "{rule}: {told}");
        assert!(told.contains(part), "{rule}: {told}");
    }
    // A golden case that comes out otherwise.
    let mut bundle = default_bundle();
    let cases = bundle.cases.get_mut("decisions.json").unwrap();
    cases[0].expect.permitted.clear();
    let checked = check(&bundle.document());
    assert!(!checked.may_be_activated());
    assert_eq!(checked.failures[0].differences, ["permitted: expected none, got eu-west"]);
}

#[test]
fn the_built_in_bundle_is_the_directorys_and_documents_round_trip() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("bundles/default");
    let bundle = Bundle::from_dir(&dir).unwrap();
    assert_eq!(bundle, default_bundle());
    let other = tempfile::tempdir().unwrap();
    let with_packs = Pack::reference(&Pack::ALL);
    with_packs.write_dir(other.path()).unwrap();
    assert_eq!(Bundle::from_dir(other.path()).unwrap(), with_packs);
    bundle.write_dir(other.path()).unwrap();
    assert_eq!(Bundle::from_dir(other.path()).unwrap(), bundle);
    let manifest = other.path().join("bundle.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, format!("packs = [\"gdpr\"]\n{text}")).unwrap();
    let taken_in = Bundle::from_dir(other.path()).unwrap();
    assert_eq!(taken_in.cedar["packs/gdpr.cedar"], Pack::named("gdpr").unwrap().cedar);
    std::fs::write(&manifest, format!("packs = [\"gdpq\"]\n{text}")).unwrap();
    assert!(Bundle::from_dir(other.path()).unwrap_err().to_string().contains("gdpr, pipl"));
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
    input(&CaseInput {
        residency: [Region::new("eu-west").unwrap()].into(),
        labels: [("jurisdiction".to_owned(), "EU".to_owned())].into(),
        ..CaseInput::default()
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
    let decision = engine.decide(&in_the_eu());
    assert!(decision.permitted.is_empty());
    assert!(decision.refused.iter().all(|refused| refused.failed));
    assert!(compile(&default_bundle()).unwrap().decide(&in_the_eu()).is_allowed());
}

#[test]
fn an_engine_follows_a_tenant_that_changes() {
    let engine = compile(&default_bundle()).unwrap();
    let mut call = in_the_eu();
    assert!(engine.decide(&call).is_allowed());
    call.tenant.residency.clear();
    assert!(!engine.decide(&call).is_allowed());
}

#[test]
fn prices_round_up_to_the_millionth() {
    let prices = Prices {
        per_item: Money::new(20, Currency::Eur),
        per_thousand_characters: Money::new(10, Currency::Eur),
        per_explanation: Some(Money::new(1_000, Currency::Eur)),
    };
    let cost =
        |items, characters| prices.cost(&Usage { items, characters, ..Usage::default() }).micros;
    assert_eq!(cost(0, 0), 0);
    assert_eq!(cost(1, 1), 21);
    assert_eq!(cost(2, 100), 41);
    assert_eq!(cost(2, 101), 42);
    assert_eq!(cost(u64::MAX, u64::MAX), i64::MAX);
    let explained = Usage { items: 2, characters: 100, explained: 2, ..Usage::default() };
    assert_eq!(prices.cost(&explained).micros, 2_041);
}
