//! The client of Wix's API (docs/wix.md, 1, 2, 6, 7 and 9).

use std::cell::Cell;
use std::time::Duration;

use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::app_instance;
use super::evidence::{Verdict, judge};
use super::{AppInstance, BiEvent, Fetch, Grant, Outbound, Response, SendError, Settings, Token, TokenInfo, is_token};
use crate::runtime::{Backoff, Clock, Entropy, Trace};
use crate::values::{AccessToken, AppId, AppSecret, AuthorizationCode, InstanceId, RefreshToken, Timestamp, json};

/// How long all calls of one request to Wix may take together, in milliseconds.
pub const DEADLINE_MILLIS: u64 = 15_000;
/// The timeout of one attempt, in milliseconds.
const ATTEMPT_MILLIS: u64 = 6_000;
/// How many attempts a transient error gets.
const ATTEMPTS: u32 = 4;
/// The pauses between the attempts, in milliseconds.
const BACKOFF_MILLIS: Backoff = Backoff { first: 200, longest: 3_000 };

/// The life of a client-credentials token whose response has no `expires_in`, in seconds.
const OAUTH_LIFE: u64 = 14_400;
/// The life of a custom-authentication token, in seconds. Its responses have no `expires_in`.
const CUSTOM_LIFE: u64 = 300;
/// The longest life that is accepted, in seconds.
const LONGEST_LIFE: u64 = 86_400;

/// Why a call to Wix failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WixError {
    /// Wix refused permanently, with its JSON error (400, 401, 403 or 404).
    #[error("Wix answered {0}")]
    Refused(u16),
    /// Wix refused the app's own credentials, under every configured secret.
    #[error("Wix answered {0}")]
    CredentialsRefused(u16),
    /// A refusal without Wix's JSON error: a firewall or a proxy answered.
    #[error("an answer {0} without Wix's JSON error: a firewall or a proxy on the way to Wix")]
    NotFromWix(u16),
    /// Wix could not be reached, kept failing, or sent a response that cannot be used. The text is for the log.
    #[error("{0}")]
    Failed(String),
    /// The deadline passed.
    #[error("the deadline passed")]
    Deadline,
}

/// Calls Wix within the deadline of one request.
pub struct Wix<'a, P> {
    platform: &'a P,
    settings: &'a Settings,
    trace: &'a Trace,
    /// When Wix last refused the app's own credentials, as far as this isolate knows.
    credentials_refused: &'a Cell<Option<Timestamp>>,
    /// When the request began.
    now: Timestamp,
    /// In milliseconds of Unix time.
    deadline: u64,
}

/// One call, which may take several attempts.
struct Call<'a> {
    method: Method,
    path: &'a str,
    token: Option<&'a AccessToken>,
    json: Option<&'a str>,
    /// Whether the call is repeated after a 200 that cannot be parsed.
    repeatable: bool,
    /// Whether the call contains the app's own credentials, so that Wix may refuse those.
    with_credentials: bool,
}

#[derive(Serialize)]
struct ClientCredentials<'a> {
    grant_type: &'static str,
    client_id: &'a AppId,
    client_secret: &'a str,
    instance_id: &'a InstanceId,
}

#[derive(Serialize)]
struct OauthAccess<'a> {
    grant_type: &'static str,
    client_id: &'a AppId,
    client_secret: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
}

#[derive(Deserialize)]
struct TokenResponse {
    access_token: AccessToken,
    #[serde(default, deserialize_with = "json::seconds")]
    expires_in: Option<u64>,
    #[serde(default, deserialize_with = "json::lenient")]
    refresh_token: Option<RefreshToken>,
}

#[derive(Serialize)]
struct TokenInfoRequest<'a> {
    token: &'a str,
}

impl<'a, P: Fetch + Clock + Entropy> Wix<'a, P> {
    /// Creates the client for the request of `trace`, which began at `now`.
    pub fn new(
        platform: &'a P,
        settings: &'a Settings,
        trace: &'a Trace,
        credentials_refused: &'a Cell<Option<Timestamp>>,
        now: Timestamp,
    ) -> Self {
        Self { platform, settings, trace, credentials_refused, now, deadline: trace.started_millis + DEADLINE_MILLIS }
    }

    /// Waits, or fails at once if the deadline comes first.
    pub async fn pause(&self, millis: u64) -> Result<(), WixError> {
        if self.platform.now_millis().saturating_add(millis) >= self.deadline {
            return Err(WixError::Deadline);
        }
        self.platform.sleep(Duration::from_millis(millis)).await;
        Ok(())
    }

    /// Create Access Token (1.1), by client credentials and the instance. The caller confirms a refusal, since no other grant
    /// is left.
    pub async fn client_credentials(&self, instance: &InstanceId) -> Result<Grant, WixError> {
        let body = |client_secret: &str| {
            let client_id = &self.settings.app_id;
            to_json(&ClientCredentials {
                grant_type: "client_credentials",
                client_id,
                client_secret,
                instance_id: instance,
            })
        };
        self.with_secret("/oauth2/token", &body, OAUTH_LIFE, Repeat::Unparsed).await
    }

    /// Exchanges an authorization code (2.1). A code works once, so a 200 that cannot be parsed is final.
    pub async fn authorization_code(&self, code: &AuthorizationCode) -> Result<Grant, WixError> {
        self.oauth_access("authorization_code", Some(code.expose()), None, Repeat::Never).await
    }

    /// Refreshes an access token (2.2). A refusal is confirmed by a second request.
    pub async fn refresh_token(&self, token: &RefreshToken) -> Result<Grant, WixError> {
        self.oauth_access("refresh_token", None, Some(token.expose()), Repeat::UnparsedAndRefused).await
    }

    async fn oauth_access(
        &self,
        grant_type: &'static str,
        code: Option<&str>,
        refresh_token: Option<&str>,
        repeat: Repeat,
    ) -> Result<Grant, WixError> {
        let body = |client_secret: &str| {
            to_json(&OauthAccess { grant_type, client_id: &self.settings.app_id, client_secret, code, refresh_token })
        };
        self.with_secret("/oauth/access", &body, CUSTOM_LIFE, repeat).await
    }

    /// Get Token Info (1.5).
    pub async fn token_info(&self, token: &AccessToken) -> Result<TokenInfo, WixError> {
        let json = to_json(&TokenInfoRequest { token: token.expose() })?;
        let call = Call { json: Some(&json), ..Call::new(Method::POST, "/oauth2/token-info", true) };
        self.call(call, |body| parse("token info", body)).await
    }

    /// Send BI Event (6).
    pub async fn bi_event(&self, token: &AccessToken, event: &BiEvent) -> Result<(), WixError> {
        let json = to_json(event)?;
        let call =
            Call { token: Some(token), json: Some(&json), ..Call::new(Method::POST, "/apps/v1/bi-event", false) };
        self.call(call, |_| Ok(())).await
    }

    /// Get App Instance (7), of the instance that Wix attributes the token to.
    pub async fn app_instance(&self, token: &AccessToken) -> Result<AppInstance, WixError> {
        let call = Call { token: Some(token), ..Call::new(Method::GET, "/apps/v1/instance", true) };
        self.call(call, |body| app_instance::read(&parse("app instance", body)?)).await
    }

    /// Requests a token with the app secret and, during a rotation, with the previous one if Wix refuses the first. A refusal
    /// of the app's own credentials counts only if Wix refuses both secrets, or the only one twice.
    async fn with_secret(
        &self,
        path: &str,
        body: &dyn Fn(&str) -> Result<String, WixError>,
        life: u64,
        repeat: Repeat,
    ) -> Result<Grant, WixError> {
        let read = |body: &[u8]| self.grant(parse("token", body)?, life);
        let post = async |secret: &'a AppSecret| {
            let json = body(secret.expose())?;
            let repeatable = repeat != Repeat::Never;
            let call = Call::new(Method::POST, path, repeatable);
            self.call(Call { json: Some(&json), with_credentials: true, ..call }, read).await
        };
        let (current, previous) = (&self.settings.app_secret, self.settings.app_secret_previous.as_ref());
        let first = post(current).await;
        let second = match (&first, previous) {
            (Err(WixError::Refused(_) | WixError::CredentialsRefused(_)), Some(previous)) => post(previous).await,
            (Err(WixError::CredentialsRefused(_)), None) => post(current).await,
            (Err(WixError::Refused(_)), None) if repeat == Repeat::UnparsedAndRefused => post(current).await,
            _ => return self.judged(first),
        };
        // A refusal for another reason shows that Wix knows the app by that secret.
        self.judged(match (first, second) {
            (Err(WixError::Refused(status)), Err(WixError::CredentialsRefused(_))) if previous.is_some() => {
                Err(WixError::Refused(status))
            }
            (_, second) => second,
        })
    }

    /// Checks the access token, and limits its life.
    fn grant(&self, response: TokenResponse, life: u64) -> Result<Grant, WixError> {
        if !is_token(response.access_token.expose()) {
            return Err(WixError::Failed("Wix's token response has no usable token".to_owned()));
        }
        let life = response.expires_in.unwrap_or(life).min(LONGEST_LIFE);
        let (access_token, expires_at) = (response.access_token, self.now.plus(life));
        Ok(Grant {
            token: Token { access_token, expires_at, life, checked_at: self.now },
            refresh_token: response.refresh_token.filter(|token| !token.expose().is_empty()),
        })
    }

    /// Remembers whether Wix accepts the app's credentials.
    fn judged(&self, grant: Result<Grant, WixError>) -> Result<Grant, WixError> {
        match &grant {
            Ok(_) | Err(WixError::Refused(_)) => self.credentials_refused.set(None),
            Err(WixError::CredentialsRefused(_)) => {
                self.credentials_refused.set(Some(Timestamp::from_millis(self.platform.now_millis())));
            }
            Err(WixError::NotFromWix(_) | WixError::Failed(_) | WixError::Deadline) => {}
        }
        grant
    }

    async fn call<T>(&self, call: Call<'_>, read: impl Fn(&[u8]) -> Result<T, WixError>) -> Result<T, WixError> {
        let mut value = None;
        let mut keep = |body: &[u8]| {
            value = Some(read(body)?);
            Ok(())
        };
        self.attempt(call, &mut keep).await?;
        value.ok_or(WixError::Deadline)
    }

    /// Repeats the call until a response can be parsed, an error is permanent, or attempts or time are used up.
    async fn attempt(
        &self,
        call: Call<'_>,
        read: &mut dyn FnMut(&[u8]) -> Result<(), WixError>,
    ) -> Result<(), WixError> {
        let url = format!("{}{}", self.settings.api_url, call.path);
        for attempt in 1.. {
            let left = self.deadline.saturating_sub(self.platform.now_millis());
            if left == 0 {
                return Err(WixError::Deadline);
            }
            let authorization = call.token.map(AccessToken::expose);
            let request = Outbound { method: call.method.clone(), url: &url, authorization, json: call.json };
            self.trace.wix_call();
            let sent = self.platform.send(request, Duration::from_millis(left.min(ATTEMPT_MILLIS))).await;
            let (cause, wait) = match sent {
                Ok(response) => match self.read(&call, &response, read) {
                    Ok(()) => return Ok(()),
                    Err(Failure { error, retry_after: None }) => return Err(error),
                    Err(Failure { error, retry_after: Some(wait) }) => (error, wait),
                },
                Err(SendError::Timeout) => (WixError::Deadline, 0),
                Err(error @ SendError::Unreachable) => (WixError::Failed(format!("{}: {error}", call.path)), 0),
            };
            let wait = wait.max(self.jitter(BACKOFF_MILLIS.after(attempt)));
            if attempt >= ATTEMPTS || self.platform.now_millis().saturating_add(wait) >= self.deadline {
                return Err(cause);
            }
            self.platform.sleep(Duration::from_millis(wait)).await;
        }
        Err(WixError::Deadline)
    }

    fn read(
        &self,
        call: &Call<'_>,
        response: &Response,
        read: &mut dyn FnMut(&[u8]) -> Result<(), WixError>,
    ) -> Result<(), Failure> {
        if let Some(id) = &response.wix_request_id {
            self.trace.wix_request_id(id);
        }
        let (path, status) = (call.path, response.status);
        let permanent = |error| Err(Failure { error, retry_after: None });
        match judge(response, Timestamp::from_millis(self.platform.now_millis())) {
            Verdict::Success => {
                read(&response.body).map_err(|error| Failure { error, retry_after: call.repeatable.then_some(0) })
            }
            Verdict::Operator if call.with_credentials => permanent(WixError::CredentialsRefused(status)),
            Verdict::Installation | Verdict::Operator => permanent(WixError::Refused(status)),
            Verdict::Network => permanent(WixError::NotFromWix(status)),
            Verdict::Transient(wait) => Err(Failure {
                error: WixError::Failed(format!("{path}: Wix answered {status}")),
                retry_after: Some(wait),
            }),
            Verdict::Unexpected => permanent(WixError::Failed(format!("{path}: Wix answered {status}"))),
        }
    }

    /// Jitter: half of the pause, and a random part of the other half.
    fn jitter(&self, pause: u64) -> u64 {
        let mut bytes = [0; 2];
        let _ = self.platform.random(&mut bytes);
        pause / 2 + u64::from(u16::from_be_bytes(bytes)) * (pause / 2) / u64::from(u16::MAX)
    }
}

impl<'a> Call<'a> {
    fn new(method: Method, path: &'a str, repeatable: bool) -> Self {
        Self { method, path, token: None, json: None, repeatable, with_credentials: false }
    }
}

/// After which responses a token request is repeated at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// None: the request takes effect once.
    Never,
    /// A 200 that cannot be parsed.
    Unparsed,
    /// That, and a refusal.
    UnparsedAndRefused,
}

/// A failed attempt. For a transient error, the `Retry-After` in milliseconds.
struct Failure {
    error: WixError,
    retry_after: Option<u64>,
}

fn to_json(value: &impl Serialize) -> Result<String, WixError> {
    serde_json::to_string(value).map_err(|_| WixError::Failed("the request cannot be written as JSON".to_owned()))
}

fn parse<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, WixError> {
    // serde's own message may quote the body.
    json::object(body).map_err(|_| WixError::Failed(format!("Wix's {what} answer is not of the documented form")))
}
