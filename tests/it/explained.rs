//! Why a text got its label: asked of the gateway, computed by a pod.

use std::time::Duration;

use reeve_domain::{Action, Record};
use reeve_tests::{Client, World, wait_until};
use serde_json::{Value, json};

const EMAIL: &str = "erika.mustermann@example.com";

fn ask(input: impl Into<Value>) -> Value {
    json!({ "model": "sample", "input": input.into(), "explain": true })
}

fn wait_for(client: &Client) {
    let known = || Ok(client.classify("hello")?.status == 200);
    wait_until("the key is known", Duration::from_secs(5), known).unwrap();
}

#[test]
fn tokens_are_weighed_where_they_stand_in_the_text_that_was_sent() {
    let world = World::start().unwrap();
    let client = world.client(&world.new_key(&world.eu.id, &["classify", "explain"]).unwrap());
    wait_for(&client);
    let text = format!("Zoë was charged twice, refund {EMAIL} please, 我要退款");
    let answer = client.post("/v1/classify", &ask(text.as_str())).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");

    let of = |name: &str| answer.at(&format!("/results/0/explanation/{name}")).clone();
    let number = |name: &str| of(name).as_f64().unwrap();
    assert_eq!(of("method"), "integrated-gradients");
    let points: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let (mut sum, mut edge) = (number("rest"), 0);
    for token in of("tokens").as_array().unwrap() {
        let place = |name: &str| usize::try_from(token[name].as_u64().unwrap()).unwrap();
        let (start, end) = (place("start"), place("end"));
        assert!(edge <= start && start < end && end <= points.len(), "{token}");
        edge = end;
        sum += token["score"].as_f64().unwrap();
        words.push(points[start..end].iter().collect::<String>());
    }
    assert!(words.iter().any(|word| word == "charged"), "{words:?}");
    // One token, though the pod read a kind in brackets there.
    assert!(words.iter().any(|word| word == EMAIL), "{words:?}");
    // Complete: all that is told adds up to what the text adds.
    let whole = number("logit") - number("baseline");
    assert!((sum - whole).abs() <= 0.02 * whole.abs().max(0.1), "{sum} of {whole}: {answer:?}");
    assert!(number("error") <= 0.01, "{answer:?}");

    // It has a price, and the record says what was asked.
    assert_eq!(answer.at("/usage/explained"), 1);
    let plain = json!({ "model": "sample", "input": text });
    let plain = client.post("/v1/classify", &plain).unwrap();
    let cost = |of: &reeve_tests::Answer| of.at("/usage/cost/micros").as_i64().unwrap();
    assert_eq!(cost(&answer) - cost(&plain), 1_000);
    assert!(plain.at("/results/0/explanation").is_null());
    assert_eq!(plain.at("/results/0/label"), answer.at("/results/0/label"));
    assert_eq!(plain.at("/results/0/standing"), "sure");
    let actions: Vec<Action> = world
        .records()
        .unwrap()
        .iter()
        .filter_map(|record| match record {
            Record::Intent(intent) => Some(intent.input.action),
            _ => None,
        })
        .collect();
    assert_eq!(actions[actions.len() - 2..], [Action::Explain, Action::Classify]);
}

#[test]
fn it_takes_a_scope_a_policy_and_few_texts() {
    let world = World::start().unwrap();
    let text = "where is my order";
    let without = world.client(&world.eu).post("/v1/classify", &ask(text)).unwrap();
    assert_eq!((without.status, without.code()), (403, "missing-scope"), "{without:?}");

    let client = world.client(&world.new_key(&world.eu.id, &["classify", "explain"]).unwrap());
    wait_for(&client);
    let many = client.post("/v1/classify", &ask(vec![text; 17])).unwrap();
    assert_eq!((many.status, many.code()), (422, "invalid-request"), "{many:?}");
    let most = client.post("/v1/classify", &ask(vec![text; 16])).unwrap();
    assert_eq!(most.status, 200, "{most:?}");
    assert_eq!(most.at("/usage/explained"), 16);

    let mut bundle = reeve_policy::default_bundle();
    bundle.cedar.insert(
        "no-explanations.cedar".to_owned(),
        r#"@id("no-explanations") @title("Nothing is explained") @reason("Nothing is explained here.")
           forbid (principal, action == Action::"explain", resource);"#
            .to_owned(),
    );
    world.activate(&bundle).unwrap();
    let is_denied = || Ok(client.post("/v1/classify", &ask(text))?.status == 403);
    wait_until("the rule denies", Duration::from_secs(5), is_denied).unwrap();
    let denied = client.post("/v1/classify", &ask(text)).unwrap();
    assert_eq!((denied.status, denied.code()), (403, "denied-by-policy"), "{denied:?}");
    assert_eq!(client.classify(text).unwrap().status, 200);
}
