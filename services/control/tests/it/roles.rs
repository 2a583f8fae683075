//! Reads the OpenAPI document, so that no operation can be added without a row here.

use std::collections::BTreeMap;

use actix_web::http::Method;
use reeve_domain::Code;
use reeve_identity::Role::{self, Auditor, Operator, PolicyApprover, PolicyAuthor, TenantAdmin};
use reeve_ledger::Reader;

use crate::world::{World, control};

/// Who may use what. `createSession` needs no session.
fn allowed() -> BTreeMap<&'static str, Vec<Role>> {
    let everyone = || Role::ALL.to_vec();
    BTreeMap::from([
        ("getSession", everyone()),
        ("deleteSession", everyone()),
        ("getOverview", vec![Operator, PolicyAuthor, PolicyApprover, Auditor]),
        ("searchAudit", vec![Auditor]),
        ("getDecision", vec![Auditor]),
        ("listLogs", vec![Auditor]),
        ("verifyLog", vec![Auditor]),
        ("listLogKeys", everyone()),
        ("listHolds", vec![Operator, Auditor]),
        ("createHold", vec![Operator]),
        ("releaseHold", vec![Operator]),
        ("listErasures", vec![Operator, Auditor]),
        ("createErasure", vec![Operator]),
        ("getErasureCertificate", vec![Operator, Auditor]),
        ("getRetention", vec![Operator, Auditor]),
        ("setRetention", vec![Operator]),
        ("runRetention", vec![Operator]),
        ("listArticles", vec![Auditor]),
        ("createEvidence", vec![Auditor]),
        ("listTenants", vec![Operator, Auditor]),
        ("createTenant", vec![Operator]),
        ("getTenant", vec![Operator, Auditor]),
        ("setTenantStatus", vec![Operator]),
        ("listKeys", vec![Operator, Auditor]),
        ("createKey", vec![Operator]),
        ("revokeKey", vec![Operator]),
        ("getPolicy", vec![PolicyAuthor, PolicyApprover, Auditor]),
        ("previewText", vec![PolicyAuthor, PolicyApprover, Auditor]),
        ("checkPolicy", vec![PolicyAuthor, PolicyApprover, Auditor]),
        ("listVersions", vec![PolicyAuthor, PolicyApprover, Auditor]),
        ("listPacks", vec![PolicyAuthor, PolicyApprover, Auditor]),
        ("getBundle", vec![PolicyAuthor, PolicyApprover, Auditor]),
        ("rollBack", vec![PolicyApprover]),
        ("listChanges", vec![PolicyAuthor, PolicyApprover, Auditor]),
        ("createChange", vec![PolicyAuthor]),
        ("getChange", vec![PolicyAuthor, PolicyApprover, Auditor]),
        ("editChange", vec![PolicyAuthor]),
        ("actOnChange", vec![PolicyAuthor, PolicyApprover]),
        ("compareChange", vec![PolicyAuthor, PolicyApprover, Auditor]),
        ("simulateChange", vec![PolicyAuthor, PolicyApprover]),
        ("getSimulation", vec![PolicyAuthor, PolicyApprover, Auditor]),
        ("proveChange", vec![PolicyAuthor, PolicyApprover]),
        ("listTransfers", vec![PolicyAuthor, PolicyApprover, Auditor]),
        ("setModelPapers", vec![Operator]),
        ("getShadow", vec![PolicyAuthor, PolicyApprover, Auditor]),
        ("setShadow", vec![PolicyAuthor, PolicyApprover]),
        ("endShadow", vec![PolicyAuthor, PolicyApprover]),
        ("explainDecision", vec![PolicyAuthor, PolicyApprover, Auditor]),
        ("listStops", vec![Operator, PolicyAuthor, PolicyApprover, Auditor]),
        ("createStop", vec![Operator, PolicyApprover]),
        ("deleteStop", vec![Operator, PolicyApprover]),
        ("listEmergencies", vec![Operator, PolicyAuthor, PolicyApprover, Auditor]),
        ("createEmergency", vec![Operator, PolicyApprover]),
        ("reviewEmergency", vec![Operator, PolicyApprover]),
        ("getLegalFile", vec![Operator, Auditor]),
        ("setLegalFile", vec![Operator]),
        ("listTokens", everyone()),
        ("createToken", everyone()),
        ("deleteToken", everyone()),
        ("getUsage", vec![Operator, Auditor]),
        ("listPods", vec![Operator, Auditor]),
        ("listModels", vec![Operator, PolicyApprover, Auditor]),
        ("getModel", vec![Operator, PolicyApprover, Auditor]),
        ("uploadModel", vec![Operator]),
        ("offerModel", vec![Operator]),
        ("placeModel", vec![Operator]),
        ("createModelChange", vec![Operator]),
        ("actOnModelChange", vec![Operator, PolicyApprover]),
        ("setModelAlias", vec![Operator]),
        ("deleteModelAlias", vec![Operator]),
        ("endCanary", vec![Operator, PolicyApprover]),
        ("setModelShadow", vec![Operator]),
        ("endModelShadow", vec![Operator]),
        ("rollBackModel", vec![Operator, PolicyApprover]),
        ("withdrawModel", vec![Operator, PolicyApprover]),
        ("getObservations", vec![Operator, PolicyApprover, Auditor]),
        ("setThreshold", vec![Operator]),
        ("listAlerts", vec![Operator, PolicyApprover, Auditor]),
    ])
}

struct Operation {
    id: String,
    method: Method,
    /// As the document has it.
    route: String,
    /// Where it names a thing, with one that is not there.
    path: String,
}

/// All operations, with a path that leads to nothing where it names a thing.
fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(reeve_control::openapi()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            let method = method.to_uppercase().parse().unwrap();
            let nothing = path
                .replace("{kind}", "model")
                .replace("{id}", "nothing")
                .replace("{name}", "nothing")
                .replace("{alias}", "nothing")
                .replace("{measure}", "nothing")
                .replace("{digest}", "nothing");
            operations.push(Operation { id, method, route: path.clone(), path: nothing });
        }
    }
    assert!(operations.len() >= 20);
    operations
}

#[actix_web::test]
async fn without_a_session_nothing_is_answered() {
    let world = World::start().await;
    let anonymous = world.anonymous();
    for Operation { id, method, path, .. } in operations() {
        if id == "createSession" {
            continue;
        }
        for body in [None, Some("{}"), Some("no json")] {
            let answer = anonymous.send(method.clone(), &path, body).await;
            answer.problem("missing-credential");
        }
    }
    assert_eq!(Reader::open(&world.log_dir(&control())).unwrap().size(), 0);
}

#[actix_web::test]
async fn each_role_reaches_what_it_may_and_nothing_else() {
    let world = World::start().await;
    let allowed = allowed();
    for role in Role::ALL {
        let client = world.client(role.as_str()).await;
        // Signing out comes last, or there is no session for the rest.
        let mut operations = operations();
        operations.sort_by_key(|one| one.id == "deleteSession");
        for Operation { id, method, route, path } in operations {
            if id == "createSession" {
                continue;
            }
            let may = allowed.get(id.as_str()).unwrap_or_else(|| panic!("{id} has no row"));
            let before = world.events().len();
            let answer = client.send(method.clone(), &path, None).await;
            let reached = ![401, 403].contains(&answer.status);
            assert_eq!(reached, may.contains(&role), "{role} {id}: {answer:?}");
            assert!(answer.status < 500 && answer.status != 405, "{id}: {answer:?}");
            if !reached {
                answer.problem("role-required");
                let events = world.events();
                assert_eq!(events.len(), before + 1, "{role} {id}");
                let event = events.last().unwrap();
                assert_eq!(event.code, Some(Code::RoleRequired));
                assert_eq!(event.target, format!("{method} {route}"));
            }
        }
    }
    assert!(allowed.values().any(|roles| roles.contains(&TenantAdmin)));
}
