use super::*;
use crate::fake::clock::START;
use crate::fake::world::{INSTANCE, VICTIM};

fn token(life: u64, made: u64) -> Token {
    let expires_at = Timestamp(made + life);
    Token { access_token: AccessToken::new("t"), expires_at, life, checked_at: Timestamp(made) }
}

fn id(text: &str) -> InstanceId {
    InstanceId::parse(text).unwrap()
}

#[test]
fn a_token_is_fresh_while_it_has_more_life_than_its_margin() {
    for (life, margin) in [(300, 60), (600, 60), (3_599, 60), (3_600, 360), (14_400, 1_440), (86_400, 8_640)] {
        let token = token(life, START);
        assert!(token.is_fresh(Timestamp(START)), "{life}");
        assert!(token.is_fresh(Timestamp(START + life - margin - 1)), "{life}");
        assert!(!token.is_fresh(Timestamp(START + life - margin)), "{life}");
        assert!(!token.is_fresh(Timestamp(START + life + 1)), "{life}");
    }
}

#[test]
fn a_token_of_an_hour_and_more_is_worth_keeping() {
    assert!(!token(3_599, START).is_long_lived());
    assert!(token(3_600, START).is_long_lived());
}

#[test]
fn what_is_remembered_of_one_instance_is_not_told_of_another() {
    let memory = Memory::default();
    memory.tokens.keep(&id(INSTANCE), token(300, START));
    memory.refuse(&id(VICTIM), Timestamp(START + 30));
    assert!(memory.tokens.value(&id(INSTANCE)).is_some());
    assert!(memory.tokens.value(&id(VICTIM)).is_none());
    assert!(memory.is_refused(&id(VICTIM), Timestamp(START + 29)));
    assert!(!memory.is_refused(&id(VICTIM), Timestamp(START + 30)));
    assert!(!memory.is_refused(&id(INSTANCE), Timestamp(START)));
}

#[test]
fn a_refusal_can_be_forgiven() {
    let memory = Memory::default();
    memory.refuse(&id(INSTANCE), Timestamp(START + 30));
    memory.forgive(&id(INSTANCE));
    assert!(!memory.is_refused(&id(INSTANCE), Timestamp(START)));
}

#[test]
fn an_instance_that_is_forgotten_has_no_token() {
    let memory = Memory::default();
    memory.tokens.keep(&id(INSTANCE), token(300, START));
    memory.forget(&id(INSTANCE));
    assert!(memory.tokens.value(&id(INSTANCE)).is_none());
}
