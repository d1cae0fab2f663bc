/** One person's session: fetch the world, keep it current from the socket, and act on it. */

import { person } from "./api.js";
import { keepSocket } from "./socket.js";
import { oneAtATime } from "./timing.js";
import { changed, channel, isBotChannel, mainMessages, state } from "./store.js";
import { attempt, toast } from "./toast.js";

const RETRY = 1500;
let socket = null;
/** Events that arrive while something is being fetched are applied again on top of it: the answer may be older. */
const recordings = new Set();
/** Events that carry no state of their own; once is enough. */
const PASSING = new Set(["toast", "phone", "panel", "view_open", "view_update", "view_push", "view_close"]);
const extras = { phone: () => undefined, panel: () => undefined };

/** Who wants to know about the phone and the panel. */
export function onExtra(name, fn) {
  extras[name] = fn;
}

/** Become a person. */
export async function become(user, wanted = "") {
  socket?.close();
  Object.assign(state, {
    user,
    api: person(user),
    messages: new Map(),
    thread: null,
    pane: "",
    views: [],
    home: null,
    connected: false,
    lost: false,
    drafts: new Map(),
  });
  await refreshBoot();
  const first = state.channels.get(wanted) ?? firstChannel();
  if (first) await openChannel(first.id);
  await refreshViews();
  changed("boot", "pane", "thread", "connection");
  let seen = false;
  const mine = user;
  socket = keepSocket(state.api.socketUrl(), {
    up: () => {
      // The first time too: something may have happened between fetching and listening.
      catchUp(mine, seen);
      seen = true;
    },
    down: () => {
      Object.assign(state, { connected: false, lost: true });
      changed("connection");
    },
    event: (event) => {
      if (mine === state.user) receive(event);
    },
  });
}

/** Fetch everything anew, however often it takes while the socket is up. */
async function catchUp(user, announce) {
  try {
    await refreshAll(announce);
  } catch (error) {
    toast(error.message, "bad");
    setTimeout(() => user === state.user && catchUp(user, announce), RETRY);
  }
}

const firstChannel = () => {
  const mine = [...state.channels.values()].filter((one) => one.is_member && !one.is_archived && !one.is_im);
  return mine.find((one) => one.name === "incidents") ?? mine[0] ?? [...state.channels.values()][0];
};

function refreshBoot() {
  return withReplay(async () => {
    const { api } = state;
    const boot = await api.boot();
    if (api !== state.api) return;
    state.boot = boot;
    state.users = new Map(boot.users.map((one) => [one.id, one]));
    state.groups = new Map(boot.usergroups.map((one) => [one.id, one]));
    state.channels = new Map(boot.channels.map((one) => [one.id, one]));
    changed("boot", "channels");
  });
}

async function refreshAll(announce) {
  await refreshBoot();
  if (!channel()) await openChannel(firstChannel().id);
  // Whatever else was loaded is old now and is fetched again when it is opened.
  for (const id of [...state.messages.keys()]) if (id !== state.current) state.messages.delete(id);
  await Promise.all([
    refreshMessages(state.current),
    refreshThread(),
    refreshViews(),
    state.tab === "home" ? refreshHome() : null,
  ]);
  extras.phone();
  extras.panel();
  Object.assign(state, { connected: true, lost: false });
  changed("connection");
  if (announce) toast("Connected again.");
}

async function withReplay(work) {
  const mine = [];
  recordings.add(mine);
  try {
    await work();
  } finally {
    recordings.delete(mine);
  }
  for (const event of mine) if (!PASSING.has(event.type)) apply(event);
}

/** Fetch the open channel's messages. */
export function refreshMessages(id) {
  return withReplay(async () => {
    const { api } = state;
    const list = await api.messages(id);
    if (api !== state.api) return;
    state.messages.set(id, new Map(list.map((one) => [one.ts, one])));
    changed("messages");
  });
}

function refreshThread() {
  const { thread } = state;
  if (!thread) return null;
  return withReplay(async () => {
    const list = await state.api.messages(thread.channel, thread.ts);
    thread.messages = new Map(list.map((one) => [one.ts, one]));
    changed("thread");
  });
}

/** The modal stack is the sandbox's; every event about it only means: look again. */
export const refreshViews = oneAtATime(async () => {
  const { api } = state;
  const views = await api.views();
  if (api !== state.api) return;
  state.views = views;
  changed("views");
});

function refreshHome() {
  return withReplay(async () => {
    const { api } = state;
    const { view } = await api.home("home");
    if (api !== state.api) return;
    state.home = view;
    changed("home");
  });
}

function receive(event) {
  for (const recording of recordings) recording.push(event);
  apply(event);
}

function apply(event) {
  const handler = EVENTS[event.type];
  if (handler) handler(event);
}

const EVENTS = {
  message: (event) => {
    count(event.message);
    keep(event.message);
  },
  message_changed: (event) => keep(event.message),
  ephemeral: (event) => keep({ ...event.message, ephemeral: true }),
  message_deleted: drop,
  ephemeral_deleted: drop,
  reaction: (event) => patch(event, { reactions: event.reactions }),
  pin: (event) => {
    const one = state.channels.get(event.channel);
    if (one) one.pins = [...one.pins.filter((ts) => ts !== event.ts), ...(event.pinned ? [event.ts] : [])];
    changed("channels");
    patch(event, { pinned: event.pinned });
  },
  channel: (event) => {
    const one = event.channel;
    const hidden = (one.is_private || one.is_im) && !one.is_member;
    if (hidden) state.channels.delete(one.id);
    else state.channels.set(one.id, one);
    changed("channels");
    if (hidden && one.id === state.current) openChannel(firstChannel().id);
  },
  view_open: look,
  view_update: look,
  view_push: look,
  view_close: look,
  home: (event) => {
    state.home = event.view;
    changed("home");
  },
  toast: (event) => toast(event.text, "bad"),
  phone: () => extras.phone(),
  panel: () => extras.panel(),
  app: (event) => {
    state.boot.app.connected = Boolean(event.connected ?? event.app?.connected);
    changed("connection");
  },
};

function look() {
  attempt(refreshViews);
}

/** A new message in a channel that is not open is unread there; the sandbox's own count comes with the next boot. */
function count(message) {
  const one = state.channels.get(message.channel);
  const inThread = message.thread_ts && message.thread_ts !== message.ts && message.subtype !== "thread_broadcast";
  if (!one?.is_member || inThread || message.user === state.user || message.ts <= one.last_ts) return;
  one.last_ts = message.ts;
  if (message.channel === state.current && !document.hidden && state.tab !== "home") return;
  one.unread += 1;
  one.has_mention ||= one.is_im || mentionsMe(message);
  changed("channels");
}

function mentionsMe(message) {
  const said = JSON.stringify([message.text, message.blocks]);
  const called = [...said.matchAll(/<!subteam\^(\w+)/g)].some(([, id]) =>
    state.groups.get(id)?.users?.includes(state.user),
  );
  return called || said.includes(`<@${state.user}`) || /<!(here|channel|everyone)/.test(said);
}

/** Change a few properties of a message that is held; the object is new, so that it is drawn anew. */
function patch({ channel: id, ts }, fields) {
  const known = state.messages.get(id)?.get(ts) ?? (state.thread?.channel === id && state.thread.messages.get(ts));
  if (known) keep({ ...known, ...fields });
}

/** Put a message where it is shown; the same ts twice is one message. */
function keep(message) {
  const list = state.messages.get(message.channel);
  if (list) {
    list.set(message.ts, message);
    changed("messages");
  }
  const { thread } = state;
  const root = message.thread_ts ?? message.ts;
  if (thread && thread.channel === message.channel && (thread.ts === root || thread.messages.has(message.ts))) {
    thread.messages.set(message.ts, message);
    changed("thread");
  }
  if (message.channel === state.current) markRead();
}

function drop({ channel: id, ts }) {
  if (state.messages.get(id)?.delete(ts)) changed("messages");
  if (state.thread?.channel === id && state.thread.messages.delete(ts)) changed("thread");
}

/** Show a channel. */
export async function openChannel(id) {
  const { unread = 0, last_read: lastRead = "" } = channel(id) ?? {};
  state.current = id;
  state.newFrom = "";
  if (state.thread && state.thread.channel !== id) Object.assign(state, { thread: null, pane: "" });
  if (state.pane !== "thread") state.pane = "";
  state.tab = "messages";
  changed("current", "pane", "thread");
  if (!state.messages.has(id)) await attempt(() => refreshMessages(id));
  if (state.current !== id) return;
  const fresh = mainMessages(id).find((one) => one.ts > lastRead && one.user !== state.user && !one.ephemeral);
  state.newFrom = unread && fresh ? fresh.ts : "";
  changed("messages");
  markRead();
  if (isBotChannel(channel(id))) await attempt(() => state.api.home("messages"));
}

/** Switch between the bot's Home and Messages tabs. */
export async function openTab(tab) {
  state.tab = tab;
  changed("current");
  await attempt(tab === "home" ? refreshHome : () => state.api.home("messages"));
}

let reading = "";

/** Tell the sandbox how far one has read, when one can have seen it. */
export function markRead() {
  const one = channel();
  const last = mainMessages()
    .filter((message) => !message.ephemeral)
    .at(-1)?.ts;
  if (!one || !last || document.hidden || state.tab === "home") return;
  const mark = `${state.user}/${one.id}/${last}`;
  if (mark === reading && !one.unread) return;
  reading = mark;
  state.api.read(one.id, last).catch(() => undefined);
}

/** Show a thread beside the channel. */
export async function openThread(id, ts) {
  const root = state.messages.get(id)?.get(ts);
  state.thread = { channel: id, ts, messages: new Map(root ? [[ts, root]] : []) };
  state.pane = "thread";
  changed("thread", "pane");
  await attempt(async () => refreshThread());
}

/** Show or close the right side. */
export function openPane(pane) {
  state.pane = pane;
  if (pane !== "thread") state.thread = null;
  changed("pane", "thread");
}

/** Open the conversation with somebody. */
export async function openIm(other) {
  const known = [...state.channels.values()].find((one) => one.is_im && one.user === other);
  if (known) return openChannel(known.id);
  return attempt(async () => {
    const created = await state.api.im(other);
    state.channels.set(created.id, created);
    changed("channels");
    await openChannel(created.id);
  });
}

/** Take part in a channel, make one: the answer may come before the event does. */
export async function adopt(work) {
  const created = await work();
  const fresh = created?.channel ?? created;
  if (fresh?.id) state.channels.set(fresh.id, fresh);
  await refreshBoot();
  return fresh;
}

/** Send what a person typed. Answers whether it left. */
export async function send(id, text, threadTs) {
  return attempt(async () => {
    const answer = await state.api.send(id, text, threadTs);
    if (answer.message) keep(answer.message);
    state.newFrom = "";
    changed("messages");
  });
}
