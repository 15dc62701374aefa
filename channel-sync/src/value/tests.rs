use super::*;

#[track_caller]
fn reads(ty: &str, pairs: &[(&str, &str)]) {
    let ty = Type::named(ty);
    for (text, canonical) in pairs {
        let value = Value::parse(text, &ty).unwrap_or_else(|_| panic!("{text} is a {ty}"));
        assert_eq!(
            value.to_text(&ty).as_deref(),
            Some(*canonical),
            "{text} as {ty}"
        );
        let again = Value::parse(canonical, &ty).expect("its own text is read");
        assert_eq!(value.order(&again, &ty), Ordering::Equal, "{text} as {ty}");
    }
}

#[track_caller]
fn refuses(ty: &str, texts: &[&str]) {
    for text in texts {
        assert!(
            Value::parse(text, &Type::named(ty)).is_err(),
            "{text:?} is no {ty}"
        );
    }
}

#[test]
fn text_of_each_type_is_written_as_postgres_writes_it() {
    reads(
        "bool",
        &[
            ("t", "true"),
            ("false", "false"),
            ("YES", "true"),
            ("of", "false"),
            (" 1 ", "true"),
        ],
    );
    reads("int2", &[("-32768", "-32768"), (" 7 ", "7"), ("+7", "7")]);
    reads(
        "float8",
        &[
            ("0.1", "0.1"),
            ("1e20", "1e+20"),
            ("1e-5", "1e-05"),
            ("NaN", "NaN"),
            ("-inf", "-Infinity"),
            ("100000000000000", "100000000000000"),
            ("1e15", "1e+15"),
        ],
    );
    reads(
        "float4",
        &[("1.1", "1.1"), ("1e6", "1e+06"), ("123456", "123456")],
    );
    reads(
        "numeric",
        &[
            ("1.50", "1.50"),
            ("1e3", "1000"),
            ("-0.5", "-0.5"),
            (".5", "0.5"),
            ("NaN", "NaN"),
            ("Infinity", "Infinity"),
            (
                "123456789012345678901234567890.123456789",
                "123456789012345678901234567890.123456789",
            ),
        ],
    );
    reads(
        "uuid",
        &[
            (
                "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            ),
            (
                "{a0eebc999c0b4ef8bb6d6bb9bd380a11}",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            ),
        ],
    );
    reads(
        "date",
        &[
            ("2024-02-29", "2024-02-29"),
            ("0044-03-15 BC", "0044-03-15 BC"),
            ("infinity", "infinity"),
            ("2024-01-01 10:00:00", "2024-01-01"),
        ],
    );
    reads(
        "time",
        &[
            ("23:59:59.123456", "23:59:59.123456"),
            ("00:00", "00:00:00"),
            ("24:00:00", "24:00:00"),
            ("01:02:03.4567895", "01:02:03.45679"),
        ],
    );
    reads(
        "timestamp",
        &[
            ("2024-01-02 03:04:05.6789", "2024-01-02 03:04:05.6789"),
            ("2024-01-02T03:04:05Z", "2024-01-02 03:04:05"),
            ("-infinity", "-infinity"),
            ("1969-12-31 23:59:59.5", "1969-12-31 23:59:59.5"),
        ],
    );
    reads(
        "timestamptz",
        &[
            ("2024-01-02 03:04:05.678+02", "2024-01-02 01:04:05.678+00"),
            ("0001-01-01 00:00:00+00 BC", "0001-01-01 00:00:00+00 BC"),
            ("2024-01-01", "2024-01-01 00:00:00+00"),
            ("2024-01-01 00:00:00-03:30", "2024-01-01 03:30:00+00"),
        ],
    );
    reads(
        "interval",
        &[
            ("1 year 2 mons 3 days 04:05:06.7", "P1Y2M3DT4H5M6.7S"),
            ("-1 mons +2 days -03:00", "P-1M2DT-3H"),
            ("-00:00:01", "PT-1S"),
            ("30 min", "PT30M"),
            ("0", "PT0S"),
            ("P1Y2M3DT4H5M6.7S", "P1Y2M3DT4H5M6.7S"),
            ("PT-0.5S", "PT-0.5S"),
            ("1 day ago", "P-1D"),
        ],
    );
    reads(
        "int[]",
        &[
            ("{1,NULL,3}", "{1,NULL,3}"),
            ("{{1,2},{3,4}}", "{{1,2},{3,4}}"),
            ("{}", "{}"),
            (" { 1 , 2 } ", "{1,2}"),
            ("[0:1]={1,2}", "[0:1]={1,2}"),
        ],
    );
    reads(
        "text[]",
        &[(
            r#"{a,"NULL",NULL,"q\"x","c,d","{}",""," sp"}"#,
            r#"{a,"NULL",NULL,"q\"x","c,d","{}",""," sp"}"#,
        )],
    );
}

#[test]
fn what_is_not_of_the_type_is_refused() {
    refuses("int4", &["", "abc", "2147483648", "1.0", "1 2"]);
    refuses("bool", &["", "o", "tru e", "2"]);
    refuses("float8", &["", "x", "1e400", "0x10", "1e", "."]);
    refuses("numeric", &["", "1e999999999", "--1", "1_000"]);
    refuses(
        "uuid",
        &[
            "",
            "a0eebc99",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
            "a-0eebc999c0b4ef8bb6d6bb9bd380a11",
        ],
    );
    refuses(
        "date",
        &["", "2023-02-29", "2024-13-01", "24-01-01", "0000-01-01"],
    );
    refuses("time", &["", "25:00", "10:60", "10", "24:00:01"]);
    refuses("timestamp", &["", "2024-01-01 99:00:00", "999999-01-01"]);
    refuses("interval", &["", "P", "1 fortnight", "P1H", "x"]);
    refuses(
        "int[]",
        &[
            "",
            "{",
            "{1",
            "{1,}",
            "{{1},{2,3}}",
            "{1,{2}}",
            "{{1},2}",
            "1,2",
            "{1}}",
            "[1:3]={1}",
            "{{{{{{{1}}}}}}}",
        ],
    );
}

#[test]
fn a_quotient_has_the_digits_that_postgres_gives_it() {
    let divided = |a: &str, b: &str| {
        let (Ok(Numeric::Finite(a)), Ok(Numeric::Finite(b))) =
            (Numeric::parse(a), Numeric::parse(b))
        else {
            panic!("two decimals")
        };
        divide(&a, &b).map(|q| Numeric::Finite(q).to_string())
    };
    // Each as `select a::numeric / b::numeric` of Postgres 15 has it.
    assert_eq!(divided("1", "3").as_deref(), Some("0.33333333333333333333"));
    assert_eq!(divided("10", "4").as_deref(), Some("2.5000000000000000"));
    assert_eq!(
        divided("-2", "3").as_deref(),
        Some("-0.66666666666666666667")
    );
    assert_eq!(
        divided("123456789", "7").as_deref(),
        Some("17636684.142857142857")
    );
    assert_eq!(divided("1", "0"), None);
}
