export { type ConnectOptions, type HandoffOptions, WixEdge, type Fetch, type ListOptions, type Options, type PageOptions } from "./client.js";
export { WixEdgeError } from "./error.js";
export {
  type DeliveredEvent,
  EventError,
  type EventErrorCode,
  type InstallationEvent,
  type RawRequest,
  type TestEvent,
  verifyEvent,
  type WixEvent,
} from "./events.js";
export { type PluginCall, type PluginMetadata, verifyPluginCall } from "./plugins.js";
export type { SdkOptions, SdkParts } from "./sdk.js";
export type {
  BiEvent,
  BiEventSent,
  Code,
  EventPage,
  EventState,
  FinishedConfiguration,
  Handoff,
  Identity,
  IdentityRequest,
  Instance,
  InstancePage,
  ListedEvent,
  ParkedPage,
  Reconciliation,
  Statistics,
  Problem,
  Status,
  TestEventSent,
  Token,
} from "./types.js";
