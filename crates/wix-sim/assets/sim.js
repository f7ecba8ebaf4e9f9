// The simulator's page: buttons send the requests in their data attributes; the live part is polled every second.
"use strict";

const live = document.getElementById("live");
const records = document.getElementById("records");
const alertBox = document.getElementById("alert");
const noticeBox = document.getElementById("notice");
let lastLive = "";
let lastRecords = "";
let noticeTimer;

function fail(message) {
  alertBox.textContent = message;
  alertBox.hidden = false;
}

function notify(message) {
  alertBox.hidden = true;
  noticeBox.textContent = message;
  noticeBox.hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { noticeBox.hidden = true; }, 4000);
}

async function send(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const value = await response.json();
  if (!response.ok) throw new Error(value.error ?? `status ${response.status}`);
  return value;
}

// Runs an action, shows its outcome, and refreshes the live part.
async function act(done, action) {
  try {
    const value = await action();
    if (value?.problems?.length) throw new Error(value.problems.map((problem) => problem.detail).join(" · "));
    notify(done ?? "Done.");
    await refresh();
    return value;
  } catch (problem) {
    fail(problem.message);
    return undefined;
  }
}

// Whether the user has an open list or a text selection in this part, which new content would close.
function inUse(part) {
  const [focus, selection] = [document.activeElement, document.getSelection()];
  return (focus?.tagName === "SELECT" && part.contains(focus)) || (!selection.isCollapsed && part.contains(selection.anchorNode));
}

async function part(name) {
  const response = await fetch(`/?part=${name}`);
  if (!response.ok) throw new Error(`the simulator answered ${response.status}`);
  return response.text();
}

// Replaces the content of a part, and restores the focus of a button and the scroll position of each table.
function replace(target, text) {
  const buttons = () => [...target.querySelectorAll("button")];
  const focus = buttons().indexOf(document.activeElement);
  const scrolls = [...target.querySelectorAll(".scroll")].map((box) => [box.getAttribute("aria-label"), box.scrollLeft]);
  target.innerHTML = text;
  if (focus >= 0) buttons()[focus]?.focus({ preventScroll: true });
  for (const [label, left] of scrolls) {
    const box = target.querySelector(`.scroll[aria-label="${CSS.escape(label)}"]`);
    if (box) box.scrollLeft = left;
  }
}

async function refresh() {
  const text = await part("live");
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const now = fresh.getElementById("now");
  const ahead = Number(now.dataset.ahead);
  document.getElementById("clock").textContent =
    `${now.dataset.now} UTC` + (ahead > 0 ? ` (${Math.round(ahead / 60)} min ahead)` : "");
  now.remove();
  const content = fresh.body.innerHTML;
  if (content !== lastLive && !inUse(live)) {
    lastLive = content;
    replace(live, content);
  }
}

async function poll() {
  for (let turn = 0; ; turn += 1) {
    try {
      await refresh();
      if (records && turn % 3 === 0) {
        const text = await part("records");
        if (text !== lastRecords && !inUse(records)) {
          lastRecords = text;
          replace(records, text);
        }
      }
      if (alertBox.dataset.lost) {
        alertBox.hidden = true;
        delete alertBox.dataset.lost;
      }
    } catch (problem) {
      alertBox.dataset.lost = "yes";
      fail(`The simulator is not reachable: ${problem.message}`);
    }
    await new Promise((next) => setTimeout(next, document.hidden ? 5000 : 1000));
  }
}

// Opens a window that keeps its opener, as Wix's does. Browsers allow that only during the click event.
function popUp() {
  const opened = window.open("about:blank", "_blank", "popup,width=640,height=760");
  if (!opened) fail("The browser did not allow a new window. Allow pop-ups for this page.");
  return opened;
}

function navigate(opened, url) {
  if (url) opened.location.href = url;
  else opened.close();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-post], button[data-delete]");
  if (!button) return;
  const { post, delete: remove, confirm, done, open } = button.dataset;
  if (confirm && !window.confirm(confirm)) return;
  let body;
  if ("event" in button.dataset) body = { event_type: button.closest(".event").querySelector("select").value };
  if ("plugin" in button.dataset) {
    body = { path: button.closest(".event").querySelector("select").value, instance_id: button.dataset.plugin };
  }
  const opened = open ? popUp() : undefined;
  const value = await act(done, () => send(remove ? "DELETE" : "POST", post ?? remove, remove ? undefined : body ?? {}));
  if (value && body?.path) notify(`The app answered ${value.body}`);
  if (opened) navigate(opened, value?.[open]);
  if (value && post === "/_sim/reset") window.location.reload();
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    notify("Copied.");
  } catch {
    fail("The browser did not allow copying. Select the text instead.");
  }
});

document.getElementById("install").addEventListener("click", async () => {
  const opened = popUp();
  if (!opened) return;
  const value = await act("App URL opened.", () => send("POST", "/_sim/install-tokens", {}));
  navigate(opened, value?.app_url);
});

document.getElementById("external").addEventListener("submit", (event) => {
  event.preventDefault();
  const opened = popUp();
  if (!opened) return;
  const appId = document.getElementById("app-id").textContent;
  navigate(opened, document.getElementById("external-url").value || `/app-installer?appId=${encodeURIComponent(appId)}`);
});

document.getElementById("advance").addEventListener("submit", (event) => {
  event.preventDefault();
  const seconds = Number(document.getElementById("advance-by").value);
  act("Clock advanced.", () => send("POST", "/_sim/clock", { advance_seconds: seconds }));
});

document.getElementById("fault").addEventListener("submit", (event) => {
  event.preventDefault();
  const fault = JSON.parse(document.getElementById("fault-kind").value);
  fault.endpoint = document.getElementById("fault-endpoint").value;
  fault.times = Number(document.getElementById("fault-times").value);
  act("Fault added.", () => send("POST", "/_sim/faults", fault));
});

function valueOf(field) {
  if (field.type === "checkbox") return field.checked;
  if (field.type === "number") return Number(field.value);
  if (field.dataset.kind === "lines") return field.value.split("\n").map((line) => line.trim()).filter(Boolean);
  if (field.dataset.kind === "numbers") return field.value.split(",").map((text) => text.trim()).filter(Boolean).map(Number);
  return field.value.trim();
}

// Sends only the fields that the user changed, so that a concurrent change of the others is not overwritten.
for (const form of document.querySelectorAll("form[data-patch]")) {
  const fields = [...form.elements].filter((field) => field.name);
  const was = new Map(fields.map((field) => [field, JSON.stringify(valueOf(field))]));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const changed = fields.filter((field) => JSON.stringify(valueOf(field)) !== was.get(field));
    const patch = Object.fromEntries(changed.map((field) => [field.name, valueOf(field)]));
    act(form.dataset.done, async () => {
      await send("PATCH", form.dataset.patch, patch);
      for (const field of changed) was.set(field, JSON.stringify(valueOf(field)));
      if (patch.app_url !== undefined) document.getElementById("install").disabled = !patch.app_url;
    });
  });
}

// The close-window page notifies its opener at the end of an install.
window.addEventListener("message", (event) => {
  if (event.origin !== window.location.origin || event.data?.source !== "wix-sim") return;
  notify("Install finished: the close-window page reached this window.");
  refresh().catch((problem) => fail(problem.message));
});

poll();
