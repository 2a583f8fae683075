//! Every check runs on both databases.

use reeve_store::{Store, testing::PostgresServer};

use crate::{audit, registry, repositories};

/// A check and its name.
type Check = (&'static str, fn(&Store));

macro_rules! checks {
    ($($module:ident :: $name:ident,)*) => {
        const CHECKS: &[Check] = &[$((stringify!($name), $module::$name),)*];

        mod sqlite {
            $(#[test] fn $name() { super::on_sqlite(super::$module::$name); })*
        }
    };
}

checks! {
    repositories::tenants_are_kept_listed_and_suspended,
    repositories::keys_are_kept_and_revoked_once,
    repositories::an_issuer_speaks_for_one_tenant,
    repositories::models_and_pods_are_replaced,
    repositories::a_policy_bundle_is_activated_and_rolled_back,
    repositories::people_and_sessions,
    repositories::logs_and_their_verification,
    repositories::the_directory_is_what_a_gateway_needs,
    repositories::a_failed_change_leaves_nothing,
    repositories::transfers,
    registry::versions_are_taken_in_once_and_listed_by_age,
    registry::a_model_is_offered_and_routed,
    registry::changes_of_models_are_kept_and_not_overwritten,
    registry::placements_and_what_pods_make_of_them,
    registry::observations_are_summed_by_the_hour_and_made_again,
    registry::alerts_are_raised_and_cleared,
    audit::an_outcome_tells_the_whole_call,
    audit::indexing_twice_changes_nothing,
    audit::a_gap_and_another_history_are_refused,
    audit::rebuilding_from_nothing_gives_equal_rows,
    audit::an_unreadable_leaf_is_a_finding,
    audit::filters_find_exactly_what_they_say,
    audit::pages_are_stable_while_rows_arrive,
    audit::usage_is_the_sum_of_the_ledger,
    audit::two_indexers_of_one_log_count_once,
}

pub fn sqlite() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::connect(&format!("sqlite:{}", dir.path().join("s.sqlite").display()));
    let store = store.unwrap();
    store.migrate().unwrap();
    (dir, store)
}

fn on_sqlite(check: fn(&Store)) {
    let (_dir, store) = sqlite();
    check(&store);
}

/// One server for all checks, a database for each.
#[test]
fn postgres() {
    let Some(server) = PostgresServer::start_or_skip().unwrap() else { return };
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        let store = Store::connect(&server.database().unwrap()).unwrap();
        store.migrate().unwrap();
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&store))).is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed on PostgreSQL: {failed:?}");
}
