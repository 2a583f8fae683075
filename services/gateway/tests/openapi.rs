//! The published description is the code's own.

/// `./x regenerate` writes the file anew.
#[test]
fn the_committed_document_is_not_stale() {
    let committed: serde_json::Value =
        serde_json::from_str(include_str!("../openapi.json")).unwrap();
    let made = serde_json::to_value(reeve_gateway::openapi()).unwrap();
    assert_eq!(made, committed);
}

/// Other people's clients are refused in their own words, whatever the status.
#[test]
fn every_foreign_route_says_how_it_refuses() {
    let document = serde_json::to_value(reeve_gateway::openapi()).unwrap();
    let foreign = ["compatible", "open-inference-protocol"];
    let mut routes = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for operation in operations.as_object().unwrap().values() {
            if !foreign.contains(&operation["tags"][0].as_str().unwrap()) {
                continue;
            }
            routes += 1;
            let refusal = &operation["responses"]["default"]["content"]["application/json"];
            assert!(refusal["schema"].is_object(), "{path}");
            assert!(operation["security"].is_array(), "{path}");
        }
    }
    assert_eq!(routes, 7);
}

#[test]
fn every_route_is_described_with_its_problems() {
    let document = serde_json::to_value(reeve_gateway::openapi()).unwrap();
    for (path, refusals) in [
        ("/v1/classify", ["401", "403", "404", "413", "415", "422", "429", "503"].as_slice()),
        ("/v1/models", &["401"]),
        ("/v1/usage", &["401", "403", "503"]),
        ("/v1/decisions/{id}", &["404", "503"]),
        ("/v1/receipts/{id}", &["404", "503"]),
    ] {
        let operations = document["paths"][path].as_object().unwrap();
        let operation = operations.values().next().unwrap();
        assert!(operation["operationId"].is_string(), "{path}");
        assert!(operation["security"].is_array(), "{path}");
        for status in refusals {
            let content = &operation["responses"][status]["content"];
            assert!(content["application/problem+json"].is_object(), "{path} {status}");
        }
    }
}
