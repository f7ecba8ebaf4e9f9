//! Identifies the sender of a value: a signed instance (docs/wix.md, 8) or an access token (1.5). Neither is stored.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::registry::learn;
use super::{Context, InstanceError, Ports};
use crate::values::{AccessToken, InstanceId, SignedValue, SiteId, Timestamp};
use crate::wix::{SignedInstance, Subject, SubjectType, WixError, is_token, signed_instance};

/// How long the result of an introspection is cached, in seconds. A front end sends the same token repeatedly.
const CACHED: u64 = 60;

/// An identity, with the fields that its value contains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Identity {
    /// The instance that the value is for.
    instance_id: InstanceId,
    /// The site.
    #[serde(skip_serializing_if = "Option::is_none")]
    site_id: Option<SiteId>,
    /// The Wix user. Absent for a visitor, a member of the site, or the app itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// `OWNER`, of a signed instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<String>,
    /// The plan of the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_product_id: Option<String>,
    /// The instance of the site that this site was cloned from, of a signed instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_instance_id: Option<InstanceId>,
    /// Whether the app runs in demo mode, of a signed instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    demo_mode: Option<bool>,
    /// The account of the site, of an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    /// The identity that acts, of an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<Subject>,
    /// When the value expires, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

impl Identity {
    /// The instance that the value is for.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        &self.instance_id
    }

    /// Records the instance and its site, if they are unknown. In demo mode there is no installation.
    pub async fn learn<P: Ports>(&self, cx: &Context<'_, P>) -> Result<(), InstanceError> {
        if self.demo_mode == Some(true) {
            return Ok(());
        }
        learn(cx, &self.instance_id, self.site_id.as_ref()).await
    }
}

/// The cached result of an introspection.
#[derive(Clone)]
pub struct Introspected {
    identity: Identity,
    checked_at: Timestamp,
}

impl Introspected {
    fn is_fresh(&self, now: Timestamp) -> bool {
        now.since(self.checked_at) < CACHED && self.identity.expires_at.is_none_or(|end| now < end)
    }
}

/// Identifies the user of a signed instance.
pub fn of_signed_instance<P: Ports>(cx: &Context<'_, P>, value: &SignedValue) -> Result<Identity, InstanceError> {
    let wix = &cx.settings.wix;
    let signed = signed_instance::verify(wix.app_secrets(), &wix.app_id, cx.now(), value.expose());
    let signed = signed.map_err(|unproven| InstanceError::NotGenuine(unproven.0))?;
    if !signed.has_user {
        return Err(InstanceError::NotGenuine("the user of the signed instance is not logged in"));
    }
    Ok(signed.into())
}

/// Identifies the subject of an access token, by introspection.
pub async fn of_token<P: Ports>(cx: &Context<'_, P>, token: &AccessToken) -> Result<Identity, InstanceError> {
    let text = token.expose();
    if !is_token(text) {
        return Err(InstanceError::NotGenuine("the access token must have the form of one"));
    }
    // Token info also accepts a signed instance, even that of a visitor, which must be refused.
    if signed_instance::is_signed(cx.settings.wix.app_secrets(), text) {
        let problem = "the access token is a signed instance, which must be sent in the field `instance`";
        return Err(InstanceError::NotGenuine(problem));
    }
    let key: [u8; 32] = Sha256::digest(text).into();
    let identities = &cx.cache.identities;
    let introspected = match identities.value(&key).filter(|known| known.is_fresh(cx.now())) {
        Some(known) => known,
        None => identities.share(cx.platform, &key, cx.turn(false), introspect(cx, token)).await?,
    };
    Ok(introspected.identity)
}

async fn introspect<P: Ports>(cx: &Context<'_, P>, token: &AccessToken) -> Result<Introspected, InstanceError> {
    let info = match cx.wix().token_info(token).await {
        Err(WixError::Refused(_)) => return Err(InstanceError::NotGenuine("Wix does not know the token")),
        info => info?,
    };
    let proven = info.prove(&cx.settings.wix.app_id);
    let (instance_id, site_id) = proven.map_err(|unproven| InstanceError::NotGenuine(unproven.0))?;
    let expires_at = info.expires_at();
    if expires_at.is_some_and(|end| end <= cx.now()) {
        return Err(InstanceError::NotGenuine("the token has expired"));
    }
    let subject = info.subject();
    let user = subject.id.clone().filter(|_| subject.kind == SubjectType::User);
    let identity = Identity {
        instance_id,
        site_id,
        user,
        permissions: None,
        vendor_product_id: info.vendor_product_id(),
        origin_instance_id: None,
        demo_mode: None,
        account_id: info.account_id(),
        subject: Some(subject),
        expires_at,
    };
    Ok(Introspected { identity, checked_at: cx.now() })
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
            account_id: None,
            subject: None,
            expires_at: Some(signed.expires_at),
        }
    }
}
