use super::*;
use crate::testing::clock::START;

fn token(life: u64, issued: u64) -> Token {
    let expires_at = Timestamp(issued + life);
    Token { access_token: AccessToken::new("t"), expires_at, life, checked_at: Timestamp(issued) }
}

#[test]
fn a_token_is_fresh_until_its_margin_begins() {
    for (life, margin) in [(300, 60), (600, 60), (3_599, 60), (3_600, 360), (14_400, 1_440), (86_400, 8_640)] {
        let token = token(life, START);
        assert!(token.is_fresh(Timestamp(START)), "{life}");
        assert!(token.is_fresh(Timestamp(START + life - margin - 1)), "{life}");
        assert!(!token.is_fresh(Timestamp(START + life - margin)), "{life}");
        assert!(!token.is_fresh(Timestamp(START + life + 1)), "{life}");
    }
}

#[test]
fn a_token_of_an_hour_or_more_is_long_lived() {
    assert!(!token(3_599, START).is_long_lived());
    assert!(token(3_600, START).is_long_lived());
}

#[test]
fn a_token_is_printable_ascii_of_a_limited_length() {
    assert!(is_token("OAUTH2.abc"));
    assert!(is_token(&"t".repeat(TOKEN_LIMIT)));
    for text in ["", "two parts", "line\nbreak", "é", &"t".repeat(TOKEN_LIMIT + 1)] {
        assert!(!is_token(text), "{text:.20}");
    }
}
