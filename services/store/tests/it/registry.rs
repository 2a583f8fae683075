//! Versions, aliases, changes, placements and observations on both databases.

use std::collections::{BTreeMap, BTreeSet};

use reeve_domain::{
    Alias, Canary, CanaryBy, Code, Comparison, Digest, Mirror, Model, ModelFacts, ModelName,
    ModelVersion, Observation, Observed, PodId, Purpose, Record, Region, Route, Share, UserId,
    VersionState,
};
use reeve_store::{
    Connection, Store, StoreError,
    alert::{self, Alert},
    audit,
    catalog::{self, Assigned},
    model::{self, VersionRow},
    model_change::{self, ModelChange, ModelChangeKind, ModelChangeState},
    observation::{self, Window},
    placement::{self, Placement, PodModel, PodModelState},
    pod, revision,
};

use crate::rows::{at, decision, leaves, origin, tenant_id};

fn write<T>(store: &Store, work: impl FnOnce(&mut Connection) -> Result<T, StoreError>) -> T {
    store.write(work).unwrap()
}

fn read<T>(store: &Store, work: impl FnOnce(&mut Connection) -> Result<T, StoreError>) -> T {
    store.read(work).unwrap()
}

fn name() -> ModelName {
    ModelName::new("support").unwrap()
}

fn production() -> Alias {
    Alias::new(Alias::PRODUCTION).unwrap()
}

fn digest(version: &str) -> Digest {
    Digest::of(version.as_bytes())
}

fn version(number: &str, bundle: &str, seconds: i64) -> VersionRow {
    let facts = ModelFacts {
        name: name(),
        version: number.to_owned(),
        digest: digest(bundle),
        generative: false,
        risk_class: "limited".to_owned(),
        conformity: false,
        instructions: false,
    };
    VersionRow {
        version: ModelVersion {
            facts,
            labels: vec!["a".to_owned()],
            state: VersionState::Candidate,
        },
        size: 10,
        card: r#"{"license":"MIT"}"#.to_owned(),
        created_at: at(seconds),
        created_by: "ann".to_owned(),
    }
}

pub fn versions_are_taken_in_once_and_listed_by_age(store: &Store) {
    // By age, and not by the letters of their numbers.
    for (number, seconds) in [("9", 1), ("10", 2)] {
        assert!(write(store, |c| model::insert(c, &version(number, number, seconds))));
    }
    let before = read(store, revision::current);
    assert!(!write(store, |c| model::insert(c, &version("9", "9", 3))), "it is there already");
    assert_eq!(read(store, revision::current), before);
    let other = store.write(|c| model::insert(c, &version("9", "another", 3)));
    assert!(matches!(other, Err(StoreError::Conflict(_))), "{other:?}");
    let rows = read(store, |c| model::rows_of(c, &name()));
    assert_eq!(rows, [version("10", "10", 2), version("9", "9", 1)]);
    let known = read(store, |c| catalog::get(c, &name())).unwrap();
    assert_eq!(known, Model::offered_to_all(name()));
    write(store, |c| model::set_state(c, &digest("9"), VersionState::Withdrawn));
    let nine = read(store, |c| model::get(c, &digest("9"))).unwrap();
    assert_eq!(nine.version.state, VersionState::Withdrawn);
    let again = store.write(|c| model::register(c, &nine));
    assert!(matches!(again, Err(StoreError::Conflict(_))), "{again:?}");
    let unknown = store.write(|c| model::set_state(c, &digest("x"), VersionState::Approved));
    assert!(matches!(unknown, Err(StoreError::NotFound(_))), "{unknown:?}");
    // What an operator registers at the machine answers if nothing does.
    write(store, |c| model::register(c, &version("10", "10", 5)));
    let known = read(store, |c| catalog::get(c, &name())).unwrap();
    assert_eq!(known.routes[Alias::PRODUCTION].digest, digest("10"));
    let ten = read(store, |c| model::get(c, &digest("10"))).unwrap();
    assert_eq!((ten.size, ten.created_at), (10, at(2)), "it stays in the registry");
}

pub fn a_model_is_offered_and_routed(store: &Store) {
    let none = store.write(|c| catalog::set_offer(c, &Model::offered_to_all(name())));
    assert!(matches!(none, Err(StoreError::NotFound("model"))), "{none:?}");
    for number in ["1", "2", "3"] {
        write(store, |c| model::insert(c, &version(number, number, 1)));
    }
    let share = Share {
        until: Some(at(99)),
        purposes: BTreeSet::from([Purpose::new("care").unwrap()]),
        preview: true,
        terms: "for a year".to_owned(),
    };
    let offered = Model {
        owner: Some(tenant_id("acme")),
        open: false,
        shares: BTreeMap::from([(tenant_id("umbra"), share.clone())]),
        ..Model::offered_to_all(name())
    };
    write(store, |c| catalog::set_offer(c, &offered));
    assert_eq!(read(store, catalog::list), std::slice::from_ref(&offered));

    let how = |kind, seconds| Assigned { at: at(seconds), by: "ann", kind, change: None };
    let to = |version| Route { digest: digest(version), canary: None, mirror: None };
    let set = |route: &Route, how: &Assigned<'_>| {
        write(store, |c| catalog::set_route(c, &name(), &production(), route, how));
    };
    set(&to("1"), &how("promote", 1));
    set(&to("2"), &how("promote", 2));
    let full = Route {
        canary: Some(Canary { digest: digest("3"), permille: 50, by: CanaryBy::Decision }),
        mirror: Some(Mirror { digest: digest("1"), permille: 1000 }),
        ..to("2")
    };
    set(&full, &how("assign", 3));
    let now = read(store, |c| catalog::get(c, &name())).unwrap();
    assert_eq!(now.routes, BTreeMap::from([(production(), full)]));
    assert_eq!(now.shares, offered.shares);
    assert_eq!(now.routed(), BTreeSet::from([digest("1"), digest("2"), digest("3")]));
    // A canary is no other version in production; taking it away leaves nothing behind.
    set(&to("2"), &how("assign", 4));
    assert_eq!(read(store, |c| catalog::get(c, &name())).unwrap().routes[&production()], to("2"));
    let history = read(store, |c| catalog::history(c, &name(), &production()));
    let past: Vec<_> = history.iter().map(|it| (it.number, it.digest, it.at)).collect();
    assert_eq!(past, [(2, digest("2"), at(2)), (1, digest("1"), at(1))]);
    write(store, |c| catalog::remove_route(c, &name(), &production()));
    let gone = store.write(|c| catalog::remove_route(c, &name(), &production()));
    assert!(matches!(gone, Err(StoreError::NotFound("alias"))), "{gone:?}");
}

pub fn changes_of_models_are_kept_and_not_overwritten(store: &Store) {
    write(store, |c| model::insert(c, &version("1", "1", 1)));
    let user = |name: &str| UserId::new(name).unwrap();
    let change = ModelChange {
        id: "mch_1".to_owned(),
        edition: 1,
        model: name(),
        kind: ModelChangeKind::Canary,
        digest: digest("1"),
        base: None,
        canary: Some((100, CanaryBy::Subject)),
        state: ModelChangeState::InReview,
        reason: "better".to_owned(),
        author: user("ann"),
        created_at: at(1),
        decided: None,
        comment: None,
    };
    write(store, |c| model_change::insert(c, &change));
    let decided = ModelChange {
        edition: 2,
        state: ModelChangeState::Applied,
        decided: Some((user("bob"), at(2))),
        comment: Some("good".to_owned()),
        ..change.clone()
    };
    write(store, |c| model_change::update(c, &decided));
    let late = store.write(|c| model_change::update(c, &decided));
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    assert_eq!(read(store, |c| model_change::get(c, "mch_1")), Some(decided.clone()));
    assert_eq!(read(store, |c| model_change::of_model(c, &name(), 9)), [decided]);
    let orphan = ModelChange { id: "mch_2".into(), model: ModelName::new("x").unwrap(), ..change };
    let orphan = store.write(|c| model_change::insert(c, &orphan));
    assert!(matches!(orphan, Err(StoreError::Conflict(_))), "{orphan:?}");
}

pub fn placements_and_what_pods_make_of_them(store: &Store) {
    let eu = Region::new("eu-west").unwrap();
    let placement = |wanted| Placement {
        digest: digest("1"),
        region: eu.clone(),
        wanted,
        changed_at: at(1),
        changed_by: "ann".to_owned(),
    };
    write(store, |c| placement::set(c, &placement(true)));
    write(store, |c| placement::forget(c, &digest("1"), &eu));
    assert_eq!(read(store, placement::list), [placement(true)], "what is wanted is kept");
    write(store, |c| placement::set(c, &placement(false)));
    write(store, |c| placement::forget(c, &digest("1"), &eu));
    assert_eq!(read(store, placement::list), []);

    let id = PodId::new("eu-1").unwrap();
    let row = |state, failure: Option<&str>| PodModel {
        pod: id.clone(),
        digest: digest("1"),
        state,
        failure: failure.map(str::to_owned),
        at: at(1),
    };
    for row in [row(PodModelState::Failed, Some("no room")), row(PodModelState::Ready, None)] {
        write(store, |c| placement::note(c, &row));
        assert_eq!(read(store, placement::progress), [row]);
    }
    write(store, |c| placement::gone(c, &id, &digest("1")));
    assert_eq!(read(store, placement::progress), []);

    let unknown = store.write(|c| pod::set_serves(c, &id, &digest("1"), true));
    assert!(matches!(unknown, Err(StoreError::NotFound("pod"))), "{unknown:?}");
    let pod = reeve_domain::Pod {
        id: id.clone(),
        region: eu,
        url: "http://127.0.0.1:1".to_owned(),
        models: vec![digest("1")],
        draining: false,
    };
    write(store, |c| pod::upsert(c, &pod));
    let before = read(store, revision::current);
    for (serves, models) in [(true, vec![digest("1"), digest("2")]), (false, vec![digest("1")])] {
        write(store, |c| pod::set_serves(c, &id, &digest("2"), serves));
        assert_eq!(read(store, pod::list)[0].models, models);
    }
    assert_eq!(read(store, revision::current), before + 2);
}

fn observation(tenant: &str, seconds: i64, labels: &[(&str, u64)]) -> Record {
    let labels: BTreeMap<String, u64> =
        labels.iter().map(|(label, count)| ((*label).to_owned(), *count)).collect();
    let texts = labels.values().sum();
    Record::Observation(Box::new(Observation {
        from: at(seconds - 60),
        until: at(seconds),
        tenant: tenant_id(tenant),
        name: "support".to_owned(),
        model: digest("1"),
        observed: Observed {
            texts,
            tokens: 5 * texts,
            unknown: texts,
            told: 5 * texts,
            labels,
            confidence: BTreeMap::from([(9, texts)]),
            lengths: BTreeMap::from([(8, texts)]),
        },
    }))
}

fn comparison(seconds: i64, differing: u64, code: Option<Code>) -> Record {
    Record::Comparison(Box::new(Comparison {
        decision_id: decision(1),
        at: at(seconds),
        tenant: tenant_id("acme"),
        model: digest("0"),
        mirror: digest("1"),
        region: Region::new("eu-west").unwrap(),
        pod: None,
        code,
        items: 4,
        differing,
        widest_permille: 10,
        took_us: 1,
    }))
}

pub fn observations_are_summed_by_the_hour_and_made_again(store: &Store) {
    let records = [
        observation("acme", 0, &[("a", 10), ("b", 2)]),
        observation("acme", 60, &[("a", 30)]),
        observation("umbra", 60, &[("b", 11)]),
        observation("acme", 7200, &[("a", 12)]),
        comparison(61, 1, None),
        comparison(62, 3, None),
        comparison(63, 4, Some(Code::PodFailed)),
    ];
    let leaves = leaves(0, &records);
    let all = Window {
        from: at(-7200),
        until: at(9000),
        digests: BTreeSet::from([digest("1")]),
        tenant: None,
    };
    let index = || write(store, |c| audit::index(c, &origin(), &leaves));
    index();
    index();
    let hours = read(store, |c| observation::hours(c, &all));
    let (sum, mirrored) = observation::total(&hours);
    assert_eq!(mirrored, (8, 4), "an answer that did not come is no comparison");
    assert_eq!(sum.labels, BTreeMap::from([("a".to_owned(), 52), ("b".to_owned(), 13)]));
    assert_eq!((sum.texts, sum.tokens, sum.unknown, sum.told), (65, 325, 65, 325));
    assert_eq!(sum.lengths, BTreeMap::from([(8, 65)]));
    let times: BTreeSet<_> = hours.iter().map(|hour| (hour.at, hour.tenant.clone())).collect();
    assert_eq!(times.len(), hours.len(), "one row an hour and tenant");
    assert!(hours.iter().all(|hour| hour.at.as_micros() % 3_600_000_000 == 0));

    let of = Window { tenant: Some(tenant_id("umbra")), ..all.clone() };
    let (umbra, _) = observation::total(&read(store, |c| observation::hours(c, &of)));
    assert_eq!(umbra.texts, 11);
    let other = Window { digests: BTreeSet::from([digest("9")]), ..all.clone() };
    assert!(read(store, |c| observation::hours(c, &other)).is_empty());

    write(store, audit::clear);
    assert!(read(store, |c| observation::hours(c, &all)).is_empty());
    index();
    assert_eq!(read(store, |c| observation::hours(c, &all)), hours);
}

pub fn alerts_are_raised_and_cleared(store: &Store) {
    let alert = |id: &str, seconds| Alert {
        id: id.to_owned(),
        model: name(),
        digest: digest("1"),
        measure: "label-drift".to_owned(),
        value_permille: 300,
        threshold_permille: 250,
        raised_at: at(seconds),
        cleared_at: None,
    };
    write(store, |c| alert::raise(c, &alert("a", 1)));
    write(store, |c| alert::update(c, "a", 400));
    write(store, |c| alert::clear(c, "a", at(2)));
    write(store, |c| alert::raise(c, &alert("b", 3)));
    assert_eq!(read(store, alert::open), [alert("b", 3)]);
    let cleared = Alert { value_permille: 400, cleared_at: Some(at(2)), ..alert("a", 1) };
    assert_eq!(read(store, |c| alert::list(c, 9)), [alert("b", 3), cleared]);
    for permille in [100, 200] {
        write(store, |c| alert::set_threshold(c, &name(), "label-drift", permille));
    }
    let set = BTreeMap::from([(("support".to_owned(), "label-drift".to_owned()), 200)]);
    assert_eq!(read(store, alert::thresholds), set);
}
