// A Worker with a service binding to wix-edge. `tests/it/service_binding.rs` starts it in workerd.

import { WixEdge } from "wix-edge-client";

import { outcomes } from "./events.cases.mjs";

export default {
  async fetch(request, env) {
    const edge = new WixEdge({ key: env.WIX_EDGE_API_KEY, fetch: env.WIX_EDGE });
    const [, call, id] = new URL(request.url).pathname.split("/");
    try {
      switch (call) {
        case "token":
          return Response.json(await edge.token(id));
        case "all": {
          const ids = [];
          for await (const { instance_id } of edge.listInstances({ limit: 1000 })) ids.push(instance_id);
          return Response.json(ids);
        }
        case "sdk": {
          const { headers } = await edge.sdk(id).auth.getAuthHeaders();
          return Response.json(headers);
        }
        case "wix":
          return await edge.wix(id).fetch("/apps/v1/instance");
        case "upload":
          return await edge.wix(id).fetch("/apps/v1/bi-event", { method: "POST", body: request.body, headers: request.headers });
        case "handoff":
          return Response.json(await edge.handoff(id));
        case "connect":
          return Response.json(edge.connectUrl({ ref: id }));
        case "events":
          return Response.json(await outcomes());
        default:
          return new Response(null, { status: 404 });
      }
    } catch (error) {
      return Response.json({ status: error.status, code: error.code, message: error.message }, { status: 500 });
    }
  },
};
