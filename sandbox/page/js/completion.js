/** Completion lists over the composer: slash commands and their words, @people, #channels, :emoji:. */

import { avatar, fill, h } from "./dom.js";
import { emoji, findEmoji } from "./emoji.js";
import { mentionable } from "./mentions.js";
import { state } from "./store.js";

const LIMIT = 8;

/**
 * @typedef {{insert: string, label: any, hint?: string, detail?: string, lead?: any, value: string}} Suggestion
 * @typedef {{from: number, items: Suggestion[], title: string, note?: string}} Offer
 *
 * What could be meant at the caret, or null.
 * @param {string} text everything before the caret
 * @param {boolean} commands whether slash commands run here (not in threads)
 * @returns {Offer|null}
 */
export function offer(text, commands) {
  if (commands && text.startsWith("/")) return slash(text);
  const match = /(^|[\s(])([@#:])([\p{L}\p{N}_+-]*)$/u.exec(text);
  if (!match) return null;
  const [, , mark, part] = match;
  const from = text.length - part.length - 1;
  if (mark === ":")
    return part.length < 2
      ? null
      : list(
          "Emoji",
          from,
          findEmoji(part).map((code) => ({ insert: `:${code}: `, label: `:${code}:`, lead: emoji(code), value: code })),
        );
  const items = mentionable(mark, part).map((one) => ({
    insert: `${one.insert} `,
    label: one.label,
    hint: one.hint,
    lead: one.user ? avatar(one.user, "small") : null,
    value: one.insert,
  }));
  return list(mark === "@" ? "People" : "Channels", from, items);
}

const list = (title, from, items) => (items.length ? { title, from, items: items.slice(0, LIMIT) } : null);

function slash(text) {
  const typed = text.split(/\s/)[0].toLowerCase();
  if (!/\s/.test(text)) {
    const fits = state.boot.commands.filter((one) => one.command.startsWith(typed));
    return list(
      "Commands",
      0,
      fits.map((one) => ({
        insert: `${one.command} `,
        label: one.command,
        hint: one.usage_hint,
        detail: one.description,
        value: one.command,
      })),
    );
  }
  const command = state.boot.commands.find((one) => one.command === typed);
  if (!command) return null;
  const rest = text.slice(typed.length).trimStart();
  const at = text.length - rest.length;
  const note = [command.usage_hint, command.description].filter(Boolean).join(" — ");
  // Only the first word is a choice; what follows is the command's own.
  const words = /\s/.test(rest)
    ? []
    : wordsOf(command.usage_hint).filter((one) => one.word.startsWith(rest.toLowerCase()) && one.word !== rest);
  return {
    title: `${typed} …`,
    from: at,
    note,
    items: words
      .slice(0, 24)
      .map((one) => ({ insert: `${one.word} `, label: `${typed} ${one.word}`, hint: one.rest, value: one.word })),
  };
}

/** "[declare [title] | ack | hold <minutes>]" gives its first words; that is all a manifest says about a command. */
export function wordsOf(hint) {
  const text = unwrap((hint ?? "").trim());
  const pieces = outside(text, "|");
  const words = (pieces.length > 1 ? pieces : outside(text, ",")).map((piece) =>
    /^([a-z][\w.-]*)\s*(.*)$/i.exec(piece.trim()),
  );
  return words.filter(Boolean).map(([, word, rest]) => ({ word: word.toLowerCase(), rest }));
}

const OPEN = "[<(";
const CLOSE = "]>)";

/** Split at a separator that stands outside all brackets. */
function outside(text, separator) {
  const pieces = [""];
  let depth = 0;
  for (const char of text) {
    depth += OPEN.includes(char) - CLOSE.includes(char);
    if (char === separator && depth === 0) pieces.push("");
    else pieces[pieces.length - 1] += char;
  }
  return pieces;
}

/** Without the brackets that go around everything. */
function unwrap(text) {
  if (!text || !OPEN.includes(text[0]) || CLOSE.indexOf(text.at(-1)) !== OPEN.indexOf(text[0])) return text;
  let depth = 0;
  for (let at = 0; at < text.length - 1; at += 1) {
    depth += OPEN.includes(text[at]) - CLOSE.includes(text[at]);
    if (depth === 0) return text;
  }
  return text.slice(1, -1);
}

/** The list itself, drawn over the field that owns it. */
export function completionList(field, id, pick) {
  let current = null;
  let active = 0;
  const rows = h("div", { role: "listbox", id, "aria-label": "Suggestions" });
  const head = h("div", { class: "menu-head" });
  const node = h("div", { class: "completion", hidden: true, data: { testid: "completion" } }, head, rows);
  node.addEventListener("pointerdown", (event) => event.preventDefault());

  function show(next) {
    current = next;
    active = 0;
    node.hidden = !next || (!next.items.length && !next.note);
    field.setAttribute("aria-expanded", String(!node.hidden && next.items.length > 0));
    if (node.hidden) return field.removeAttribute("aria-activedescendant");
    fill(head, next.note ? h("span", { class: "usage", data: { testid: "usage" } }, next.note) : next.title);
    fill(rows, next.items.map(row));
    return mark();
  }

  function row(item, index) {
    return h(
      "div",
      {
        id: `${id}-${index}`,
        class: "menu-item",
        role: "option",
        data: { value: item.value },
        on: { click: () => take(index), pointermove: () => index !== active && ((active = index), mark()) },
      },
      item.lead ? h("span", { class: "lead" }, item.lead) : null,
      h(
        "span",
        { class: "menu-text" },
        h(
          "span",
          { class: "completion-line" },
          h("b", null, item.label),
          item.hint ? h("span", { class: "hint" }, item.hint) : null,
        ),
        item.detail ? h("small", null, item.detail) : null,
      ),
    );
  }

  function mark() {
    [...rows.children].forEach((child, index) => {
      child.classList.toggle("active", index === active);
      child.setAttribute("aria-selected", String(index === active));
    });
    const node = rows.children[active];
    node?.scrollIntoView({ block: "nearest" });
    if (node) field.setAttribute("aria-activedescendant", node.id);
    else field.removeAttribute("aria-activedescendant");
  }

  function take(index) {
    const item = current?.items[index];
    if (item) pick(item, current.from);
  }

  /** Whether the key was for the list. */
  function key(event) {
    if (node.hidden) return false;
    const many = current.items.length;
    if (event.key === "Escape") show(null);
    else if (!many) return false;
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      active = (active + (event.key === "ArrowDown" ? 1 : -1) + many) % many;
      mark();
    } else if (event.key === "Tab" && !event.shiftKey) take(active);
    else if (event.key === "Enter" && !event.shiftKey && !current.note) take(active);
    else return false;
    return true;
  }

  return { node, show, key };
}
