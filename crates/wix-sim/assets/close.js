// Wix's close-window page: reports whether the window that opened this one can still be reached, then closes.
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
    console.warn("the opener cannot be reached", problem);
  }
  try {
    const answer = await fetch("/_sim/close-window-reports", {
      method: "POST",
      keepalive: true,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        visit_id: Number(note.dataset.visit),
        report_key: note.dataset.key,
        opener_reachable: reachable,
      }),
    });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
  } catch (problem) {
    console.warn("the report could not be sent", problem);
  }
  // Wix closes the window through its opener; a window without one stays (sections 3.3 and 11).
  if (reachable) window.close();
  setTimeout(() => {
    note.classList.add("bad");
    note.textContent = reachable
      ? "The browser did not let this window close itself. You can close it."
      : "This window stays open: no other window opened it, or its opener was cut off by a " +
        "Cross-Origin-Opener-Policy on the way here. You can close it.";
  }, reachable ? 600 : 0);
})();
