//! `GET /redirect`: Wix's Redirect URL, the end of the redirect flow (docs/wix.md, 3.3, 4 to 6).

use http::Method;

use crate::background::Task;
use crate::crypto::state::{Purpose, Returned};
use crate::instances::{Connected, exchange};
use crate::values::{AuthorizationCode, InstanceId};
use crate::web::{Call, Error, Outcome, Platform, failed, next_page, returned};
use crate::wix::links;

/// The longest code that is accepted. Wix does not document its form.
const CODE_LIMIT: usize = 8192;

/// Exchanges the code, stores the result, and redirects the browser to `AFTER_INSTALL_URL` or to Wix's page that closes the
/// window.
pub async fn redirect<P: Platform>(call: Call<'_, P>) -> Result<Outcome<P>, Error> {
    // The state is verified first, so that a forged request learns nothing about the other parameters.
    let returned = match returned(&call, Purpose::Install, "/install")? {
        Ok(returned) => returned,
        Err(outcome) => return Ok(outcome),
    };
    let reference = returned.reference.clone();
    finish(&call, returned).await.or_else(|error| failed(&call, "/install", reference, error))
}

async fn finish<P: Platform>(call: &Call<'_, P>, returned: Returned) -> Result<Outcome<P>, Error> {
    let (code, id) = parse(call)?;
    let cx = call.cx;
    cx.trace().instance(&id);

    let Connected { token, site, is_news } = exchange(&cx, &returned, &code, &id).await?;
    let close_window = || links::close_window(&cx.settings.wix, &token);
    let reply = next_page(call, Purpose::Install, &returned, (&id, site), close_window).await?;
    if !is_news {
        cx.trace().outcome("known");
        return Ok(reply.into());
    }
    Ok(Outcome { task: Some(Task::after_install(cx.settings.setup, id)), ..reply.into() })
}

fn parse<P: Platform>(call: &Call<'_, P>) -> Result<(AuthorizationCode, InstanceId), Error> {
    // A prefetching browser must not use up the code.
    let purpose = call.header("sec-purpose");
    if call.request.method == Method::HEAD || purpose.is_some_and(|purpose| purpose.contains("prefetch")) {
        return Err(Error::Prefetch);
    }
    let code = call.request.parameter("code")?.filter(|code| !code.is_empty() && code.len() <= CODE_LIMIT);
    let code = code.ok_or(Error::BadRequest("code", "it is missing: the installation was not finished at Wix"))?;
    let id = call.request.guid("instanceId")?.ok_or(Error::BadRequest("instanceId", "it is missing"))?;
    Ok((AuthorizationCode::new(code), id))
}
