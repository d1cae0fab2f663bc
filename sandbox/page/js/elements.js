/** Block Kit elements that a person can use: buttons, menus, selects, fields. Each keeps its state in the surface. */

import { safeUrl } from "./chips.js";
import { confirmation } from "./dialog.js";
import { h, iconButton } from "./dom.js";
import { hooks, keyOf, recall } from "./fieldstate.js";
import { menu } from "./floating.js";
import { textObject } from "./mrkdwn.js";
import { select } from "./selects.js";
import { textField } from "./textfields.js";

/**
 * @typedef {import("./types.js").Surface} Surface
 * @typedef {import("./types.js").Block} Block
 * @typedef {{block: Block, surface: Surface, label: string, id?: string}} Place where an element stands: its block, and
 *   for fields the id and the words of its label
 */

/**
 * @param {any} element
 * @param {Place} place
 * @returns {HTMLElement}
 */
export function renderElement(element, place) {
  switch (element.type) {
    case "button":
    case "workflow_button":
      return button(element, place);
    case "overflow":
      return overflow(element, place);
    case "image":
      return h("img", { class: "accessory-image", src: localImage(element.image_url), alt: element.alt_text ?? "" });
    case "checkboxes":
      return boxes(element, place, "checkbox");
    case "radio_buttons":
      return boxes(element, place, "radio");
    case "datepicker":
      return native(element, place, "date", "selected_date", element.initial_date);
    case "timepicker":
      return native(element, place, "time", "selected_time", element.initial_time);
    case "datetimepicker":
      return dateTime(element, place);
    case "plain_text_input":
    case "email_text_input":
    case "url_text_input":
    case "number_input":
    case "rich_text_input":
      return textField(element, place, remember);
    default:
      if (/_select$/.test(element.type)) return select(element, place, remember);
      return h("span", { class: "unknown", data: { element: element.type } }, `Unsupported element: ${element.type}`);
  }
}

/** Only pictures of this machine are loaded; the page asks nobody else. */
export function localImage(url) {
  try {
    const target = new URL(url, location.origin);
    const local =
      ["127.0.0.1", "localhost", location.hostname].includes(target.hostname) || target.protocol === "data:";
    return local ? target.href : null;
  } catch {
    return null;
  }
}

/** Keep what a person picked, and tell the app when this element does so at once. */
function remember(element, place, picked, tell = true) {
  const { block, surface } = place;
  surface.state.set(keyOf(block, element), { type: element.type, ...picked });
  const dispatches = block.type !== "input" || block.dispatch_action;
  if (tell && dispatches) surface.act(block, element, picked).catch(() => undefined);
}

function button(element, place) {
  const url = element.url ? safeUrl(element.url) : null;
  const look = { primary: "primary", danger: "danger" }[element.style] ?? "";
  const common = {
    class: `button ${look}`,
    "aria-label": element.accessibility_label ?? null,
    data: { ...hooks(place, element), value: element.value },
  };
  const press = async (event) => {
    const node = event.currentTarget;
    if (node.getAttribute("aria-busy") === "true") return;
    if (element.confirm && !(await confirmation(element.confirm, textObject))) return;
    node.setAttribute("aria-busy", "true");
    // The button may have been drawn anew meanwhile; the old node does not matter then.
    await place.surface.act(place.block, element, { value: element.value }).catch(() => undefined);
    node.setAttribute("aria-busy", "false");
  };
  const words = textObject(element.text);
  if (!url) return h("button", { type: "button", ...common, on: { click: press } }, words);
  return h(
    "a",
    { href: url, target: "_blank", rel: "noopener noreferrer", ...common, on: { click: press } },
    words,
    h("span", { class: "sr-only" }, " (opens in a new tab)"),
  );
}

function overflow(element, place) {
  const open = (event) =>
    menu(
      event.currentTarget,
      element.options.map((option) => ({
        label: textObject(option.text),
        hint: option.description ? textObject(option.description) : null,
        data: { value: option.value },
        pick: () => choose(option),
      })),
      { label: "More actions", align: "end", testid: "overflow-menu" },
    );
  const choose = async (option) => {
    if (option.url && safeUrl(option.url)) globalThis.open(safeUrl(option.url), "_blank", "noopener");
    if (element.confirm && !(await confirmation(element.confirm, textObject))) return;
    await place.surface.act(place.block, element, { selected_option: option }).catch(() => undefined);
  };
  const label = element.accessibility_label ?? "More actions";
  return iconButton("more", label, open, {
    "aria-haspopup": "menu",
    class: "button overflow",
    data: hooks(place, element),
  });
}

function boxes(element, place, kind) {
  const many = kind === "checkbox";
  const initial = many
    ? { selected_options: element.initial_options ?? [] }
    : { selected_option: element.initial_option ?? null };
  const state = recall(element, place, initial);
  const picked = new Set(
    (many ? state.selected_options : [state.selected_option]).filter(Boolean).map((one) => one.value),
  );
  const name = `group-${Math.random().toString(36).slice(2)}`;
  const group = h("div", {
    class: "boxes",
    role: many ? "group" : "radiogroup",
    "aria-label": place.label,
    id: place.id ?? null,
    data: hooks(place, element),
  });
  for (const option of element.options) {
    const input = h("input", {
      type: kind,
      name,
      value: option.value,
      checked: picked.has(option.value),
      data: { ...hooks(place, element), value: option.value },
      on: { change },
    });
    group.append(
      h(
        "label",
        { class: "box" },
        input,
        h(
          "span",
          null,
          textObject(option.text),
          option.description ? h("small", null, textObject(option.description)) : null,
        ),
      ),
    );
  }
  function change() {
    const on = element.options.filter((option) =>
      [...group.querySelectorAll("input")].some((input) => input.checked && input.value === option.value),
    );
    remember(element, place, many ? { selected_options: on } : { selected_option: on[0] ?? null });
  }
  return group;
}

function native(element, place, type, key, initial) {
  const state = recall(element, place, { [key]: initial ?? null });
  const change = (event) => remember(element, place, { [key]: event.currentTarget.value || null });
  return h("input", {
    type,
    class: "field",
    id: place.id ?? null,
    "aria-label": place.id ? null : place.label,
    value: state[key] ?? "",
    data: hooks(place, element),
    on: { change },
  });
}

function dateTime(element, place) {
  const state = recall(element, place, { selected_date_time: element.initial_date_time ?? null });
  const local = (seconds) => {
    const date = new Date(seconds * 1000);
    return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  };
  const change = (event) => {
    const { value } = event.currentTarget;
    remember(element, place, { selected_date_time: value ? Math.floor(new Date(value).getTime() / 1000) : null });
  };
  return h("input", {
    type: "datetime-local",
    class: "field",
    id: place.id ?? null,
    "aria-label": place.id ? null : place.label,
    value: state.selected_date_time ? local(state.selected_date_time) : "",
    data: hooks(place, element),
    on: { change },
  });
}
