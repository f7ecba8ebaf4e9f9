//! The page of problems: static assets of the Worker, to which the `type` of each problem refers.

use url::Url;

use crate::harness::shared;

#[test]
fn the_type_of_a_problem_leads_to_its_description() {
    let worker = &shared().worker;
    let refused = worker.request("GET", "/v1/instances").send().expect(401).json();
    let address = Url::parse(&worker.url).expect("a URL").join("/v1/instances").expect("a URL");
    let kind = address.join(refused["type"].as_str().expect("a type")).expect("a reference");
    assert_eq!((kind.path(), kind.fragment()), ("/problems", Some("unauthorized")), "{kind}");

    let page = worker.request("GET", kind.path()).send().expect(200);
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{page:?}");
    assert_eq!(page.text().matches("<h3 id=\"unauthorized\">").count(), 1);
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; ") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    let style = worker.request("GET", "/problems/page.css").send().expect(200);
    for response in [&page, &style] {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "unsafe-none"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(response.header(name), Some(value), "{response:?}");
        }
        assert_eq!(response.header("x-frame-options"), None, "{response:?}");
    }
    assert!(style.header("content-type").is_some_and(|kind| kind.starts_with("text/css")), "{style:?}");
}
