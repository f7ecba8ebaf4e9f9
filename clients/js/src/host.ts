/** Whether a host, as `URL` gives it, is this machine under whatever resolver: what is sent there needs no https. */
export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

/** What a text is as a URL, if it is one. */
export function parsed(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

/** Whether a URL is scheme, host and port alone. */
export function isOrigin({ username, password, pathname, search, hash }: URL): boolean {
  return username + password + search + hash === "" && pathname === "/";
}
