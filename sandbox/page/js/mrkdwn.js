/** Slack's mrkdwn to DOM. The text is read once into nodes; nothing of it is ever treated as markup. */

import { h } from "./dom.js";
import { emoji } from "./emoji.js";
import { channelChip, dateChip, groupChip, link, userChip, broadcastChip } from "./chips.js";

const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };

/** Undo Slack's three entities. */
export const unescape = (text) => text.replace(/&(lt|gt|amp);/g, (entity) => ENTITIES[entity]);

/**
 * A whole text: fences, quotes, lines.
 * @param {string} text
 * @returns {Node[]}
 */
export function mrkdwn(text) {
  const parts = String(text ?? "").split(/```/);
  // An odd number of fences: the last one is only three characters of text.
  if (parts.length % 2 === 0) {
    const tail = parts.pop();
    parts.push(`${parts.pop()}\`\`\`${tail}`);
  }
  return parts.flatMap((part, index) => (index % 2 ? fence(part) : lines(trimAround(part, index, parts.length))));
}

/** The newline that only separates a fence from its neighbours is not a line of its own. */
function trimAround(part, index, count) {
  let text = part;
  if (index > 0) text = text.replace(/^\n/, "");
  if (index < count - 1) text = text.replace(/\n$/, "");
  return text;
}

const fence = (code) => [h("pre", { class: "code-block" }, plain(code.replace(/^\n/, "").replace(/\n$/, "")))];

function lines(text) {
  if (!text) return [];
  const out = [];
  let run = [];
  let quoted = false;
  const flush = () => {
    if (!run.length) return;
    const content = inline(run.join("\n"));
    out.push(...(quoted ? [h("blockquote", null, content)] : content));
    run = [];
  };
  for (const line of text.split("\n")) {
    const match = /^(?:&gt;|>)(?!>)\s?(.*)$/.exec(line);
    if (Boolean(match) !== quoted) {
      flush();
      quoted = Boolean(match);
    }
    run.push(match ? match[1] : line);
  }
  flush();
  return out;
}

const STYLES = { "*": "strong", _: "em", "~": "s" };
const TOKEN = /<([^<>\n]+)>|`([^`\n]+)`|:([a-z0-9_+'-]+(?:::skin-tone-\d)?):|\n|([*_~])/giu;

/**
 * One run of text: styles, code, angle-bracket tokens, emoji, newlines.
 * @param {string} text
 * @returns {Node[]}
 */
export function inline(text) {
  const out = [];
  let done = 0;
  TOKEN.lastIndex = 0;
  const scan = new RegExp(TOKEN);
  for (let match = scan.exec(text); match; match = scan.exec(text)) {
    const [whole, angle, code, colon, mark] = match;
    let node = null;
    let end = match.index + whole.length;
    if (angle !== undefined) node = token(angle);
    else if (code !== undefined) node = h("code", null, plain(code));
    else if (colon !== undefined) node = emojiNode(colon);
    else if (whole === "\n") node = h("br");
    else {
      const close = closing(text, match.index, mark);
      if (close > 0) {
        node = h(STYLES[mark], null, inline(text.slice(match.index + 1, close)));
        end = close + 1;
      }
    }
    if (!node) {
      // Not a token after all (an unknown :code:, a lone star): look again right behind its first character.
      scan.lastIndex = match.index + 1;
      continue;
    }
    if (match.index > done) out.push(document.createTextNode(unescape(text.slice(done, match.index))));
    out.push(node);
    done = end;
    scan.lastIndex = end;
  }
  if (done < text.length) out.push(document.createTextNode(unescape(text.slice(done))));
  return out;
}

/** Where the style opened at `start` closes on the same line, or -1 when this mark is only a character. */
function closing(text, start, mark) {
  const before = text[start - 1];
  const first = text[start + 1];
  if ((before && /[\p{L}\p{N}]/u.test(before)) || !first || /\s/.test(first) || first === mark) return -1;
  for (let at = start + 1; at < text.length; at += 1) {
    const char = text[at];
    if (char === "\n") return -1;
    if (char === "<") at = skipTo(text, ">", at);
    else if (char === "`") at = skipTo(text, "`", at);
    else if (char === mark && !/\s/.test(text[at - 1]) && !/[\p{L}\p{N}]/u.test(text[at + 1] ?? " ")) return at;
  }
  return -1;
}

function skipTo(text, char, from) {
  const at = text.indexOf(char, from + 1);
  return at < 0 ? from : at;
}

/** Code keeps its characters; only links lose their brackets, as in Slack. */
const plain = (code) =>
  unescape(code.replace(/<((?:https?|mailto):[^|<>]+)(?:\|([^<>]*))?>/g, (_, url, label) => label || url));

function emojiNode(code) {
  const char = emoji(code);
  return char
    ? h("span", { class: "emoji", role: "img", "aria-label": code.replaceAll("_", " "), title: `:${code}:` }, char)
    : null;
}

/** What stands between < and >. */
function token(inside) {
  const [target, label] = split(inside, "|");
  if (target.startsWith("@")) return userChip(target.slice(1), label);
  if (target.startsWith("#")) return channelChip(target.slice(1), label);
  if (target.startsWith("!subteam^")) return groupChip(target.slice(9), label);
  if (target.startsWith("!date^")) return dateToken(target, label);
  if (target.startsWith("!")) return broadcastChip(target.slice(1), label);
  if (/^(https?:|mailto:|tel:)/i.test(target)) return link(unescape(target), label ? inlineLabel(label) : null);
  return null;
}

const inlineLabel = (label) =>
  label
    .split(/(:[a-z0-9_+-]+:)/i)
    .map((part) => (/^:.*:$/.test(part) && emojiNode(part.slice(1, -1))) || unescape(part));

function dateToken(target, fallback) {
  const [, seconds, format = "", url] = target.split("^");
  return dateChip(seconds, unescape(format), url ? unescape(url) : null, unescape(fallback ?? ""));
}

function split(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** The words of a mrkdwn text without any style, for labels and previews. */
export const words = (text) => h("span", null, mrkdwn(text)).textContent;

/** A Block Kit text object (plain_text or mrkdwn). */
export function textObject(object) {
  if (!object) return [];
  if (typeof object === "string") return [object];
  if (object.type === "mrkdwn") return mrkdwn(object.text); // nothing is linked by itself, so `verbatim` changes nothing
  return plainText(object);
}

function plainText({ text, emoji: withEmoji = true }) {
  return String(text ?? "")
    .split(/(\n|:[a-z0-9_+-]+:)/i)
    .map((part) => {
      if (part === "\n") return h("br");
      return (withEmoji && /^:.+:$/.test(part) && emojiNode(part.slice(1, -1))) || part;
    });
}
