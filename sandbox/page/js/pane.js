/** The right side: a thread, the pins, the people of a channel. */

import { memberRow } from "./channels.js";
import { composer } from "./composer.js";
import { fill, h, iconButton } from "./dom.js";
import { emptyNote, renderMessage } from "./message.js";
import { fillList } from "./messages.js";
import { openPane } from "./session.js";
import { byTs, channel, channelTitle, on, state } from "./store.js";

/** @param {HTMLElement} root */
export function pane(root) {
  const list = h("div", { class: "message-list" });
  const scroll = h(
    "div",
    { class: "pane-scroll", role: "log", "aria-label": "Thread", "aria-live": "polite", data: { testid: "thread" } },
    list,
  );
  const reply = composer({
    target: () => (state.thread ? { channel: state.thread.channel, thread: state.thread.ts } : null),
    placeholder: () => "Reply…",
    testid: "thread-composer",
    commands: false,
  });
  let shown = "";
  on("pane thread messages channels boot", draw);
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.stopPropagation();
    close();
  });

  function close() {
    const ts = state.thread?.ts;
    openPane("");
    (ts && document.querySelector(`#messages article[data-ts="${ts}"]`)
      ? document.querySelector(`#messages article[data-ts="${ts}"]`)
      : document.querySelector('[data-testid="composer"]')
    )?.focus();
  }

  function draw() {
    root.hidden = !state.pane;
    document.body.classList.toggle("with-pane", Boolean(state.pane));
    const mark = `${state.user}/${state.pane}/${state.thread?.ts ?? ""}/${state.current}`;
    const fresh = mark !== shown;
    shown = mark;
    if (!state.pane) return root.replaceChildren();
    if (state.pane === "thread") return thread(fresh);
    return fill(
      root,
      head(state.pane === "pins" ? "Pinned messages" : "Members"),
      h("div", { class: "pane-scroll" }, state.pane === "pins" ? pins() : members()),
    );
  }

  function head(title, sub = "") {
    return h(
      "header",
      { class: "pane-head" },
      h("h2", null, title, sub ? h("small", null, sub) : null),
      iconButton("close", "Close", close, { data: { testid: "close-pane", focus: "close-pane" } }),
    );
  }

  function thread(fresh) {
    const messages = [...state.thread.messages.values()].sort(byTs);
    const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
    if (fresh) {
      list.replaceChildren();
      fill(root, head("Thread", channelTitle(channel(state.thread.channel))), scroll, reply.node);
    }
    fillList(list, messages);
    const replies = messages.length - 1;
    scroll.dataset.replies = String(Math.max(0, replies));
    if (fresh || atEnd) scroll.scrollTop = scroll.scrollHeight;
    if (fresh) reply.field.focus({ preventScroll: true });
  }

  function pins() {
    const all = [...(state.messages.get(state.current)?.values() ?? [])];
    const pinned = all
      .filter((one) => one.pinned)
      .sort(byTs)
      .reverse();
    if (!pinned.length) return emptyNote(h("p", null, "Nothing is pinned here yet. Pin a message to keep it at hand."));
    return h(
      "div",
      { class: "message-list" },
      pinned.map((one) => renderMessage(one)),
    );
  }

  function members() {
    return h("ul", { class: "members" }, (channel()?.members ?? []).map(memberRow));
  }
}
