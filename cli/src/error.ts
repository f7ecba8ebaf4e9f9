/** A failure that the user can mend. Its message says how; no stack is shown. */
export class UserError extends Error {}
