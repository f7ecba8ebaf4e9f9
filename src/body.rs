//! Bodies: read to a limit, and never left unread.

use futures::StreamExt as _;
use js_sys::Uint8Array;
use wasm_bindgen::JsCast as _;
use wasm_bindgen_futures::JsFuture;
use web_sys::ReadableStream;
use wix_edge_core::platform::{BodyError, Short};
use worker::{ByteStream, Method, Request, RequestInit, Response, ResponseBody};

/// How much of a refused body is read and thrown away, in bytes. `wrangler dev` fails the next request on a connection
/// whose last body was left unread.
const DRAIN_LIMIT: usize = 4 * 1024 * 1024;

/// An inbound body of up to `limit` bytes. A longer one is read on, to a bound, and thrown away.
pub async fn read(request: &web_sys::Request, limit: usize) -> Result<Vec<u8>, BodyError> {
    let length = request.headers().get("content-length").ok().flatten().and_then(|text| text.parse::<usize>().ok());
    match length {
        // The runtime holds the sender to the length it names, so that the body can be had in one piece.
        Some(length) if length <= limit => {
            let bytes = request.array_buffer().map_err(|_| BodyError::Broken)?;
            let bytes = JsFuture::from(bytes).await.map_err(|_| BodyError::Broken)?;
            Ok(Uint8Array::new(&bytes).to_vec())
        }
        _ => match Request::from(Clone::clone(request)).stream() {
            Ok(stream) => collect(stream, limit).await,
            Err(_) => Ok(Vec::new()),
        },
    }
}

/// A stream's bytes, up to `limit`.
pub async fn collect(mut stream: ByteStream, limit: usize) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    let mut length = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| BodyError::Broken)?;
        length += chunk.len();
        if length <= limit {
            bytes.extend_from_slice(&chunk);
        } else if length > limit + DRAIN_LIMIT {
            break;
        }
    }
    if length > limit { Err(BodyError::TooLarge) } else { Ok(bytes) }
}

/// An inbound body that ends within `limit` bytes, or a request that has it whole: the stream is split in two, and the
/// one that was looked into is cancelled, so that nothing is held for it.
pub async fn read_short(request: web_sys::Request, limit: usize) -> Result<Short<web_sys::Request>, BodyError> {
    let Some(body) = request.body() else { return Ok(Short::Whole(Vec::new())) };
    let branches = body.tee();
    let (looked_into, whole) = (branches.get(0).unchecked_into(), branches.get(1));
    let mut stream = Response::from_body(ResponseBody::Stream(looked_into))
        .and_then(|mut response| response.stream())
        .map_err(|_| BodyError::Broken)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.map_err(|_| BodyError::Broken)?);
        if bytes.len() > limit {
            let mut init = RequestInit::new();
            init.with_method(Method::Post).with_body(Some(whole));
            let carrier = Request::new_with_init(&request.url(), &init).map_err(|_| BodyError::Broken)?;
            return Ok(Short::Longer(Clone::clone(carrier.inner())));
        }
    }
    let whole: ReadableStream = whole.unchecked_into();
    let _ = JsFuture::from(whole.cancel()).await;
    Ok(Short::Whole(bytes))
}

/// Reads and throws away a body that nobody asked for.
pub async fn drain(request: web_sys::Request) {
    if request.body().is_some() && !request.body_used() {
        let _ = read(&request, 0).await;
    }
}
