use super::*;
use crate::value::Type;
use proptest::prelude::*;
use serde_json::Value as Json;

fn recording(name: &str) -> Json {
    let path = format!("{}/tests/traces/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the recording is in the tree");
    serde_json::from_str(&text).expect("it is JSON")
}

/// `h6.wl` of the recording, and its rows as the snapshots have them.
fn language() -> (Table, Vec<Row>) {
    let table = Table::new("h6", "wl")
        .column("id", Type::Int4)
        .column("n", Type::Int4)
        .column("v", Type::Text)
        .column("arr", Type::named("int[]"))
        .column("d", Type::Date)
        .column("ts", Type::Timestamptz)
        .column("e", Type::enumeration("wle", ["sad", "ok"]))
        .column("u", Type::Uuid)
        .column("f", Type::Float8)
        .column("nu", Type::Numeric)
        .column("iv", Type::Interval)
        .column("j", Type::named("jsonb"))
        .column("b", Type::Bool)
        .primary_key(["id"]);
    let rows = [
        [
            Some("1"),
            Some("1"),
            Some("v1"),
            Some("{1,2}"),
            Some("2024-01-01"),
            Some("2024-01-01 00:00:00+00"),
            Some("sad"),
            Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            Some("1"),
            Some("1.5"),
            Some("PT30M"),
            Some("{\"a\": \"x\"}"),
            Some("true"),
        ],
        [
            Some("2"),
            Some("2"),
            Some("v2"),
            Some("{2,3}"),
            Some("2024-01-02"),
            Some("2024-02-01 00:00:00+00"),
            Some("ok"),
            None,
            Some("1.6"),
            Some("1.50"),
            Some("PT2H"),
            Some("{}"),
            Some("false"),
        ],
        [
            Some("3"),
            Some("3"),
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
        ],
        [
            Some("4"),
            Some("4"),
            Some("V1"),
            Some("{9}"),
            Some("2024-03-01"),
            Some("2024-03-01 00:00:00+00"),
            Some("ok"),
            None,
            Some("NaN"),
            Some("2"),
            Some("P1D"),
            None,
            Some("true"),
        ],
    ];
    (table, rows.map(Row::from).to_vec())
}

fn errs() -> Table {
    Table::new("h6", "errs")
        .column("id", Type::Int4)
        .column("v", Type::Text)
        .column("n", Type::Int4)
        .primary_key(["id"])
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Rows(Vec<String>),
    Refused(String),
}

fn ours(text: &str, table: &Table, rows: &[Row], params: &[SmolStr]) -> Outcome {
    match Predicate::parse(text, table, params) {
        Err(error) => Outcome::Refused(error.to_string()),
        Ok(predicate) => {
            let found = rows
                .iter()
                .filter(|row| predicate.matches(row).expect("it has a value"));
            Outcome::Rows(
                found
                    .map(|row| row.get(0).unwrap_or("").to_owned())
                    .collect(),
            )
        }
    }
}

/// Each exchange with a clause, what Electric answered, and what is answered here.
fn replayed(name: &str, table: &Table, rows: &[Row]) -> Vec<(String, Outcome, Outcome)> {
    let mut cases = Vec::new();
    for step in recording(name)["steps"].as_array().expect("steps") {
        let query = &step["http"]["query"];
        let Some(text) = query["where"].as_str().filter(|text| !text.is_empty()) else {
            continue;
        };
        let mut params: Vec<SmolStr> = Vec::new();
        while let Some(param) = query[format!("params[{}]", params.len() + 1)].as_str() {
            params.push(param.into());
        }
        let body = &step["expect"]["body"];
        // Mistakes of the parameters' form are the protocol's.
        if body["errors"]["params"].is_array() {
            continue;
        }
        let theirs = match step["expect"]["status"].as_u64() {
            Some(200) => {
                let rows = body.as_array().expect("messages").iter();
                let ids = rows.filter_map(|m| m["value"]["id"].as_str().map(str::to_owned));
                Outcome::Rows(ids.collect())
            }
            Some(400) => Outcome::Refused(
                body["errors"]["where"][0]
                    .as_str()
                    .expect("an error")
                    .to_owned(),
            ),
            _ => Outcome::Refused("500".into()),
        };
        cases.push((text.to_owned(), theirs, ours(text, table, rows, &params)));
    }
    cases
}

#[test]
fn recorded_clauses_have_the_recorded_rows_and_errors() {
    let (table, rows) = language();
    let mut cases = replayed("26-where-language", &table, &rows);
    assert_eq!(cases.len(), 64);
    cases.extend(replayed("15-errors", &errs(), &[]));
    assert_eq!(cases.len(), 64 + 19);
    let different: Vec<_> = cases
        .iter()
        .filter(|(_, theirs, ours)| theirs != ours)
        .collect();
    let texts: Vec<_> = different.iter().map(|(text, ..)| text.as_str()).collect();
    // Each of these differs on purpose, and has a test of its own below.
    assert_eq!(
        texts,
        [
            "e = 'ok'",
            "n IN (SELECT id FROM h6.wl2 WHERE ok)",
            "n = 2147483648"
        ],
        "{different:#?}"
    );
}

#[test]
fn better_than_recorded_an_enum_is_compared_with_its_labels() {
    let (table, rows) = language();
    let rows_of = |ids: &[&str]| Outcome::Rows(ids.iter().map(|id| id.to_string()).collect());
    assert_eq!(ours("e = 'ok'", &table, &rows, &[]), rows_of(&["2", "4"]));
    assert_eq!(
        ours("e <> $1", &table, &rows, &["ok".into()]),
        rows_of(&["1"])
    );
    let wrong = Outcome::Refused("At location 4: invalid syntax for type enum wle: glad".into());
    assert_eq!(ours("e = 'glad'", &table, &rows, &[]), wrong);
}

#[test]
fn better_than_recorded_an_integer_out_of_range_is_the_clients_mistake() {
    let text = "At location 4: 2147483648 is out of range for type int4";
    let (table, rows) = language();
    assert_eq!(
        ours("n = 2147483648", &table, &rows, &[]),
        Outcome::Refused(text.into())
    );
    let big = Table::new("h6", "big").column("id", Type::Int8);
    assert!(Predicate::parse("id = 2147483648", &big, &[]).is_ok());
}

#[test]
fn not_there_yet_subqueries_are_refused_by_name() {
    let text = "At location 13: subqueries are not supported by this server yet";
    let (table, rows) = language();
    let clause = "n IN (SELECT id FROM h6.wl2 WHERE ok)";
    assert_eq!(
        ours(clause, &table, &rows, &[]),
        Outcome::Refused(text.into())
    );
}

#[test]
fn operators_bind_as_postgres_binds_them() {
    let (table, _) = language();
    let sql = |text: &str| match Predicate::parse(text, &table, &[]) {
        Ok(p) => p.sql().to_owned(),
        Err(e) => e.to_string(),
    };
    assert_eq!(
        sql("b OR b AND NOT b = b"),
        r#"("b" OR ("b" AND (NOT ("b" = "b"))))"#
    );
    assert_eq!(sql("n - 1 - 1 = 0"), r#"((("n" - 1) - 1) = 0)"#);
    assert_eq!(
        sql("-2 ^ 2 = 4"),
        r#"(((-2)::float8 ^ (2)::float8) = (4)::float8)"#
    );
    assert_eq!(
        sql("v || 'a' || n + 1 = 'x'"),
        sql("((v || 'a') || (n + 1)) = 'x'")
    );
    assert_eq!(sql("n < 1 IS NULL"), r#"(("n" < 1) IS NULL)"#);
    assert_eq!(sql("NOT n IS NULL"), r#"(NOT ("n" IS NULL))"#);
    assert_eq!(
        sql("n = 1 = b"),
        "At location 21: syntax error at or near \"=\""
    );
    assert_eq!(sql("v < 'a'"), r#"("v" COLLATE "C" < 'a'::text)"#);
    assert_eq!(sql("n<-1"), r#"("n" < -1)"#);
    assert_eq!(sql(r"v = E'\\'"), r#"("v" = E'\\'::text)"#);
}

#[test]
fn what_would_take_too_much_is_refused() {
    let (table, rows) = language();
    let deep = "(".repeat(10_000) + "b" + &")".repeat(10_000);
    let refused = |text: &str| matches!(ours(text, &table, &rows, &[]), Outcome::Refused(_));
    assert!(refused(&deep));
    assert!(refused(&format!("n = 1{}", " + 1".repeat(10_000))));
    assert!(refused(&format!("b = {}b", "NOT ".repeat(10_000))));
    assert!(refused(&format!("arr = {}", "ARRAY[".repeat(10_000))));
    assert!(refused(&" ".repeat(lex::MAX_LENGTH + 1)));
    // A long list and a long chain do not count as depth.
    let many: Vec<String> = (0..10_000).map(|i| format!("n = {i}")).collect();
    assert_eq!(
        ours(&many.join(" OR "), &table, &rows, &[]),
        ours("true", &table, &rows, &[])
    );
    // A pattern of many parts ends in time.
    let pattern = format!("v LIKE '{}'", "%a".repeat(5_000));
    assert_eq!(
        ours(&pattern, &table, &rows, &[]),
        ours("false", &table, &rows, &[])
    );
}

#[test]
fn a_clause_says_which_values_an_index_can_use() {
    let (table, _) = language();
    let keys = |text: &str| {
        let keys = Predicate::parse(text, &table, &["7".into()])
            .expect("it parses")
            .keys()?;
        Some((
            keys.column,
            keys.values
                .iter()
                .map(|v| v.to_string())
                .collect::<Vec<_>>(),
        ))
    };
    let some = |column, values: &[&str]| {
        Some((
            column,
            values.iter().map(|v| v.to_string()).collect::<Vec<_>>(),
        ))
    };
    assert_eq!(keys("n = 1 AND v LIKE 'a%'"), some(1, &["1"]));
    assert_eq!(keys("$1 = n"), some(1, &["7"]));
    assert_eq!(keys("n IN (3, 1, NULL, 1)"), some(1, &["1", "3"]));
    assert_eq!(keys("n = ANY('{5,NULL}') OR n = 6"), some(1, &["5", "6"]));
    assert_eq!(keys("n = 1 OR v = 'x'"), None);
    assert_eq!(keys("n <> 1"), None);
    assert_eq!(keys("NOT n = 1"), None);
    assert_eq!(keys("nu = 1"), None);
    assert_eq!(keys("n = 1.0"), None);
    assert_eq!(keys("n = NULL"), some(1, &[]));
}

fn clause() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just("n".to_owned()),
        Just("f".to_owned()),
        Just("nu".to_owned()),
        Just("arr[1]".to_owned()),
        (-3i32..5).prop_map(|i| i.to_string()),
        Just("1.5".to_owned()),
        Just("NULL::int4".to_owned()),
    ];
    let number = number.prop_recursive(2, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), "[-+*]", inner.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            inner.clone().prop_map(|a| format!("@ {a}")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("greatest({a}, {b})")),
        ]
    });
    let text = prop_oneof![
        Just("v".to_owned()),
        Just("lower(v)".to_owned()),
        Just("coalesce(v, 'V1')".to_owned()),
        "[a-zA-Z0-9'%_ ]{0,4}".prop_map(|s| format!("'{}'", s.replace('\'', "''"))),
        Just("n::text".to_owned()),
    ];
    let comparison = "(=|<>|<|<=|>|>=)";
    let atom = prop_oneof![
        Just("b".to_owned()),
        Just("NULL::bool".to_owned()),
        (number.clone(), comparison, number.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
        (text.clone(), comparison, text.clone()).prop_map(|(a, o, b)| format!("v || {a} {o} {b}")),
        (text.clone(), "(LIKE|ILIKE|NOT LIKE)", text)
            .prop_map(|(a, o, b)| format!("v || {a} {o} {b}")),
        (number.clone(), number.clone(), number.clone())
            .prop_map(|(a, b, c)| format!("{a} BETWEEN {b} AND {c}")),
        (number.clone(), number.clone(), number.clone())
            .prop_map(|(a, b, c)| format!("{a} IN ({b}, {c})")),
        (number.clone(), number).prop_map(|(a, b)| format!("{a} IS DISTINCT FROM {b}")),
        Just("arr @> ARRAY[2]".to_owned()),
        Just("2 = ANY(arr)".to_owned()),
        Just("d + 1 > '2024-01-02'".to_owned()),
    ];
    atom.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            (inner.clone(), "(AND|OR)", inner.clone())
                .prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            inner.clone().prop_map(|a| format!("NOT ({a})")),
            (inner, "(TRUE|NOT FALSE|UNKNOWN|NOT NULL)")
                .prop_map(|(a, test)| format!("({a}) IS {test}")),
        ]
    })
}

fn truths(text: &str) -> Vec<Result<Option<bool>, EvalError>> {
    let (table, rows) = language();
    let predicate = Predicate::parse(text, &table, &[]).unwrap_or_else(|e| panic!("{text}: {e}"));
    rows.iter().map(|row| predicate.evaluate(row)).collect()
}

proptest! {
    #[test]
    fn properties_no_text_makes_the_reader_panic(text in ".{0,60}") {
        let _ = Predicate::parse(&text, &language().0, &[]);
    }

    #[test]
    fn properties_no_tokens_make_the_reader_panic(
        words in prop::collection::vec("(n|v|arr|b|1|'x'|\\$1|NULL|NOT|AND|OR|IS|IN|\\(|\\)|,|=|<|-|\\[|\\]|:|::|int4|ANY|BETWEEN|LIKE|CASE|ARRAY|\\.|AT|TIME|ZONE)", 0..12)
    ) {
        let (table, rows) = language();
        if let Ok(predicate) = Predicate::parse(&words.join(" "), &table, &["1".into()]) {
            for row in &rows {
                let _ = predicate.matches(row);
            }
        }
    }

    #[test]
    fn properties_what_is_printed_is_read_as_the_same(text in clause()) {
        let (table, rows) = language();
        let first = Predicate::parse(&text, &table, &[])
            .map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
        // COLLATE is printed for Postgres; the language does not have it.
        let printed = first.sql().replace(" COLLATE \"C\"", "");
        let again = Predicate::parse(&printed, &table, &[])
            .map_err(|e| TestCaseError::fail(format!("{text} is printed as {printed}: {e}")))?;
        prop_assert_eq!(first.sql(), again.sql());
        for row in &rows {
            prop_assert_eq!(first.evaluate(row), again.evaluate(row), "{}", text);
        }
    }

    #[test]
    fn properties_the_laws_of_three_values_hold(a in clause(), b in clause()) {
        let (x, y) = (truths(&a), truths(&b));
        let and = truths(&format!("({a}) AND ({b})"));
        let or_of_nots = truths(&format!("NOT (NOT ({a}) OR NOT ({b}))"));
        let either = truths(&format!("({a}) OR ({b})"));
        for i in 0..x.len() {
            let (Ok(x), Ok(y)) = (&x[i], &y[i]) else { continue };
            let expected = match (x, y) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
            prop_assert_eq!(&and[i], &Ok(expected));
            prop_assert_eq!(&or_of_nots[i], &Ok(expected));
            let expected = match (x, y) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
            prop_assert_eq!(&either[i], &Ok(expected));
        }
    }

    #[test]
    fn properties_a_row_of_a_clause_has_one_of_its_keys(text in clause(), n in -3i32..5) {
        let (table, rows) = language();
        let text = format!("(n = {n} OR n IN (1, 2)) AND ({text})");
        let predicate = Predicate::parse(&text, &table, &[])
            .map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
        let keys = predicate.keys().expect("it has keys");
        for row in &rows {
            if predicate.matches(row) == Ok(true) {
                let value = row.get(keys.column).expect("not null");
                prop_assert!(keys.values.iter().any(|key| key == value));
            }
        }
    }
}
