// The shapes of the app API, by the names that this package gives them. They are the Worker's own: openapi.ts is made of
// its description.

import type { components } from "./openapi.js";

type Schemas = components["schemas"];

/** An installation. Times are Unix seconds; what is not known is absent. */
export type Instance = Schemas["Instance"];
/** A page of installations. */
export type InstancePage = Schemas["InstancePage"];
/** Where an installation stands. */
export type Status = Schemas["Status"];
/** An access token, and when it ends. */
export type Token = Schemas["Token"];
/** Whose a value is. */
export type Identity = Schemas["Identity"];
/** A signed instance or an access token that a front end sent. */
export type IdentityRequest = Schemas["IdentityRequest"];
/** One of Wix's BI events. */
export type BiEvent = Schemas["BiEventRequest"];
/** A BI event was sent. */
export type BiEventSent = Schemas["BiEventSent"];
/** The app is set up, and Wix knows. */
export type FinishedConfiguration = Schemas["FinishedConfiguration"];
/** What went wrong (RFC 9457). */
export type Problem = Schemas["Problem"];
/** What went wrong, for programs. */
export type Code = Problem["code"];
