//! Tests that SQLite finds rows by an index, and never by reading a whole log.

use super::{rows, schema, sums};
use rusqlite::Connection;

/// The files with the statements that are used while serving.
const SOURCES: &[(&str, &str)] = &[
    ("marks.rs", include_str!("marks.rs")),
    ("messages.rs", include_str!("messages.rs")),
    ("pages.rs", include_str!("pages.rs")),
    ("repeats.rs", include_str!("repeats.rs")),
    ("rows.rs", include_str!("rows.rs")),
    ("snapshot.rs", include_str!("snapshot.rs")),
    ("write.rs", include_str!("write.rs")),
];

/// The string literals of a source; those of one `concat!` are joined.
fn literals(source: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_joined = false;
    let mut rest = source;
    while let Some(start) = rest.find(['"', '/', ';', '{', '\'']) {
        let (between, behind) = rest.split_at(start);
        is_joined &= between.chars().all(|char| char == ',' || char.is_whitespace())
            || between.contains("entry_columns!()");
        rest = &behind[1..];
        match behind.as_bytes()[0] {
            b'"' => {
                let mut text = String::new();
                let mut chars = rest.char_indices();
                while let Some((place, char)) = chars.next() {
                    match char {
                        '"' => {
                            rest = &rest[place + 1..];
                            break;
                        }
                        '\\' => {
                            if let Some((place, '\n')) = chars.next() {
                                let more = &rest[place + 1..];
                                rest = more.trim_start();
                                chars = rest.char_indices();
                            }
                        }
                        other => text.push(other),
                    }
                }
                if is_joined && between.contains("entry_columns!()") {
                    let columns = rows::entry_columns!();
                    let before = found.last_mut().expect("columns come behind a literal");
                    *before += &(columns.to_owned() + &text);
                } else {
                    found.push(text);
                }
                is_joined = true;
            }
            b'/' if rest.starts_with('/') => {
                rest = rest.split_once('\n').map_or("", |(_, behind)| behind);
                is_joined = false;
            }
            // A character, not a lifetime.
            b'\'' if rest[1..].starts_with('\'') => rest = &rest[2..],
            b'/' | b'\'' => {}
            _ => is_joined = false,
        }
    }
    found
}

#[test]
fn every_statement_about_entries_goes_by_an_index() {
    let mut db = Connection::open_in_memory().unwrap();
    sums::add_row_sum(&db).unwrap();
    schema::prepare(&mut db, "epoch").unwrap().unwrap();
    let mut count = 0;
    for (file, source) in SOURCES {
        for sql in literals(source) {
            let is_statement =
                ["SELECT ", "UPDATE ", "DELETE "].iter().any(|word| sql.starts_with(word));
            if !is_statement || !(sql.contains(" entries") || sql.contains(" reactions")) {
                continue;
            }
            count += 1;
            let mut statement = db
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap_or_else(|error| panic!("{file}: {sql}: {error}"));
            let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
            let steps: Vec<String> = statement
                .query_map(rusqlite::params_from_iter(nothing), |row| row.get(3))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            let is_known =
                |step: &String| step.starts_with("SEARCH ") || step.starts_with("USE TEMP B-TREE");
            let goes_by_index = steps.iter().all(is_known);
            assert!(goes_by_index && !steps.is_empty(), "{file}: {sql}\n{steps:#?}");
        }
    }
    // The number of today, so that no statement is overlooked.
    assert_eq!(count, 23, "statements about entries and reactions");
}
