/** Whether a host, as `URL` writes it, is this machine with every resolver. Requests to it need no https. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

/** Parses a URL; undefined if the text is not one. */
export function parsed(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

/** Whether a URL has only scheme, host and port. */
export function isOrigin({ username, password, pathname, search, hash }: URL): boolean {
  return username + password + search + hash === "" && pathname === "/";
}
