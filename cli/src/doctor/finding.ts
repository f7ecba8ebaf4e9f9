// The results of the checks.

/** `fault`: something does not work. `warning`: it works, and should be changed. `note`: it is off, and may be meant so. */
export type Severity = "fault" | "warning" | "note";

/** A result that the operator should read: one sentence on what is wrong and where, and how to fix it. */
export interface Finding {
  /** For programs: it never changes. */
  id: string;
  severity: Severity;
  /** An address, a file or the name of a value. */
  where: string;
  what: string;
  /** One or more sentences. */
  fix: string;
}

/** A check that found nothing wrong. */
export interface Fine {
  what: string;
}

/** A check returns these. */
export type Result = Finding | Fine;

/** Whether a result is a finding. */
export function isFinding(result: Result): result is Finding {
  return "id" in result;
}

/** Something does not work. */
export function fault(id: string, where: string, what: string, fix: string): Finding {
  return { id, severity: "fault", where, what, fix };
}

/** Something works, and should be changed. */
export function warning(id: string, where: string, what: string, fix: string): Finding {
  return { id, severity: "warning", where, what, fix };
}

/** Something is off, and may be meant so. */
export function note(id: string, where: string, what: string, fix: string): Finding {
  return { id, severity: "note", where, what, fix };
}

/** A check found nothing wrong. */
export function fine(what: string): Fine {
  return { what };
}
