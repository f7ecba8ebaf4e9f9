import type { Code, Problem } from "./types.js";

/** An error that the Worker answered, or an answer that is not the Worker's. */
export class WixEdgeError extends Error {
  declare readonly name: "WixEdgeError";
  /** The status of the answer. */
  declare readonly status: number;
  /** The error for programs; absent if the answer is not the Worker's own. */
  declare readonly code: Code | undefined;
  /** The id of the request in the Worker's log. */
  declare readonly requestId: string | undefined;
  /** Seconds to wait before another try, if the answer says so. */
  declare readonly retryAfter: number | undefined;

  static {
    shield(this.prototype, { name: "WixEdgeError" }, false);
    // Node would print the accessors of `shield` and not their values.
    const custom = Symbol.for("nodejs.util.inspect.custom");
    Object.defineProperty(this.prototype, custom, { value: printed, configurable: true });
  }

  constructor(response: Response, problem: Problem | undefined) {
    const text = problem ? `${problem.title}. ${problem.detail}` : "The answer is not one of the Worker's";
    super(`${text} (${[response.status, problem?.code].filter(Boolean).join(", ")})`);
    shield(this, { message: this.message }, false);
    shield(this, {
      status: response.status,
      code: problem?.code,
      requestId: problem?.request_id ?? response.headers.get("x-request-id") ?? undefined,
      retryAfter: retryAfter(response.headers.get("retry-after")),
      runtimeError: undefined,
    });
  }

  /** Makes an error from an answer. Reads the body. */
  static async of(response: Response): Promise<WixEdgeError> {
    return new WixEdgeError(response, await problem(response));
  }

  /** Used by logs that write JSON. */
  toJSON(): Record<string, unknown> {
    const fields: object = this;
    return { name: this.name, message: this.message, ...fields };
  }
}

/**
 * Makes fields ignore every assignment. The modules that Wix publishes assign their own `message`, `status`, `code`,
 * `requestId` and `runtimeError` to each error (`transformError` of `@wix/sdk-runtime`). Assigning to a read-only field
 * would throw, and the caller would get a TypeError.
 */
function shield(error: object, fields: Record<string, unknown>, enumerable = true): void {
  for (const [name, value] of Object.entries(fields)) {
    const shown = enumerable && value !== undefined;
    Reflect.defineProperty(error, name, { get: () => value, set: () => {}, enumerable: shown, configurable: true });
  }
}

/** Does the same for other errors: the Worker could not be reached, or did not answer in time. */
export function shielded(error: unknown): unknown {
  if (error instanceof Error && !(error instanceof WixEdgeError)) {
    const { name, message } = error;
    const { status, code, requestId } = error as { status?: unknown; code?: unknown; requestId?: unknown };
    shield(error, { name, message, status, code, requestId, runtimeError: undefined }, false);
  }
  return error;
}

function printed(this: WixEdgeError, _: number, options: object, inspect?: (error: Error, options: object) => string) {
  const plain = new Error(this.message);
  Object.defineProperty(plain, "name", { value: this.name });
  Object.defineProperty(plain, "stack", { value: this.stack });
  Object.assign(plain, this);
  return inspect ? inspect(plain, options) : plain;
}

/** Seconds from now. The header has seconds or an HTTP date (RFC 9110, 10.2.3). */
function retryAfter(header: string | null): number | undefined {
  const value = header?.trim() ?? "";
  if (/^\d{1,15}$/.test(value)) return Number(value);
  // The oldest of the three forms of a date has no time zone; it means GMT.
  const date = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(value) ? Date.parse(value.endsWith("GMT") ? value : `${value} GMT`) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1000));
}

/** The details of an error of the Worker; undefined if the answer is not the Worker's. Reads the body. */
export async function problem(response: Response): Promise<Problem | undefined> {
  if (!isProblem(response)) {
    await response.body?.cancel();
    return undefined;
  }
  const value: unknown = await response.json().catch(() => undefined);
  const details = value as Problem | undefined;
  // A Worker of version 0.1.0 names its problems by URNs.
  const isOurs = ["/problems#", "urn:wix-edge:problem:"].some((prefix) => details?.type === prefix + details?.code);
  return isOurs ? details : undefined;
}

/** Whether an answer has the media type of the Worker's errors. */
export function isProblem(response: Response): boolean {
  const [type] = (response.headers.get("content-type") ?? "").split(";", 1);
  return type?.trim().toLowerCase() === "application/problem+json";
}
