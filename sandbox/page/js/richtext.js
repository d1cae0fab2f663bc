/** The rich_text block: sections, lists, preformatted text, quotes. */

import { broadcastChip, channelChip, dateChip, groupChip, link, userChip } from "./chips.js";
import { h } from "./dom.js";
import { emojiOr } from "./emoji.js";

/** @param {import("./types.js").Block} block */
export function richText(block) {
  return h("div", { class: "rich-text" }, (block.elements ?? []).map(part));
}

function part(element) {
  switch (element.type) {
    case "rich_text_section":
      return h("div", null, leaves(element));
    case "rich_text_preformatted":
      return h("pre", { class: "code-block" }, leaves(element));
    case "rich_text_quote":
      return h("blockquote", null, leaves(element));
    case "rich_text_list":
      return list(element);
    default:
      return h("div", { class: "unknown" }, `Unsupported rich text: ${element.type}`);
  }
}

function list({ style, indent = 0, offset = 0, border, elements = [] }) {
  const items = elements.map((item) => h("li", null, leaves(item)));
  const node = h(
    style === "ordered" ? "ol" : "ul",
    { class: `rich-list level-${indent % 3} ${border ? "bordered" : ""}`, start: offset ? offset + 1 : null },
    items,
  );
  node.style.marginInlineStart = `${indent * 1.6}em`;
  return node;
}

const leaves = (element) => (element.elements ?? []).map(leaf);

function leaf(element) {
  const { style = {} } = element;
  let node = content(element);
  if (style.code) node = h("code", null, node);
  if (style.bold) node = h("strong", null, node);
  if (style.italic) node = h("em", null, node);
  if (style.strike) node = h("s", null, node);
  if (style.underline) node = h("u", null, node);
  return node;
}

function content(element) {
  switch (element.type) {
    case "text":
      return lineBreaks(element.text);
    case "link":
      return link(element.url, element.text || null);
    case "user":
      return userChip(element.user_id);
    case "usergroup":
      return groupChip(element.usergroup_id);
    case "channel":
      return channelChip(element.channel_id);
    case "broadcast":
      return broadcastChip(element.range);
    case "emoji":
      return h("span", { class: "emoji", role: "img", "aria-label": element.name }, native(element));
    case "date":
      return dateChip(element.timestamp, element.format ?? "{date_pretty}", element.url, element.fallback ?? "");
    case "color":
      return swatch(element.value);
    default:
      return h("span", { class: "unknown" }, `[${element.type}]`);
  }
}

function native({ name, unicode }) {
  if (!unicode) return emojiOr(name);
  try {
    return String.fromCodePoint(...unicode.split("-").map((code) => Number.parseInt(code, 16)));
  } catch {
    return emojiOr(name);
  }
}

function swatch(value) {
  const dot = h("span", { class: "swatch" });
  dot.style.background = value;
  return h("code", null, dot, value);
}

const lineBreaks = (text) =>
  String(text ?? "")
    .split(/(\n)/)
    .map((piece) => (piece === "\n" ? h("br") : piece));
