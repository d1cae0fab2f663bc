/** The markdown block (and markdown files): standard Markdown, the part of it that Slack shows. */

import { link, safeUrl } from "./chips.js";
import { h } from "./dom.js";
import { emoji } from "./emoji.js";
import { inline as slackInline } from "./mrkdwn.js";

/**
 * @param {string} text
 * @returns {HTMLElement}
 */
export function markdown(text) {
  const lines = String(text ?? "")
    .replace(/\r/g, "")
    .split("\n");
  return h("div", { class: "markdown" }, blocks(lines));
}

const FENCE = /^\s*(```|~~~)\s*(\w*)/;
const HEADING = /^(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^\s*([-*_])(\s*\1){2,}\s*$/;
const QUOTE = /^\s*>\s?/;
const ITEM = /^(\s*)([-*+]|\d+[.)])\s+(.*)$/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

function blocks(lines) {
  const out = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    if (!line.trim()) {
      at += 1;
      continue;
    }
    const [node, next] =
      fence(lines, at) ??
      heading(line, at) ??
      quote(lines, at) ??
      table(lines, at) ??
      list(lines, at) ??
      paragraph(lines, at);
    out.push(node);
    at = next;
  }
  return out;
}

function fence(lines, at) {
  const open = FENCE.exec(lines[at]);
  if (!open) return null;
  let end = at + 1;
  while (end < lines.length && !lines[end].trim().startsWith(open[1])) end += 1;
  return [h("pre", { class: "code-block", data: { language: open[2] } }, lines.slice(at + 1, end).join("\n")), end + 1];
}

function heading(line, at) {
  const match = HEADING.exec(line);
  // The page's own headings end at h2; a message's start below them.
  if (match)
    return [h(`h${Math.min(match[1].length + 2, 6)}`, { class: `md-h${match[1].length}` }, inline(match[2])), at + 1];
  return RULE.test(line) ? [h("hr"), at + 1] : null;
}

function quote(lines, at) {
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  return end > at
    ? [h("blockquote", null, blocks(lines.slice(at, end).map((line) => line.replace(QUOTE, "")))), end]
    : null;
}

function table(lines, at) {
  if (!lines[at].includes("|") || !TABLE_RULE.test(lines[at + 1] ?? "") || !lines[at + 1].includes("-")) return null;
  const align = cells(lines[at + 1]).map((cell) =>
    cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "right") : "left",
  );
  let end = at + 2;
  while (end < lines.length && lines[end].includes("|")) end += 1;
  const row = (line, tag) =>
    h(
      "tr",
      null,
      cells(line).map((cell, i) => h(tag, { class: `align-${align[i] ?? "left"}` }, inline(cell))),
    );
  const body = lines.slice(at + 2, end).map((line) => row(line, "td"));
  const grid = h("table", null, h("thead", null, row(lines[at], "th")), h("tbody", null, body));
  return [h("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Table" }, grid), end];
}

const cells = (line) =>
  line
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));

function list(lines, at) {
  const first = ITEM.exec(lines[at]);
  if (!first) return null;
  const depth = first[1].length;
  const ordered = /\d/.test(first[2]);
  const items = [];
  let end = at;
  while (end < lines.length) {
    const match = ITEM.exec(lines[end]);
    if (!match || match[1].length < depth || (match[1].length === depth && /\d/.test(match[2]) !== ordered)) break;
    const inner = [];
    end += 1;
    while (end < lines.length && belongs(lines, end, depth)) inner.push(lines[end++]);
    items.push(item(match[3], inner));
    while (end < lines.length && !lines[end].trim() && ITEM.test(lines[end + 1] ?? "")) end += 1;
  }
  return [h(ordered ? "ol" : "ul", { start: ordered ? Number.parseInt(first[2], 10) : null }, items), end];
}

/** Deeper items and indented text continue the item above them. */
function belongs(lines, at, depth) {
  const line = lines[at];
  if (!line.trim()) return /^\s{2,}\S/.test(lines[at + 1] ?? "") && !sameLevel(lines[at + 1], depth);
  return !sameLevel(line, depth) && line.search(/\S/) > depth;
}

function sameLevel(line, depth) {
  const match = ITEM.exec(line);
  return Boolean(match) && match[1].length <= depth;
}

function item(text, inner) {
  const task = /^\[([ xX])\]\s+(.*)$/.exec(text);
  const box =
    task &&
    h("input", {
      type: "checkbox",
      disabled: true,
      checked: task[1] !== " ",
      "aria-label": task[1] === " " ? "open" : "done",
    });
  return h(
    "li",
    { class: task ? "task" : null },
    box,
    inline(task ? task[2] : text),
    blocks(inner.map((line) => line.replace(/^\s{2,4}/, ""))),
  );
}

function paragraph(lines, at) {
  let end = at + 1;
  const starts = (line) =>
    FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);
  while (end < lines.length && lines[end].trim() && !starts(lines[end])) end += 1;
  const parts = lines.slice(at, end).flatMap((line, i) => [i ? h("br") : null, inline(line.trim())]);
  return [h("p", null, parts), end];
}

const INLINE =
  /\\([\\`*_~[\]()#+\-.!|>])|(`+)(.+?)\2|!?\[([^\]]*)\]\(([^()\s]*(?:\([^()]*\)[^()\s]*)*)(?:\s+"[^"]*")?\)|(\*\*|__)(?=\S)(.+?)(?<=\S)\6|~~(?=\S)(.+?)~~|(?<![\w*_])([*_])(?=\S)(.+?)(?<=\S)\9(?!\w)|<([^<>\s][^<>]*)>|(https?:\/\/[^\s<>()]+[^\s<>().,;:!?])|:([a-z0-9_+-]+):/giu;

/** @returns {Array<Node|string>} */
function inline(text) {
  const out = [];
  let done = 0;
  for (const match of text.matchAll(INLINE)) {
    const node = inlineNode(match);
    if (node === null) continue;
    if (match.index > done) out.push(text.slice(done, match.index));
    out.push(node);
    done = match.index + match[0].length;
  }
  if (done < text.length) out.push(text.slice(done));
  return out;
}

function inlineNode([whole, escaped, , code, label, url, , bold, strike, , italic, angle, bare, colon]) {
  if (escaped) return escaped;
  if (code !== undefined) return h("code", null, code.trim());
  if (url !== undefined) return safeUrl(url) ? link(url, inline(label || url)) : h("span", null, whole);
  if (bold !== undefined) return h("strong", null, inline(bold));
  if (strike !== undefined) return h("s", null, inline(strike));
  if (italic !== undefined) return h("em", null, inline(italic));
  if (angle !== undefined) return h("span", null, slackInline(whole));
  if (bare !== undefined) return link(bare);
  return colon ? emoji(colon) : null;
}
