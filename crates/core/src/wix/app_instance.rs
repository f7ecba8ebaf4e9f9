//! The response of Get App Instance (docs/wix.md, 7). Of all its fields only the instance's id is required: the others depend on
//! the app's permissions and on the plan. The owner's e-mail address is not read.

use serde::Deserialize;
use serde_json::Value;

use super::WixError;
use super::event::{cycle_of, event_time, product};
use crate::facts::Kind;
use crate::values::json::{bool_or_text, lenient};
use crate::values::{InstanceId, SiteId};

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

#[derive(Deserialize)]
pub(super) struct Response {
    instance: Fields,
    #[serde(default, deserialize_with = "lenient")]
    site: Option<Site>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    instance_id: String,
    #[serde(default)]
    app_version: Value,
    #[serde(default)]
    is_free: Value,
    #[serde(default, deserialize_with = "lenient")]
    billing: Option<Billing>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Billing {
    package_name: Value,
    #[serde(rename = "billingCycle")]
    cycle: Value,
    expiration_date: Value,
    auto_renewing: Value,
    #[serde(deserialize_with = "lenient")]
    free_trial_info: Option<FreeTrial>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FreeTrial {
    status: Value,
    end_date: Value,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Site {
    #[serde(rename = "siteId")]
    id: Value,
    #[serde(rename = "siteDisplayName")]
    name: Value,
    url: Value,
    locale: Value,
    payment_currency: Value,
}

/// The longest name of a site that is stored, in UTF-16 code units. A longer one is cut.
const NAME_LIMIT: usize = 80;
/// The longest address of a site that is stored, in bytes.
const URL_LIMIT: usize = 300;
/// The longest version, language or currency that is stored, in bytes.
const SHORT_LIMIT: usize = 24;

impl Response {
    pub(super) fn read(self) -> Result<AppInstance, WixError> {
        let Self { instance: fields, site } = self;
        let instance = InstanceId::parse(&fields.instance_id)
            .map_err(|_| WixError::Failed("Wix's app instance has no usable id".to_owned()))?;
        let site = site.unwrap_or_default();
        Ok(AppInstance {
            instance,
            billed: boolean(&fields.is_free).map(|is_free| billed(is_free, fields.billing.unwrap_or_default())),
            described: Kind::Described {
                name: name(&site.name),
                url: plain(&site.url, URL_LIMIT),
                locale: plain(&site.locale, SHORT_LIMIT),
                currency: plain(&site.payment_currency, SHORT_LIMIT),
                app_version: plain(&fields.app_version, SHORT_LIMIT),
            },
            site: site.id.as_str().and_then(|id| SiteId::parse(id).ok()),
        })
    }
}

fn billed(is_free: bool, billing: Billing) -> Kind {
    let trial = billing.free_trial_info.filter(|trial| !is_free && trial.status == "IN_PROGRESS");
    let paid = |value: Value| if is_free { Value::Null } else { value };
    Kind::Billed {
        is_free,
        plan: product(&paid(billing.package_name)),
        cycle: cycle_of(&paid(billing.cycle)),
        expires_at: event_time(&paid(billing.expiration_date)),
        auto_renewing: boolean(&paid(billing.auto_renewing)),
        trial_ends_at: trial.and_then(|trial| event_time(&trial.end_date)),
    }
}

/// A boolean, or the text of one.
fn boolean(value: &Value) -> Option<bool> {
    let is_known = value.is_boolean() || value == "true" || value == "false";
    is_known.then(|| bool_or_text(value).ok()).flatten()
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
