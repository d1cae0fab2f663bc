/** What the page knows, in one place. Parts of the page read it and listen for the topic they show. */

import { whenReleased } from "./timing.js";

/**
 * @typedef {"boot"|"channels"|"current"|"messages"|"thread"|"pane"|"views"|"home"|"connection"} Topic
 */
export const state = {
  user: "",
  /** @type {ReturnType<typeof import("./api.js").person>} */
  api: null,
  /** @type {import("./types.js").Boot} */
  boot: null,
  /** @type {Map<string, import("./types.js").User>} */
  users: new Map(),
  groups: new Map(),
  /** @type {Map<string, import("./types.js").Channel>} */
  channels: new Map(),
  /** The open channel's id. */
  current: "",
  /** In the bot's conversation: which tab. */
  tab: "messages",
  /** @type {Map<string, Map<string, import("./types.js").Message>>} messages by channel, then ts */
  messages: new Map(),
  /** @type {{channel: string, ts: string, messages: Map<string, import("./types.js").Message>}|null} */
  thread: null,
  /** @type {""|"thread"|"pins"|"members"} */
  pane: "",
  /** Where the "new" line stands in the open channel. */
  newFrom: "",
  /** @type {import("./types.js").View[]} the modal stack, bottom first */
  views: [],
  /** @type {import("./types.js").View|null} */
  home: null,
  /** The socket is up and everything was fetched since. */
  connected: false,
  /** The socket broke and is not back yet. */
  lost: false,
  drafts: new Map(),
};

const listeners = new Map();

/** Call `fn` at every change of the topics. */
export function on(topics, fn) {
  for (const topic of topics.split(" ")) {
    if (!listeners.has(topic)) listeners.set(topic, new Set());
    listeners.get(topic).add(fn);
  }
}

let due = null;

/** Say that something changed. Listeners run once a turn, however often they were told. */
export function changed(...topics) {
  if (!due) {
    due = new Set();
    queueMicrotask(() => whenReleased(tell));
  }
  for (const topic of topics) due.add(topic);
}

function tell() {
  const told = new Set([...due].flatMap((topic) => [...(listeners.get(topic) ?? [])]));
  due = null;
  for (const fn of told) fn();
}

export const me = () => state.users.get(state.user);
export const channel = (id = state.current) => state.channels.get(id);
export const userOf = (id) => state.users.get(id);

/** The bot's own person and its conversation. */
export const botUser = () => state.users.get(state.boot?.app.bot_user_id);
export const isBotChannel = (one) => Boolean(one?.is_im && one.user === state.boot?.app.bot_user_id);

/** A channel's name as people say it. */
export function channelTitle(one) {
  if (!one) return "";
  if (!one.is_im) return one.name;
  return displayName(userOf(one.user)) || one.name;
}

export const displayName = (user) => (user ? user.real_name || user.name : "");

/** Who wrote a message: a person, or the app under the name it chose. */
export function authorOf(message) {
  const app = state.boot.app;
  const isApp = Boolean(message.bot_id) || message.user === app.bot_user_id;
  const person = userOf(message.user) ?? (isApp ? botUser() : null);
  const name = message.username || displayName(person) || (isApp ? app.name : "Somebody");
  return { person, name, isApp, key: `${message.user ?? message.bot_id ?? ""}/${name}` };
}

/** Messages of a channel that stand in its main list, oldest first. */
export function mainMessages(id = state.current) {
  const all = [...(state.messages.get(id)?.values() ?? [])];
  return all
    .filter((one) => !one.thread_ts || one.thread_ts === one.ts || one.subtype === "thread_broadcast")
    .sort(byTs);
}

export const byTs = (a, b) => (a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : 0);
