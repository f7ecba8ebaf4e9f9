//! Requests the App URL as Wix's window does, and checks that the response leads to the consent page (section 3.3).

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{LOCATION, X_FRAME_OPTIONS};
use serde::Serialize;
use url::Url;

use super::{Body, Refusal};
use crate::installs;
use crate::shared::Ctx;

/// A violated rule.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    rule: &'static str,
    detail: String,
}

/// The result of an inspection.
#[derive(Serialize)]
pub(super) struct Inspection {
    status: u16,
    problems: Vec<Problem>,
}

/// The values that the redirect must have.
struct Expected<'a> {
    installer: &'a str,
    app_id: &'a str,
    token: &'a str,
    redirect_urls: &'a [String],
}

/// Requests the App URL with a new `token` and lists the rules that the response violates.
pub(super) async fn app_url(
    State(ctx): State<Ctx>,
    Body(_): Body<serde_json::Map<String, serde_json::Value>>,
) -> Result<Json<Inspection>, Refusal> {
    let (app, token) = ctx.change(|world| {
        let site_id = installs::make_site(world, None).site_id;
        (world.app.clone(), installs::install_token(world, &site_id))
    });
    let text = app.app_url.ok_or_else(|| Refusal::conflict("app_url must be set"))?;
    let mut url = Url::parse(&text).map_err(|reason| Refusal::conflict(format!("app_url must be a URL: {reason}")))?;
    url.query_pairs_mut().append_pair("token", &token);
    let response = ctx.http.get(url).timeout(Duration::from_secs(10)).send().await;
    let response = response.map_err(|reason| Refusal::conflict(format!("the App URL cannot be reached: {reason}")))?;
    let installer = format!("{}/installer/install", ctx.url);
    let expected =
        Expected { installer: &installer, app_id: &app.app_id, token: &token, redirect_urls: &app.redirect_urls };
    let status = response.status().as_u16();
    Ok(Json(Inspection { status, problems: problems(status, response.headers(), &expected) }))
}

fn problems(status: u16, headers: &HeaderMap, expected: &Expected<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut report = |rule, detail: String| problems.push(Problem { rule, detail });
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if status != 302 {
        report("redirect", format!("the response must be a 302; it is {status}"));
    }
    if let Some(policy) = header("cross-origin-opener-policy").filter(|policy| policy.trim() != "unsafe-none") {
        report(
            "opener",
            format!("Cross-Origin-Opener-Policy must be unsafe-none, or Wix cannot close the window; it is {policy:?}"),
        );
    }
    if header(X_FRAME_OPTIONS.as_str()).is_some_and(|value| value.eq_ignore_ascii_case("deny")) {
        report("frame", "X-Frame-Options must not be DENY: Wix may show the page in an iframe".to_owned());
    }
    let target = header(LOCATION.as_str()).and_then(|text| Url::parse(text).ok());
    let Some(target) = target.filter(|target| target.as_str().split('?').next() == Some(expected.installer)) else {
        report("target", format!("the redirect must lead to {}", expected.installer));
        return problems;
    };
    let sent = |name: &str| target.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    if sent("appId").as_deref() != Some(expected.app_id) {
        report("app_id", "appId must be the app's id".to_owned());
    }
    if !sent("redirectUrl").is_some_and(|url| expected.redirect_urls.contains(&url)) {
        report("redirect_url", "redirectUrl must equal a registered redirect URL".to_owned());
    }
    if sent("token").as_deref() != Some(expected.token) {
        report("token", "token must be the token from Wix, unchanged".to_owned());
    }
    if sent("state").is_none_or(|state| state.is_empty()) {
        report("state", "state should be set: without it an attacker can forge the callback".to_owned());
    }
    problems
}

#[cfg(test)]
mod tests;
