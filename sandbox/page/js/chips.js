/** The small inline things a text can hold: people, channels, groups, links, dates. */

import { formatDate, instantOf } from "./dates.js";
import { h } from "./dom.js";
import { displayName, state } from "./store.js";

/** Only addresses a person may safely follow. */
export const safeUrl = (url) => (/^(https?:|mailto:|tel:|\/(?!\/))/i.test(url ?? "") ? url : null);

/** A link that opens beside the page. */
export function link(url, label = null) {
  const safe = safeUrl(url);
  if (!safe) return h("span", null, label ?? url);
  return h(
    "a",
    { href: safe, target: "_blank", rel: "noopener noreferrer" },
    label ?? url.replace(/^(mailto|tel):/, ""),
  );
}

export function userChip(id, label) {
  const user = state.users.get(id);
  const name = displayName(user) || label || id;
  const mine = id === state.user;
  return h("span", { class: `chip ${mine ? "chip-me" : ""}`, data: { user: id } }, `@${name}`);
}

export function channelChip(id, label) {
  const channel = state.channels.get(id);
  if (!channel)
    return h("span", { class: "chip", title: "You cannot see this channel" }, label ? `#${label}` : "#private channel");
  // main.js listens for [data-goto] once, for the whole page.
  return h("button", { type: "button", class: "chip chip-link", data: { goto: id } }, `#${channel.name}`);
}

export function groupChip(id, label) {
  const group = state.groups.get(id);
  const mine = group?.users?.includes(state.user);
  return h(
    "span",
    { class: `chip ${mine ? "chip-me" : ""}`, title: group?.name ?? "" },
    `@${group?.handle ?? label?.replace(/^@/, "") ?? id}`,
  );
}

export function broadcastChip(name, label) {
  const known = ["here", "channel", "everyone"].includes(name);
  return h("span", { class: known ? "chip chip-me" : "chip" }, `@${label?.replace(/^@/, "") || name}`);
}

export function dateChip(seconds, format, url, fallback) {
  const text = formatDate(seconds, format, fallback);
  const time = h("time", { title: Number.isFinite(Number(seconds)) ? instantOf(seconds) : "" }, text);
  // Only a relative date changes while one looks at it.
  if (format.includes("{ago}")) Object.assign(time.dataset, { ago: seconds, format, fallback });
  return url ? link(url, time) : time;
}

/** Bring every relative date of the page up to date. */
export function refreshDates(root = document) {
  for (const time of root.querySelectorAll("time[data-ago]")) {
    const text = formatDate(time.dataset.ago, time.dataset.format, time.dataset.fallback);
    if (time.textContent !== text) time.textContent = text;
  }
}
