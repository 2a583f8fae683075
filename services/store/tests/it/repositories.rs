use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
};

use reeve_domain::{
    ApiKey, BundleDocument, Digest, Entropy as _, JwtIssuer, KeyId, LegalFacts, ModelFacts,
    ModelName, ModelVersion, Origin, PlanName, Pod, PodId, Region, Scope, SeededEntropy,
    SubjectHash, Tenant, TenantFacts, TenantStatus, Transfer, TransferCount, UserId, VersionState,
};
use reeve_store::{
    Connection, Store, StoreError, api_key, directory, jwt_issuer, log, model, pod, policy,
    revision, session, tenant,
    transfer::{self, Total},
    user,
};

use crate::rows::{at, tenant_id};

fn write<T>(store: &Store, work: impl FnOnce(&mut Connection) -> Result<T, StoreError>) -> T {
    store.write(work).unwrap()
}

fn read<T>(store: &Store, work: impl FnOnce(&mut Connection) -> Result<T, StoreError>) -> T {
    store.read(work).unwrap()
}

/// Whether `work` moved the revision.
fn bumps<T>(store: &Store, work: impl FnOnce(&mut Connection) -> Result<T, StoreError>) -> bool {
    let before = read(store, revision::current);
    write(store, work);
    read(store, revision::current) > before
}

fn a_tenant(name: &str) -> Tenant {
    Tenant {
        facts: TenantFacts {
            id: tenant_id(name),
            residency: BTreeSet::from([Region::new("eu-west").unwrap()]),
            purposes: BTreeSet::new(),
            labels: BTreeMap::from([("jurisdiction".to_owned(), "EU".to_owned())]),
            legal: LegalFacts::default(),
        },
        display_name: format!("{name} 有限公司"),
        plan: PlanName::new("standard").unwrap(),
        status: TenantStatus::Active,
        created_at: at(0),
    }
}

fn a_key(id: &str, owner: &str) -> ApiKey {
    ApiKey {
        id: KeyId::new(id).unwrap(),
        tenant: tenant_id(owner),
        name: "production".to_owned(),
        prefix: "abcdefgh".to_owned(),
        hash: Digest::of(id.as_bytes()),
        scopes: BTreeSet::from([Scope::new("classify").unwrap()]),
        created_at: at(0),
        expires_at: Some(at(1000)),
        revoked_at: None,
        holder: None,
    }
}

fn a_bundle(text: &str) -> BundleDocument {
    BundleDocument { digest: Digest::of(text.as_bytes()), document: text.to_owned() }
}

pub fn tenants_are_kept_listed_and_suspended(store: &Store) {
    for name in ["c", "a", "b"] {
        assert!(bumps(store, |c| tenant::insert(c, &a_tenant(name))));
    }
    let again = store.write(|c| tenant::insert(c, &a_tenant("a")));
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    assert_eq!(read(store, |c| tenant::get(c, &tenant_id("a"))), Some(a_tenant("a")));
    assert_eq!(read(store, |c| tenant::get(c, &tenant_id("x"))), None);
    let first = read(store, |c| tenant::list(c, None, 2));
    assert_eq!(first, [a_tenant("a"), a_tenant("b")]);
    let rest = read(store, |c| tenant::list(c, Some(&first[1].facts.id), 2));
    assert_eq!(rest, [a_tenant("c")]);

    assert!(bumps(store, |c| tenant::set_status(c, &tenant_id("a"), TenantStatus::Suspended)));
    let a = read(store, |c| tenant::get(c, &tenant_id("a"))).unwrap();
    assert_eq!(a.status, TenantStatus::Suspended);
    let none = store.write(|c| tenant::set_status(c, &tenant_id("x"), TenantStatus::Active));
    assert!(matches!(none, Err(StoreError::NotFound("tenant"))), "{none:?}");
}

pub fn keys_are_kept_and_revoked_once(store: &Store) {
    write(store, |c| tenant::insert(c, &a_tenant("acme")));
    assert!(bumps(store, |c| api_key::insert(c, &a_key("k1", "acme"))));
    write(store, |c| api_key::insert(c, &a_key("k2", "acme")));
    let orphan = store.write(|c| api_key::insert(c, &a_key("k3", "nobody")));
    assert!(matches!(orphan, Err(StoreError::Conflict(_))), "{orphan:?}");
    let id = KeyId::new("k1").unwrap();
    assert_eq!(read(store, |c| api_key::get(c, &id)), Some(a_key("k1", "acme")));
    assert!(bumps(store, |c| api_key::revoke(c, &id, at(5))));
    assert!(!bumps(store, |c| api_key::revoke(c, &id, at(6))));
    let keys = read(store, |c| api_key::list(c, &tenant_id("acme")));
    assert_eq!(keys.iter().map(|k| k.revoked_at).collect::<Vec<_>>(), [Some(at(5)), None]);
    assert_eq!(read(store, |c| api_key::last_used(c, &id)), None);
}

pub fn an_issuer_speaks_for_one_tenant(store: &Store) {
    let issuer = |owner: &str, key: &str| JwtIssuer {
        issuer: "https://login.example".to_owned(),
        tenant: tenant_id(owner),
        algorithm: "EdDSA".to_owned(),
        public_key: key.to_owned(),
    };
    write(store, |c| tenant::insert(c, &a_tenant("acme")));
    write(store, |c| tenant::insert(c, &a_tenant("umbra")));
    assert!(bumps(store, |c| jwt_issuer::upsert(c, &issuer("acme", "one"))));
    assert!(bumps(store, |c| jwt_issuer::upsert(c, &issuer("acme", "two"))));
    let stolen = store.write(|c| jwt_issuer::upsert(c, &issuer("umbra", "three")));
    assert!(matches!(stolen, Err(StoreError::Conflict(_))), "{stolen:?}");
    assert_eq!(read(store, jwt_issuer::list), [issuer("acme", "two")]);
    assert!(bumps(store, |c| jwt_issuer::delete(c, "https://login.example")));
    assert!(!write(store, |c| jwt_issuer::delete(c, "https://login.example")));
}

fn a_model(digest: &str) -> ModelVersion {
    ModelVersion {
        facts: ModelFacts {
            name: ModelName::new("support").unwrap(),
            version: "1".to_owned(),
            digest: Digest::of(digest.as_bytes()),
            generative: false,
            risk_class: "limited".to_owned(),
            conformity: false,
            instructions: false,
        },
        labels: vec!["billing".to_owned(), "other".to_owned()],
        state: VersionState::Approved,
    }
}

fn a_pod(draining: bool) -> Pod {
    Pod {
        id: PodId::new("eu-1").unwrap(),
        region: Region::new("eu-west").unwrap(),
        url: "http://127.0.0.1:9001".to_owned(),
        models: vec![Digest::of(b"m")],
        draining,
    }
}

pub fn models_and_pods_are_replaced(store: &Store) {
    for digest in ["one", "two"] {
        assert!(bumps(store, |c| model::register(
            c,
            &model::VersionRow::registered(a_model(digest), at(0))
        )));
        assert_eq!(read(store, model::list), [a_model(digest)]);
    }
    assert!(bumps(store, |c| pod::upsert(c, &a_pod(true))));
    assert!(bumps(store, |c| pod::upsert(c, &a_pod(false))));
    assert_eq!(read(store, pod::list), [a_pod(false)]);
    assert!(bumps(store, |c| pod::set_draining(c, &a_pod(false).id, true)));
    assert_eq!(read(store, pod::list), [a_pod(true)]);
}

pub fn a_policy_bundle_is_activated_and_rolled_back(store: &Store) {
    let (one, two) = (a_bundle("{\"a\":1}"), a_bundle("{\"a\":2}"));
    assert_eq!(read(store, policy::active), None);
    let unknown = store.write(|c| {
        policy::activate(c, &one.digest, "ann", None, at(1), &|version| format!("signed {version}"))
    });
    assert!(matches!(unknown, Err(StoreError::NotFound(_))), "{unknown:?}");
    let forged = BundleDocument { digest: one.digest, document: "{}".to_owned() };
    let forged = store.write(|c| policy::insert_bundle(c, &forged, "ann", at(1)));
    assert!(matches!(forged, Err(StoreError::Conflict(_))), "{forged:?}");

    for bundle in [&one, &two, &one] {
        write(store, |c| policy::insert_bundle(c, bundle, "ann", at(1)));
    }
    for (version, bundle) in [(1, &one), (2, &two), (3, &one)] {
        assert!(bumps(store, |c| policy::activate(
            c,
            &bundle.digest,
            "bob",
            None,
            at(version),
            &|version| format!("signed {version}")
        )));
        let active = read(store, policy::active).unwrap();
        assert_eq!((active.version, &active.document), (version, &bundle.document));
        assert_eq!((active.activated_at, active.activated_by.as_str()), (at(version), "bob"));
    }
    let versions: Vec<_> =
        read(store, policy::history).into_iter().map(|a| (a.version, a.digest, a.author)).collect();
    let by_ann = |version, bundle: &BundleDocument| (version, bundle.digest, "ann".to_owned());
    assert_eq!(versions, [by_ann(3, &one), by_ann(2, &two), by_ann(1, &one)]);
}

pub fn people_and_sessions(store: &Store) {
    let id = UserId::new("ann").unwrap();
    let ann = user::User {
        id: id.clone(),
        display_name: "Ann".to_owned(),
        password_hash: "$argon2id$canary".to_owned(),
        roles: vec!["auditor".to_owned(), "operator".to_owned()],
        created_at: at(0),
        disabled: false,
    };
    let a_session = |token: &str, expires| session::Session {
        token_hash: Digest::of(token.as_bytes()),
        user: id.clone(),
        csrf: "csrf".to_owned(),
        created_at: at(0),
        expires_at: at(expires),
    };
    let orphan = store.write(|c| session::insert(c, &a_session("x", 1)));
    assert!(matches!(orphan, Err(StoreError::Conflict(_))), "{orphan:?}");
    write(store, |c| user::insert(c, &ann));
    assert!(store.write(|c| user::insert(c, &ann)).is_err());
    assert_eq!(read(store, |c| user::get(c, &id)), Some(ann.clone()));
    assert_eq!(read(store, user::list).len(), 1);
    assert!(!format!("{ann:?}").contains("canary"));

    for (token, expires) in [("a", 10), ("b", 20), ("c", 30)] {
        write(store, |c| session::insert(c, &a_session(token, expires)));
    }
    assert_eq!(write(store, |c| session::delete_expired(c, at(20))), 2);
    let left = a_session("c", 30);
    assert_eq!(read(store, |c| session::get(c, &left.token_hash)), Some(left.clone()));
    assert!(write(store, |c| session::delete(c, &left.token_hash)));
    assert_eq!(read(store, |c| session::get(c, &left.token_hash)), None);
}

pub fn logs_and_their_verification(store: &Store) {
    let origin = Origin::new("reeve.test/gateway-1").unwrap();
    let none = store.write(|c| log::set_verified(c, &origin, at(1), 5, "[]"));
    assert!(matches!(none, Err(StoreError::NotFound("log"))), "{none:?}");
    write(store, |c| log::register(c, &origin, "vkey", "ledger/old"));
    write(store, |c| log::set_verified(c, &origin, at(1), 5, "[]"));
    write(store, |c| log::register(c, &origin, "vkey", "ledger/gateway-1"));
    let expected = log::Log {
        origin,
        vkey: "vkey".to_owned(),
        dir: "ledger/gateway-1".to_owned(),
        verified_at: Some(at(1)),
        verified_size: Some(5),
        findings: Some("[]".to_owned()),
    };
    assert_eq!(read(store, log::list), [expected]);
}

pub fn the_directory_is_what_a_gateway_needs(store: &Store) {
    let early = store.read(directory::load);
    assert!(matches!(early, Err(StoreError::NotFound(_))), "{early:?}");
    let bundle = a_bundle("{}");
    write(store, |c| {
        tenant::insert(c, &a_tenant("acme"))?;
        api_key::insert(c, &a_key("good", "acme"))?;
        api_key::insert(c, &a_key("revoked", "acme"))?;
        api_key::revoke(c, &KeyId::new("revoked").unwrap(), at(1))?;
        model::register(c, &model::VersionRow::registered(a_model("m"), at(0)))?;
        pod::upsert(c, &a_pod(false))?;
        policy::insert_bundle(c, &bundle, "ann", at(0))?;
        policy::activate(c, &bundle.digest, "ann", None, at(0), &|version| {
            format!("signed {version}")
        })
    });
    let loaded = read(store, directory::load);
    assert_eq!(loaded.revision, read(store, revision::current));
    assert_eq!(loaded.tenants, [a_tenant("acme")]);
    assert_eq!(loaded.keys, [a_key("good", "acme")]);
    assert_eq!(loaded.models, [a_model("m")]);
    assert_eq!(loaded.pods, [a_pod(false)]);
    assert_eq!(loaded.bundle, bundle);
}

pub fn a_failed_change_leaves_nothing(store: &Store) {
    let before = read(store, revision::current);
    let failed: Result<(), StoreError> = store.write(|c| {
        tenant::insert(c, &a_tenant("acme"))?;
        Err(StoreError::NotFound("nothing"))
    });
    assert!(failed.is_err());
    assert_eq!(read(store, revision::current), before);
    assert_eq!(read(store, |c| tenant::get(c, &tenant_id("acme"))), None);
    // A statement that fails inside does not stop the next change either.
    write(store, |c| tenant::insert(c, &a_tenant("acme")));
}

/// Of many who claim at once, the same person counts once and no limit is passed.
pub fn transfers(store: &Store) {
    let transfer = |number: u64, sensitive| Transfer {
        entity: "group".to_owned(),
        law: "CN".to_owned(),
        year: 2026,
        subject: SubjectHash::new(format!("{number:064x}")).unwrap(),
        sensitive,
    };
    let id = |number| SeededEntropy::new(number).decision_id(at(0));
    const LIMIT: u64 = 100;
    thread::scope(|scope| {
        for claimer in 0..4 {
            scope.spawn(move || {
                for number in 0..60 {
                    // Half of the persons are those of the next claimer as well.
                    let new = transfer(claimer * 30 + number, false);
                    let mut permits = |count: TransferCount| count.subjects <= LIMIT;
                    write(store, |c| transfer::claim(c, &new, &id(number), at(1), &mut permits));
                }
            });
        }
    });
    let total = |subjects, sensitive| {
        let (entity, law, year) = ("group".to_owned(), "CN".to_owned(), 2026);
        vec![Total { entity, law, year, count: TransferCount { subjects, sensitive } }]
    };
    assert_eq!(read(store, transfer::totals), total(LIMIT, 0));
    // What is known by a call without sensitive data is counted again for one with.
    let known = (0..150).map(|number| transfer(number, true)).find(|new| {
        read(store, |c| transfer::with(c, &Transfer { sensitive: false, ..new.clone() })).subjects
            == LIMIT
    });
    let known = known.unwrap();
    for _ in 0..2 {
        let with = TransferCount { subjects: LIMIT, sensitive: 1 };
        assert_eq!(read(store, |c| transfer::with(c, &known)), with);
        let claimed = write(store, |c| transfer::claim(c, &known, &id(9), at(2), &mut |_| true));
        assert_eq!(claimed, Some(with));
    }
    assert_eq!(read(store, transfer::totals), total(LIMIT, 1));
    // Another year begins at nothing, and what may not be is not counted.
    let next = Transfer { year: 2027, ..known };
    let refused = write(store, |c| transfer::claim(c, &next, &id(9), at(3), &mut |_| false));
    assert_eq!(refused, None);
    let first = TransferCount { subjects: 1, sensitive: 1 };
    assert_eq!(read(store, |c| transfer::with(c, &next)), first);
}
