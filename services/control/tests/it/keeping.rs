//! What is kept, held, erased, deleted, and handed out as evidence.

use std::{collections::BTreeSet, io::Cursor, process::Command, sync::Arc, time::Duration};

use reeve_domain::{Origin, Record, SeededEntropy, TenantId};
use reeve_ledger::{
    KekFile, Keyring, Payload, Reader, ReceiptProof, SealedPayload, VerifierKey, read_payload,
    verify, verify_bundle, verify_receipt,
};
use reeve_store::{
    audit::{self, AuditFilter},
    usage::{self, UsageRow},
};
use reeve_worker::{Indexer, unaccounted};
use serde_json::{Value, json};

use crate::{
    calls::{intent, outcome},
    world::{Client, World, control, gateway},
};

fn keyring(world: &World) -> Keyring {
    let entropy = Arc::new(SeededEntropy::new(4));
    let kek = KekFile::load_or_create(&world.dir.path().join("kek"), entropy.clone()).unwrap();
    Keyring::new(&world.log_dir(&gateway()), Arc::new(kek), entropy)
}

/// A call about a person whose texts are kept.
fn sealed_call(world: &World, ring: &Keyring, number: u128, person: &str) -> u64 {
    let Record::Intent(mut call) = intent(number, "acme", 10) else { unreachable!() };
    call.subject = Some(World::pepper().subject(person));
    let tenant = TenantId::new("acme").unwrap();
    let text = format!("canary of {person}");
    let sealed = ring.seal(&tenant, call.subject.as_ref(), "place", text.as_bytes()).unwrap();
    call.sealed = Some(SealedPayload::commitment(&sealed));
    let entry = serde_json::to_vec(&Record::Intent(call)).unwrap();
    let append = || world.gateway.append_blocking_with(entry, Some(sealed)).unwrap().index;
    std::thread::scope(|scope| scope.spawn(append).join().unwrap())
}

fn key_of(world: &World, origin: &Origin) -> VerifierKey {
    let text = std::fs::read_to_string(world.log_dir(origin).join("log.pub")).unwrap();
    text.trim().parse().unwrap()
}

async fn done(client: &Client, id: &Value) -> Value {
    for _ in 0..100 {
        let all = client.get("/api/v1/erasures").await.ok();
        let found = all["items"].as_array().unwrap().iter().find(|one| one["id"] == *id).cloned();
        if let Some(found) = found.filter(|found| found["state"] == "done") {
            return found;
        }
        actix_web::rt::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the erasure was not done")
}

async fn operator_with_tenants(world: &World) -> Client {
    let operator = world.client("operator").await;
    for id in ["acme", "other"] {
        let new = json!({ "id": id, "display_name": id, "plan": "standard" });
        assert_eq!(operator.post("/api/v1/tenants", &new).await.status, 201);
    }
    operator
}

fn used(world: &World) -> Vec<UsageRow> {
    world.store.read(|c| usage::by_day(c, None, "2026-01-01", "2028-01-01")).unwrap()
}

#[actix_web::test]
async fn a_person_is_erased_unless_a_hold_forbids_it() {
    let world = World::start().await;
    let ring = keyring(&world);
    let hers = sealed_call(&world, &ring, 1, "ada@example.org");
    let his = sealed_call(&world, &ring, 2, "bob@example.org");
    let receipt = Reader::open(&world.log_dir(&gateway())).unwrap().receipt(hers).unwrap();
    let operator = operator_with_tenants(&world).await;

    let hold = json!({ "tenant": "acme", "subject": "ada@example.org", "reason": "court" });
    let held = operator.post("/api/v1/holds", &hold).await;
    assert_eq!(held.status, 201, "{held:?}");
    let ask = json!({ "tenant": "acme", "subject": "ada@example.org", "reason": "Art. 17" });
    let refused = operator.post("/api/v1/erasures", &ask).await;
    assert_eq!(refused.status, 409);
    assert!(refused.problem("legal-hold")["detail"].as_str().unwrap().contains("court"));
    let event = world.last_event();
    assert_eq!(
        (event.action.as_str(), event.code.unwrap().as_str()),
        ("subject.request-erasure", "legal-hold")
    );
    let payload = |index| read_payload(&world.log_dir(&gateway()), &gateway(), index).unwrap();
    assert!(matches!(payload(hers), Some(Payload::Kept(_))));

    let path = format!("/api/v1/holds/{}", held.json()["id"].as_str().unwrap());
    assert_eq!(operator.delete(&path).await.status, 204);
    assert_eq!(operator.delete(&path).await.status, 404);
    let asked = operator.post("/api/v1/erasures", &ask).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let id = asked.json()["id"].clone();
    let path = format!("/api/v1/erasures/{}/certificate", id.as_str().unwrap());
    assert_eq!(operator.get(&path).await.status, 404, "not before it is done");
    let erased = done(&operator, &id).await;
    assert_eq!((&erased["keys"], &erased["payloads"]), (&json!(1), &json!(1)));
    assert_eq!(payload(hers), Some(Payload::Destroyed));
    assert!(matches!(payload(his), Some(Payload::Kept(_))));

    // The certificate can be checked with the public key alone, and so can what was erased from.
    let certificate = world.client("auditor").await.get(&path).await.ok();
    let proof: ReceiptProof = serde_json::from_value(certificate["receipts"][0].clone()).unwrap();
    verify_receipt(&proof, &key_of(&world, &control())).unwrap();
    verify_receipt(&receipt, &key_of(&world, &gateway())).unwrap();
    let report = verify(&world.log_dir(&gateway()), Some(&key_of(&world, &gateway())));
    assert!(report.is_clean(), "{report:?}");
    let erasure = world.events().into_iter().find(|event| event.action == "subject.erase").unwrap();
    assert_eq!(erasure.details["payloads"], "1");
    for file in world.every_file() {
        let bytes = std::fs::read(&file).unwrap();
        for person in ["ada@example.org", "bob@example.org"] {
            let has = bytes.windows(person.len()).any(|part| part == person.as_bytes());
            assert!(!has, "{} names {person}", file.display());
        }
    }

    for (body, field) in [
        (json!({ "tenant": "acme", "subject": " ", "reason": "x" }), "subject"),
        (json!({ "tenant": "acme", "subject": "x", "reason": "" }), "reason"),
    ] {
        assert_eq!(operator.post("/api/v1/erasures", &body).await.wrong_fields(), [field]);
    }
    let nobody = json!({ "tenant": "nobody", "subject": "x", "reason": "x" });
    assert_eq!(operator.post("/api/v1/erasures", &nobody).await.status, 404);
}

#[actix_web::test]
async fn what_has_been_kept_for_long_enough_is_deleted_and_nothing_else() {
    let world = World::start().await;
    let ring = keyring(&world);
    let operator = operator_with_tenants(&world).await;
    let payload = sealed_call(&world, &ring, 900, "ada");
    let tenants = ["acme", "other"];
    for number in 0..40_u128 {
        let tenant = tenants[usize::try_from(number % 2).unwrap()];
        world.call(&[intent(number, tenant, 10), outcome(number, tenant, 11)]);
    }
    world.index(&control());
    let set = |body: Value| {
        let operator = &operator;
        async move { operator.put("/api/v1/retention/calls", &body).await }
    };
    let short = set(json!({ "floor_days": 182, "ceiling_days": null })).await;
    assert_eq!(short.wrong_fields(), ["floor_days"]);
    assert!(short.text.contains("Art. 19"), "{short:?}");
    let crossed = set(json!({ "floor_days": 200, "ceiling_days": 199 })).await;
    assert_eq!(crossed.wrong_fields(), ["ceiling_days"]);
    assert_eq!(
        operator
            .put("/api/v1/retention/all", &json!({ "floor_days": 9, "ceiling_days": null }))
            .await
            .status,
        404
    );
    set(json!({ "floor_days": 183, "ceiling_days": 190 })).await.ok();
    let held = json!({ "tenant": "other", "reason": "court" });
    assert_eq!(operator.post("/api/v1/holds", &held).await.status, 201);

    let of = |answer: &Value, category: &str| {
        let all = answer["items"].as_array().unwrap();
        all.iter().find(|one| one["category"] == category).unwrap()["report"].clone()
    };
    let early = operator.post("/api/v1/retention/run", &json!({})).await.ok();
    assert_eq!(of(&early, "calls")["deleted"], 0);
    assert_eq!(of(&early, "calls")["next_due"], "2027-06-02T08:00:10.000000Z");
    let usage = used(&world);
    let before = Reader::open(&world.log_dir(&gateway())).unwrap().newest().unwrap();

    // The session is idle by then; the hour of the day does not matter.
    world.clock.advance(Duration::from_secs(191 * 24 * 60 * 60));
    let operator = world.client("operator").await;
    let answer = operator.post("/api/v1/retention/run", &json!({})).await.ok();
    let calls = of(&answer, "calls");
    let (deleted, waiting) =
        (calls["deleted"].as_u64().unwrap(), calls["waiting"].as_u64().unwrap());
    assert!(deleted >= 20, "{calls}");
    assert_eq!(deleted + waiting, 41, "{calls}");
    assert_eq!(calls["held"], 40, "{calls}");
    assert_eq!(of(&answer, "payloads")["deleted"], 0, "it has no ceiling of its own");
    // But it cannot outlive the record that commits to it.
    let there = read_payload(&world.log_dir(&gateway()), &gateway(), payload).unwrap();
    assert_eq!(there, Some(Payload::Destroyed));

    let dir = world.log_dir(&gateway());
    let report = verify(&dir, Some(&key_of(&world, &gateway())));
    assert!(report.is_clean(), "{report:?}");
    let gone: u64 = report.expired.iter().map(|(first, last)| last - first + 1).sum();
    assert_eq!(gone, deleted);
    assert_eq!(Reader::open(&dir).unwrap().newest().unwrap(), before, "the root is the same");
    assert_eq!(unaccounted(&dir, &gateway(), &world.log_dir(&control())), []);
    // Every deletion must be on record: with another log's records none is.
    assert!(!unaccounted(&dir, &gateway(), &dir).is_empty());
    let rows = world.store.read(|c| audit::search(c, &AuditFilter::default(), None, 1000)).unwrap();
    let left: BTreeSet<u64> =
        rows.iter().filter(|row| row.origin == gateway()).map(|row| row.index).collect();
    assert_eq!(u64::try_from(left.len()).unwrap(), 81 - deleted);
    let again = operator.post("/api/v1/retention/run", &json!({})).await.ok();
    assert_eq!(of(&again, "calls")["deleted"], 0);

    // The index is made anew from what is left: the same rows, and the sums of closed days stay.
    let indexer = Indexer::new(
        world.store.clone(),
        vec![(gateway(), dir), (control(), world.log_dir(&control()))],
    );
    indexer.run_once().unwrap();
    let all = |world: &World| {
        let rows =
            world.store.read(|c| audit::search(c, &AuditFilter::default(), None, 10_000)).unwrap();
        rows.into_iter().map(|row| format!("{row:?}")).collect::<Vec<_>>()
    };
    let rows = all(&world);
    indexer.rebuild().unwrap();
    assert_eq!(all(&world), rows);
    let now = used(&world);
    assert_eq!(now, usage);
}

#[actix_web::test]
async fn evidence_is_checked_without_the_installation() {
    let world = World::start().await;
    for number in 0..30_u128 {
        let tenant = if number % 3 == 0 { "other" } else { "acme" };
        world.call(&[intent(number, tenant, 10), outcome(number, tenant, 11)]);
    }
    let operator = operator_with_tenants(&world).await;
    let hold = json!({ "tenant": "acme", "reason": "an inquiry" });
    assert_eq!(operator.post("/api/v1/holds", &hold).await.status, 201);
    world.index(&control());
    let auditor = world.client("auditor").await;
    let articles = auditor.get("/api/v1/evidence/articles").await.ok();
    assert!(articles["items"].as_array().unwrap().len() >= 5);
    let ask = |article: &str, until: &str| json!({ "tenant": "acme", "from": "2026-11-24T00:00:00Z", "until": until, "article": article });
    let answer = auditor.post("/api/v1/evidence", &ask("gdpr-5", "2026-11-25T00:00:00Z")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.header("content-disposition").contains("evidence-acme-gdpr-5.zip"));
    let archive = answer.bytes.clone();
    let keys = [key_of(&world, &gateway()), key_of(&world, &control())];
    let report = verify_bundle(Cursor::new(&archive), &keys).unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.receipts[gateway().as_str()], 40, "the calls of one tenant, both records");
    assert!(report.receipts[control().as_str()] > 1);

    // As a stranger: with Python and nothing else.
    let dir = tempfile::tempdir().unwrap();
    let unpack = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
    let zip = dir.path().join("evidence.zip");
    std::fs::write(&zip, &archive).unwrap();
    let out = dir.path().join("out");
    let done = Command::new("python3").args(["-c", unpack]).arg(&zip).arg(&out).status().unwrap();
    assert!(done.success());
    let check = || {
        let output = Command::new("python3").arg(out.join("verify.py")).arg(&out).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (clean, words) = check();
    assert!(clean, "{words}");
    assert!(words.contains("40 records hold"), "{words}");
    for (name, from, to) in [
        ("receipts.jsonl", "\"index\":2,", "\"index\":3,"),
        ("receipts.jsonl", "\"entry\":\"eyJ0", "\"entry\":\"eyJ1"),
        ("checkpoint", "\n\n", "\n\nx"),
    ] {
        let file = out.join("logs").join(gateway().as_str()).join(name);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{name} {from}");
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
        // Even if the manifest is made to fit.
        let (clean, words) = check();
        assert!(!clean, "{words}");
        assert!(words.contains(name) || words.contains("signature"), "{words}");
        std::fs::write(&file, text).unwrap();
    }
    std::fs::write(out.join("more.txt"), "x").unwrap();
    assert!(check().1.contains("more.txt: is not in the manifest"));

    assert_eq!(
        auditor
            .post("/api/v1/evidence", &ask("gdpr-99", "2026-11-25T00:00:00Z"))
            .await
            .wrong_fields(),
        ["article"]
    );
    assert_eq!(
        auditor
            .post("/api/v1/evidence", &ask("gdpr-5", "2026-11-23T00:00:00Z"))
            .await
            .wrong_fields(),
        ["until"]
    );
    let erasures = auditor.post("/api/v1/evidence", &ask("gdpr-17", "2026-11-25T00:00:00Z")).await;
    let report = verify_bundle(Cursor::new(&erasures.bytes), &keys).unwrap();
    assert!(report.is_clean() && !report.receipts.contains_key(gateway().as_str()), "{report:?}");
}
