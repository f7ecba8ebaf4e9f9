//! Fidelity switches: everything Wix leaves open, or that sources dispute, with the documented behaviour as default.
//!
//! Follows section 14 and the list in 13.2. The field names are the names of the control API.

use serde::{Deserialize, Serialize};

/// When the install webhook leaves, seen from the redirect of the browser (section 3.1: not specified).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookOrder {
    /// Both at once.
    Parallel,
    /// The redirect is answered once the first attempt of the webhook is over.
    BeforeRedirect,
    /// The webhook leaves `webhook_after_redirect_ms` after the redirect was answered.
    AfterRedirect,
}

/// What a retry carries (section 4.6: unknown).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RetrySignature {
    /// The same bytes.
    Identical,
    /// The same envelope, signed again with a fresh `iat`.
    FreshIat,
}

/// Which clock a webhook's `iat` shows.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IatClock {
    /// The wall clock, which is the app's clock too: moving the simulated clock makes no message of the future.
    Wall,
    /// The simulated clock.
    Simulated,
}

/// What pressing Cancel on the consent page does (section 3.2: unknown).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelAnswer {
    /// A page that says nothing was installed; the app hears nothing.
    Stay,
    /// Back to the app without any parameter of Wix's.
    RedirectBare,
    /// Back to the app with `error=access_denied`.
    RedirectError,
}

/// Every switch. `PATCH /_sim/switches` takes any part of it; unknown names are refused.
#[expect(clippy::struct_excessive_bools, reason = "a flat list of independent switches is what people edit")]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Switches {
    /// Life of a client-credentials token, in seconds (1.1: 14 400; one old page: 300).
    pub token_life_seconds: u32,
    /// Whether `POST /oauth2/token` takes form bodies too (1.1: documented for other grants only).
    pub token_accept_form: bool,
    /// Status for an unknown or all-zero `instance_id` (1.2: 404).
    pub unknown_instance_status: u16,
    /// Status for an instance whose app was removed (1.2: unknown).
    pub removed_instance_status: u16,
    /// An unknown or removed instance is refused in the REST error form of section 9, not the OAuth one (1.2: both occur).
    pub missing_instance_rest_error: bool,
    /// Status for a wrong app secret (1.2: unknown; integrators report 401 and 400).
    pub bad_secret_status: u16,
    /// Status for an app id that is not this app's (1.2: unknown).
    pub unknown_app_status: u16,
    /// Extra bytes inside every access token (1.3: tokens can be several kilobytes).
    pub token_extra_bytes: u16,

    /// Life of a custom-authentication access token, in seconds (2.3: 300; until 2022: 600).
    pub legacy_token_life_seconds: u32,
    /// Life of an authorization code, in seconds (2.1: 600).
    pub code_life_seconds: u32,
    /// Status for a bad, expired or used code (2.3: 400).
    pub bad_code_status: u16,
    /// Status for a refresh token that is unknown or dead (2.3: unknown).
    pub bad_refresh_status: u16,
    /// Whether a refresh returns a new refresh token and kills the old one (2.2: it does not).
    pub rotate_refresh_tokens: bool,
    /// Life of a refresh token, in seconds; 0 for no end (2.2: "never expires").
    pub refresh_token_life_seconds: u32,
    /// Whether `/oauth/access` takes `grantType`, `clientId`, … too (2.3: refused).
    pub accept_camel_case: bool,
    /// Whether removing the app kills its access tokens at once (3.5: how fast is unknown).
    pub removal_kills_access_tokens: bool,
    /// Whether removing the app kills its refresh token (3.5).
    pub removal_kills_refresh_token: bool,

    /// Token info answers with strings where the SDK's types say boolean and number (1.5).
    pub token_info_strings: bool,
    /// Token info for an unknown or expired token: 200 answers `active:false`, any other status an error (1.5: unknown).
    pub token_info_unknown_status: u16,
    /// Whether token info names the `accountId` (1.5: in the documentation only).
    pub token_info_account_id: bool,

    /// API calls may carry the bare token (1.4: documented).
    pub accept_raw_authorization: bool,
    /// API calls may carry `Bearer` and the token (1.4: reported to work).
    pub accept_bearer_authorization: bool,
    /// The app has the permission to send BI events (6); otherwise 403.
    pub permission_send_bi_events: bool,
    /// The app has the permission to read its instance (7); otherwise 403.
    pub permission_manage_app_instance: bool,
    /// BI events are checked field by field (6: whether Wix checks each is unknown).
    pub validate_bi_events: bool,
    /// New installations show "Setup incomplete" even before the app ever sent `APP_FINISHED_CONFIGURATION` (6: old rule).
    pub setup_badge_always: bool,
    /// Calls a minute and instance; 0 for no limit (9: 200).
    pub rate_limit_per_minute: u32,
    /// Seconds in the `Retry-After` of a rate-limit answer; 0 for none (9: not documented).
    pub rate_limit_retry_after_seconds: u32,
    /// Calls with a live token to paths that are not simulated are answered 200 with a description of the call, not 404.
    pub echo_other_paths: bool,

    /// Consent is given at once, without a page.
    pub auto_approve: bool,
    /// The site an install without `token` goes to under `auto_approve`; empty for a new site each time.
    pub auto_approve_site_id: String,
    /// What Cancel does.
    pub cancel_answer: CancelAnswer,
    /// Whether `state` survives the loop of an install without `redirectUrl` and `token` (3.3: it does not).
    pub loop_keeps_state: bool,
    /// `tenantId` of the external flow's redirect: `site` or `account` for their ids, anything else as it is (3.2: an app
    /// may be installed on an account).
    pub external_flow_tenant: String,
    /// Whether the external flow's redirect carries `signedInstance` (3.2: it does).
    pub signed_instance_in_external_flow: bool,

    /// When the install webhook leaves.
    pub webhook_order: WebhookOrder,
    /// The pause of `webhook_order: after_redirect`, in real milliseconds.
    pub webhook_after_redirect_ms: u32,
    /// `AppInstalled` is sent on a reinstall too (14: not stated; expected).
    pub app_installed_on_reinstall: bool,
    /// `originInstanceId` is "" where there is no origin; otherwise it is left out (3.5).
    pub webhook_empty_origin: bool,
    /// The newer `wix.app.installations.v1.app_installation_*` events are sent too (5: developer preview).
    pub app_installation_events: bool,
    /// `exp` minus `iat`, in seconds (4.3: 3 600 000).
    pub webhook_exp_offset_seconds: i64,
    /// Which clock `iat` shows.
    pub webhook_iat_clock: IatClock,
    /// The envelope has `identity` (4.5: optional).
    pub webhook_identity: bool,
    /// The envelope has `webhookId` (4.5: seen, undocumented).
    pub webhook_id: bool,
    /// The envelope has `accountInfo` (4.5: optional).
    pub webhook_account_info: bool,
    /// `Content-Type` of a delivery; empty for none (4.1: `text/plain` seen).
    pub webhook_content_type: String,
    /// Test deliveries carry pretty-printed sample data (4.1).
    pub webhook_test_pretty: bool,
    /// Further copies of each delivery (4.6: duplicates occur without failure).
    pub webhook_duplicates: u8,
    /// New deliveries are held until `POST /_sim/deliveries/release`, which may turn their order round (4.6).
    pub webhook_hold: bool,
    /// New deliveries wait this long before the first attempt, in simulated milliseconds (4.6: events may be late).
    pub webhook_delay_ms: u32,
    /// New deliveries are recorded and never sent.
    pub webhook_drop: bool,
    /// The time an endpoint has to answer, in real milliseconds (4.1: 1250).
    pub webhook_timeout_ms: u32,
    /// Only 200 counts as delivered; otherwise any 2xx (4.1: 200).
    pub webhook_only_200: bool,
    /// What a retry carries.
    pub webhook_retry_signature: RetrySignature,
    /// The wait before each retry, in seconds, counted from the attempt before (4.6).
    pub webhook_retry_schedule_seconds: Vec<u32>,
    /// Webhook waits are divided by this: at 3600 an hour's wait takes a second.
    pub time_scale: f64,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            token_life_seconds: 14_400,
            token_accept_form: true,
            unknown_instance_status: 404,
            removed_instance_status: 404,
            missing_instance_rest_error: false,
            bad_secret_status: 401,
            unknown_app_status: 401,
            token_extra_bytes: 0,
            legacy_token_life_seconds: 300,
            code_life_seconds: 600,
            bad_code_status: 400,
            bad_refresh_status: 400,
            rotate_refresh_tokens: false,
            refresh_token_life_seconds: 0,
            accept_camel_case: false,
            removal_kills_access_tokens: true,
            removal_kills_refresh_token: true,
            token_info_strings: false,
            token_info_unknown_status: 200,
            token_info_account_id: true,
            accept_raw_authorization: true,
            accept_bearer_authorization: true,
            permission_send_bi_events: true,
            permission_manage_app_instance: true,
            validate_bi_events: true,
            setup_badge_always: false,
            rate_limit_per_minute: 200,
            rate_limit_retry_after_seconds: 0,
            echo_other_paths: false,
            auto_approve: false,
            auto_approve_site_id: String::new(),
            cancel_answer: CancelAnswer::Stay,
            loop_keeps_state: false,
            external_flow_tenant: "site".to_owned(),
            signed_instance_in_external_flow: true,
            webhook_order: WebhookOrder::Parallel,
            webhook_after_redirect_ms: 500,
            app_installed_on_reinstall: true,
            webhook_empty_origin: true,
            app_installation_events: false,
            webhook_exp_offset_seconds: 3_600_000,
            webhook_iat_clock: IatClock::Wall,
            webhook_identity: true,
            webhook_id: true,
            webhook_account_info: false,
            webhook_content_type: "text/plain".to_owned(),
            webhook_test_pretty: true,
            webhook_duplicates: 0,
            webhook_hold: false,
            webhook_delay_ms: 0,
            webhook_drop: false,
            webhook_timeout_ms: 1_250,
            webhook_only_200: true,
            webhook_retry_signature: RetrySignature::Identical,
            webhook_retry_schedule_seconds: vec![
                60, 600, 3_600, 7_200, 7_200, 7_200, 14_400, 14_400, 14_400, 28_800, 28_800, 43_200,
            ],
            time_scale: 1.0,
        }
    }
}

impl Switches {
    /// These switches with the named ones changed; the message names what was wrong.
    pub(crate) fn patched(&self, patch: &serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        let Ok(serde_json::Value::Object(mut all)) = serde_json::to_value(self) else {
            return Err("the switches could not be read".to_owned());
        };
        all.extend(patch.iter().map(|(name, value)| (name.clone(), value.clone())));
        let new: Self = serde_json::from_value(all.into()).map_err(|reason| reason.to_string())?;
        new.check()?;
        Ok(new)
    }

    fn check(&self) -> Result<(), String> {
        if !(self.time_scale.is_finite() && self.time_scale > 0.0) {
            return Err("time_scale must be greater than 0".to_owned());
        }
        if self.webhook_timeout_ms == 0 {
            return Err("webhook_timeout_ms must be greater than 0".to_owned());
        }
        if self.webhook_content_type.parse::<axum::http::HeaderValue>().is_err() {
            return Err("webhook_content_type is no header value".to_owned());
        }
        let statuses = [
            ("unknown_instance_status", self.unknown_instance_status),
            ("removed_instance_status", self.removed_instance_status),
            ("bad_secret_status", self.bad_secret_status),
            ("unknown_app_status", self.unknown_app_status),
            ("bad_code_status", self.bad_code_status),
            ("bad_refresh_status", self.bad_refresh_status),
        ];
        for (name, status) in statuses {
            if !(400..600).contains(&status) {
                return Err(format!("{name} must be a status from 400 to 599"));
            }
        }
        if self.token_info_unknown_status != 200 && !(400..600).contains(&self.token_info_unknown_status) {
            return Err("token_info_unknown_status must be 200, or a status from 400 to 599".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
