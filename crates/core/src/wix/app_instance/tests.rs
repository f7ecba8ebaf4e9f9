use serde_json::{Value, json};

use super::*;
use crate::values::{Timestamp, json};

const INSTANCE: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
const SITE: &str = "12121212-3434-4565-8787-909090909090";

fn read(value: &Value) -> AppInstance {
    super::read(&json::object(value.to_string().as_bytes()).expect("an object")).expect("an instance")
}

fn nothing() -> Kind {
    Kind::Described { name: None, url: None, locale: None, currency: None, app_version: None }
}

fn free() -> Kind {
    Kind::Billed { is_free: true, plan: None, cycle: None, expires_at: None, auto_renewing: None, trial_ends_at: None }
}

#[test]
fn a_whole_answer_is_read_without_the_owner() {
    let answer = read(&json!({
        "instance": {"instanceId": INSTANCE, "appName": "Demo", "appVersion": "2.10.0", "isFree": false,
            "billing": {"packageName": "pro", "billingCycle": "YEARLY", "timeStamp": "2026-01-01T00:00:00Z",
                "expirationDate": "2027-01-01T00:00:00.000Z", "autoRenewing": true,
                "freeTrialInfo": {"status": "IN_PROGRESS", "endDate": "2026-01-08T00:00:00Z"}}},
        "site": {"siteId": SITE, "siteDisplayName": " A shop\u{7} ", "url": "https://shop.example", "locale": "de",
            "paymentCurrency": "EUR", "ownerInfo": {"email": "owner@shop.example"}},
    }));
    let billed = Kind::Billed {
        is_free: false,
        plan: Some("pro".to_owned()),
        cycle: Some("YEARLY".to_owned()),
        expires_at: Some(Timestamp(1_798_761_600)),
        auto_renewing: Some(true),
        trial_ends_at: Some(Timestamp(1_767_830_400)),
    };
    assert_eq!(answer.billed, Some(billed));
    let described = Kind::Described {
        name: Some("A shop".to_owned()),
        url: Some("https://shop.example".to_owned()),
        locale: Some("de".to_owned()),
        currency: Some("EUR".to_owned()),
        app_version: Some("2.10.0".to_owned()),
    };
    assert_eq!(answer.described, described);
    assert_eq!(answer.site, Some(SiteId::parse(SITE).expect("an id")));
}

#[test]
fn every_field_but_the_id_is_optional() {
    let instance = |fields: Value| {
        let mut instance = json!({"instanceId": INSTANCE});
        instance.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        read(&json!({ "instance": instance }))
    };
    let bare = instance(json!({}));
    assert_eq!((bare.billed, bare.described, bare.site), (None, nothing(), None));
    assert_eq!(instance(json!({"isFree": true, "billing": {"packageName": "pro"}})).billed, Some(free()));
    assert_eq!(instance(json!({"isFree": "true"})).billed, Some(free()));
    for odd in [json!(7), json!("yes"), json!({}), Value::Null] {
        assert_eq!(instance(json!({"isFree": odd, "billing": odd, "permissions": odd})).described, nothing());
        assert_eq!(instance(json!({"isFree": odd})).billed, None, "{odd}");
    }
    let unusual = instance(json!({"isFree": false, "billing": {"packageName": 1, "billingCycle": "x".repeat(25),
        "expirationDate": "soon", "autoRenewing": "no", "freeTrialInfo": {"status": "ENDED", "endDate": "2026-01-08T00:00:00Z"}}}));
    let Some(Kind::Billed { is_free: false, plan, cycle, expires_at, auto_renewing, trial_ends_at }) = unusual.billed
    else {
        panic!("{unusual:?}");
    };
    assert_eq!((plan, cycle, expires_at, auto_renewing, trial_ends_at), (None, None, None, None, None));
    for site in [json!([]), json!("none"), json!({"siteId": 7, "siteDisplayName": "", "url": "https://ä.example"})] {
        let answer = read(&json!({"instance": {"instanceId": INSTANCE}, "site": site}));
        assert_eq!((answer.described, answer.site), (nothing(), None), "{site}");
    }
}

#[test]
fn a_long_name_is_cut_between_characters() {
    let cut = |text: &str| name(&json!(text)).expect("a name");
    assert_eq!(cut(&"x".repeat(81)), "x".repeat(80));
    assert_eq!(cut(&format!("{}\u{1F600}", "x".repeat(79))), "x".repeat(79));
}
