//! Open redirects: no parameter and no header makes the Worker redirect a browser to a foreign site.

use url::Url;

use crate::harness::{Flow, Jar, parameter, request, shared};

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

/// Names of parameters that Wix, this Worker or other implementations use for a URL.
const NAMES: [&str; 26] = [
    "ref",
    "handoff",
    "error",
    "shareUrlId",
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

/// Asserts that a response redirects to Wix only, and names only the Worker as the way back.
#[track_caller]
fn assert_no_open_redirect(response: &crate::harness::Response) {
    assert!(response.header("refresh").is_none(), "{response:?}");
    assert!(!response.text().contains("evil.example"), "{response:?}");
    assert!(!response.headers.iter().any(|(name, value)| name != "location" && value.contains("evil")), "{response:?}");
    if response.header("location").is_none() {
        assert!(!(300..400).contains(&response.status), "{response:?}");
        return;
    }
    let stage = shared();
    let to = response.location();
    assert_eq!(to.origin(), Url::parse(&stage.wix.url).expect("a URL").origin(), "{response:?}");
    for name in ["redirectUrl", "postInstallationUrl"] {
        for (_, back) in to.query_pairs().filter(|(known, _)| known == name) {
            let back = Url::parse(&back).expect("a URL");
            assert_eq!(back.origin(), Url::parse(&stage.worker.url).expect("a URL").origin(), "{response:?}");
        }
    }
}

#[test]
fn no_parameter_redirects_elsewhere_at_the_start_or_the_failure_of_a_flow() {
    let stage = shared();
    let mut tried = 0;
    for path in ["/", "/install", "/redirect", "/connect", "/connected"] {
        for name in NAMES {
            for evil in EVIL {
                let mut url = Url::parse(&stage.worker.at(path)).expect("a URL");
                url.query_pairs_mut().append_pair(name, evil);
                assert_no_open_redirect(&request("GET", &url).send());
                tried += 1;
            }
        }
        for (name, value) in HEADERS {
            assert_no_open_redirect(&request("GET", stage.worker.at(path)).header(name, value).send());
            tried += 1;
        }
        for tail in ["//evil.example", "/%2f%2fevil.example", "/..//evil.example", "%5cevil.example"] {
            assert_no_open_redirect(&request("GET", stage.worker.at(&format!("{path}{tail}"))).send());
            tried += 1;
        }
    }
    println!("{tried} attempts, no redirect elsewhere");
}

#[test]
fn no_parameter_redirects_elsewhere_at_the_end_of_a_flow() {
    let stage = shared();
    for evil in EVIL {
        let mut jar = Jar::default();
        let mut url = Flow::begin(stage, &mut jar, None).consent(&stage.wix.site());
        let known = ["state", "code", "instanceId", "signedInstance", "tenantId", "appId"];
        for name in NAMES.iter().filter(|name| !known.contains(name)) {
            url.query_pairs_mut().append_pair(name, evil);
        }
        let response = jar.get(&url).expect(302);
        assert_no_open_redirect(&response);
        assert_eq!(response.location().path(), "/installer/close-window");
        assert!(!parameter(&response.location(), "access_token").contains("evil"));
    }
}
