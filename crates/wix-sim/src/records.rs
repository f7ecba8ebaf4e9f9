//! The app's records: the page fetches them from the app's list of instances.

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::shared::Ctx;

/// The largest response that is read.
const LIMIT: usize = 1 << 20;

/// The URL of the app's list of instances, and the API key for it.
pub(crate) struct RecordsSource {
    pub url: url::Url,
    pub key: Option<String>,
}

/// The app's records, or the error of the request.
#[derive(Serialize)]
pub(crate) struct Records {
    pub configured: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Requests the records from the app.
pub(crate) async fn fetch(ctx: &Ctx) -> Records {
    let Some(source) = &ctx.records else { return Records { configured: false, answer: None, error: None } };
    match request(ctx, source).await {
        Ok(answer) => Records { configured: true, answer: Some(answer), error: None },
        Err(error) => Records { configured: true, answer: None, error: Some(error) },
    }
}

async fn request(ctx: &Ctx, source: &RecordsSource) -> Result<Value, String> {
    let mut request = ctx.http.get(source.url.clone()).timeout(std::time::Duration::from_secs(5));
    if let Some(key) = &source.key {
        request = request.bearer_auth(key);
    }
    let mut response = request.send().await.map_err(|reason| format!("the app cannot be reached: {reason}"))?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(format!("the app answered {status}"));
    }
    let mut body = Vec::new();
    while let Some(piece) =
        response.chunk().await.map_err(|reason| format!("the app's response ended early: {reason}"))?
    {
        body.extend_from_slice(&piece);
        if body.len() > LIMIT {
            return Err("the app's response must not be larger than 1 MiB".to_owned());
        }
    }
    serde_json::from_slice(&body).map_err(|reason| format!("the app's response must be JSON: {reason}"))
}
