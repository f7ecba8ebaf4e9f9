// Calls to the app API. The browser sends the session's cookie, which no script can read.

/** How long a call may take. The Worker itself answers within 15 s. */
const PATIENCE = 20_000;

/** A call without success. `status` is 0 if there was no answer. */
export class ApiError extends Error {
  constructor(status, title, detail, { code, requestId } = {}) {
    super(title);
    Object.assign(this, { status, title, detail, code, requestId });
  }
}

async function failed(answer) {
  const problem = await answer.json().catch(() => undefined);
  if (typeof problem?.code === "string") {
    const { title, detail, code, request_id: requestId } = problem;
    return new ApiError(answer.status, String(title), String(detail), { code, requestId });
  }
  const after = Number(answer.headers.get("retry-after"));
  if (answer.status === 429) {
    return new ApiError(429, "Too many requests", `Wait ${after > 0 ? `${after} s` : "a minute"}, and try again.`);
  }
  const detail = "The answer is not the Worker's own. Check in Cloudflare's dashboard whether the Worker is deployed and runs.";
  return new ApiError(answer.status, `The server answered ${answer.status}`, detail);
}

/** Sends a request, and returns the answer's JSON. `key` is sent once and not kept. */
export async function call(path, { method = "GET", body, key, signal } = {}) {
  const headers = {};
  if (key !== undefined) headers.authorization = `Bearer ${key}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const late = AbortSignal.timeout(PATIENCE);
  const both = signal ? AbortSignal.any([signal, late]) : late;
  try {
    const answer = await fetch(path, {
      method, headers, body: body && JSON.stringify(body), signal: both, cache: "no-store", redirect: "error",
    });
    // /readyz answers 503 with the problems that keep the Worker from serving.
    if (!answer.ok && path !== "/readyz") throw await failed(answer);
    const text = await answer.text();
    return text ? JSON.parse(text) : undefined;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    // The view is gone, and nobody waits for the answer.
    if (signal?.aborted) throw signal.reason;
    if (late.aborted) {
      throw new ApiError(0, "The Worker did not answer in time", `No answer came within ${PATIENCE / 1000} s. Try again.`);
    }
    if (error instanceof SyntaxError) {
      throw new ApiError(0, "The answer cannot be read", "It is not JSON. Check that this address leads to the Worker.");
    }
    throw new ApiError(0, "The Worker cannot be reached", "Check the network connection, and try again.");
  }
}

/** The outcome of a call, so that one failed part leaves the rest of a page. A call that needs a sign-in still fails. */
export async function settle(promise) {
  try {
    return { value: await promise };
  } catch (error) {
    if (!(error instanceof ApiError) || error.status === 401) throw error;
    return { error };
  }
}

/** The query of a path, without empty parameters. */
export function query(parameters) {
  const pairs = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "");
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}
