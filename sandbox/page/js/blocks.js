/** Block Kit to DOM: one small function a block. What is not known is shown as a labelled placeholder, never dropped. */

import { link } from "./chips.js";
import { append, h, icon } from "./dom.js";
import { localImage, renderElement } from "./elements.js";
import { keyOf } from "./fieldstate.js";
import { fileCard } from "./files.js";
import { markdown } from "./markdown.js";
import { textObject } from "./mrkdwn.js";
import { richText } from "./richtext.js";

/**
 * @param {import("./types.js").Block[]} blocks
 * @param {import("./types.js").Surface} surface
 * @returns {HTMLElement}
 */
export function renderBlocks(blocks, surface) {
  return h(
    "div",
    { class: "blocks" },
    blocks.map((block) => one(block, surface)),
  );
}

function one(block, surface) {
  const make = BLOCKS[block.type];
  const node = make ? make(block, surface) : unknown(block);
  node.dataset.blockId ??= block.block_id ?? "";
  node.dataset.blockType = block.type;
  return node;
}

const BLOCKS = {
  header: (block) => h("h3", { class: "block-header" }, textObject(block.text)),
  divider: () => h("hr", { class: "block-divider" }),
  section,
  context: (block) => h("div", { class: "block-context" }, block.elements.map(contextPart)),
  actions: (block, surface) =>
    h("div", { class: "block-actions", role: "group", "aria-label": "Actions" }, parts(block, surface)),
  context_actions: (block, surface) => h("div", { class: "block-actions", role: "group" }, parts(block, surface)),
  image,
  input,
  rich_text: richText,
  markdown: (block) => markdown(block.text),
  table,
  file: (block) => fileCard(block.file ?? { name: block.external_id ?? "Remote file", title: block.external_id }),
  video,
};

const parts = (block, surface) =>
  block.elements.map((element) => renderElement(element, { block, surface, label: labelOf(element) }));

const labelOf = (element) =>
  element.accessibility_label ?? element.placeholder?.text ?? element.text?.text ?? element.action_id ?? "";

function section(block, surface) {
  const words = h("div", { class: "section-words" });
  if (block.text) append(words, h("div", { class: "section-text" }, textObject(block.text)));
  if (block.fields)
    append(
      words,
      h(
        "div",
        { class: "section-fields" },
        block.fields.map((field) => h("div", null, textObject(field))),
      ),
    );
  const { accessory } = block;
  const label = accessory ? labelOf(accessory) || block.text?.text : "";
  const side =
    accessory &&
    h("div", { class: "section-side" }, renderElement(accessory, { block, surface, label }));
  return h("div", { class: "block-section" }, words, side);
}

function contextPart(element) {
  if (element.type === "image")
    return h("img", { class: "context-image", src: localImage(element.image_url), alt: element.alt_text ?? "" });
  return h("span", null, textObject(element));
}

function image(block) {
  const url = block.image_url ?? block.slack_file?.url;
  const src = localImage(url);
  const picture = src
    ? h("img", { src, alt: block.alt_text ?? "", loading: "lazy" })
    : h("span", { class: "picture-away" }, block.alt_text, " ", link(url ?? "", "Open the picture"));
  return h(
    "figure",
    { class: "block-image" },
    block.title ? h("figcaption", null, textObject(block.title)) : null,
    picture,
  );
}

function input(block, surface) {
  const id = `field-${Math.random().toString(36).slice(2)}`;
  const { element } = block;
  const grouped = element.type === "checkboxes" || element.type === "radio_buttons";
  const problem = surface.errors[block.block_id];
  const label = block.label?.text ?? "";
  const control = renderElement(element, { block, surface, label, id });
  const target = control.matches("input, textarea")
    ? control
    : (control.querySelector("input.choice-input") ?? control);
  const notes = [block.hint && `${id}-hint`, problem && `${id}-error`].filter(Boolean).join(" ");
  if (notes) target.setAttribute("aria-describedby", notes);
  if (problem) target.setAttribute("aria-invalid", "true");
  if (!block.optional && !grouped) target.setAttribute("aria-required", "true");
  return h(
    "div",
    { class: `block-input ${problem ? "invalid" : ""}`, data: { key: keyOf(block, element) } },
    h(
      grouped ? "div" : "label",
      { class: "label", for: grouped ? null : id },
      textObject(block.label),
      block.optional ? h("span", { class: "optional" }, " (optional)") : null,
    ),
    control,
    problem
      ? h("p", { class: "field-error", id: `${id}-error`, role: "alert", data: { testid: "field-error" } }, problem)
      : null,
    block.hint ? h("p", { class: "hint", id: `${id}-hint` }, textObject(block.hint)) : null,
  );
}

function table(block) {
  const settings = block.column_settings ?? [];
  const cell = (content, column, tag) => {
    const { align = "left", is_wrapped: wrapped = true } = settings[column] ?? {};
    return h(
      tag,
      { class: `align-${align} ${wrapped ? "" : "nowrap"}`, scope: tag === "th" ? "col" : null },
      cellContent(content),
    );
  };
  const row = (cells, tag) =>
    h(
      "tr",
      null,
      cells.map((content, column) => cell(content, column, tag)),
    );
  const [head, ...body] = block.rows ?? [];
  const grid = h(
    "table",
    null,
    head ? h("thead", null, row(head, "th")) : null,
    h(
      "tbody",
      null,
      body.map((cells) => row(cells, "td")),
    ),
  );
  return h("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Table" }, grid);
}

function cellContent(cell) {
  if (cell?.type === "rich_text") return richText(cell);
  return textObject(cell?.text ?? "");
}

function video(block) {
  return h(
    "div",
    { class: "block-video" },
    h(
      "div",
      { class: "video-words" },
      block.title_url ? link(block.title_url, textObject(block.title)) : textObject(block.title),
      h("small", null, textObject(block.description)),
    ),
    h("span", { class: "video-note" }, icon("file"), link(block.video_url ?? block.title_url ?? "", "Watch the video")),
  );
}

function unknown(block) {
  return h(
    "div",
    { class: "unknown", data: { testid: "unknown-block" } },
    `Unsupported block: ${block.type}`,
    h("pre", null, JSON.stringify(block, null, 1).slice(0, 600)),
  );
}
