/** The app's modals: the top of the sandbox's view stack, drawn; what was typed survives an update of the view. */

import { renderBlocks } from "./blocks.js";
import { shell } from "./dialog.js";
import { fill, h, swap } from "./dom.js";
import { keyOf, prune, valuesOf } from "./fieldstate.js";
import { refreshViews } from "./session.js";
import { on, state } from "./store.js";
import { viewSurface } from "./surface.js";
import { attempt, reason } from "./toast.js";

/** Listen to the stack and show its top. */
export function modals() {
  /** @type {Map<string, Map<string, object>>} */
  const fields = new Map();
  let dialog = null;
  let shown = { id: "", view: null, depth: 0 };
  let errors = {};
  let busy = false;
  on("views", draw);

  function draw() {
    const top = state.views.at(-1);
    for (const id of [...fields.keys()]) if (!state.views.some((view) => view.id === id)) fields.delete(id);
    if (!top) return close();
    const same = shown.id === top.id && shown.depth === state.views.length;
    if (same && JSON.stringify(shown.view) === JSON.stringify(top)) return undefined;
    if (!same) errors = {};
    if (!fields.has(top.id)) fields.set(top.id, new Map());
    prune(fields.get(top.id), top.blocks);
    shown = { id: top.id, view: top, depth: state.views.length };
    if (!dialog) open(top);
    paint(top, !same);
    return undefined;
  }

  function open(view) {
    dialog = shell({
      title: "",
      body: h("form"),
      footer: h("span"),
      testid: "modal",
      onDismiss: () => dismiss(true),
      back: () => dismiss(false),
    });
    dialog.node.dataset.view = view.id;
  }

  function close() {
    dialog?.close();
    dialog = null;
    shown = { id: "", view: null, depth: 0 };
    errors = {};
    busy = false;
  }

  function paint(view, fresh) {
    const { node } = dialog;
    Object.assign(node.dataset, { view: view.id, callbackId: view.callback_id ?? "", depth: state.views.length });
    fill(node.querySelector("h2"), view.title?.text ?? "");
    node.querySelector('[data-testid="dialog-back"]').hidden = state.views.length < 2;
    const form = h(
      "form",
      { novalidate: true, on: { submit: (event) => (event.preventDefault(), submit()) } },
      renderBlocks(view.blocks, viewSurface(view.id, fields.get(view.id), errors)),
      h("button", { type: "submit", hidden: true }),
    );
    form.addEventListener("input", (event) => relieve(event.target.closest(".block-input.invalid")));
    const body = node.querySelector(".dialog-body");
    const { scrollTop } = body;
    if (fresh) fill(body, form);
    else swap(body.firstElementChild, form);
    body.scrollTop = fresh ? 0 : scrollTop;
    fill(node.querySelector(".dialog-foot"), footer(view));
    if (fresh) firstField(node);
  }

  function footer(view) {
    const cancel = view.close?.text ?? (state.views.length > 1 ? "Back" : view.submit ? "Cancel" : "Close");
    return [
      h("p", { class: "modal-problem", role: "alert", data: { testid: "modal-problem" } }),
      h(
        "button",
        {
          type: "button",
          class: "button",
          data: { testid: "modal-close", focus: "modal-close" },
          on: { click: () => dismiss(false) },
        },
        cancel,
      ),
      view.submit
        ? h(
            "button",
            {
              type: "button",
              class: "button primary-fill",
              "aria-busy": String(busy),
              data: { testid: "modal-submit", focus: "modal-submit" },
              on: { click: submit },
            },
            view.submit.text,
          )
        : null,
    ];
  }

  async function submit() {
    const { view } = shown;
    if (busy || !view?.submit) return;
    const missing = incomplete(view, fields.get(view.id));
    if (Object.keys(missing).length) return complain(missing);
    wait(true);
    let answer;
    const asked = await attempt(async () => {
      answer = await state.api.submit(view.id, valuesOf(fields.get(view.id), view.blocks));
    });
    wait(false);
    if (!asked || !dialog) return;
    if (answer.errors) complain(answer.errors);
    else if (answer.ok === false) problem(reason(answer.error));
    else {
      errors = {};
      await attempt(refreshViews);
    }
  }

  function wait(on_) {
    busy = on_;
    const button = dialog?.node.querySelector('[data-testid="modal-submit"]');
    button?.setAttribute("aria-busy", String(on_));
    if (on_) problem("");
  }

  function problem(text) {
    const line = dialog?.node.querySelector('[data-testid="modal-problem"]');
    if (line) line.textContent = text;
  }

  /** Errors of the app under their fields; one that has no field of its own is said beside the buttons. */
  function complain(found) {
    errors = found;
    paint(shown.view, false);
    const orphans = Object.keys(found).filter((id) => !shown.view.blocks.some((block) => block.block_id === id));
    problem(orphans.map((id) => found[id]).join(" "));
    const first =
      dialog.node.querySelector('[aria-invalid="true"]') ?? dialog.node.querySelector(".block-input.invalid input");
    first?.focus();
    first?.scrollIntoView({ block: "center" });
  }

  /** Whoever mends a field need not look at its error any longer. */
  function relieve(block) {
    if (!block) return;
    delete errors[block.dataset.blockId];
    block.classList.remove("invalid");
    block.querySelector(".field-error")?.remove();
    block.querySelector("[aria-invalid]")?.removeAttribute("aria-invalid");
  }

  async function dismiss(clear) {
    const { view } = shown;
    if (!view) return;
    await attempt(() => state.api.closeView(view.id, clear));
    await attempt(refreshViews);
  }
}

function firstField(node) {
  const wanted =
    node.querySelector('[data-autofocus="true"]') ??
    node.querySelector(".dialog-body :is(input, textarea, button):not([hidden])");
  (
    wanted ??
    node.querySelector('[data-testid="modal-submit"]') ??
    node.querySelector('[data-testid="modal-close"]')
  )?.focus({ preventScroll: true });
}

const NO_VALUE = (held) =>
  Object.entries(held ?? {}).every(
    ([key, value]) =>
      key === "type" ||
      value === null ||
      value === undefined ||
      value === "" ||
      (Array.isArray(value) && !value.length),
  );

/** What Slack itself checks before the app is asked: required fields and plain formats. */
function incomplete(view, held) {
  const found = {};
  for (const block of view.blocks.filter((one) => one.type === "input")) {
    const { element } = block;
    const value = held.get(keyOf(block, element));
    if (NO_VALUE(value)) {
      if (!block.optional) found[block.block_id] = "Please complete this required field.";
    } else {
      const sentence = checkText(element, String(value.value ?? ""));
      if (sentence) found[block.block_id] = sentence;
    }
  }
  return found;
}

function checkText(element, text) {
  if (element.type === "plain_text_input" && element.min_length && text.length < element.min_length)
    return `Please write at least ${element.min_length} characters.`;
  if (element.type === "email_text_input" && !/^\S+@\S+\.\S+$/.test(text))
    return "Please enter a valid e-mail address.";
  if (element.type === "url_text_input" && !/^https?:\/\/\S+$/.test(text))
    return "Please enter a valid address (https://…).";
  if (element.type !== "number_input") return "";
  if (!/^-?\d+([.]\d+)?$/.test(text) || (!element.is_decimal_allowed && text.includes(".")))
    return element.is_decimal_allowed ? "Please enter a number." : "Please enter a whole number.";
  if (element.min_value !== undefined && Number(text) < Number(element.min_value))
    return `Please enter ${element.min_value} or more.`;
  if (element.max_value !== undefined && Number(text) > Number(element.max_value))
    return `Please enter ${element.max_value} or less.`;
  return "";
}
