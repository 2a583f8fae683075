//! The committed document is the code's, and its operations have names of their own.

use std::collections::BTreeSet;

#[test]
fn the_committed_document_is_not_stale() {
    let mut text = serde_json::to_string_pretty(&reeve_control::openapi()).unwrap();
    text.push('\n');
    assert_eq!(text, include_str!("../openapi.json"), "`./x regenerate` makes it");
}

#[test]
fn every_operation_but_signing_in_needs_a_session() {
    let document = serde_json::to_value(reeve_control::openapi()).unwrap();
    let mut names = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            assert_eq!(operation["security"].is_array(), name != "createSession", "{name}");
        }
    }
    assert_eq!(names.len(), 79);
}
