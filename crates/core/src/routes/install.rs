//! `GET /install`: Wix's App URL. Redirects the browser to Wix's consent page with a state (docs/wix.md, 3.3, 1 and 2).

use crate::crypto::state::Purpose;
use crate::web::{Call, Error, Outcome, Platform, Reply, begin, origin};
use crate::wix::links;

/// The longest `token` that is forwarded. The one published sample has 416 characters.
const TOKEN_LIMIT: usize = 4096;

/// Responds with the redirect and the flow's cookie.
pub async fn install<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    let token = call.request.parameter("token")?;
    if token.as_ref().is_some_and(|token| token.len() > TOKEN_LIMIT) {
        return Err(Error::BadRequest("token", "it must be a token from Wix, which is shorter"));
    }

    let issued = begin(&call, Purpose::Install).await?;
    let redirect_url = format!("{}/redirect", origin(call.settings, &call.request));
    let consent = links::consent(&call.cx.settings.wix, &redirect_url, &issued.state, token.as_deref());
    Ok(Reply::redirect(consent).with_header("set-cookie", issued.set_cookie).into())
}
