//! A look at the App URL as Wix's new window would open it: is the answer one that leads on to consent (section 3.3)?

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

/// A rule that the answer breaks.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    rule: &'static str,
    detail: String,
}

/// What the App URL answered.
#[derive(Serialize)]
pub(super) struct Inspection {
    status: u16,
    problems: Vec<Problem>,
}

/// What must come back from the App URL.
struct Expected<'a> {
    installer: &'a str,
    app_id: &'a str,
    token: &'a str,
    redirect_urls: &'a [String],
}

/// Opens the App URL with a fresh `token` and tells every rule that the answer breaks.
pub(super) async fn app_url(
    State(ctx): State<Ctx>,
    Body(_): Body<serde_json::Map<String, serde_json::Value>>,
) -> Result<Json<Inspection>, Refusal> {
    let (app, token) = ctx.change(|world| {
        let site_id = installs::make_site(world, None).site_id;
        (world.app.clone(), installs::install_token(world, &site_id))
    });
    let text = app.app_url.ok_or_else(|| Refusal::conflict("no App URL is set"))?;
    let mut url =
        Url::parse(&text).map_err(|reason| Refusal::conflict(format!("the App URL cannot be read: {reason}")))?;
    url.query_pairs_mut().append_pair("token", &token);
    let answer = ctx.http.get(url).timeout(Duration::from_secs(10)).send().await;
    let answer = answer.map_err(|reason| Refusal::conflict(format!("the App URL cannot be reached: {reason}")))?;
    let installer = format!("{}/installer/install", ctx.url);
    let expected =
        Expected { installer: &installer, app_id: &app.app_id, token: &token, redirect_urls: &app.redirect_urls };
    let status = answer.status().as_u16();
    Ok(Json(Inspection { status, problems: problems(status, answer.headers(), &expected) }))
}

fn problems(status: u16, headers: &HeaderMap, expected: &Expected<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut tell = |rule, detail: String| problems.push(Problem { rule, detail });
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if status != 302 {
        tell("redirect", format!("the answer must be a 302 that the browser sees; it was {status}"));
    }
    if let Some(policy) = header("cross-origin-opener-policy").filter(|policy| policy.trim() != "unsafe-none") {
        tell("opener", format!("Cross-Origin-Opener-Policy is {policy:?}: Wix cannot close the window then"));
    }
    if header(X_FRAME_OPTIONS.as_str()).is_some_and(|value| value.eq_ignore_ascii_case("deny")) {
        tell("frame", "X-Frame-Options is DENY: pages may be shown inside an iframe".to_owned());
    }
    let target = header(LOCATION.as_str()).and_then(|text| Url::parse(text).ok());
    let Some(target) = target.filter(|target| target.as_str().split('?').next() == Some(expected.installer)) else {
        tell("target", format!("the redirect must lead to {}", expected.installer));
        return problems;
    };
    let sent = |name: &str| target.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    if sent("appId").as_deref() != Some(expected.app_id) {
        tell("app_id", "appId must be the app's id".to_owned());
    }
    if !sent("redirectUrl").is_some_and(|url| expected.redirect_urls.contains(&url)) {
        tell("redirect_url", "redirectUrl must be a registered one, to the letter".to_owned());
    }
    if sent("token").as_deref() != Some(expected.token) {
        tell("token", "the token that Wix gave must be passed on unchanged".to_owned());
    }
    if sent("state").is_none_or(|state| state.is_empty()) {
        tell("state", "a state is recommended: without one the callback can be forged".to_owned());
    }
    problems
}

#[cfg(test)]
mod tests;
