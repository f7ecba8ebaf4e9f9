// The types of the app API under the names of this package. openapi.ts is generated from the Worker's description.

import type { components } from "./openapi.js";

type Schemas = components["schemas"];

/** An installation. Times are Unix seconds. A field whose value is unknown is absent. */
export type Instance = Schemas["Instance"];
/** A page of installations. */
export type InstancePage = Schemas["InstancePage"];
/** The status of an installation. */
export type Status = Schemas["Status"];
/** An access token and its expiry. */
export type Token = Schemas["Token"];
/** The sender of a signed instance or an access token. */
export type Identity = Schemas["Identity"];
/** A signed instance or an access token that a front end sent. */
export type IdentityRequest = Schemas["IdentityRequest"];
/** An installation that a customer's browser brought from the end of a flow. */
export type Handoff = Schemas["Handoff"];
/** One of Wix's BI events. */
export type BiEvent = Schemas["BiEventRequest"];
/** The answer after a BI event was sent. */
export type BiEventSent = Schemas["BiEventSent"];
/** The answer after Wix was told that the app is set up. */
export type FinishedConfiguration = Schemas["FinishedConfiguration"];
/** An error of the Worker (RFC 9457). */
export type Problem = Schemas["Problem"];
/** The code of an error, for programs. */
export type Code = Problem["code"];
/** An event of an installation, without its content. Times are Unix seconds. */
export type ListedEvent = Schemas["DeliveredEvent"];
/** The state of an event. */
export type EventState = Schemas["EventState"];
/** A page of events. */
export type EventPage = Schemas["EventPage"];
/** A page of the installations that have parked events. */
export type ParkedPage = Schemas["ParkedPage"];
/** What the comparison of all installations with Wix has found, in the present round and the one before it. */
export type Reconciliation = Schemas["Reconciliation"];
/** Installs, removals and deliveries by day, by UTC, the oldest first. */
export type Statistics = Schemas["Statistics"];
/** The answer after a test event was stored. */
export type TestEventSent = Schemas["TestEvent"];
