use super::*;

#[test]
fn over_the_limit_only_the_oldest_code_and_install_token_are_dropped() {
    let mut world = World::default();
    for number in 0..=MAX_CODES {
        world.issue_code(number.to_string(), "an instance".to_owned(), 0);
        world.issue_install_token(number.to_string(), "a site".to_owned());
    }
    for known in [world.codes.contains_key("0"), world.install_tokens.contains_key("0")] {
        assert!(!known);
    }
    for name in ["1".to_owned(), MAX_CODES.to_string()] {
        assert!(world.codes.contains_key(&name) && world.install_tokens.contains_key(&name), "{name}");
    }
    assert_eq!((world.codes.len(), world.install_tokens.len()), (MAX_CODES, MAX_CODES));
}
