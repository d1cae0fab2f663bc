/** Short notices at the edge of the page, read out by screen readers. */

import { h, iconButton, layer } from "./dom.js";

const STAY = 6000;
let region = null;

/**
 * @param {string} text
 * @param {"info"|"bad"} [tone]
 */
export function toast(text, tone = "info") {
  region ??= h("div", { class: "toasts", role: "status", "aria-live": "polite", data: { testid: "toasts" } });
  const home = layer();
  if (region.parentNode !== home) home.append(region);
  // The same sentence twice is one notice that stays longer.
  [...region.children].find((node) => node.dataset.text === text)?.remove();
  const node = h(
    "div",
    { class: `toast ${tone}`, data: { testid: "toast", text } },
    h("span", null, text),
    iconButton("close", "Dismiss", () => node.remove()),
  );
  region.append(node);
  setTimeout(() => node.remove(), STAY);
}

/** Run something a person asked for; a failure becomes a notice. Answers whether it worked. */
export async function attempt(work) {
  try {
    await work();
    return true;
  } catch (error) {
    toast(error.message, "bad");
    return false;
  }
}

const REASONS = {
  operation_timeout: "The app did not answer in time (operation_timeout).",
  dispatch_failed: "The app is not connected (dispatch_failed).",
};

/** A sentence for what the sandbox says when the app did not acknowledge. */
export const reason = (error) => REASONS[error] ?? `That did not work: ${error}`;
