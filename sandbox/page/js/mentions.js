/** Between what a person types ("@Ana Ortiz") and what travels ("<@U0ANA>"). */

import { unescape } from "./mrkdwn.js";
import { channelTitle, displayName, state } from "./store.js";

const BROADCASTS = ["here", "channel", "everyone"];

/** Names that can be mentioned, the longest first, so that "@Ana Ortiz" wins over "@Ana": name, token, handle. */
function names() {
  const list = [];
  for (const user of state.users.values())
    for (const name of [displayName(user), user.name]) list.push([`@${name}`, `<@${user.id}>`, `@${user.name}`]);
  for (const group of state.groups.values())
    list.push([`@${group.handle}`, `<!subteam^${group.id}>`, `@${group.handle}`]);
  for (const word of BROADCASTS) list.push([`@${word}`, `<!${word}>`, `@${word}`]);
  for (const one of state.channels.values())
    if (!one.is_im) list.push([`#${one.name}`, `<#${one.id}|${one.is_private ? "" : one.name}>`, `#${one.name}`]);
  return list.filter(([name]) => name.length > 1).sort((a, b) => b[0].length - a[0].length);
}

/** Typed text with known names as mention tokens; the sandbox escapes the rest. */
export const toWire = (typed) => replaceNames(typed, ([, token]) => token);

/** For slash commands: short handles, because only the sandbox knows whether the command wants tokens. */
export const toHandles = (typed) => replaceNames(typed, ([, , handle]) => handle);

function replaceNames(text, form) {
  const table = names();
  let out = "";
  let at = 0;
  while (at < text.length) {
    const hit =
      (text[at] === "@" || text[at] === "#") && startsWord(text, at) && table.find(([name]) => matches(text, at, name));
    if (hit) {
      out += form(hit);
      at += hit[0].length;
    } else {
      out += text[at];
      at += 1;
    }
  }
  return out;
}

const startsWord = (text, at) => at === 0 || /[\s(,;*_~]/.test(text[at - 1]);

function matches(text, at, name) {
  const found = text.slice(at, at + name.length);
  const after = text[at + name.length] ?? " ";
  return found.toLowerCase() === name.toLowerCase() && !/[\p{L}\p{N}_-]/u.test(after);
}

/** A message's text as one would have typed it, for editing. */
export function fromWire(text) {
  const readable = text
    .replace(/<@(\w+)(?:\|[^>]*)?>/g, (all, id) => (state.users.has(id) ? `@${displayName(state.users.get(id))}` : all))
    .replace(/<!subteam\^(\w+)(?:\|[^>]*)?>/g, (all, id) =>
      state.groups.has(id) ? `@${state.groups.get(id).handle}` : all,
    )
    .replace(/<!(here|channel|everyone)(?:\|[^>]*)?>/g, "@$1")
    .replace(/<#(\w+)(?:\|[^>]*)?>/g, (all, id) => (state.channels.has(id) ? `#${state.channels.get(id).name}` : all))
    .replace(/<((?:https?|mailto):[^|>]+)(?:\|[^>]*)?>/g, "$1");
  return unescape(readable);
}

/**
 * Who and what can follow an @ or # in the composer.
 * @returns {{insert: string, label: string, hint: string, user?: import("./types.js").User}[]}
 */
export function mentionable(mark, part) {
  const wanted = part.toLowerCase();
  const has = (...words) =>
    words.some(
      (word) =>
        word
          ?.toLowerCase()
          .split(/[\s._-]+/)
          .some((piece) => piece.startsWith(wanted)) || word?.toLowerCase().startsWith(wanted),
    );
  if (mark === "#") {
    const open = [...state.channels.values()].filter((one) => !one.is_im && !one.is_archived && has(one.name));
    return open.map((one) => ({ insert: `#${one.name}`, label: `#${channelTitle(one)}`, hint: one.topic }));
  }
  const people = [...state.users.values()].filter((one) => has(displayName(one), one.name));
  const groups = [...state.groups.values()].filter((one) => has(one.handle));
  return [
    ...people.map((one) => ({
      insert: `@${displayName(one)}`,
      label: displayName(one),
      hint: one.is_bot ? "App" : (one.title ?? ""),
      user: one,
    })),
    ...groups.map((one) => ({ insert: `@${one.handle}`, label: `@${one.handle}`, hint: one.name })),
    ...BROADCASTS.filter((word) => has(word)).map((word) => ({
      insert: `@${word}`,
      label: `@${word}`,
      hint: "Everybody in this channel",
    })),
  ];
}
