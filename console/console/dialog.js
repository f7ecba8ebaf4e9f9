// A question before an action that cannot be undone.

import { h } from "./dom.js";

let dialogs = 0;

/** Asks, and returns whether the operator agreed. With `expected`, that text must be typed. */
export function confirm(title, text, verb, expected) {
  dialogs += 1;
  const [heading, help] = [`dialog-${dialogs}-title`, `dialog-${dialogs}-text`];
  const opener = document.activeElement;
  return new Promise((resolve) => {
    const error = h("p", { role: "alert", class: "bad", id: `dialog-${dialogs}-error` });
    const typed = expected && h("input", {
      type: "text", id: `dialog-${dialogs}-typed`, autocomplete: "off", autocapitalize: "none", spellcheck: "false",
      "aria-describedby": error.id,
    });
    const submit = (event) => {
      event.preventDefault();
      if (typed && typed.value.trim().toLowerCase() !== expected.toLowerCase()) {
        error.textContent = "The text must be the instance id.";
        typed.focus();
        return;
      }
      dialog.close("agreed");
    };
    const dialog = h("dialog", { "aria-labelledby": heading, "aria-describedby": help },
      h("form", { submit },
        h("h2", { id: heading }, title),
        h("p", { id: help }, text),
        typed && [h("label", { for: typed.id }, "Type the instance id"), h("p", { class: "id" }, expected), typed, error],
        h("p", { class: "actions" },
          h("button", { type: "submit", class: expected ? "danger" : "main" }, verb),
          h("button", { type: "button", click: () => dialog.close() }, "Cancel"))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      opener?.focus();
      resolve(dialog.returnValue === "agreed");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
