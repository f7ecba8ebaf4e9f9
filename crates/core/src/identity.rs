//! `POST /v1/identity`: whose a value is that a front end sent to the app's back end, a signed `instance` (Wix's rules 8)
//! or an access token (1.5).
//!
//! The value is checked and not kept. What is not genuine is refused with 422: 401 and 403 speak of the caller's own key.
//! Whether the app is still installed is another question, for `GET /v1/instances/{id}`.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::App;
use crate::error::Error;
use crate::id::{InstanceId, SiteId};
use crate::json;
use crate::platform::Platform;
use crate::reply::Reply;
use crate::secret::{AccessToken, SignedValue};
use crate::signed_instance::{self, SignedInstance};
use crate::time::Timestamp;
use crate::wix::{Subject, SubjectType, TOKEN_LIMIT, WixError};

/// The largest body taken, in bytes: a token and some.
const BODY_LIMIT: usize = 48 * 1024;
/// How long Wix's word on a token is remembered, in seconds: a front end shows the same one again and again.
const REMEMBERED: u64 = 60;
const BODY: Error =
    Error::BadRequest("body", r#"it is not JSON of the form {"instance":"…"} or {"access_token":"…"}, one of the two"#);

/// The value, in one of the two fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    instance: Option<SignedValue>,
    access_token: Option<AccessToken>,
}

/// Whose a value is, as far as it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Identity {
    /// The instance that the value is for.
    instance_id: InstanceId,
    /// The site.
    #[serde(skip_serializing_if = "Option::is_none")]
    site_id: Option<SiteId>,
    /// The Wix user; none for a visitor, a member of the site, or the app itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// `OWNER`, of a signed instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<String>,
    /// The plan, of a signed instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_product_id: Option<String>,
    /// Where the site was cloned from, of a signed instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_instance_id: Option<InstanceId>,
    /// Whether the site is a demonstration, of a signed instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    demo_mode: Option<bool>,
    /// Who acts, of an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Subject>,
    /// When the value is no longer good, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// What Wix said of a token, and when.
#[derive(Clone)]
pub struct Known {
    identity: Identity,
    checked_at: Timestamp,
}

impl Known {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.checked_at) < REMEMBERED && self.identity.expires_at.is_none_or(|end| now < end)
    }
}

/// `POST /v1/identity`
pub async fn identity<P: Platform>(app: &App<P>, inbound: P::Inbound) -> Result<Reply, Error> {
    let body = app.platform.body(inbound, BODY_LIMIT).await.map_err(|error| Error::body(error, BODY_LIMIT))?;
    let asked: Asked = json::object(&body).map_err(|_| BODY)?;
    let identity = match (asked.instance, asked.access_token) {
        (Some(value), None) => of_signed_instance(app, &value)?,
        (None, Some(token)) => of_token(app, &token).await?,
        _ => return Err(BODY),
    };
    app.trace.instance(&identity.instance_id);
    Ok(Reply::json(StatusCode::OK, &identity))
}

fn of_signed_instance<P: Platform>(app: &App<P>, value: &SignedValue) -> Result<Identity, Error> {
    let config = app.config();
    let signed = signed_instance::verify(config.app_secrets(), &config.app_id, app.now(), value.expose());
    let signed = signed.map_err(Error::NotGenuine)?;
    if !signed.has_user {
        return Err(Error::NotGenuine("the signed instance is of somebody who is not logged in"));
    }
    Ok(signed.into())
}

async fn of_token<P: Platform>(app: &App<P>, token: &AccessToken) -> Result<Identity, Error> {
    let text = token.expose();
    if text.is_empty() || text.len() > TOKEN_LIMIT || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::NotGenuine("the access token has not the form of one"));
    }
    // Wix would vouch for it, also for one of a visitor, which is refused as what it is.
    if signed_instance::is_signed(app.config().app_secrets(), text) {
        return Err(Error::NotGenuine("the access token is a signed instance, which goes into the field `instance`"));
    }
    let key: [u8; 32] = Sha256::digest(text).into();
    let identities = &app.memory().identities;
    let known = match identities.value(&key).filter(|known| known.is_fresh(app.now())) {
        Some(known) => known,
        None => identities.share(&app.platform, &key, app.turn(false), ask(app, token)).await?,
    };
    Ok(known.identity)
}

async fn ask<P: Platform>(app: &App<P>, token: &AccessToken) -> Result<Known, Error> {
    let info = match app.wix().token_info(token).await {
        Err(WixError::Refused(_)) => return Err(Error::NotGenuine("Wix does not know the token")),
        info => info?,
    };
    let (instance_id, site_id) = info.prove(&app.config().app_id).map_err(Error::NotGenuine)?;
    let expires_at = info.expires_at();
    if expires_at.is_some_and(|end| end <= app.now()) {
        return Err(Error::NotGenuine("the token has expired"));
    }
    let subject = info.subject();
    let user = subject.id.clone().filter(|_| subject.kind == SubjectType::User);
    let identity = Identity {
        instance_id,
        site_id,
        user,
        permissions: None,
        vendor_product_id: None,
        origin_instance_id: None,
        demo_mode: None,
        subject: Some(subject),
        expires_at,
    };
    Ok(Known { identity, checked_at: app.now() })
}

impl From<SignedInstance> for Identity {
    fn from(signed: SignedInstance) -> Self {
        Self {
            instance_id: signed.instance,
            site_id: signed.site,
            user: signed.user,
            permissions: signed.permissions,
            vendor_product_id: signed.vendor_product_id,
            origin_instance_id: signed.origin,
            demo_mode: Some(signed.demo_mode),
            subject: None,
            expires_at: Some(signed.expires_at),
        }
    }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
