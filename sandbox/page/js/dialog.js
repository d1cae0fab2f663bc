/** Dialogs: one shell for the page's own questions, for confirmations and for the bot's modals. */

import { h, iconButton } from "./dom.js";
import { closeFloating } from "./floating.js";

/**
 * Open an empty dialog shell. Esc and the x call `onDismiss`; the owner decides what then happens.
 * @param {{title: any, body: any, footer?: any, testid: string, wide?: boolean, onDismiss: () => void, back?: (() => void)|null}} parts
 * @returns {{node: HTMLDialogElement, close: () => void}}
 */
export function shell({ title, body, footer = null, testid, wide = false, onDismiss, back = null }) {
  const before = document.activeElement;
  const id = `dialog-${Math.random().toString(36).slice(2)}`;
  const node = h(
    "dialog",
    { class: `dialog ${wide ? "wide" : ""}`, "aria-labelledby": id, data: { testid } },
    h(
      "header",
      { class: "dialog-head" },
      back ? iconButton("back", "Back", back, { data: { testid: "dialog-back" } }) : null,
      h("h2", { id }, title),
      iconButton("close", "Close", onDismiss, { data: { testid: "dialog-close" } }),
    ),
    h("div", { class: "dialog-body" }, body),
    footer ? h("footer", { class: "dialog-foot" }, footer) : null,
  );
  // Chromium closes a dialog on the second Esc whatever `cancel` says; the key itself is ours, too.
  node.addEventListener("cancel", (event) => event.preventDefault());
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault();
    event.stopPropagation();
    onDismiss();
  });
  closeFloating();
  document.body.append(node);
  node.showModal();
  return {
    node,
    close() {
      node.close();
      node.remove();
      if (before?.isConnected) before.focus({ preventScroll: true });
    },
  };
}

/**
 * A dialog of the page itself. `ok` may return a sentence that is shown as the error, or nothing to close.
 * @param {{title: string, body: any, ok?: () => Promise<string|void>, okLabel?: string, cancelLabel?: string,
 *   danger?: boolean, testid: string, wide?: boolean, onCancel?: () => void}} options
 */
export function ask({
  title,
  body,
  ok,
  okLabel = "OK",
  cancelLabel = "Cancel",
  danger = false,
  testid,
  wide,
  onCancel,
}) {
  const problem = h("p", { class: "field-error", role: "alert" });
  const dismiss = () => {
    dialog.close();
    onCancel?.();
  };
  const accept = async () => {
    okButton.disabled = true;
    const sentence = await ok();
    okButton.disabled = false;
    if (sentence) problem.textContent = sentence;
    else dialog.close();
  };
  const okButton = h(
    "button",
    { type: "submit", class: `button ${danger ? "danger-fill" : "primary"}`, data: { testid: `${testid}-ok` } },
    okLabel,
  );
  const cancel = h(
    "button",
    { type: "button", class: "button", data: { testid: `${testid}-cancel` }, on: { click: dismiss } },
    cancelLabel,
  );
  const form = h(
    "form",
    { method: "dialog", on: { submit: (event) => (event.preventDefault(), accept()) } },
    body,
    problem,
    ok ? h("div", { class: "dialog-foot inline" }, cancel, okButton) : null,
  );
  const dialog = shell({ title, body: form, testid, wide, onDismiss: dismiss });
  (form.querySelector("input, textarea, select") ?? okButton).focus();
  return dialog;
}

/** Block Kit's confirm object as a yes or no. */
export function confirmation(confirm, textOf) {
  return new Promise((resolve) => {
    ask({
      title: confirm.title?.text ?? "Are you sure?",
      body: h("div", { class: "confirm-text" }, textOf(confirm.text)),
      okLabel: confirm.confirm?.text ?? "Yes",
      cancelLabel: confirm.deny?.text ?? "Cancel",
      danger: confirm.style === "danger",
      testid: "confirm",
      ok: async () => resolve(true),
      onCancel: () => resolve(false),
    });
  });
}
