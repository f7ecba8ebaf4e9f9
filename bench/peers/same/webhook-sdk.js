// A webhook handler with Wix's SDK, with the work of wix-edge.

import { AppStrategy, createClient } from "@wix/sdk";
import { GUID, Refused, bytes, respond } from "./common.js";
import { LIMIT, accept } from "./event.js";

const text = new TextDecoder();
let client;

function sdk(env) {
  client ??= createClient({
    auth: AppStrategy({
      appId: env.WIX_APP_ID,
      appSecret: env.WIX_APP_SECRET,
      publicKey: `-----BEGIN PUBLIC KEY-----\n${env.PUBLIC_KEY}\n-----END PUBLIC KEY-----`,
    }),
    modules: {},
  });
  return client;
}

export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname !== "/webhook" || request.method !== "POST") return new Response("not found", { status: 404 });
    return respond(request, "/webhook", async (work) => {
      const body = text.decode(await bytes(request, LIMIT));
      const event = await sdk(env).webhooks.process(body).catch(() => {
        throw new Refused(401, "bad_signature", "the SDK refused the message");
      });
      return accept(env, work, { instance: GUID.test(event.instanceId) ? event.instanceId : undefined });
    });
  },
};
