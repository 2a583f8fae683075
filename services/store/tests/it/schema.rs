//! Both migration folders make exactly the tables of `schema.rs`.

use std::collections::BTreeMap;

use diesel::{
    Connection as _, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection,
    dsl::sql,
    sql_types::{Bool, Text},
};
use reeve_store::{Store, testing::PostgresServer};

/// Table → column → (type, may be null).
type Tables = BTreeMap<String, BTreeMap<String, (String, bool)>>;

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
    #[diesel(sql_type = Text)]
    sql_type: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
}

fn written() -> Tables {
    let mut tables = Tables::new();
    let mut table = String::new();
    for line in include_str!("../../src/schema.rs").lines() {
        let line = line.trim();
        if let Some((column, kind)) = line.strip_suffix(',').and_then(|l| l.split_once(" -> ")) {
            let inner = kind.strip_prefix("Nullable<").and_then(|k| k.strip_suffix('>'));
            let described = (inner.unwrap_or(kind).to_owned(), inner.is_some());
            tables.get_mut(&table).unwrap().insert(column.to_owned(), described);
        } else if let Some((name, _)) = line.strip_suffix(") {").and_then(|l| l.split_once(" (")) {
            table = name.to_owned();
            tables.insert(table.clone(), BTreeMap::new());
        }
    }
    assert!(tables.len() > 10, "schema.rs was not understood");
    tables
}

fn found(rows: Vec<Found>, types: &[(&str, &str)]) -> Tables {
    let mut tables = Tables::new();
    for row in rows {
        let kind = types.iter().find(|(sql, _)| *sql == row.sql_type).map(|(_, kind)| *kind);
        let kind = kind.unwrap_or(&row.sql_type).to_owned();
        tables.entry(row.table_name).or_default().insert(row.column_name, (kind, row.nullable));
    }
    tables
}

#[test]
fn sqlite_equals_schema() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sqlite").display().to_string();
    Store::connect(&format!("sqlite:{path}")).unwrap().migrate().unwrap();
    let rows = diesel::sql_query(
        "SELECT t.name AS table_name, c.name AS column_name, c.type AS sql_type, \
         c.\"notnull\" = 0 AS nullable FROM sqlite_master t, pragma_table_info(t.name) c \
         WHERE t.type = 'table' AND t.name NOT LIKE '\\_\\_%' ESCAPE '\\'",
    )
    .load::<Found>(&mut SqliteConnection::establish(&path).unwrap())
    .unwrap();
    let types = [("TEXT", "Text"), ("BIGINT", "BigInt"), ("BOOLEAN", "Bool"), ("BLOB", "Binary")];
    assert_eq!(found(rows, &types), written());
}

#[test]
fn postgres_equals_schema() {
    let Some(server) = PostgresServer::start_or_skip().unwrap() else { return };
    let url = server.database().unwrap();
    Store::connect(&url).unwrap().migrate().unwrap();
    let rows = diesel::sql_query(
        "SELECT table_name::text, column_name::text, data_type::text AS sql_type, \
         is_nullable = 'YES' AS nullable FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%'",
    )
    .load::<Found>(&mut PgConnection::establish(&url).unwrap())
    .unwrap();
    let types = [("text", "Text"), ("bigint", "BigInt"), ("boolean", "Bool"), ("bytea", "Binary")];
    assert_eq!(found(rows, &types), written());
}

#[test]
fn several_programs_may_migrate_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("s.sqlite").display());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| Store::connect(&url).unwrap().migrate().unwrap());
        }
    });
}

/// `.cargo/config.toml` says how SQLite is built, the store how a file is made.
#[test]
fn sqlite_is_as_it_is_meant_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.sqlite").display().to_string();
    Store::connect(&format!("sqlite:{path}")).unwrap().migrate().unwrap();
    let mut c = SqliteConnection::establish(&path).unwrap();
    for what in [
        "sqlite_compileoption_used('THREADSAFE=2')",
        "sqlite_compileoption_used('DEFAULT_MEMSTATUS=0')",
        "(SELECT page_size = 8192 FROM pragma_page_size)",
        "(SELECT journal_mode = 'wal' FROM pragma_journal_mode)",
    ] {
        let holds: bool = diesel::select(sql::<Bool>(what)).get_result(&mut c).unwrap();
        assert!(holds, "{what}");
    }
}
