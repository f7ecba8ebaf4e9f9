import type { Code, Problem } from "./types.js";

/** The Worker did not do what it was asked to. */
export class WixEdgeError extends Error {
  declare readonly name: "WixEdgeError";
  /** The answer's status. */
  declare readonly status: number;
  /** What happened; absent where the answer is not the Worker's own. */
  declare readonly code: Code | undefined;
  /** Finds the line in the Worker's log. */
  declare readonly requestId: string | undefined;
  /** Seconds after which it may be tried again, where the Worker says so. */
  declare readonly retryAfter: number | undefined;

  static {
    shield(this.prototype, { name: "WixEdgeError" }, false);
    // Node would print the accessors of `shield` as such, and not what they hold.
    const custom = Symbol.for("nodejs.util.inspect.custom");
    Object.defineProperty(this.prototype, custom, { value: printed, configurable: true });
  }

  constructor(response: Response, problem: Problem | undefined) {
    const what = problem ? `${problem.title}. ${problem.detail}` : "The answer is not one of the Worker's";
    super(`${what} (${[response.status, problem?.code].filter(Boolean).join(", ")})`);
    shield(this, { message: this.message }, false);
    shield(this, {
      status: response.status,
      code: problem?.code,
      requestId: problem?.request_id ?? response.headers.get("x-request-id") ?? undefined,
      retryAfter: retryAfter(response.headers.get("retry-after")),
      runtimeError: undefined,
    });
  }

  /** The error that an answer of the Worker's tells of. The body is read. */
  static async of(response: Response): Promise<WixEdgeError> {
    return new WixEdgeError(response, await problem(response));
  }

  /** What a log that writes JSON shows. */
  toJSON(): Record<string, unknown> {
    const fields: object = this;
    return { name: this.name, message: this.message, ...fields };
  }
}

/**
 * Makes fields ignore every assignment. The modules that Wix publishes write `message`, `status`, `code`, `requestId` and
 * `runtimeError` of their own into each error that passes them (`transformError` of `@wix/sdk-runtime`); a field that can
 * only be read would make that assignment fail, and the caller would get a TypeError.
 */
function shield(error: object, fields: Record<string, unknown>, enumerable = true): void {
  for (const [name, value] of Object.entries(fields)) {
    const shown = enumerable && value !== undefined;
    Reflect.defineProperty(error, name, { get: () => value, set: () => {}, enumerable: shown, configurable: true });
  }
}

/** Does the same for an error that is not of this package: the Worker could not be reached, or took too long. */
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

/** Seconds from now, by either form of the header: seconds, or an HTTP date (RFC 9110, 10.2.3). */
function retryAfter(header: string | null): number | undefined {
  const value = header?.trim() ?? "";
  if (/^\d{1,15}$/.test(value)) return Number(value);
  // Of the three forms of a date, the oldest names no time zone.
  const date = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(value) ? Date.parse(value.endsWith("GMT") ? value : `${value} GMT`) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1000));
}

/** What an answer says went wrong, if it is the Worker's own word and not Wix's. The body is read. */
export async function problem(response: Response): Promise<Problem | undefined> {
  if (!isProblem(response)) {
    await response.body?.cancel();
    return undefined;
  }
  const value: unknown = await response.json().catch(() => undefined);
  const told = value as Problem | undefined;
  return typeof told?.type === "string" && told.type.startsWith("urn:wix-edge:problem:") ? told : undefined;
}

/** Whether an answer may be the Worker's word on what went wrong. */
export function isProblem(response: Response): boolean {
  const [type] = (response.headers.get("content-type") ?? "").split(";", 1);
  return type?.trim().toLowerCase() === "application/problem+json";
}
