//! What we ask of Wix, and nothing else (Wix's rules 1, 2, 6 and 9).

pub mod evidence;
mod token_info;

use std::cell::Cell;
use std::time::Duration;

use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::token_info::{Subject, SubjectType, TokenInfo};
use crate::bi_event::BiEvent;
use crate::config::Config;
use crate::id::{AppId, InstanceId};
use crate::json;
use crate::platform::{Answer, Outbound, Platform, SendError};
use crate::secret::{AccessToken, AppSecret, AuthorizationCode, RefreshToken};
use crate::time::Timestamp;
use crate::trace::Trace;
use evidence::{Verdict, judge};

/// All that one request may spend on Wix, in milliseconds.
pub const DEADLINE_MILLIS: u64 = 15_000;
/// What one attempt may take, in milliseconds.
const ATTEMPT_MILLIS: u64 = 6_000;
/// Attempts where Wix fails for the moment.
const ATTEMPTS: u32 = 4;
/// The first pause between two attempts and the longest, in milliseconds.
const PAUSE_MILLIS: u64 = 200;
const LONGEST_PAUSE_MILLIS: u64 = 3_000;

/// Life of a client-credentials token where Wix does not say, in seconds.
const OAUTH_LIFE: u64 = 14_400;
/// The longest token that is taken, in bytes.
pub const TOKEN_LIMIT: usize = 32 * 1024;
/// Life of a custom-authentication token, in seconds; Wix never says.
const CUSTOM_LIFE: u64 = 300;
/// The longest life that is believed, in seconds.
const LONGEST_LIFE: u64 = 86_400;

/// Why Wix gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WixError {
    /// Wix refuses with its JSON error (400, 401, 403 or 404): asking again changes nothing.
    Refused(u16),
    /// Wix refuses the app's own credentials, under every secret that is configured.
    CredentialsRefused(u16),
    /// The status of a refusal without Wix's JSON error: a firewall or a proxy on the way answered.
    NotFromWix(u16),
    /// It could not be reached, kept failing, or answered what cannot be used. The text is for the log.
    Failed(String),
    /// The deadline passed.
    Deadline,
}

/// Speaks to Wix on behalf of one request, within its deadline.
pub struct Wix<'a, P> {
    platform: &'a P,
    config: &'a Config,
    trace: &'a Trace,
    /// When Wix last refused the app's own credentials, as far as this isolate saw.
    credentials_refused: &'a Cell<Option<Timestamp>>,
    /// In milliseconds of Unix time.
    deadline: u64,
}

/// What is asked of Wix in one call.
struct Call<'a> {
    method: Method,
    path: &'a str,
    token: Option<&'a AccessToken>,
    json: Option<&'a str>,
    /// Whether a 200 that cannot be read is asked for again.
    repeatable: bool,
    /// Whether the app's own credentials are in it, so that they can be refused.
    with_credentials: bool,
}

/// A token from either endpoint.
pub struct Minted {
    /// The token.
    pub access_token: AccessToken,
    /// Its life from now, in seconds.
    pub life: u64,
    /// The refresh token, where Wix sent one.
    pub refresh_token: Option<RefreshToken>,
}

impl Minted {
    /// Takes what can be sent in a header, and no more than Wix's tokens have been seen to need.
    fn new(answer: TokenAnswer, life: u64) -> Result<Self, WixError> {
        let text = answer.access_token.expose();
        if text.is_empty() || text.len() > TOKEN_LIMIT || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(WixError::Failed("Wix's token answer has no usable token".to_owned()));
        }
        Ok(Self {
            access_token: answer.access_token,
            life: answer.expires_in.unwrap_or(life).min(LONGEST_LIFE),
            refresh_token: answer.refresh_token.filter(|token| !token.expose().is_empty()),
        })
    }
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
struct TokenAnswer {
    access_token: AccessToken,
    #[serde(default, deserialize_with = "json::seconds")]
    expires_in: Option<u64>,
    #[serde(default, deserialize_with = "json::lenient")]
    refresh_token: Option<RefreshToken>,
}

#[derive(Deserialize)]
struct AppInstanceAnswer {
    instance: AppInstance,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AppInstance {
    instance_id: String,
}

#[derive(Serialize)]
struct TokenInfoRequest<'a> {
    token: &'a str,
}

impl<'a, P: Platform> Wix<'a, P> {
    /// For a request that began at a time in milliseconds.
    pub fn new(
        platform: &'a P,
        config: &'a Config,
        trace: &'a Trace,
        credentials_refused: &'a Cell<Option<Timestamp>>,
        started_millis: u64,
    ) -> Self {
        Self { platform, config, trace, credentials_refused, deadline: started_millis + DEADLINE_MILLIS }
    }

    /// Waits, unless the deadline comes before that.
    pub async fn pause(&self, millis: u64) -> Result<(), WixError> {
        if self.platform.now_millis().saturating_add(millis) >= self.deadline {
            return Err(WixError::Deadline);
        }
        self.platform.sleep(Duration::from_millis(millis)).await;
        Ok(())
    }

    /// Create Access Token (1.1): client credentials and the instance. What Wix refuses here is for the caller to ask again:
    /// it is the last resort.
    pub async fn client_credentials(&self, instance: &InstanceId) -> Result<Minted, WixError> {
        let body = |secret| ClientCredentials {
            grant_type: "client_credentials",
            client_id: &self.config.app_id,
            client_secret: secret,
            instance_id: instance,
        };
        self.with_secret("/oauth2/token", body, OAUTH_LIFE, Repeat::Answer).await
    }

    /// Exchanges an authorization code (2.1). It is good for one exchange, so an answer that cannot be read is final.
    pub async fn authorization_code(&self, code: &AuthorizationCode) -> Result<Minted, WixError> {
        self.oauth_access("authorization_code", Some(code.expose()), None, Repeat::Nothing).await
    }

    /// Refreshes an access token (2.2). One refusal alone is not believed.
    pub async fn refresh_token(&self, token: &RefreshToken) -> Result<Minted, WixError> {
        self.oauth_access("refresh_token", None, Some(token.expose()), Repeat::AnswerAndRefusal).await
    }

    async fn oauth_access(
        &self,
        grant_type: &'static str,
        code: Option<&str>,
        refresh_token: Option<&str>,
        repeat: Repeat,
    ) -> Result<Minted, WixError> {
        let body = |client_secret| OauthAccess {
            grant_type,
            client_id: &self.config.app_id,
            client_secret,
            code,
            refresh_token,
        };
        self.with_secret("/oauth/access", body, CUSTOM_LIFE, repeat).await
    }

    /// Get Token Info (1.5).
    pub async fn token_info(&self, token: &AccessToken) -> Result<TokenInfo, WixError> {
        let json = to_json(&TokenInfoRequest { token: token.expose() })?;
        let call = Call { json: Some(&json), ..Call::new(Method::POST, "/oauth2/token-info", true) };
        self.ask(call, |body| parse("token info", body)).await
    }

    /// Send BI Event (6).
    pub async fn bi_event(&self, token: &AccessToken, event: &BiEvent) -> Result<(), WixError> {
        let json = to_json(event)?;
        let call =
            Call { token: Some(token), json: Some(&json), ..Call::new(Method::POST, "/apps/v1/bi-event", false) };
        self.ask(call, |_| Ok(())).await
    }

    /// Get App Instance (7): whose the token is, as Wix knows it.
    pub async fn app_instance(&self, token: &AccessToken) -> Result<InstanceId, WixError> {
        let call = Call { token: Some(token), ..Call::new(Method::GET, "/apps/v1/instance", true) };
        let answer: AppInstanceAnswer = self.ask(call, |body| parse("app instance", body)).await?;
        InstanceId::parse(&answer.instance.instance_id)
            .map_err(|_| WixError::Failed("Wix's app instance answer has no usable id".to_owned()))
    }

    /// Asks for a token with the app secret, and where Wix refuses, with the previous one while rotating. A refusal of the
    /// app's own credentials counts only under both; where there is one secret, it is asked twice.
    async fn with_secret<B: Serialize>(
        &self,
        path: &str,
        body: impl Fn(&'a str) -> B,
        life: u64,
        repeat: Repeat,
    ) -> Result<Minted, WixError> {
        let read = |body: &[u8]| Minted::new(parse("token", body)?, life);
        let post = async |secret: &'a AppSecret| {
            let json = to_json(&body(secret.expose()))?;
            let repeatable = repeat != Repeat::Nothing;
            let call = Call::new(Method::POST, path, repeatable);
            self.ask(Call { json: Some(&json), with_credentials: true, ..call }, read).await
        };
        let (current, previous) = (&self.config.app_secret, self.config.app_secret_previous.as_ref());
        let first = post(current).await;
        let second = match (&first, previous) {
            (Err(WixError::Refused(_) | WixError::CredentialsRefused(_)), Some(previous)) => post(previous).await,
            (Err(WixError::CredentialsRefused(_)), None) => post(current).await,
            (Err(WixError::Refused(_)), None) if repeat == Repeat::AnswerAndRefusal => post(current).await,
            _ => return self.saw(first),
        };
        // Wix knows the app where it refuses one of the two for another reason.
        self.saw(match (first, second) {
            (Err(WixError::Refused(status)), Err(WixError::CredentialsRefused(_))) if previous.is_some() => {
                Err(WixError::Refused(status))
            }
            (_, second) => second,
        })
    }

    /// Remembers what Wix says of the app's credentials.
    fn saw(&self, minted: Result<Minted, WixError>) -> Result<Minted, WixError> {
        match &minted {
            Ok(_) | Err(WixError::Refused(_)) => self.credentials_refused.set(None),
            Err(WixError::CredentialsRefused(_)) => {
                self.credentials_refused.set(Some(Timestamp::from_millis(self.platform.now_millis())));
            }
            Err(WixError::NotFromWix(_) | WixError::Failed(_) | WixError::Deadline) => {}
        }
        minted
    }

    async fn ask<T>(&self, call: Call<'_>, read: impl Fn(&[u8]) -> Result<T, WixError>) -> Result<T, WixError> {
        let mut value = None;
        let mut keep = |body: &[u8]| {
            value = Some(read(body)?);
            Ok(())
        };
        self.attempt(call, &mut keep).await?;
        value.ok_or(WixError::Deadline)
    }

    /// Asks until an answer can be read, a failure is permanent, or the attempts or the time are used up.
    async fn attempt(
        &self,
        call: Call<'_>,
        read: &mut dyn FnMut(&[u8]) -> Result<(), WixError>,
    ) -> Result<(), WixError> {
        let url = format!("{}{}", self.config.wix_api_url, call.path);
        let mut pause = PAUSE_MILLIS;
        for attempt in 1.. {
            let left = self.deadline.saturating_sub(self.platform.now_millis());
            if left == 0 {
                return Err(WixError::Deadline);
            }
            let authorization = call.token.map(AccessToken::expose);
            let request = Outbound { method: call.method.clone(), url: &url, authorization, json: call.json };
            let sent = self.platform.send(request, Duration::from_millis(left.min(ATTEMPT_MILLIS))).await;
            let (cause, wait) = match sent {
                Ok(answer) => match self.read(&call, &answer, read) {
                    Ok(()) => return Ok(()),
                    Err(Failure { error, retry_after: None }) => return Err(error),
                    Err(Failure { error, retry_after: Some(wait) }) => (error, wait),
                },
                Err(SendError::Timeout) => (WixError::Deadline, 0),
                Err(SendError::Unreachable) => {
                    (WixError::Failed(format!("{}: the connection could not be made or broke", call.path)), 0)
                }
            };
            let wait = wait.max(self.jitter(pause));
            if attempt >= ATTEMPTS || self.platform.now_millis().saturating_add(wait) >= self.deadline {
                return Err(cause);
            }
            self.platform.sleep(Duration::from_millis(wait)).await;
            pause = (pause * 2).min(LONGEST_PAUSE_MILLIS);
        }
        Err(WixError::Deadline)
    }

    fn read(
        &self,
        call: &Call<'_>,
        answer: &Answer,
        read: &mut dyn FnMut(&[u8]) -> Result<(), WixError>,
    ) -> Result<(), Failure> {
        if let Some(id) = &answer.wix_request_id {
            self.trace.wix_request_id(id);
        }
        let (path, status) = (call.path, answer.status);
        let permanent = |error| Err(Failure { error, retry_after: None });
        match judge(answer, Timestamp::from_millis(self.platform.now_millis())) {
            Verdict::Success => {
                read(&answer.body).map_err(|error| Failure { error, retry_after: call.repeatable.then_some(0) })
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

    /// Half of the pause, and up to the other half by chance.
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

/// What of a token request is asked for again at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Nothing: it takes effect once.
    Nothing,
    /// An answer that cannot be read.
    Answer,
    /// That, and a refusal.
    AnswerAndRefusal,
}

/// A failed attempt; where it may pass, how many milliseconds Wix wants to be left alone.
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
