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
    memory.clear_cool_down(&id(INSTANCE));
    assert!(!memory.is_refused(&id(INSTANCE), Timestamp(START)));
}

#[test]
fn an_instance_that_is_forgotten_has_no_token() {
    let memory = Memory::default();
    memory.tokens.keep(&id(INSTANCE), token(300, START));
    memory.forget(&id(INSTANCE));
    assert!(memory.tokens.value(&id(INSTANCE)).is_none());
}

#[test]
fn a_wait_of_five_seconds_takes_few_looks_and_a_short_one_ends_soon() {
    use crate::fake::Fake;
    use crate::platform::Platform as _;
    for (work, latest) in [(5_000, 5_400), (200, 300), (30, 45)] {
        let (fake, flights) = (Fake::default(), Flights::<u32, u32>::default());
        let began = fake.now_millis();
        let turn = Turn { force: false, lead_millis: 20_000, wait_until_millis: began + 15_000 };
        let leader = flights.share(&fake, &1, turn, async {
            fake.sleep(Duration::from_millis(work)).await;
            Ok(7)
        });
        let follower = async {
            let value = flights.share(&fake, &1, turn, async { unreachable!("the other one does it") }).await;
            (value, fake.now_millis() - began)
        };
        let before = fake.clock().sleeps();
        let (first, (second, took)) = fake.clock().run(futures::future::join(leader, follower));
        assert_eq!((first, second), (Ok(7), Ok(7)));
        assert!((work..=latest).contains(&took), "{work} ms of work were seen after {took} ms");
        assert!(fake.clock().sleeps() - before <= 26, "each look costs CPU");
    }
}

#[test]
fn what_is_remembered_is_bounded_and_takes_no_room_before_it_is_there() {
    let memory = Memory::default();
    let id = |number: usize| InstanceId::parse(&format!("aaaaaaaa-bbbb-4ccc-8ddd-{number:012}")).unwrap();
    for number in 0..3 * CAPACITY {
        memory.refuse(&id(number), Timestamp(10));
        memory.tokens.keep(&id(number), token(300, 0));
    }
    assert_eq!(memory.refused.0.borrow().len(), CAPACITY);
    assert_eq!(memory.tokens.slots.0.borrow().len(), CAPACITY);
    assert!(memory.is_refused(&id(3 * CAPACITY - 1), Timestamp(0)), "the latest are kept");
    assert!(!memory.is_refused(&id(0), Timestamp(0)));
}
