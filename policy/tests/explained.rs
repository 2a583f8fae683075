//! Why a call was decided so, what would have to differ, and what another policy would do.
#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::collections::{BTreeMap, HashMap};

use reeve_domain::{
    Code, DecisionId, DecisionInput, Flip, Money, PlanName, Purpose, Region, RuleId, TenantId,
    Timestamp, Usage,
};
use reeve_policy::{
    Bundle, Engine, Pack,
    cases::CaseInput,
    default_bundle,
    explain::{ChangedBy, explain},
    replay::{Recorded, Replay},
};

fn region(name: &str) -> Region {
    Region::new(name).unwrap()
}

fn in_the_eu() -> CaseInput {
    CaseInput {
        residency: [region("eu-west")].into(),
        labels: [("jurisdiction".to_owned(), "EU".to_owned())].into(),
        purposes: [Purpose::new("support").unwrap()].into(),
        agreements: [("dpa".to_owned(), None)].into(),
        purpose: Some(Purpose::new("support").unwrap()),
        candidates: Some(vec![region("eu-west"), region("us-east")]),
        ..CaseInput::default()
    }
}

fn gdpr() -> Engine {
    let bundle = Pack::reference(&[Pack::named("gdpr").unwrap()]);
    Engine::compile(&bundle.document()).unwrap()
}

/// Ways as text, `attribute=value by whom`.
fn ways(input: &CaseInput) -> Vec<Vec<String>> {
    let explained = explain(&gdpr(), &input.input(&[]).unwrap());
    assert_eq!(explained.decision.is_allowed(), explained.ways.is_empty());
    let ways = explained.ways.into_iter().map(|way| {
        let by = |by| if by == ChangedBy::Caller { "caller" } else { "operator" };
        way.changes.iter().map(|it| format!("{}={} {}", it.attribute, it.to, by(it.by))).collect()
    });
    ways.collect()
}

#[test]
fn what_would_have_to_differ_is_said_and_was_tried() {
    assert_eq!(ways(&in_the_eu()), Vec::<Vec<String>>::new());
    let unstated = CaseInput { purpose: None, ..in_the_eu() };
    assert_eq!(ways(&unstated), [["context.purpose=support caller"]]);
    let unregistered =
        CaseInput { purpose: Some(Purpose::new("marketing").unwrap()), ..in_the_eu() };
    let found = ways(&unregistered);
    assert_eq!(
        found.first().unwrap(),
        &["context.purpose=support caller"],
        "the caller's come first"
    );
    assert!(
        found.contains(&vec!["principal.purposes=+ marketing operator".to_owned()]),
        "{found:?}"
    );
    // Two things at once, and nothing that is not needed.
    let two = CaseInput { purpose: None, agreements: BTreeMap::new(), ..in_the_eu() };
    let found = ways(&two);
    assert!(
        found.iter().any(|way| {
            let mut way = way.clone();
            way.sort();
            way == ["context.purpose=support caller", "principal.agreements=+ dpa operator"]
        }),
        "{found:?}"
    );
    // Nothing lifts a prohibited practice but another purpose.
    let prohibited = Purpose::new("social-scoring").unwrap();
    let prohibited = CaseInput {
        purposes: [prohibited.clone(), Purpose::new("support").unwrap()].into(),
        purpose: Some(prohibited),
        ..in_the_eu()
    };
    assert_eq!(ways(&prohibited), [["context.purpose=support caller"]]);
}

#[test]
fn an_explanation_shows_what_each_rule_saw() {
    let mut input = in_the_eu().input(&[]).unwrap();
    input.tenant.legal.agreements = [("dpa".to_owned(), Some(Timestamp::from_micros(5)))].into();
    input.at = Timestamp::from_micros(5);
    let explained = explain(&gdpr(), &input);
    let rule =
        explained.rules.iter().find(|it| it.rule.id.as_str() == "gdpr-no-agreement").unwrap();
    assert_eq!(rule.rule.article.as_deref(), Some("GDPR Art. 28(3)"));
    assert!(rule.rule.source.starts_with("@id(\"gdpr-no-agreement\")"));
    assert_eq!(rule.attributes.get("principal.agreements").unwrap(), &serde_json::json!([]));
    assert_eq!(rule.attributes.get("context.laws").unwrap(), &serde_json::json!(["EU"]));
}

fn recorded(engine: &Engine, number: u128, input: DecisionInput) -> Recorded {
    let id = DecisionId::from_uuid(uuid::Uuid::from_u128(number));
    let decision = engine.decide(&input);
    Recorded { id, input, decision, region: None }
}

/// The default bundle with one file more, or another in place of one.
fn with(file: &str, text: &str) -> Engine {
    let mut bundle: Bundle = default_bundle();
    bundle.cedar.insert(file.to_owned(), text.to_owned());
    Engine::compile(&bundle.document()).unwrap()
}

#[test]
fn each_way_of_being_treated_otherwise_is_found() {
    let head = "@id(\"mine\")@title(\"t\")@reason(\"r\")";
    let denies = format!(
        "{head} forbid (principal, action == Action::\"classify\", resource) when {{ context.found.contains(\"EMAIL_ADDRESS\") }};"
    );
    let moves = format!(
        "{head} forbid (principal, action == Action::\"classify\", resource) when {{ context.region == \"eu-west\" }};"
    );
    let redacts = format!(
        "{head}@redact(\"EMAIL_ADDRESS\") permit (principal, action == Action::\"obligate\", resource);"
    );
    let plain = Engine::compile(&default_bundle().document()).unwrap();
    let denying = with("mine.cedar", &denies);
    let moving = with("mine.cedar", &moves);
    let redacting = with("mine.cedar", &redacts);
    let mut call = CaseInput {
        residency: [region("eu-west"), region("us-east")].into(),
        candidates: Some(vec![region("eu-west"), region("us-east")]),
        ..CaseInput::default()
    };
    call.found = ["EMAIL_ADDRESS".to_owned()].map(reeve_domain::Kind::named).into();
    let call = call.input(&[]).unwrap();
    let mine: RuleId = RuleId::new("mine").unwrap();
    for (then, draft, flip, rules) in [
        (&plain, &denying, Flip::Denied, vec![mine.clone()]),
        (&denying, &plain, Flip::Allowed, vec![mine.clone()]),
        (
            &plain,
            &redacting,
            Flip::Redacted,
            vec![
                mine.clone(),
                "redact-in-the-eu".parse().unwrap(),
                "redact-on-request".parse().unwrap(),
            ],
        ),
        (
            &redacting,
            &plain,
            Flip::Exposed,
            vec![
                mine.clone(),
                "redact-in-the-eu".parse().unwrap(),
                "redact-on-request".parse().unwrap(),
            ],
        ),
        (&plain, &moving, Flip::Rerouted, vec![mine]),
    ] {
        let known =
            HashMap::from([(then.digest(), Engine::compile(&then.bundle().document()).unwrap())]);
        let plans = HashMap::new();
        let mut replay = Replay::new(draft, &known, &plans);
        replay.decided(&recorded(then, 1, call.clone()));
        let impact = replay.finish();
        assert_eq!((impact.checked, impact.reproduced), (1, 1));
        assert_eq!(impact.flips, BTreeMap::from([(flip, 1)]));
        let example = impact.examples.get(&flip).unwrap().first().unwrap();
        assert!(example.rules.iter().all(|rule| rules.contains(rule)), "{flip:?} {example:?}");
    }
}

#[test]
fn a_decision_that_is_not_reproduced_is_told() {
    let engine = Engine::compile(&default_bundle().document()).unwrap();
    let draft = with("mine.cedar", "");
    let call = in_the_eu().input(&[]).unwrap();
    let mut forged = recorded(&engine, 1, call);
    forged.decision.permitted = vec![region("us-east")];
    let known = HashMap::from([(engine.digest(), engine)]);
    let plans = HashMap::new();
    let mut replay = Replay::new(&draft, &known, &plans);
    replay.decided(&forged);
    let impact = replay.finish();
    assert_eq!((impact.checked, impact.reproduced), (1, 0));
    assert_eq!(impact.not_reproduced, [forged.id]);
}

#[test]
fn limits_are_replayed_in_the_order_of_the_calls() {
    let engine = Engine::compile(&default_bundle().document()).unwrap();
    let mut bundle = default_bundle();
    let plan = bundle.plans.get_mut("standard").unwrap();
    (plan.requests_per_second, plan.burst) = (1, 2);
    let draft = Engine::compile(&bundle.document()).unwrap();
    let tenant = TenantId::new("somebody").unwrap();
    let plans = HashMap::from([(tenant.clone(), PlanName::new("standard").unwrap())]);
    let known = HashMap::new();
    let mut replay = Replay::new(&draft, &known, &plans);
    // Three at once, and one a second later: the third is one too many.
    for (number, at) in [(1, 0), (2, 0), (3, 0), (4, 1_000_000)] {
        let mut input = in_the_eu().input(&[]).unwrap();
        input.at = Timestamp::from_micros(at);
        replay.decided(&recorded(&engine, number, input));
    }
    replay.refused(&tenant, Timestamp::from_micros(60_000_000), Code::RateLimited);
    let impact = replay.finish();
    assert_eq!((impact.limits.limited, impact.limits.unlimited), (1, 1));
    assert_eq!(impact.limits.by_tenant[&tenant], BTreeMap::from([(Code::RateLimited, 1)]));
    assert_eq!(impact.not_replayed, BTreeMap::from([("rate-limited".to_owned(), 1)]));
}

#[test]
fn a_budget_is_replayed_with_the_prices_of_the_draft() {
    let engine = Engine::compile(&default_bundle().document()).unwrap();
    let mut bundle = default_bundle();
    let plan = bundle.plans.get_mut("standard").unwrap();
    (plan.requests_per_second, plan.burst) = (1000, 1000);
    let price = plan.prices.cost(&Usage { items: 1, characters: 0, ..Usage::default() });
    plan.prices.per_thousand_characters.micros = 0;
    // Enough for two calls of one text.
    plan.monthly_budget = Some(Money { micros: price.micros * 2 + 1, ..price });
    let draft = Engine::compile(&bundle.document()).unwrap();
    let tenant = TenantId::new("somebody").unwrap();
    let plans = HashMap::from([(tenant.clone(), PlanName::new("standard").unwrap())]);
    let known = HashMap::new();
    let mut replay = Replay::new(&draft, &known, &plans);
    // Three in one month, and one in the next.
    for (number, at) in [(1, 0), (2, 1_000_000), (3, 2_000_000), (4, 32 * 86_400_000_000)] {
        let mut input = in_the_eu().input(&[]).unwrap();
        input.at = Timestamp::from_micros(at);
        input.items = 1;
        replay.decided(&recorded(&engine, number, input));
    }
    let impact = replay.finish();
    assert_eq!(impact.limits.by_tenant[&tenant], BTreeMap::from([(Code::BudgetExhausted, 1)]));
    let hours: Vec<_> =
        impact.by_hour.iter().map(|hour| (hour.at.as_micros(), hour.calls)).collect();
    assert_eq!(hours, [(0, 3), (32 * 86_400_000_000, 1)]);
}
