// Calls the routes of events with the npm package. Prints what they return, as JSON.

import { WixEdge } from "wix-edge-client";

const { WORKER_URL: url, WORKER_KEY: key, INSTANCE: instance } = process.env;
const edge = new WixEdge({ url, key });
const sent = await edge.sendTestEvent();
const listed = await edge.events(instance, { limit: 1 });
const [{ event_id }] = listed.events;
const next = await edge.events(instance, { limit: 1, cursor: listed.next_cursor });
const redelivered = await edge.redeliver(instance, event_id);
const gone = await edge.redeliver(instance, "evt_unknown").catch(({ status, code }) => ({ status, code }));
const parked = await edge.parkedEvents({ limit: 10 });
await edge.redeliverParked({ instanceId: instance });
await edge.redeliverParked();
console.log(JSON.stringify({ sent, listed, next, redelivered: redelivered ?? null, gone, parked }));
