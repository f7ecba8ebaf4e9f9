//! The response of Get App Instance (docs/wix.md, 7). Of all its fields only the instance's id is required: the others depend on
//! the app's permissions and on the plan. The owner's e-mail address is not read.

use serde_json::Value;

use super::WixError;
use super::event::{cycle_of, event_time, product};
use crate::facts::Kind;
use crate::values::json::{Fields, is_true};
use crate::values::{InstanceId, SiteId, json};

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub struct AppInstance {
    /// The instance that Wix attributes the token to.
    pub instance: InstanceId,
    /// What the site has, if Wix says it.
    pub billed: Option<Kind>,
    /// What Wix says of the site, and the app's version.
    pub described: Kind,
    /// The site.
    pub site: Option<SiteId>,
}

/// The longest name of a site that is stored, in UTF-16 code units. A longer one is cut.
const NAME_LIMIT: usize = 80;
/// The longest address of a site that is stored, in bytes.
const URL_LIMIT: usize = 300;
/// The longest version, language or currency that is stored, in bytes.
const SHORT_LIMIT: usize = 24;

/// Reads the response.
pub(super) fn read(response: &Fields) -> Result<AppInstance, WixError> {
    let (fields, site) = (json::fields(response, "instance"), json::fields(response, "site"));
    let instance = json::text(&fields, "instanceId").and_then(|id| InstanceId::parse(&id).ok());
    let instance = instance.ok_or_else(|| WixError::Failed("Wix's app instance has no usable id".to_owned()))?;
    Ok(AppInstance {
        instance,
        billed: boolean(&json::value(&fields, "isFree"))
            .map(|is_free| billed(is_free, &json::fields(&fields, "billing"))),
        described: Kind::Described {
            name: name(&json::value(&site, "siteDisplayName")),
            url: plain(&json::value(&site, "url"), URL_LIMIT),
            locale: plain(&json::value(&site, "locale"), SHORT_LIMIT),
            currency: plain(&json::value(&site, "paymentCurrency"), SHORT_LIMIT),
            app_version: plain(&json::value(&fields, "appVersion"), SHORT_LIMIT),
        },
        site: json::text(&site, "siteId").and_then(|id| SiteId::parse(&id).ok()),
    })
}

fn billed(is_free: bool, billing: &Fields) -> Kind {
    let paid = |name| if is_free { Value::Null } else { json::value(billing, name) };
    let trial = json::fields(billing, "freeTrialInfo");
    let is_trial = !is_free && json::value(&trial, "status") == "IN_PROGRESS";
    Kind::Billed {
        is_free,
        plan: product(&paid("packageName")),
        cycle: cycle_of(&paid("billingCycle")),
        expires_at: event_time(&paid("expirationDate")),
        auto_renewing: boolean(&paid("autoRenewing")),
        trial_ends_at: if is_trial { event_time(&json::value(&trial, "endDate")) } else { None },
    }
}

/// A boolean, or the text of one.
fn boolean(value: &Value) -> Option<bool> {
    let is_known = value.is_boolean() || value == "true" || value == "false";
    is_known.then(|| is_true(value))
}

fn plain(value: &Value, limit: usize) -> Option<String> {
    let text = value.as_str()?;
    // Neither quotes nor backslashes, which JSON makes longer.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
    ((1..=limit).contains(&text.len()) && is_plain).then(|| text.to_owned())
}

/// The beginning of a name, without control characters.
fn name(value: &Value) -> Option<String> {
    let mut left = NAME_LIMIT;
    let kept = value.as_str()?.trim().chars().filter(|letter| !letter.is_control()).take_while(|letter| {
        let fits = letter.len_utf16() <= left;
        left = left.saturating_sub(letter.len_utf16());
        fits
    });
    Some(kept.collect()).filter(|name: &String| !name.is_empty())
}

#[cfg(test)]
mod tests;
