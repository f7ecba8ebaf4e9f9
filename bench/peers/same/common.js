// What the peers with the same work share: the log line, the headers and the errors of wix-edge.

export const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** A request that is refused: status, code, cause. */
export class Refused extends Error {
  constructor(status, code, cause) {
    super(code);
    this.status = status;
    this.cause = cause;
  }
}

/** The headers of every response. */
export function headers(id, others) {
  return {
    ...others,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "strict-transport-security": "max-age=31536000",
    "x-request-id": id,
  };
}

export function json(id, status, body, type = "application/json") {
  return new Response(body, { status, headers: headers(id, { "content-type": type }) });
}

/** The line that ends each request: ids and outcomes, and no content. */
export function log({ route, method, start, id }, status, notes) {
  const level = status >= 500 ? "error" : status >= 400 ? "warn" : "info";
  const line = { level, route, method, status, duration_ms: Date.now() - start, request_id: id, ...notes };
  console[level === "info" ? "log" : level](JSON.stringify(line));
}

/** An error (RFC 9457). */
export function problem({ id }, { status, message: code, cause }, type) {
  const kind = `/problems#${code}`;
  const body = { type: kind, title: "The request was refused", status, detail: cause, code, request_id: id };
  return json(id, status, JSON.stringify(body), type);
}

/** Runs a handler, which puts into `notes` what its log line says, and answers what it refuses. */
export async function respond(request, route, handle, errorType) {
  const work = { route, method: request.method, start: Date.now(), id: crypto.randomUUID(), notes: {} };
  let response;
  try {
    response = await handle(work);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    work.notes.error = error.message;
    work.notes.cause = error.cause;
    response = problem(work, error, errorType);
  }
  log(work, response.status, work.notes);
  return response;
}

/** The body of a request of up to `limit` bytes. */
export async function bytes(request, limit) {
  const length = Number(request.headers.get("content-length"));
  if (!(length <= limit)) throw new Refused(413, "too_large", "the body is too long");
  return new Uint8Array(await request.arrayBuffer());
}

export function object(json, cause) {
  try {
    const value = JSON.parse(json);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Falls through to the error below.
  }
  throw new Refused(400, "malformed", cause);
}

// When an instance was seen installed is known for five minutes.
const seen = new Map();
const CHECK_INTERVAL = 300;

/** Compares an event with the record of its instance, which is read at most every five minutes. */
export async function recordSighting(env, instance, now) {
  if (seen.get(instance) > now) return;
  const row = await env.INSTANCES.get(`v1:instance:${instance}`, "json");
  if (row === null) {
    const fact = { instance_id: instance, status: "pending", seen_at: now };
    await env.INSTANCES.put(`v1:instance:${instance}`, JSON.stringify(fact));
  } else if (row.status === "removed") {
    throw new Refused(410, "removed", "the app was removed");
  }
  if (seen.size >= 1000) seen.delete(seen.keys().next().value);
  seen.set(instance, now + CHECK_INTERVAL);
}
