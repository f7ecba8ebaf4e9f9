use super::*;
use crate::testing::world::sha256_hex;

const ALL: [Scope; 5] = [Scope::Token, Scope::Instances, Scope::Events, Scope::Proxy, Scope::Admin];

fn entry(scopes: &str) -> String {
    format!("back-end:{}{scopes}", sha256_hex("a key"))
}

fn allowed(scopes: &str) -> Vec<&'static str> {
    let key = ApiKey::parse(&entry(scopes)).unwrap();
    ALL.iter().filter(|scope| key.allows(**scope)).map(|scope| scope.name()).collect()
}

#[test]
fn a_key_without_scopes_has_all_scopes_but_admin() {
    assert_eq!(allowed(""), ["token", "instances", "events", "proxy"]);
}

#[test]
fn a_key_with_scopes_has_exactly_these() {
    assert_eq!(allowed(":token"), ["token"]);
    assert_eq!(allowed(":admin"), ["admin"]);
    assert_eq!(allowed(":events+token"), ["token", "events"]);
    assert_eq!(allowed(":token+token"), ["token"]);
    assert_eq!(allowed(":token+instances+events+proxy+admin").len(), 5);
}

#[test]
fn a_key_is_recognised_by_its_hash() {
    let key = ApiKey::parse(&entry("")).unwrap();
    let hash: [u8; 32] = Sha256::digest("a key").into();
    assert!(key.has_hash(&hash));
    for at in 0..32 {
        let mut other = hash;
        other[at] ^= 1;
        assert!(!key.has_hash(&other), "byte {at}");
    }
    let upper = format!("x:{}", sha256_hex("a key").to_uppercase());
    assert!(ApiKey::parse(&upper).unwrap().has_hash(&hash));
}

#[test]
fn a_malformed_entry_is_refused_without_quoting_it() {
    let hash = sha256_hex("a key");
    for text in [
        String::new(),
        hash.clone(),
        format!(":{hash}"),
        "name".to_owned(),
        "name:".to_owned(),
        format!("name:{}", &hash[1..]),
        format!("name:{hash}0"),
        format!("name:{}g", &hash[1..]),
        format!("name:{}é", &hash[2..]),
        format!("na me:{hash}"),
        format!("{}:{hash}", "n".repeat(65)),
        format!("name:{hash}:"),
        format!("name:{hash}:Token"),
        format!("name:{hash}:token+"),
        format!("name:{hash}:token,events"),
        format!("name:{hash}:token:events"),
        format!("name:{hash}:all"),
        "name:a-key-in-plain-text".to_owned(),
    ] {
        let problem = ApiKey::parse(&text).err().unwrap_or_else(|| panic!("{text} must be refused")).to_string();
        assert!(!problem.contains(&hash[..8]) && !problem.contains("plain-text"), "{problem}");
    }
}

#[test]
fn a_client_name_may_have_64_letters() {
    let name = "n".repeat(64);
    assert_eq!(ApiKey::parse(&format!("{name}:{}", sha256_hex("x"))).unwrap().client, name);
}
