use std::collections::BTreeSet;

use proptest::prelude::*;
use reeve_domain::{Code, KeyId, Origin, Record, Timestamp};
use reeve_store::{
    Store, StoreError, api_key,
    audit::{self, AuditFilter, AuditRow, CallStatus, Cursor, EventKind, Leaf},
    usage,
};

use crate::rows::{at, decision, intent, leaf, leaves, origin, outcome, refusal, story, tenant_id};

fn index(store: &Store, leaves: &[Leaf]) -> Result<usize, StoreError> {
    store.write(|c| audit::index(c, &origin(), leaves))
}

fn search(store: &Store, filter: &AuditFilter) -> Vec<AuditRow> {
    store.read(|c| audit::search(c, filter, None, 1000)).unwrap()
}

/// Everything that indexing writes, as text that can be compared.
fn everything(store: &Store) -> String {
    store
        .read(|c| {
            let rows = audit::search(c, &AuditFilter::default(), None, 10_000)?;
            let usage = usage::by_day(c, None, "0000", "9999")?;
            let activity = usage::activity(c, None, "0000", "9999")?;
            let month = usage::month_to_date(c, at(0).month_start())?;
            let cursor = audit::cursor(c, &origin())?;
            Ok::<_, StoreError>(format!("{rows:#?}{usage:#?}{activity:#?}{month:#?}{cursor}"))
        })
        .unwrap()
}

pub fn an_outcome_tells_the_whole_call(store: &Store) {
    // The intent in one batch, its outcome in a later one.
    index(store, &leaves(0, &[intent(1, "acme", 1), intent(2, "acme", 2)])).unwrap();
    let open = search(store, &AuditFilter { status: Some(CallStatus::Pending), ..<_>::default() });
    assert_eq!(open.len(), 2);
    index(store, &leaves(2, &[outcome(1, "acme", 3)])).unwrap();
    let call = store.read(|c| audit::get_by_decision(c, &decision(1))).unwrap();
    let [left, ended] = call.as_slice() else { panic!("{call:?}") };
    assert_eq!((left.kind, left.status), (EventKind::Intent, Some(CallStatus::Completed)));
    assert_eq!((ended.kind, ended.status), (EventKind::Outcome, Some(CallStatus::Completed)));
    assert_eq!(ended.model.as_deref(), Some("support"));
    assert_eq!(ended.action.as_deref(), Some("classify"));
    assert_eq!(ended.credential.as_deref(), Some("key:acme-key"));
    assert!(ended.policy.is_some() && ended.policy == left.policy);
    assert_eq!(ended.redactions.values().sum::<u32>(), 1);
    assert_eq!(ended.record, outcome(1, "acme", 3));
    assert_eq!(ended.cost_micros, 400);
    let open = search(store, &AuditFilter { status: Some(CallStatus::Pending), ..<_>::default() });
    assert_eq!(open.iter().map(|row| row.decision_id).collect::<Vec<_>>(), [Some(decision(2))]);
    let key = KeyId::new("acme-key").unwrap();
    assert_eq!(store.read(|c| api_key::last_used(c, &key)).unwrap(), Some(at(2)));
}

pub fn indexing_twice_changes_nothing(store: &Store) {
    let all = leaves(0, &story());
    assert_eq!(index(store, &all[..7]).unwrap(), 7);
    assert_eq!(index(store, &all).unwrap(), 4);
    let once = everything(store);
    assert_eq!(index(store, &all).unwrap(), 0);
    assert_eq!(index(store, &all[3..5]).unwrap(), 0);
    assert_eq!(index(store, &[]).unwrap(), 0);
    assert_eq!(everything(store), once);
}

pub fn a_gap_and_another_history_are_refused(store: &Store) {
    let all = leaves(0, &story());
    index(store, &all[..3]).unwrap();
    let before = everything(store);
    let gap = index(store, &all[4..]);
    assert!(matches!(gap, Err(StoreError::Gap { expected: 3, offered: 4, .. })), "{gap:?}");
    let hole = [all[3].clone(), all[5].clone()];
    assert!(matches!(index(store, &hole), Err(StoreError::Gap { .. })));
    let forged = [leaf(2, &refusal(9, "acme", 9, Code::Internal)), all[3].clone()];
    let forged = index(store, &forged);
    assert!(matches!(forged, Err(StoreError::Diverged { index: 2, .. })), "{forged:?}");
    assert_eq!(everything(store), before);
}

pub fn rebuilding_from_nothing_gives_equal_rows(store: &Store) {
    let mut records = story();
    records.extend((100..140).flat_map(|n| [intent(n, "acme", 20), outcome(n, "acme", 21)]));
    let all = leaves(0, &records);
    for batch in all.chunks(3) {
        index(store, batch).unwrap();
    }
    let (_dir, rebuilt) = crate::backends::sqlite();
    index(&rebuilt, &all).unwrap();
    assert_eq!(everything(store), everything(&rebuilt));
}

pub fn an_unreadable_leaf_is_a_finding(store: &Store) {
    let unreadable = [
        leaf(0, &intent(1, "acme", 1)),
        Leaf::parse(1, [1; 32], b"{\"type\":\"from-the-future\",\"x\":\"\\u0000\"}"),
        Leaf::parse(2, [2; 32], b"\xff\x00\xfe not JSON"),
        leaf(3, &outcome(1, "acme", 2)),
    ];
    index(store, &unreadable).unwrap();
    let filter = AuditFilter { kinds: vec![EventKind::Malformed], ..<_>::default() };
    let found = search(store, &filter);
    assert_eq!(found.iter().map(|row| row.index).collect::<Vec<_>>(), [2, 1]);
    for row in &found {
        assert_eq!(row.at, at(1), "takes the time of the leaf before it");
        let Record::Control(event) = &row.record else { panic!("{row:?}") };
        assert_eq!(event.action, "ledger.malformed");
        assert!(event.details.contains_key("reason"), "{row:?}");
    }
    assert!(found[1].document.contains("from-the-future"));
    assert_eq!(store.read(|c| audit::cursor(c, &origin())).unwrap(), 4);
}

pub fn filters_find_exactly_what_they_say(store: &Store) {
    index(store, &leaves(0, &story())).unwrap();
    let seconds = |filter: AuditFilter| -> Vec<i64> {
        let rows = search(store, &filter);
        rows.iter().map(|row| (row.at.as_micros() - at(0).as_micros()) / 1_000_000).collect()
    };
    let none = AuditFilter::default;
    assert_eq!(seconds(none()), [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    let calls = vec![EventKind::Outcome, EventKind::Refusal];
    assert_eq!(seconds(AuditFilter { kinds: calls.clone(), ..none() }), [10, 8, 5, 4, 3]);
    let kinds = |kinds: &[EventKind]| seconds(AuditFilter { kinds: kinds.to_vec(), ..none() });
    assert_eq!(kinds(&[EventKind::Refusal]), [10, 4]);
    let all = EventKind::ALL.iter().flat_map(|kind| kinds(&[*kind])).collect::<BTreeSet<_>>();
    assert_eq!(all.into_iter().collect::<Vec<_>>(), (0..=10).collect::<Vec<_>>());
    let statuses = CallStatus::ALL
        .iter()
        .map(|status| seconds(AuditFilter { status: Some(*status), ..none() }).len());
    assert_eq!(statuses.sum::<usize>(), 10, "all but the control plane's");
    let acme = Some(tenant_id("acme"));
    assert_eq!(seconds(AuditFilter { kinds: calls, tenant: acme.clone(), ..none() }), [8, 4, 3]);
    assert_eq!(
        seconds(AuditFilter { tenant: acme, from: Some(at(1)), until: Some(at(7)), ..none() }),
        [4, 3, 1]
    );
    assert_eq!(seconds(AuditFilter { status: Some(CallStatus::Failed), ..none() }), [5, 2]);
    assert_eq!(seconds(AuditFilter { status: Some(CallStatus::Pending), ..none() }), [9]);
    assert_eq!(seconds(AuditFilter { code: Some(Code::RateLimited), ..none() }), [4]);
    let region = Some("eu-west".parse().unwrap());
    assert_eq!(seconds(AuditFilter { region, ..none() }), [8, 3]);
    assert_eq!(seconds(AuditFilter { decision_id: Some(decision(2)), ..none() }), [5, 2]);
}

pub fn pages_are_stable_while_rows_arrive(store: &Store) {
    // Many rows of one moment, in two logs, so that the order needs all three of its parts.
    let other = Origin::new("reeve.test/gateway-2").unwrap();
    let records: Vec<Record> = (0..25)
        .map(|n| refusal(n, "acme", i64::try_from(n / 10).unwrap(), Code::Internal))
        .collect();
    index(store, &leaves(0, &records)).unwrap();
    store.write(|c| audit::index(c, &other, &leaves(0, &records))).unwrap();
    let place = |row: &AuditRow| (row.at, row.origin.clone(), row.index);
    let mut expected: Vec<_> = search(store, &AuditFilter::default()).iter().map(place).collect();
    let mut seen: Vec<(Timestamp, Origin, u64)> = Vec::new();
    let mut after: Option<Cursor> = None;
    let mut next = 25;
    loop {
        let page =
            store.read(|c| audit::search(c, &AuditFilter::default(), after.as_ref(), 7)).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.cursor());
        seen.extend(page.iter().map(place));
        // Meanwhile something newer than all of them arrives.
        let late = refusal(1000 + u128::from(next), "acme", 500, Code::Internal);
        index(store, &[leaf(next, &late)]).unwrap();
        next += 1;
    }
    assert_eq!(seen, expected);
    expected.sort();
    expected.dedup();
    assert_eq!(expected.len(), 50);
}

pub fn usage_is_the_sum_of_the_ledger(store: &Store) {
    index(store, &leaves(0, &story())).unwrap();
    index(store, &leaves(11, &[intent(20, "acme", 86_400), outcome(20, "acme", 86_401)])).unwrap();
    let rows = store.read(|c| usage::by_day(c, None, "2026-11-24", "2026-11-24")).unwrap();
    let short: Vec<_> = rows
        .iter()
        .map(|r| {
            (r.tenant.as_str(), r.region.is_some(), r.calls, r.refusals, r.items, r.cost.micros)
        })
        .collect();
    assert_eq!(
        short,
        [("acme", false, 0, 1, 0, 0), ("acme", true, 2, 0, 4, 800), ("umbra", false, 0, 1, 0, 0)]
    );
    assert_eq!((rows[1].characters, rows[1].tokens), (60, 18));
    let acme = tenant_id("acme");
    let days = store.read(|c| usage::by_day(c, Some(&acme), "2026-11-25", "2026-12-01")).unwrap();
    assert_eq!(days.len(), 1);
    let month = store.read(|c| usage::month_to_date(c, at(0).month_start())).unwrap();
    assert_eq!(month.len(), 1);
    assert_eq!((&month[0].0, month[0].1, month[0].2.micros), (&acme, 6, 1200));

    let activity = store.read(|c| usage::activity(c, None, "2026-11-24", "2026-11-24")).unwrap();
    let count = |status, code| -> u64 {
        activity.iter().filter(|a| a.status == status && a.code == code).map(|a| a.calls).sum()
    };
    assert_eq!(count(CallStatus::Completed, None), 2);
    assert_eq!(count(CallStatus::Failed, Some(Code::PodFailed)), 1);
    assert_eq!(count(CallStatus::Refused, Some(Code::RateLimited)), 1);
    assert_eq!(count(CallStatus::Refused, Some(Code::MissingCredential)), 70);
    assert_eq!(activity.iter().map(|a| a.redacted).sum::<u64>(), 3);
    assert!(activity.iter().any(|a| a.tenant.is_none()));
}

pub fn two_indexers_of_one_log_count_once(store: &Store) {
    let records: Vec<Record> = (0..60).map(|n| refusal(n, "acme", 1, Code::Internal)).collect();
    let all = leaves(0, &records);
    std::thread::scope(|scope| {
        for size in [4, 7] {
            let all = &all;
            scope.spawn(move || {
                let mut done = 0;
                while done < all.len() {
                    let end = (done + size).min(all.len());
                    index(store, &all[done..end]).unwrap();
                    done = end;
                }
            });
        }
    });
    let rows = store.read(|c| usage::by_day(c, None, "0000", "9999")).unwrap();
    assert_eq!(rows.iter().map(|r| r.refusals).sum::<u64>(), 60);
    assert_eq!(search(store, &AuditFilter::default()).len(), 60);
}

/// Records, and what is left of each when a byte is another one or the rest is missing.
#[test]
fn records_are_read_as_serde_reads_them() {
    for record in story() {
        let bytes = serde_json::to_vec(&record).unwrap();
        assert_eq!(Record::from_json(&bytes).unwrap(), record);
        // A record of two types is of none.
        for second in [r#","type":"control"}"#, r#","typ\u0065":"control"}"#] {
            let twice = [&bytes[..bytes.len() - 1], second.as_bytes()].concat();
            assert!(Record::from_json(&twice).is_err());
        }
        for at in 0..bytes.len() {
            let cut = bytes[..at].to_vec();
            let changed = [b'"', b'x', b'1', 0xff].map(|byte| {
                let mut changed = bytes.clone();
                changed[at] = byte;
                changed
            });
            for bytes in changed.into_iter().chain([cut]) {
                let expected = serde_json::from_slice::<Record>(&bytes).ok();
                let text = String::from_utf8_lossy(&bytes);
                assert_eq!(Record::from_json(&bytes).ok(), expected, "{text}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// However the log is cut into batches, and whichever of them come twice.
    #[test]
    fn batches_do_not_matter(cuts in prop::collection::vec((0_usize..11, 0_usize..11), 1..8)) {
        let all = leaves(0, &story());
        let (_dir, store) = crate::backends::sqlite();
        for (a, b) in cuts {
            let (a, b) = (a.min(b), a.max(b));
            match index(&store, &all[a..=b]) {
                Ok(_) | Err(StoreError::Gap { .. }) => {}
                Err(why) => prop_assert!(false, "{why}"),
            }
        }
        index(&store, &all).unwrap();
        let (_dir, rebuilt) = crate::backends::sqlite();
        index(&rebuilt, &all).unwrap();
        prop_assert_eq!(everything(&store), everything(&rebuilt));
    }
}
