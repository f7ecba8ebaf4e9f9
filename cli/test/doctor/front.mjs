// A proxy in front of the Worker, as a zone, a firewall or a server of one's own may be.

import { createServer, request } from "node:http";
import { createServer as createSecure } from "node:https";

/**
 * Starts a proxy to `upstream`.
 * - `answer(request)` may return `{ status, headers, body, delay }`, which is answered in the upstream's place; `"never"` for
 *   silence; `"destroy"` to close the connection.
 * - `change(response, request)` may change `{ status, headers, body }` of the upstream's response.
 * - `host` replaces the header Host, which is passed unchanged by default.
 */
export async function front(upstream, { answer, change, host, tls } = {}) {
  const serve = async (incoming, outgoing) => {
    const body = await all(incoming);
    let response = answer?.({ method: incoming.method, path: incoming.url, headers: incoming.headers, body });
    if (response === "never") return;
    if (response === "destroy") return void incoming.socket.destroy();
    response ??= await pass(upstream, incoming, body, host);
    change?.(response, { method: incoming.method, path: incoming.url });
    if (response.delay) await new Promise((done) => setTimeout(done, response.delay));
    outgoing.sendDate = response.headers?.date === undefined;
    outgoing.writeHead(response.status, response.headers ?? {});
    outgoing.end(response.body);
  };
  const server = tls ? createSecure(tls, serve) : createServer(serve);
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  server.unref();
  const { port } = server.address();
  return { url: `${tls ? "https://localhost" : "http://127.0.0.1"}:${port}`, port, close: () => (server.closeAllConnections(), server.close()) };
}

async function all(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

function pass(upstream, incoming, body, host) {
  return new Promise((resolve, reject) => {
    const { connection, ...headers } = incoming.headers;
    const options = { method: incoming.method, headers: { ...headers, host: host ?? headers.host }, agent: false };
    const outgoing = request(new URL(incoming.url, upstream), options, async (response) => {
      const { connection: _, "transfer-encoding": __, ...kept } = response.headers;
      resolve({ status: response.statusCode, headers: kept, body: await all(response) });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}
