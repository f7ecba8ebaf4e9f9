// Wix's close-window page: reports whether its opener is reachable, then closes the window.
"use strict";

(async () => {
  const note = document.getElementById("close-note");
  let reachable = false;
  try {
    if (window.opener && !window.opener.closed) {
      window.opener.postMessage({ source: "wix-sim", type: "close-window", visit: note.dataset.visit }, "*");
      reachable = true;
    }
  } catch (problem) {
    console.warn("the opener is not reachable", problem);
  }
  try {
    const response = await fetch("/_sim/close-window-reports", {
      method: "POST",
      keepalive: true,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        visit_id: Number(note.dataset.visit),
        report_key: note.dataset.key,
        opener_reachable: reachable,
      }),
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
  } catch (problem) {
    console.warn("the report could not be sent", problem);
  }
  // Wix closes the window through its opener. A window without a reachable opener stays open (sections 3.3 and 11).
  if (reachable) window.close();
  setTimeout(() => {
    note.classList.add("bad");
    note.textContent = reachable
      ? "The browser did not allow this window to close itself. You can close it."
      : "This window stays open because its opener is not reachable: no window opened it, or a " +
        "Cross-Origin-Opener-Policy of a previous page severed the link. You can close it.";
  }, reachable ? 600 : 0);
})();
