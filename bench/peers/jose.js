// A webhook handler with jose.
import { importSPKI, jwtVerify } from "jose";

let key;

export default {
  async fetch(request, env) {
    key ??= importSPKI(`-----BEGIN PUBLIC KEY-----\n${env.PUBLIC_KEY}\n-----END PUBLIC KEY-----`, "RS256");
    try {
      const { payload } = await jwtVerify(await request.text(), await key, { algorithms: ["RS256"], clockTolerance: 60 });
      const envelope = JSON.parse(payload.data);
      JSON.parse(envelope.data);
      return new Response("{}", { headers: { "content-type": "application/json" } });
    } catch {
      return new Response("refused", { status: 401 });
    }
  },
};
