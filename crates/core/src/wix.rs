//! What we ask of Wix, and nothing else (Wix's rules 1, 2, 6 and 9).

mod token_info;

use std::time::Duration;

use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::token_info::{Subject, SubjectType, TokenInfo};
use crate::bi_event::BiEvent;
use crate::config::Config;
use crate::id::{AppId, InstanceId};
use crate::json::{self, number_or_text};
use crate::platform::{Answer, Outbound, Platform, SendError};
use crate::secret::{AccessToken, AppSecret, AuthorizationCode, RefreshToken};
use crate::trace::Trace;

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

/// Why Wix gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WixError {
    /// 400, 401, 403 or 404: asking again changes nothing.
    Refused(u16),
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
    /// In milliseconds of Unix time.
    deadline: u64,
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
            life: answer.expires_in.unwrap_or(life),
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
    #[serde(default, deserialize_with = "number_or_text")]
    expires_in: Option<u64>,
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
    pub fn new(platform: &'a P, config: &'a Config, trace: &'a Trace, started_millis: u64) -> Self {
        Self { platform, config, trace, deadline: started_millis + DEADLINE_MILLIS }
    }

    /// Create Access Token (1.1): client credentials and the instance.
    pub async fn client_credentials(&self, instance: &InstanceId) -> Result<Minted, WixError> {
        let answer: TokenAnswer = self
            .with_secret("/oauth2/token", |secret| ClientCredentials {
                grant_type: "client_credentials",
                client_id: &self.config.app_id,
                client_secret: secret,
                instance_id: instance,
            })
            .await?;
        Minted::new(answer, OAUTH_LIFE)
    }

    /// Exchanges an authorization code (2.1).
    pub async fn authorization_code(&self, code: &AuthorizationCode) -> Result<Minted, WixError> {
        self.oauth_access("authorization_code", Some(code.expose()), None).await
    }

    /// Refreshes an access token (2.2).
    pub async fn refresh_token(&self, token: &RefreshToken) -> Result<Minted, WixError> {
        self.oauth_access("refresh_token", None, Some(token.expose())).await
    }

    async fn oauth_access(
        &self,
        grant_type: &'static str,
        code: Option<&str>,
        refresh_token: Option<&str>,
    ) -> Result<Minted, WixError> {
        let answer: TokenAnswer = self
            .with_secret("/oauth/access", |client_secret| OauthAccess {
                grant_type,
                client_id: &self.config.app_id,
                client_secret,
                code,
                refresh_token,
            })
            .await?;
        Minted::new(answer, CUSTOM_LIFE)
    }

    /// Get Token Info (1.5).
    pub async fn token_info(&self, token: &AccessToken) -> Result<TokenInfo, WixError> {
        let body = self.post("/oauth2/token-info", None, &TokenInfoRequest { token: token.expose() }).await?;
        parse("token info", &body)
    }

    /// Send BI Event (6).
    pub async fn bi_event(&self, token: &AccessToken, event: &BiEvent) -> Result<(), WixError> {
        self.post("/apps/v1/bi-event", Some(token), event).await.map(|_| ())
    }

    /// Get App Instance (7): whose the token is, as Wix knows it.
    pub async fn app_instance(&self, token: &AccessToken) -> Result<InstanceId, WixError> {
        let answer: AppInstanceAnswer =
            parse("app instance", &self.ask(Method::GET, "/apps/v1/instance", Some(token), None).await?)?;
        InstanceId::parse(&answer.instance.instance_id)
            .map_err(|_| WixError::Failed("Wix's app instance answer has no usable id".to_owned()))
    }

    /// Asks with the app secret, and where Wix refuses, once more: with the previous one while rotating, else with the
    /// same, since one refusal alone is not believed.
    async fn with_secret<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: impl Fn(&'a str) -> B,
    ) -> Result<T, WixError> {
        let secret = &self.config.app_secret;
        let second: &AppSecret = self.config.app_secret_previous.as_ref().unwrap_or(secret);
        let answer = match self.post(path, None, &body(secret.expose())).await {
            Err(WixError::Refused(_)) => self.post(path, None, &body(second.expose())).await,
            answer => answer,
        };
        parse("token", &answer?)
    }

    async fn post(&self, path: &str, token: Option<&AccessToken>, body: &impl Serialize) -> Result<Vec<u8>, WixError> {
        let json = serde_json::to_string(body).map_err(|_| WixError::Failed("the request is no JSON".to_owned()))?;
        self.ask(Method::POST, path, token, Some(&json)).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&AccessToken>,
        json: Option<&str>,
    ) -> Result<Vec<u8>, WixError> {
        let url = format!("{}{path}", self.config.wix_api_url);
        let mut pause = PAUSE_MILLIS;
        for attempt in 1.. {
            let left = self.deadline.saturating_sub(self.platform.now_millis());
            if left == 0 {
                return Err(WixError::Deadline);
            }
            let request =
                Outbound { method: method.clone(), url: &url, authorization: token.map(AccessToken::expose), json };
            let sent = self.platform.send(request, Duration::from_millis(left.min(ATTEMPT_MILLIS))).await;
            let (cause, wait) = match sent {
                Ok(answer) => match self.judge(path, answer) {
                    Ok(body) => return Ok(body),
                    Err(Passing { error, wait: None }) => return Err(error),
                    Err(Passing { error, wait: Some(wait) }) => (error, wait),
                },
                Err(SendError::Timeout) => (WixError::Deadline, 0),
                Err(SendError::Unreachable) => {
                    (WixError::Failed(format!("{path}: the connection could not be made or broke")), 0)
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

    fn judge(&self, path: &str, answer: Answer) -> Result<Vec<u8>, Passing> {
        if let Some(id) = &answer.wix_request_id {
            self.trace.wix_request_id(id);
        }
        match answer.status {
            200..=299 => Ok(answer.body),
            400 | 401 | 403 | 404 => Err(Passing { error: WixError::Refused(answer.status), wait: None }),
            408 | 425 | 429 | 500..=599 => Err(Passing {
                error: WixError::Failed(format!("{path}: Wix answered {}", answer.status)),
                wait: Some(answer.retry_after.unwrap_or(0).saturating_mul(1000)),
            }),
            status => Err(Passing { error: WixError::Failed(format!("{path}: Wix answered {status}")), wait: None }),
        }
    }

    /// Half of the pause, and up to the other half by chance.
    fn jitter(&self, pause: u64) -> u64 {
        let mut bytes = [0; 2];
        let _ = self.platform.random(&mut bytes);
        pause / 2 + u64::from(u16::from_be_bytes(bytes)) * (pause / 2) / u64::from(u16::MAX)
    }
}

/// A failure, and how long Wix wants to be left alone (milliseconds); none where asking again is of no use.
struct Passing {
    error: WixError,
    wait: Option<u64>,
}

fn parse<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, WixError> {
    // serde's own message may quote the body.
    json::object(body).map_err(|_| WixError::Failed(format!("Wix's {what} answer is not of the documented form")))
}
