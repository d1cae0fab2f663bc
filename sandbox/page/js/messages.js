/** The list of messages: days, authors, the "new" line; it stays at the bottom unless one has scrolled up. */

import { dayKey, dayLabel } from "./dates.js";
import { h, icon, reconcile } from "./dom.js";
import { edit, emptyNote, renderMessage } from "./message.js";
import { words } from "./mrkdwn.js";
import { adopt, markRead } from "./session.js";
import { authorOf, channel, channelTitle, mainMessages, on, state } from "./store.js";
import { attempt } from "./toast.js";

const GROUP_SECONDS = 300;

/** @param {HTMLElement} root the scrolling list @param {HTMLElement} announcer a live region */
export function messageList(root, announcer) {
  let shownChannel = "";
  let stick = true;
  let spoken = "";
  const list = h("div", { class: "message-list" });
  const jump = h(
    "button",
    { type: "button", class: "jump-down", hidden: true, on: { click: () => toEnd() } },
    icon("down"),
    "Newer messages",
  );
  root.append(list, jump);
  root.addEventListener("scroll", () => {
    stick = root.scrollHeight - root.scrollTop - root.clientHeight < 60;
    jump.hidden = stick;
    if (stick) markRead();
  });
  // Pictures and fonts arrive later than the message does.
  new ResizeObserver(() => stick && toEnd()).observe(list);
  new ResizeObserver(() => stick && toEnd()).observe(root);
  root.addEventListener("focusin", rove);
  addEventListener("visibilitychange", markRead);
  on("messages current boot", draw);

  function toEnd() {
    root.scrollTop = root.scrollHeight;
  }

  function draw() {
    const one = channel();
    if (!one) return;
    root.dataset.channel = one.id;
    const fresh = shownChannel !== `${state.user}/${one.id}`;
    if (fresh) list.replaceChildren();
    const loaded = state.messages.has(one.id);
    const items = loaded ? rows(mainMessages(one.id)) : [];
    if (loaded)
      items.unshift({
        key: "top",
        version: `${one.topic}/${one.purpose}/${one.is_member}`,
        make: () => beginning(one),
      });
    reconcile(
      list,
      items,
      (item) => item.key,
      (item) => item.version,
      (item) => item.make(),
    );
    root.setAttribute("aria-busy", String(!loaded));
    if (loaded && fresh) {
      shownChannel = `${state.user}/${one.id}`;
      spoken = mainMessages(one.id).at(-1)?.ts ?? "";
      stick = true;
    }
    if (stick) toEnd();
    else jump.hidden = false;
    const last = list.querySelector("article.message:last-of-type");
    if (last && !list.querySelector('article[tabindex="0"]')) last.tabIndex = 0;
    announce();
  }

  function announce() {
    const last = mainMessages().at(-1);
    if (!last || last.ts <= spoken) return;
    spoken = last.ts;
    if (last.user !== state.user || last.ephemeral)
      announcer.textContent = `${authorOf(last).name}: ${words(last.text).slice(0, 240)}`;
  }

  /** One stop of the Tab key for the whole list: the message visited last. */
  function rove(event) {
    const message = event.target.closest?.("article.message");
    if (!message || event.target !== message) return;
    for (const other of list.querySelectorAll('article[tabindex="0"]')) other.tabIndex = -1;
    message.tabIndex = 0;
  }
}

function rows(messages) {
  const items = [];
  let before = null;
  let fresh = false;
  for (const message of messages) {
    const day = dayKey(message.ts);
    const newDay = !before || dayKey(before.ts) !== day;
    const newLine = !fresh && state.newFrom && message.ts >= state.newFrom;
    if (newDay)
      items.push({ key: `day-${day}`, version: dayLabel(message.ts), make: () => divider(dayLabel(message.ts)) });
    if (newLine) {
      fresh = true;
      items.push({ key: "new", version: state.newFrom, make: newDivider });
    }
    const grouped = !newDay && !newLine && continues(before, message);
    items.push({
      key: `${message.ts}${grouped ? "/g" : ""}`,
      version: message,
      make: () => renderMessage(message, { grouped }),
    });
    before = message;
  }
  return items;
}

function continues(before, message) {
  if (before.ephemeral !== message.ephemeral || message.pinned || message.subtype !== before.subtype) return false;
  return authorOf(before).key === authorOf(message).key && Number(message.ts) - Number(before.ts) < GROUP_SECONDS;
}

const divider = (label) => h("div", { class: "day", role: "separator" }, h("span", null, label));
const newDivider = () =>
  h(
    "div",
    { class: "new-line", role: "separator", "aria-label": "New messages", data: { testid: "new-line" } },
    h("span", null, "New"),
  );

function beginning(one) {
  const name = one.is_im ? channelTitle(one) : `#${one.name}`;
  const join = () => attempt(() => adopt(() => state.api.join(one.id)));
  return emptyNote(
    h("h2", null, one.is_im ? name : [icon(one.is_private ? "lock" : "hash"), one.name]),
    h(
      "p",
      null,
      one.is_im
        ? `This is the beginning of your conversation with ${name}.`
        : `This is the very beginning of the channel ${name}. ${one.purpose ?? ""}`,
    ),
    !one.is_im && !one.is_member && !one.is_archived
      ? h(
          "button",
          { type: "button", class: "button primary", data: { testid: "join-here" }, on: { click: join } },
          `Join ${name}`,
        )
      : null,
  );
}

/** Open the last message of one's own for editing; answers whether there was one. */
export function editLast(root) {
  const mine = mainMessages()
    .filter((one) => one.user === state.user && !one.bot_id && !one.ephemeral)
    .at(-1);
  const node = mine && root.querySelector(`article[data-ts="${mine.ts}"]`);
  if (!node) return false;
  edit(mine, node);
  return true;
}

/** A plain list (threads) kept current. */
export function fillList(root, messages) {
  const items = messages.map((message, index) => ({
    message,
    grouped: index > 1 && continues(messages[index - 1], message),
  }));
  reconcile(
    root,
    items,
    ({ message, grouped }) => `${message.ts}${grouped ? "/g" : ""}`,
    ({ message }) => message,
    ({ message, grouped }) => renderMessage(message, { grouped, inThread: true }),
  );
}
