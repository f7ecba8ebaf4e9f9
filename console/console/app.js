// The operator's console: which view is shown, sign-in, and the parts around the view.

import { ApiError, call } from "./api.js";
import { failure, faults, h, section } from "./dom.js";
import { installation } from "./installation.js";
import { installations } from "./installations.js";
import { overview } from "./overview.js";
import { parked } from "./parked.js";

const content = document.getElementById("content");
const status = document.getElementById("status");
const nav = document.querySelector("nav");
const leave = document.getElementById("sign-out");

/** Ends the calls of the view that is shown. */
let shown = new AbortController();
/** Whether no call has succeeded since the sign-in. A refusal then has another cause than an expired session. */
let isUntried = false;

/** A quicker answer shows no "Loading". */
const QUICK = 250;

/** Shows a message, which a screen reader reads. */
function announce(text, tone = "good") {
  status.className = tone;
  status.replaceChildren(text && h("p", {}, text));
}

/** Shows the parts of the bar that need a session. */
function showBar(isSignedIn) {
  nav.hidden = !isSignedIn;
  leave.hidden = !isSignedIn;
}

/** The view that the address names. */
function route() {
  const [path, search] = location.hash.replace(/^#/, "").split("?");
  const [first, id] = path.split("/").filter(Boolean);
  const parameters = new URLSearchParams(search);
  if (first === "installations" && id) return { view: installation, name: first, id };
  if (first === "installations") return { view: installations, name: first, parameters };
  if (first === "parked") return { view: parked, name: first, parameters };
  return { view: overview, name: "" };
}

/** Replaces the content. `focus` moves to its heading, so that the keyboard goes on from there. */
function replace(title, parts, focus) {
  document.title = `${title} · wix-edge console`;
  const heading = h("h1", { tabindex: "-1" }, title);
  content.replaceChildren(heading, ...parts);
  content.setAttribute("aria-busy", "false");
  if (focus) heading.focus({ preventScroll: true });
  if (focus) window.scrollTo(0, 0);
}

/** Loads and shows the view of the address. */
async function show({ focus = true } = {}) {
  shown.abort(new DOMException("another view", "AbortError"));
  shown = new AbortController();
  const { signal } = shown;
  const { view, name, ...rest } = route();
  content.setAttribute("aria-busy", "true");
  const slow = setTimeout(() => signal.aborted || announce("Loading…", "soft"), QUICK);
  const page = { ...rest, signal, announce, reload: () => show({ focus: false }), attempt };
  try {
    const { title, parts } = await view(page);
    if (signal.aborted) return;
    for (const link of nav.querySelectorAll("a")) {
      const isHere = link.hash.replace(/^#\//, "") === name;
      if (isHere) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    showBar(true);
    isUntried = false;
    replace(title, parts, focus);
  } catch (error) {
    if (signal.aborted) return;
    await explain(error, signal, focus);
  } finally {
    clearTimeout(slow);
    if (status.textContent === "Loading…") announce("");
  }
}

/** Shows why a view cannot be shown. */
async function explain(error, signal, focus) {
  if (!(error instanceof ApiError)) throw error;
  if (error.status === 401) return signIn(signal, { focus, expired: !nav.hidden });
  const parts = [failure(error, () => show())];
  const problems = error.code === "not_configured" ? await readProblems(signal) : [];
  if (signal.aborted) return undefined;
  if (problems.length) parts.push(section("Problems", faults(problems)));
  return replace("This page cannot be shown", parts, focus);
}

/** The problems of /readyz. */
async function readProblems(signal) {
  const readiness = await call("/readyz", { signal }).catch(() => undefined);
  return Array.isArray(readiness?.problems) ? readiness.problems : [];
}

/** Runs an action of a view. Says how it ended, and whether it succeeded. */
async function attempt(action, done) {
  try {
    const result = await action();
    announce(done(result));
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) {
      if (error.name === "AbortError") return false;
      throw error;
    }
    if (error.status === 401) await signIn(shown.signal, { focus: true, expired: true });
    else announce(`${error.title}. ${error.detail}`, "bad");
    return false;
  }
}

/** The form for the API key. The address stays, so that the same view is shown after it. */
async function signIn(signal, { focus, expired }) {
  const problems = await readProblems(signal);
  if (signal.aborted) return;
  showBar(false);
  announce("");
  let message = expired ? "The session has ended. Sign in to go on." : "";
  if (expired && isUntried) {
    message = "The Worker accepted the key, but this browser did not send the session back. "
      + "The console needs a browser of 2023 or later that accepts cookies, and https.";
  }
  const key = h("input", {
    type: "password", id: "key", autocomplete: "off", autocapitalize: "none", spellcheck: "false",
    required: true, "aria-describedby": "key-help key-error",
  });
  const error = h("div", { id: "key-error", role: "alert" }, message && h("p", { class: "bad" }, message));
  const button = h("button", { type: "submit", class: "main" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    const value = key.value.trim();
    if (!value || button.disabled) return;
    button.disabled = true;
    error.replaceChildren();
    try {
      await call("/v1/session", { method: "POST", key: value, signal });
      key.value = "";
      isUntried = true;
      showBar(true);
      await show();
    } catch (failed) {
      if (!(failed instanceof ApiError)) return;
      error.replaceChildren(failure(failed));
      key.focus();
      key.select();
    } finally {
      button.disabled = false;
    }
  };
  const form = h("form", { class: "sign-in", submit },
    h("label", { for: "key" }, "API key"),
    key,
    h("p", { id: "key-help", class: "small" },
      "A key with the scope ", h("code", {}, "admin"), ". The browser does not keep it: a session of eight hours replaces it."),
    error,
    button);
  const parts = problems.length
    ? [section("The Worker is not ready", faults(problems),
      h("button", { type: "button", click: () => show() }, "Check again"))]
    : [];
  replace("Sign in", [...parts, form], focus);
  if (!problems.length) key.focus();
}

async function signOut() {
  announce("");
  const ended = await attempt(() => call("/v1/session", { method: "DELETE" }), () => "You are signed out.");
  if (!ended) return;
  shown.abort(new DOMException("signed out", "AbortError"));
  shown = new AbortController();
  location.hash = "#/";
  await signIn(shown.signal, { focus: true, expired: false });
  announce("You are signed out.");
}

document.getElementById("host").textContent = location.host;
leave.addEventListener("click", signOut);
document.querySelector(".skip").addEventListener("click", (event) => {
  // The hash names the view.
  event.preventDefault();
  content.focus();
});
window.addEventListener("hashchange", () => {
  announce("");
  show();
});
show({ focus: false });
