use super::*;

const INSTALLER: &str = "http://127.0.0.1:4100/installer/install";

fn violated(status: u16, headers: &[(&'static str, &str)]) -> Vec<&'static str> {
    let redirect_urls = ["http://127.0.0.1:9/redirect".to_owned()];
    let expected = Expected { installer: INSTALLER, app_id: "app", token: "t1", redirect_urls: &redirect_urls };
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    problems(status, &headers, &expected).into_iter().map(|problem| problem.rule).collect()
}

#[test]
fn a_complete_redirect_with_parameters_in_any_order_violates_no_rule() {
    let target = format!("{INSTALLER}?state=s&token=t1&redirectUrl=http%3A%2F%2F127.0.0.1%3A9%2Fredirect&appId=app");
    assert!(violated(302, &[("location", &target), ("cross-origin-opener-policy", "unsafe-none")]).is_empty());
}

#[test]
fn each_violated_rule_is_listed() {
    let target = format!("{INSTALLER}?client_id=app&redirect_uri=x&token=T1");
    let headers =
        [("location", target.as_str()), ("cross-origin-opener-policy", "same-origin"), ("x-frame-options", "DENY")];
    assert_eq!(violated(303, &headers), ["redirect", "opener", "frame", "app_id", "redirect_url", "token", "state"]);
    assert_eq!(violated(200, &[]), ["redirect", "target"]);
    assert_eq!(violated(302, &[("location", "http://127.0.0.1:4100/installer/installed?x")]), ["target"]);
}
