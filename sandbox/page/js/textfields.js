/** Fields one types into: text, e-mail, address, number, rich text (as plain lines). */

import { h } from "./dom.js";
import { hooks, keyOf, recall } from "./fieldstate.js";

const KINDS = { email_text_input: "email", url_text_input: "url", number_input: "text", plain_text_input: "text" };

/**
 * @param {any} element
 * @param {import("./elements.js").Place} place
 * @param {(element: any, place: any, picked: object, tell: boolean) => void} remember
 */
export function textField(element, place, remember) {
  const rich = element.type === "rich_text_input";
  const state = recall(
    element,
    place,
    rich ? { rich_text_value: element.initial_value ?? null } : { value: element.initial_value ?? null },
  );
  const long = rich || (element.type === "plain_text_input" && element.multiline);
  const on = element.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
  const read = (value) => (rich ? { rich_text_value: toRichText(value) } : { value: value === "" ? null : value });

  const node = h(long ? "textarea" : "input", {
    type: long ? null : KINDS[element.type],
    inputmode: element.type === "number_input" ? (element.is_decimal_allowed ? "decimal" : "numeric") : null,
    class: "field",
    rows: long ? 4 : null,
    id: place.id ?? null,
    "aria-label": place.id ? null : place.label,
    placeholder: element.placeholder?.text ?? null,
    maxlength: element.max_length ?? (element.type === "plain_text_input" ? 3000 : null),
    autocomplete: "off",
    data: { ...hooks(place, element), autofocus: element.focus_on_load ? "true" : null },
    on: { input, keydown },
  });
  node.value = rich ? fromRichText(state.rich_text_value) : (state.value ?? "");
  if (long) node.addEventListener("input", () => grow(node));
  return node;

  function input() {
    remember(element, place, read(node.value), on.includes("on_character_entered"));
  }

  function keydown(event) {
    if (event.key !== "Enter" || long || event.isComposing) return;
    if (!place.block.dispatch_action || !on.includes("on_enter_pressed")) return;
    event.preventDefault();
    remember(element, place, place.surface.state.get(keyOf(place.block, element)), true);
  }
}

const grow = (node) => {
  node.style.height = "auto";
  node.style.height = `${Math.min(node.scrollHeight + 2, 320)}px`;
};

function toRichText(value) {
  if (!value) return null;
  return { type: "rich_text", elements: [{ type: "rich_text_section", elements: [{ type: "text", text: value }] }] };
}

function fromRichText(value) {
  const leaves = (value?.elements ?? []).flatMap((part) => part.elements ?? []);
  return leaves.map((leaf) => leaf.text ?? "").join("");
}
