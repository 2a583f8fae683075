//! Names and addresses: a pod finds them where policy asks for it, and in no other region.

use std::time::Duration;

use reeve_domain::{Kind, Record};
use reeve_policy::{Bundle, NameFinder};
use reeve_privacy::Confidence;
use reeve_tests::{World, wait_until};
use serde_json::json;

const TEXT: &str =
    "My name is Anna Smith, card 4111 1111 1111 1111, and I live at 12 Oak Street, London.";

/// The default bundle with a model for names and a rule for everybody.
fn bundle(obligation: &str) -> Bundle {
    let mut bundle = reeve_policy::default_bundle();
    bundle.privacy.names = Some(NameFinder {
        model: reeve_domain::ModelName::new("names").unwrap(),
        minimum: Confidence::new(0.5).unwrap(),
    });
    let rule = format!(
        "@id(\"names\") @title(\"t\") @reason(\"r\") {obligation} \
         permit (principal, action == Action::\"obligate\", resource);"
    );
    bundle.cedar.insert("names.cedar".to_owned(), rule);
    bundle
}

fn start(obligation: &str) -> (World, reeve_tests::Program) {
    let mut world = World::start().unwrap();
    let pod = world.start_name_pod("eu-west").unwrap();
    let bundle = bundle(obligation);
    reeve_policy::Engine::compile(&bundle.document()).map(drop).unwrap();
    world.activate(&bundle).unwrap();
    let client = world.client(&world.eu);
    wait_until("names are taken out", Duration::from_secs(20), || {
        let answer = client.classify("I am Anna Smith.")?;
        Ok(answer.status == 200 && answer.body.to_string().contains("redact:PERSON"))
    })
    .unwrap();
    (world, pod)
}

#[test]
fn names_are_taken_out_by_a_pod_in_a_permitted_region_or_nothing_leaves() {
    let (mut world, mut finder) = start("@redact(\"PERSON,STREET_ADDRESS\")");
    let eu = world.client(&world.eu);
    let answer = eu.classify(TEXT).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.to_string().contains("PERSON"), "the tenant is told: {answer:?}");

    // The one that finds names got no card number; the one that classifies got neither.
    let found_in = world.pod_inputs("names-eu-west").unwrap();
    assert!(found_in.contains("Anna Smith") && found_in.contains("[CREDIT_CARD]"), "{found_in}");
    assert!(!found_in.contains("4111"), "{found_in}");
    let classified = world.pod_inputs("eu-west").unwrap();
    assert!(classified.contains("My name is [PERSON], card [CREDIT_CARD]"), "{classified}");
    assert!(
        !classified.contains("Anna Smith, card") && !classified.contains("Oak"),
        "{classified}"
    );

    // The outcome tells what was taken out, and by which model.
    let id = answer.decision();
    let taken = world.records().unwrap().into_iter().find_map(|record| match record {
        Record::Outcome(outcome) if outcome.decision_id.to_string() == id => outcome.names,
        _ => None,
    });
    let taken = taken.unwrap();
    assert_eq!(taken.region.as_str(), "eu-west");
    assert_eq!(taken.redactions.get(&Kind::of("PERSON")), Some(&1));
    assert_eq!(taken.redactions.get(&Kind::of("STREET_ADDRESS")), Some(&1));

    // A text of which the model's parts are several.
    let long = format!("{}I am Anna Smith.", "The parcel has not arrived yet. ".repeat(120));
    assert_eq!(eu.classify(long).unwrap().status, 200);
    assert!(world.pod_inputs("eu-west").unwrap().contains("I am [PERSON]."));

    // The model is the policy's own, and nobody else's.
    let listed = eu.get("/v1/models").unwrap();
    assert!(!listed.body.to_string().contains("names"), "{listed:?}");
    let asked = eu.post("/v1/classify", &json!({ "model": "names", "input": "x" })).unwrap();
    assert_eq!(asked.code(), "model-not-found");

    // Where it is not permitted it is not asked, and without it nothing leaves.
    let us = world.client(&world.us);
    let refused = us.classify("I am Otto Normal.").unwrap();
    assert_eq!((refused.status, refused.code()), (503, "no-pod-in-permitted-region"));
    assert!(!world.pod_inputs("names-eu-west").unwrap().contains("Otto"));
    assert!(!world.pod_inputs("us-east").unwrap().contains("Otto"));
    finder.kill().unwrap();
    let refused = eu.classify("I am Otto Normal.").unwrap();
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(!world.pod_inputs("eu-west").unwrap().contains("Otto"));
    world.reeve.stop().unwrap();
}

/// All eighteen identifiers of 45 CFR 164.514(b)(2)(i) that a text can carry: each line is what
/// must not be left, and how it stands in the text.
const SAFE_HARBOR: &[(&str, &str)] = &[
    ("Anna Smith", "My name is Anna Smith and I live at 12 Oak Street, London."),
    ("Oak Street", "The address is 12 Oak Street, London."),
    ("94105", "ZIP code 94105"),
    ("March 3, 2024", "admitted on March 3, 2024"),
    ("93", "she is 93 years old"),
    ("1931", "he was born in 1931"),
    ("415-555-0132", "phone (415) 555-0132 or 415-555-0132"),
    ("415-555-0199", "fax 415-555-0199"),
    ("anna@example.com", "write to anna@example.com"),
    ("078-05-1121", "SSN 078-05-1121"),
    ("00482913", "MRN: 00482913"),
    ("AAA123456789", "member ID AAA123456789"),
    ("4471102", "account number 4471102"),
    ("123456", "certificate number 123456"),
    ("1M8GDM9AXKP042788", "VIN 1M8GDM9AXKP042788"),
    ("AB-1234567", "serial number AB-1234567"),
    ("https://anna.example.com", "see https://anna.example.com/me"),
    ("192.0.2.7", "from 192.0.2.7"),
    ("490154203237518", "IMEI 490154203237518"),
];

#[test]
fn the_identifiers_of_safe_harbor_are_all_gone() {
    let (world, _finder) = start("@redact_profile(\"hipaa-safe-harbor\")");
    let client = world.client(&world.eu);
    for (value, text) in SAFE_HARBOR {
        let answer = client.classify(*text).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let inputs = world.pod_inputs("eu-west").unwrap();
        let last = inputs.lines().last().unwrap();
        assert!(!last.contains(value), "{text} -> {last}");
    }
    let inputs = world.pod_inputs("eu-west").unwrap();
    for left in ["ZIP code 941**", "admitted on 2024", "she is 90+ years old"] {
        assert!(inputs.contains(left), "{left}: {inputs}");
    }
}
