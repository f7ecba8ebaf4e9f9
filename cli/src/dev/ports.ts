// Free ports of this machine.

import { createServer } from "node:net";

import { UserError } from "../error.js";

/** Whether a server could listen on this port now, on `127.0.0.1` and, if the machine has IPv6, on `::1`. */
export async function isFree(port: number): Promise<boolean> {
  return (await canListen(port, "127.0.0.1")) && (await canListen(port, "::1"));
}

function canListen(port: number, host: string): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    // A machine without IPv6 has another error: then only IPv4 counts.
    server.on("error", (error: NodeJS.ErrnoException) => done(host === "::1" && error.code !== "EADDRINUSE"));
    server.listen({ port, host, exclusive: true }, () => server.close(() => done(true)));
  });
}

/** The given port, which must be free. If none is given, the usual one or the next free one. */
export async function choosePort(
  who: string,
  flag: string,
  given: number | undefined,
  usual: number,
  taken?: number,
): Promise<number> {
  const free = async (port: number) => port !== taken && (await isFree(port));
  if (given !== undefined) {
    if (await free(given)) return given;
    throw new UserError(`port ${given} is in use; choose another one for ${who} with ${flag}`);
  }
  for (let port = usual; port < usual + 100; port += 1) {
    if (!(await free(port))) continue;
    if (port !== usual) console.log(`==> port ${usual} is in use: ${who} gets ${port}`);
    return port;
  }
  throw new UserError(`port ${usual} and the hundred after it are in use; choose one for ${who} with ${flag}`);
}
