use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SECRET: [u8; 32] = *b"the secret of these tests, 32 by";
const OTHER: [u8; 40] = [9; 40];

fn token() -> Token {
    Token::new([SECRET], "login").unwrap()
}

/// The functions that create a token and verify it.
type Way = (
    fn(&Token, &Value, u64) -> String,
    fn(&Token, Option<&str>) -> Result<Value, TokenError>,
);

const WAYS: [Way; 2] = [
    (
        |token, value, time| token.sign_at(value, time).unwrap(),
        |token, text| token.verify(text),
    ),
    (
        |token, value, time| token.encrypt_at(value, time).unwrap(),
        |token, text| token.decrypt(text),
    ),
];

#[test]
fn what_is_said_is_heard() {
    for (make, check) in WAYS {
        for value in [
            json!(7),
            json!(null),
            json!({"user": "ada", "roles": [1, 2]}),
        ] {
            let text = make(&token(), &value, now());
            assert_eq!(check(&token(), Some(&text)), Ok(value));
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            assert!(text.chars().all(plain), "{text} fits a URL and a header");
        }
    }
}

#[test]
fn none_is_missing_and_nonsense_is_invalid() {
    for (_, check) in WAYS {
        assert_eq!(check(&token(), None), Err(TokenError::Missing));
        for text in ["", "A", "AA", "bogus", "====", "é", &"A".repeat(1000)] {
            assert_eq!(
                check(&token(), Some(text)),
                Err(TokenError::Invalid),
                "{text}"
            );
        }
    }
}

#[test]
fn another_salt_or_another_secret_is_invalid() {
    let strangers = [
        Token::new([SECRET], "reset").unwrap(),
        Token::new([SECRET], "logi").unwrap(),
        Token::new([OTHER], "login").unwrap(),
    ];
    for (make, check) in WAYS {
        for stranger in &strangers {
            let text = make(stranger, &json!(1), now());
            assert_eq!(check(stranger, Some(&text)), Ok(json!(1)));
            assert_eq!(check(&token(), Some(&text)), Err(TokenError::Invalid));
        }
    }
}

#[test]
fn a_signed_token_is_not_an_encrypted_one() {
    let [(sign, verify), (encrypt, decrypt)] = WAYS;
    let (signed, encrypted) = (
        sign(&token(), &json!(1), now()),
        encrypt(&token(), &json!(1), now()),
    );
    assert_eq!(decrypt(&token(), Some(&signed)), Err(TokenError::Invalid));
    assert_eq!(verify(&token(), Some(&encrypted)), Err(TokenError::Invalid));
}

#[test]
fn after_a_rotation_old_tokens_hold_and_new_ones_are_of_the_new_secret() {
    let rotated = Token::new([&OTHER[..], &SECRET[..]], "login").unwrap();
    let new_only = Token::new([OTHER], "login").unwrap();
    for (make, check) in WAYS {
        let (old, new) = (
            make(&token(), &json!(1), now()),
            make(&rotated, &json!(2), now()),
        );
        assert_eq!(check(&rotated, Some(&old)), Ok(json!(1)));
        assert_eq!(check(&rotated, Some(&new)), Ok(json!(2)));
        assert_eq!(check(&new_only, Some(&new)), Ok(json!(2)));
        assert_eq!(check(&new_only, Some(&old)), Err(TokenError::Invalid));
        assert_eq!(check(&token(), Some(&new)), Err(TokenError::Invalid));
    }
}

#[test]
fn an_old_token_has_expired() {
    const DAY: u64 = 86_400_000;
    let ages = [
        (0, true),
        (DAY - 60_000, true),
        (DAY + 60_000, false),
        (DAY * 3650, false),
    ];
    for (make, check) in WAYS {
        for (age, holds) in ages {
            let text = make(&token(), &json!(1), now() - age);
            let expected = if holds {
                Ok(json!(1))
            } else {
                Err(TokenError::Expired)
            };
            assert_eq!(check(&token(), Some(&text)), expected, "{age} ms");
            assert_eq!(check(&token().any_age(), Some(&text)), Ok(json!(1)));
        }
        let short = token().max_age(Duration::from_secs(1));
        let text = make(&token(), &json!(1), now() - 2000);
        assert_eq!(check(&short, Some(&text)), Err(TokenError::Expired));
        // Another server's clock may be ahead.
        let text = make(&token(), &json!(1), now() + 60_000);
        assert_eq!(check(&short, Some(&text)), Ok(json!(1)));
    }
}

#[test]
fn a_token_of_another_type_is_invalid() {
    let text = token().sign("seven").unwrap();
    assert_eq!(token().verify::<u32>(&*text), Err(TokenError::Invalid));
    let text = token().encrypt("seven").unwrap();
    assert_eq!(token().decrypt::<u32>(&*text), Err(TokenError::Invalid));
}

#[test]
fn what_is_encrypted_cannot_be_read_and_never_looks_the_same() {
    let value = json!("a secret for the server alone");
    let contains = |text: &str| {
        let bytes = BASE64.decode(text.as_bytes()).unwrap();
        bytes.windows(6).any(|window| window == b"secret")
    };
    let (one, two) = (
        token().encrypt(&value).unwrap(),
        token().encrypt(&value).unwrap(),
    );
    assert_ne!(one, two);
    assert!(!contains(&one) && !contains(&two));
    assert!(contains(&token().sign(&value).unwrap()));
}

#[test]
fn short_secrets_and_none_are_refused() {
    let short =
        |secrets: &[&[u8]]| matches!(Token::new(secrets, "login"), Err(ConfigError::Secret));
    assert!(short(&[]) && short(&[b"short"]) && short(&[&SECRET, &SECRET[1..]]));
    assert!(!short(&[&SECRET]));
    let error = ConfigError::Secret.to_string();
    assert!(error.contains("32 bytes"), "{error}");
}

#[test]
fn nothing_that_is_printed_holds_a_secret_or_a_key() {
    let token = Token::new([b"hunter2 hunter2 hunter2 hunter2 "], "login").unwrap();
    let shown = format!("{token:?} {token:#?}");
    assert!(
        shown.contains("login") && !shown.contains("hunter2"),
        "{shown}"
    );
    assert!(!shown.contains("104, 117, 110"), "{shown}");
}

#[test]
fn a_client_is_told_the_same_whatever_is_wrong() {
    for error in [
        TokenError::Missing,
        TokenError::Invalid,
        TokenError::Expired,
    ] {
        assert_eq!(Refusal::from(error).reason(), Some("unauthorized"));
    }
}

proptest! {
    #[test]
    fn no_bit_of_a_token_can_be_changed(value: String, at: prop::sample::Index, bit in 0..6_u32) {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        for (make, check) in WAYS {
            let mut text = make(&token(), &json!(value), now()).into_bytes();
            let at = at.index(text.len());
            let digit = ALPHABET.iter().position(|c| *c == text[at]).unwrap();
            text[at] = ALPHABET[digit ^ (1 << bit)];
            let text = String::from_utf8(text).unwrap();
            prop_assert_eq!(check(&token(), Some(&text)), Err(TokenError::Invalid));
        }
    }

    #[test]
    fn no_token_can_be_shortened_or_lengthened(value: String, cut: prop::sample::Index, more: String) {
        for (make, check) in WAYS {
            let text = make(&token(), &json!(value), now());
            let short = &text[..cut.index(text.len())];
            prop_assert_eq!(check(&token(), Some(short)), Err(TokenError::Invalid));
            if !more.is_empty() {
                let long = format!("{text}{more}");
                prop_assert_eq!(check(&token(), Some(&long)), Err(TokenError::Invalid));
            }
        }
    }

    #[test]
    fn any_text_is_only_invalid(text: String) {
        for (_, check) in WAYS {
            prop_assert_eq!(check(&token(), Some(&text)), Err(TokenError::Invalid));
        }
    }
}
