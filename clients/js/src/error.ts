import type { Code, Problem } from "./types.js";

/** The Worker did not do what it was asked to. */
export class WixEdgeError extends Error {
  override readonly name = "WixEdgeError";
  /** The answer's status. */
  readonly status: number;
  /** What happened; absent where the answer is not the Worker's own. */
  readonly code: Code | undefined;
  /** Finds the line in the Worker's log. */
  readonly requestId: string | undefined;
  /** Seconds after which it may be tried again, where the Worker says so. */
  readonly retryAfter: number | undefined;

  constructor(response: Response, problem: Problem | undefined) {
    const what = problem ? `${problem.title}. ${problem.detail}` : "The answer is not one of the Worker's";
    super(`${what} (${[response.status, problem?.code].filter(Boolean).join(", ")})`);
    this.status = response.status;
    this.code = problem?.code;
    this.requestId = problem?.request_id ?? response.headers.get("x-request-id") ?? undefined;
    const seconds = Number.parseInt(response.headers.get("retry-after") ?? "", 10);
    this.retryAfter = Number.isNaN(seconds) ? undefined : seconds;
  }

  /** The error that an answer of the Worker's tells of. The body is read. */
  static async of(response: Response): Promise<WixEdgeError> {
    return new WixEdgeError(response, await problem(response));
  }
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
  return response.headers.get("content-type") === "application/problem+json";
}
