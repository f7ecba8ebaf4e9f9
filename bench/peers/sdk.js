// A webhook handler with Wix's SDK.
import { AppStrategy, createClient } from "@wix/sdk";

let client;

export default {
  async fetch(request, env) {
    client ??= createClient({
      auth: AppStrategy({
        appId: env.WIX_APP_ID,
        appSecret: env.WIX_APP_SECRET,
        publicKey: `-----BEGIN PUBLIC KEY-----\n${env.PUBLIC_KEY}\n-----END PUBLIC KEY-----`,
      }),
      modules: {},
    });
    try {
      await client.webhooks.process(await request.text());
      return new Response("{}", { headers: { "content-type": "application/json" } });
    } catch {
      return new Response("refused", { status: 401 });
    }
  },
};
