/** One message: who, when, what, its reactions and thread, and what one can do with it. */

import { attachmentsOf } from "./attachments.js";
import { renderBlocks } from "./blocks.js";
import { agoOf, clockOf, instantOf } from "./dates.js";
import { avatar, fill, h, icon, iconButton } from "./dom.js";
import { ask } from "./dialog.js";
import { emojiOr } from "./emoji.js";
import { pickEmoji } from "./emojipicker.js";
import { fileCard } from "./files.js";
import { menu } from "./floating.js";
import { mrkdwn, words } from "./mrkdwn.js";
import { fromWire, toWire } from "./mentions.js";
import { openThread } from "./session.js";
import { authorOf, channel, displayName, state } from "./store.js";
import { messageSurface } from "./surface.js";
import { attempt } from "./toast.js";

/**
 * @param {import("./types.js").Message} message
 * @param {{grouped?: boolean, inThread?: boolean}} how grouped: the same author goes on, no name is repeated
 */
export function renderMessage(message, { grouped = false, inThread = false } = {}) {
  const author = authorOf(message);
  const system = /^(channel|group)_/.test(message.subtype ?? "");
  const node = h(
    "article",
    {
      class: [
        "message",
        grouped && "grouped",
        message.pinned && "pinned",
        message.ephemeral && "ephemeral",
        system && "system",
      ]
        .filter(Boolean)
        .join(" "),
      tabindex: "-1",
      "aria-label": `${author.name}, ${clockOf(message.ts)}: ${words(message.text).slice(0, 160)}`,
      data: { ts: message.ts, author: author.name, testid: "message" },
    },
    message.pinned ? h("p", { class: "mark" }, icon("pin"), "Pinned") : null,
    message.ephemeral ? h("p", { class: "mark" }, "Only visible to you") : null,
    h(
      "div",
      { class: "message-side" },
      grouped
        ? h("time", { class: "side-time", title: instantOf(message.ts) }, clockOf(message.ts).replace(/\s[AP]M/, ""))
        : avatar(author.person ?? { initials: author.name.slice(0, 2), is_bot: author.isApp }),
    ),
    h(
      "div",
      { class: "message-main" },
      grouped ? null : headline(message, author),
      body(message),
      files(message),
      reactions(message),
      inThread ? null : threadLink(message),
    ),
  );
  node.append(toolbar(message, node, inThread));
  node.addEventListener("keydown", (event) => shortcuts(event, message, node, inThread));
  return node;
}

function headline(message, author) {
  return h(
    "div",
    { class: "headline" },
    h("strong", { class: "author" }, author.name),
    author.isApp ? h("span", { class: "app-mark" }, "APP") : null,
    h("time", { title: instantOf(message.ts) }, clockOf(message.ts)),
  );
}

function body(message) {
  const edited = message.edited
    ? h("span", { class: "edited", title: instantOf(message.edited.ts) }, "(edited)")
    : null;
  const attachments = attachmentsOf(message, (blocks) => renderBlocks(blocks, messageSurface(message)));
  if (message.blocks?.length)
    return h("div", { class: "content" }, renderBlocks(message.blocks, messageSurface(message)), attachments, edited);
  return h(
    "div",
    { class: "content" },
    h("div", { class: "text" }, mrkdwn(message.text), edited ? " " : null, edited),
    attachments,
  );
}

const files = (message) => (message.files?.length ? h("div", { class: "files" }, message.files.map(fileCard)) : null);

function reactions(message) {
  if (!message.reactions?.length) return null;
  const one = ({ name, users }) => {
    const mine = users.includes(state.user);
    const who = users.map((id) => (id === state.user ? "you" : displayName(state.users.get(id)) || id)).join(", ");
    return h(
      "button",
      {
        type: "button",
        class: "reaction",
        "aria-pressed": String(mine),
        "aria-label": `${name}, ${users.length}: ${who}`,
        title: `${who} reacted with :${name}:`,
        data: { reaction: name, focus: `reaction-${message.ts}-${name}` },
        on: { click: () => react(message, name, !mine) },
      },
      h("span", { "aria-hidden": "true" }, emojiOr(name)),
      h("span", null, users.length),
    );
  };
  const add = iconButton("smile", "Add reaction", (event) => openPicker(event.currentTarget, message), {
    class: "reaction add",
    data: { focus: `add-${message.ts}` },
  });
  return h("div", { class: "reactions" }, message.reactions.map(one), message.ephemeral ? null : add);
}

const react = (message, name, add) => attempt(() => state.api.react(message.channel, message.ts, name, add));
const openPicker = (anchor, message) => pickEmoji(anchor, (name) => react(message, name, true));

function threadLink(message) {
  if (!message.reply_count) return null;
  const people = (message.reply_users ?? []).slice(0, 4).map((id) => avatar(state.users.get(id), "small"));
  return h(
    "button",
    {
      type: "button",
      class: "thread-link",
      data: { testid: "thread-link", focus: `thread-${message.ts}` },
      on: { click: () => openThread(message.channel, message.ts) },
    },
    people,
    h("strong", null, `${message.reply_count} ${message.reply_count === 1 ? "reply" : "replies"}`),
    message.latest_reply ? h("small", null, `Last reply ${agoOf(message.latest_reply)}`) : null,
  );
}

/** Everything a person can do with a message, in the order of the toolbar. */
function deeds(message, node, inThread) {
  if (message.ephemeral)
    return [
      {
        name: "dismiss",
        icon: "close",
        label: "Dismiss",
        do: () => attempt(() => state.api.remove(message.channel, message.ts)),
      },
    ];
  const archived = channel(message.channel)?.is_archived;
  return [
    !archived && { name: "react", icon: "smile", label: "Add reaction", do: (anchor) => openPicker(anchor, message) },
    !inThread && {
      name: "reply",
      icon: "thread",
      label: "Reply in thread",
      do: () => openThread(message.channel, message.thread_ts ?? message.ts),
    },
    !archived && {
      name: "pin",
      icon: "pin",
      label: message.pinned ? "Unpin" : "Pin to channel",
      do: () => attempt(() => state.api.pin(message.channel, message.ts, !message.pinned)),
    },
    {
      name: "more",
      icon: "more",
      label: "More message actions",
      menu: true,
      do: (anchor) => more(anchor, message, node),
    },
  ].filter(Boolean);
}

function toolbar(message, node, inThread) {
  const buttons = deeds(message, node, inThread).map((deed) =>
    iconButton(deed.icon, deed.label, (event) => deed.do(event.currentTarget), {
      "aria-haspopup": deed.menu ? "menu" : null,
      data: { deed: deed.name, focus: `${deed.name}-${message.ts}` },
    }),
  );
  return h("div", { class: "message-tools", role: "toolbar", "aria-label": "Message actions" }, buttons);
}

function more(anchor, message, node) {
  const own = message.user === state.user && !message.bot_id;
  const shortcutsOf = state.boot.shortcuts.filter((one) => one.type === "message");
  const items = [
    ...shortcutsOf.map((one) => ({
      label: one.name,
      hint: one.description,
      icon: "bolt",
      data: { shortcut: one.callback_id },
      pick: () => runShortcut(one, message),
    })),
    shortcutsOf.length ? "-" : null,
    { label: "Copy text", icon: "copy", pick: () => copy(words(message.text)) },
    { label: "Copy message ts", icon: "link", pick: () => copy(message.ts) },
    own && { label: "Edit message", icon: "edit", data: { deed: "edit" }, pick: () => edit(message, node) },
    own && {
      label: "Delete message",
      icon: "trash",
      danger: true,
      data: { deed: "delete" },
      pick: () => remove(message),
    },
  ].filter(Boolean);
  menu(anchor, items, { label: "More message actions", align: "end", testid: "message-menu" });
}

const runShortcut = (one, message) =>
  attempt(() => state.api.shortcut(one.callback_id, { channel: message.channel, ts: message.ts }));

const copy = (text) => attempt(() => navigator.clipboard.writeText(text));

function remove(message) {
  ask({
    title: "Delete this message?",
    body: h("p", null, "This cannot be undone."),
    okLabel: "Delete",
    danger: true,
    testid: "delete-dialog",
    ok: async () => {
      await attempt(() => state.api.remove(message.channel, message.ts));
    },
  });
}

/** Edit in place: Enter saves, Esc gives up. */
export function edit(message, node) {
  const content = node.querySelector(".content");
  const field = h("textarea", {
    class: "field",
    rows: "2",
    "aria-label": "Edit message",
    data: { testid: "edit-field" },
  });
  field.value = fromWire(message.text);
  const back = () => {
    form.replaceWith(content);
    node.focus();
  };
  const save = async () => {
    const text = toWire(field.value.trim());
    if (text && (text === message.text || (await attempt(() => state.api.edit(message.channel, message.ts, text)))))
      back();
  };
  const form = h(
    "div",
    { class: "editor" },
    field,
    h(
      "div",
      { class: "editor-foot" },
      h("button", { type: "button", class: "button small", on: { click: back } }, "Cancel"),
      h("button", { type: "button", class: "button small primary", on: { click: save } }, "Save"),
    ),
  );
  field.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") back();
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      save();
    }
  });
  content.replaceWith(form);
  field.focus();
  field.setSelectionRange(field.value.length, field.value.length);
}

/** Letters on a focused message, as in Slack: r react, t thread, p pin, e edit, m more; arrows walk. */
function shortcuts(event, message, node, inThread) {
  if (event.target !== node || event.ctrlKey || event.metaKey || event.altKey) return;
  const own = message.user === state.user && !message.bot_id;
  const wanted = { r: "react", t: "reply", p: "pin", m: "more" }[event.key];
  const deed = deeds(message, node, inThread).find((one) => one.name === wanted);
  const neighbour = { ArrowUp: "previous", ArrowDown: "next" }[event.key];
  if (deed) deed.do(node.querySelector(`[data-deed="${deed.name}"]`) ?? node);
  else if (event.key === "e" && own && !message.ephemeral) edit(message, node);
  else if (neighbour) walk(node, `${neighbour}ElementSibling`);
  else return;
  event.preventDefault();
}

function walk(node, direction) {
  let next = node[direction];
  while (next && !next.matches("article.message")) next = next[direction];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

/** The empty state of a list. */
export const emptyNote = (...content) => fill(h("div", { class: "empty-note" }), content);
