use super::*;

#[test]
fn more_codes_than_are_remembered_push_out_the_oldest_alone() {
    let mut world = World::default();
    for number in 0..=REMEMBERED {
        world.give_code(number.to_string(), "an instance".to_owned(), 0);
        world.give_install_token(number.to_string(), "a site".to_owned());
    }
    for known in [world.codes.contains_key("0"), world.install_tokens.contains_key("0")] {
        assert!(!known);
    }
    for name in ["1".to_owned(), REMEMBERED.to_string()] {
        assert!(world.codes.contains_key(&name) && world.install_tokens.contains_key(&name), "{name}");
    }
    assert_eq!((world.codes.len(), world.install_tokens.len()), (REMEMBERED, REMEMBERED));
}
