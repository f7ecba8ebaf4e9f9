//! Fidelity switches: they select the behaviours that Wix does not specify or on which sources disagree. The defaults
//! are the documented behaviour.
//!
//! See sections 13.2 and 14. The field names are those of the control API.

use serde::{Deserialize, Serialize};

use crate::app_backend::AppAnswer;

/// When the install webhook is sent, relative to the browser's redirect (section 3.1: not specified).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookOrder {
    /// At the same time.
    Parallel,
    /// The first webhook attempt ends before the redirect.
    BeforeRedirect,
    /// The webhook is sent `webhook_after_redirect_ms` after the redirect.
    AfterRedirect,
}

/// The body of a retry (section 4.6: unknown).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RetrySignature {
    /// The same bytes.
    Identical,
    /// The same envelope, signed again with a fresh `iat`.
    FreshIat,
}

/// The clock of a webhook's `iat`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IatClock {
    /// The wall clock, which the app uses too: advancing the simulated clock does not date messages into the future.
    Wall,
    /// The simulated clock.
    Simulated,
}

/// The effect of Cancel on the consent page (section 3.2: unknown).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelAnswer {
    /// Shows a page "Nothing was installed"; the app is not notified.
    Stay,
    /// Redirects to the app without parameters of Wix.
    RedirectBare,
    /// Redirects to the app with `error=access_denied`.
    RedirectError,
}

/// All switches. `PATCH /_sim/switches` takes any subset and rejects unknown names.
#[expect(clippy::struct_excessive_bools, reason = "users edit a flat list of independent switches")]
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Switches {
    /// Lifetime of a client-credentials token, in seconds (1.1: 14 400; one old page: 300).
    pub token_life_seconds: u32,
    /// Whether `POST /oauth2/token` accepts form bodies too (1.1: documented for other grants only).
    pub token_accept_form: bool,
    /// Status for an unknown or all-zero `instance_id` (1.2: 404).
    pub unknown_instance_status: u16,
    /// Status for an instance whose app was removed (1.2: unknown).
    pub removed_instance_status: u16,
    /// The error for an unknown or removed instance has the REST form of section 9, not the OAuth form (1.2: both
    /// occur).
    pub missing_instance_rest_error: bool,
    /// Status for a wrong app secret (1.2: unknown; integrators report 401 and 400).
    pub bad_secret_status: u16,
    /// Status for the id of another app (1.2: unknown).
    pub unknown_app_status: u16,
    /// Extra bytes inside every access token (1.3: tokens can be several kilobytes).
    pub token_extra_bytes: u16,

    /// Lifetime of a custom-authentication access token, in seconds (2.3: 300; until 2022: 600).
    pub legacy_token_life_seconds: u32,
    /// Lifetime of an authorization code, in seconds (2.1: 600).
    pub code_life_seconds: u32,
    /// Status for an unknown, expired or used code (2.3: 400).
    pub bad_code_status: u16,
    /// Status for an unknown, expired or revoked refresh token (2.3: unknown).
    pub bad_refresh_status: u16,
    /// Whether a refresh returns a new refresh token and revokes the old one (2.2: it does not).
    pub rotate_refresh_tokens: bool,
    /// Lifetime of a refresh token, in seconds; 0 for no expiration (2.2: "never expires").
    pub refresh_token_life_seconds: u32,
    /// Whether `/oauth/access` accepts `grantType`, `clientId`, … too (2.3: refused).
    pub accept_camel_case: bool,
    /// Whether removing the app revokes its access tokens at once (3.5: the delay is unknown).
    pub removal_kills_access_tokens: bool,
    /// Whether removing the app revokes its refresh token (3.5).
    pub removal_kills_refresh_token: bool,

    /// Whether token info returns strings instead of the booleans and numbers of the SDK's types (1.5).
    pub token_info_strings: bool,
    /// Token info's status for an unknown or expired token: 200 with `active:false`, or an error status (1.5: unknown).
    pub token_info_unknown_status: u16,
    /// Whether token info returns `accountId` (1.5: in the documentation only).
    pub token_info_account_id: bool,

    /// Whether API calls may send the bare token (1.4: documented).
    pub accept_raw_authorization: bool,
    /// Whether API calls may send `Bearer` and the token (1.4: reported to work).
    pub accept_bearer_authorization: bool,
    /// Whether the app has the permission to send BI events (6); if not, 403.
    pub permission_send_bi_events: bool,
    /// Whether the app has the permission to read its instance (7); if not, 403.
    pub permission_manage_app_instance: bool,
    /// Whether each field of a BI event is validated (6: which ones Wix validates is unknown).
    pub validate_bi_events: bool,
    /// Whether new installations show "Setup incomplete" before the app has ever sent `APP_FINISHED_CONFIGURATION` (6: old
    /// rule).
    pub setup_badge_always: bool,
    /// Calls per minute and instance; 0 for no limit (9: 200).
    pub rate_limit_per_minute: u32,
    /// Seconds in the `Retry-After` of a rate-limit response; 0 for no header (9: not documented).
    pub rate_limit_retry_after_seconds: u32,
    /// Whether calls with a live token to paths that are not simulated get 200 with a description of the call, not 404.
    pub echo_other_paths: bool,

    /// Whether the installer skips the consent page.
    pub auto_approve: bool,
    /// The site of an install without `token` under `auto_approve`; empty for a new site each time.
    pub auto_approve_site_id: String,
    /// The effect of Cancel.
    pub cancel_answer: CancelAnswer,
    /// Whether an install without `redirectUrl` and `token` passes `state` to the App URL (3.3: it does not).
    pub loop_keeps_state: bool,
    /// `tenantId` of the external flow's redirect: `site` or `account` for that id; any other text is sent unchanged (3.2:
    /// an app may be installed on an account).
    pub external_flow_tenant: String,
    /// Whether the external flow's redirect has `signedInstance` (3.2: it does).
    pub signed_instance_in_external_flow: bool,

    /// When the install webhook is sent.
    pub webhook_order: WebhookOrder,
    /// The delay of `webhook_order: after_redirect`, in real milliseconds.
    pub webhook_after_redirect_ms: u32,
    /// Whether a reinstall sends `AppInstalled` too (14: not stated; expected).
    pub app_installed_on_reinstall: bool,
    /// Whether `originInstanceId` is "" without an origin; if not, it is omitted (3.5).
    pub webhook_empty_origin: bool,
    /// Whether the newer `wix.app.installations.v1.app_installation_*` events are sent too (5: developer preview).
    pub app_installation_events: bool,
    /// Whether these events have the entity as JSON text, not as an object (4.7: Wix's types say text, its SDK reads an object).
    pub app_installation_text: bool,
    /// Whether `app_installation_deleted` has the entity (4.7: it may be empty).
    pub app_installation_deleted_entity: bool,
    /// Whether the deletion of a site sends `AppRemoved` too (3.5: not seen).
    pub app_removed_on_site_deletion: bool,
    /// `exp` minus `iat`, in seconds (4.3: 3 600 000).
    pub webhook_exp_offset_seconds: i64,
    /// The clock of `iat`.
    pub webhook_iat_clock: IatClock,
    /// Whether the envelope has `identity` (4.5: optional).
    pub webhook_identity: bool,
    /// Whether the envelope has `webhookId` (4.5: observed, undocumented).
    pub webhook_id: bool,
    /// Whether the envelope has `accountInfo` (4.5: optional).
    pub webhook_account_info: bool,
    /// `Content-Type` of a delivery; empty for none (4.1: `text/plain` observed).
    pub webhook_content_type: String,
    /// Whether test deliveries have pretty-printed sample data (4.1).
    pub webhook_test_pretty: bool,
    /// The number of duplicates of each delivery (4.6: duplicates occur without failure).
    pub webhook_duplicates: u8,
    /// Whether new deliveries are held until `POST /_sim/deliveries/release`, which can reverse their order (4.6).
    pub webhook_hold: bool,
    /// The delay before the first attempt, in simulated milliseconds (4.6: events may be late).
    pub webhook_delay_ms: u32,
    /// Whether new deliveries are recorded and never sent.
    pub webhook_drop: bool,
    /// The timeout of an attempt, in real milliseconds (4.1: 1250).
    pub webhook_timeout_ms: u32,
    /// Whether only 200 counts as delivered; if not, any 2xx (4.1: 200).
    pub webhook_only_200: bool,
    /// The body of a retry.
    pub webhook_retry_signature: RetrySignature,
    /// The pause before each retry, in seconds, from the previous attempt (4.6).
    pub webhook_retry_schedule_seconds: Vec<u32>,
    /// How the app answers an event.
    pub app_answer: AppAnswer,
    /// Seconds in the `Retry-After` of `app_answer: 503`; 0 for no header.
    pub app_retry_after_seconds: u32,
    /// The divisor of the pauses between webhook attempts: at 3600 an hour takes a second.
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
            app_installation_text: false,
            app_installation_deleted_entity: true,
            app_removed_on_site_deletion: false,
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
            app_answer: AppAnswer::Ok,
            app_retry_after_seconds: 10,
            time_scale: 1.0,
        }
    }
}

impl Switches {
    /// A copy with the switches in `patch` changed; the error names the invalid switch.
    pub(crate) fn patched(&self, patch: &serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
        let Ok(serde_json::Value::Object(mut all)) = serde_json::to_value(self) else {
            return Err("the switches could not be serialised".to_owned());
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
            return Err("webhook_content_type must be a valid header value".to_owned());
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
