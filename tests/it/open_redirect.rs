//! No parameter and no header of a browser's leads it to another site.

use url::Url;

use crate::harness::{Flow, Jar, ask, parameter, shared};

const EVIL: [&str; 12] = [
    "https://evil.example",
    "https://evil.example/",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "data:text/html,evil",
    "https://127.0.0.1@evil.example",
    "\r\nLocation: https://evil.example",
    "%0d%0aLocation:%20https://evil.example",
];

/// What Wix, the contract, and others who write such flows have called an address.
const NAMES: [&str; 22] = [
    "token",
    "state",
    "code",
    "instanceId",
    "appId",
    "redirectUrl",
    "redirect_url",
    "redirect_uri",
    "redirect",
    "postInstallationUrl",
    "returnUrl",
    "return_to",
    "next",
    "url",
    "continue",
    "target",
    "dest",
    "callback",
    "signedInstance",
    "tenantId",
    "access_token",
    "AFTER_INSTALL_URL",
];

const HEADERS: [(&str, &str); 6] = [
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "gopher"),
    ("forwarded", "host=evil.example"),
    ("x-original-url", "https://evil.example/"),
    ("referer", "https://evil.example/"),
    ("origin", "https://evil.example"),
];

/// The one place that an answer may lead to beside the Worker: Wix, and there back to the Worker.
#[track_caller]
fn stays(answer: &crate::harness::Answer) {
    assert!(answer.header("refresh").is_none(), "{answer:?}");
    assert!(!answer.text().contains("evil.example"), "{answer:?}");
    assert!(!answer.headers.iter().any(|(name, value)| name != "location" && value.contains("evil")), "{answer:?}");
    if answer.header("location").is_none() {
        assert!(!(300..400).contains(&answer.status), "{answer:?}");
        return;
    }
    let stage = shared();
    let to = answer.location();
    assert_eq!(to.origin(), Url::parse(&stage.wix.url).expect("a URL").origin(), "{answer:?}");
    for name in ["redirectUrl", "postInstallationUrl"] {
        for (_, back) in to.query_pairs().filter(|(known, _)| known == name) {
            let back = Url::parse(&back).expect("a URL");
            assert_eq!(back.origin(), Url::parse(&stage.worker.url).expect("a URL").origin(), "{answer:?}");
        }
    }
}

#[test]
fn no_parameter_leads_elsewhere_where_a_flow_begins_or_fails() {
    let stage = shared();
    let mut tried = 0;
    for path in ["/", "/install", "/redirect", "/connect", "/connected"] {
        for name in NAMES {
            for evil in EVIL {
                let mut url = Url::parse(&stage.worker.at(path)).expect("a URL");
                url.query_pairs_mut().append_pair(name, evil);
                stays(&ask("GET", &url).send());
                tried += 1;
            }
        }
        for (name, value) in HEADERS {
            stays(&ask("GET", stage.worker.at(path)).header(name, value).send());
            tried += 1;
        }
        for tail in ["//evil.example", "/%2f%2fevil.example", "/..//evil.example", "%5cevil.example"] {
            stays(&ask("GET", stage.worker.at(&format!("{path}{tail}"))).send());
            tried += 1;
        }
    }
    println!("{tried} attempts, none led elsewhere");
}

#[test]
fn no_parameter_leads_elsewhere_at_the_end_of_a_flow() {
    let stage = shared();
    for evil in EVIL {
        let mut jar = Jar::default();
        let mut url = Flow::begin(stage, &mut jar, None).agree(&stage.wix.site());
        let known = ["state", "code", "instanceId", "signedInstance", "tenantId", "appId"];
        for name in NAMES.iter().filter(|name| !known.contains(name)) {
            url.query_pairs_mut().append_pair(name, evil);
        }
        let answer = jar.get(&url).expect(302);
        stays(&answer);
        assert_eq!(answer.location().path(), "/installer/close-window");
        assert!(!parameter(&answer.location(), "access_token").contains("evil"));
    }
}
