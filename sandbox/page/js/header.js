/** The head of the conversation: its name, topic, people, pins, bookmarks, and the tabs of the app's conversation. */

import { archive, invite } from "./channels.js";
import { safeUrl } from "./chips.js";
import { avatar, fill, h, icon, iconButton } from "./dom.js";
import { emoji } from "./emoji.js";
import { menu } from "./floating.js";
import { inline } from "./mrkdwn.js";
import { adopt, openPane, openTab } from "./session.js";
import { channel, channelTitle, isBotChannel, on, state } from "./store.js";
import { attempt } from "./toast.js";

/** @param {HTMLElement} root @param {() => void} openDrawer */
export function header(root, openDrawer) {
  on("boot channels current pane", draw);

  function draw() {
    const one = channel();
    if (!one) return;
    const focused = root.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
    root.dataset.channel = one.id;
    fill(
      root,
      h("div", { class: "head-row" }, menuButton(), title(one), h("div", { class: "head-tools" }, tools(one))),
      isBotChannel(one) ? tabs() : null,
      bookmarks(one),
    );
    if (focused) root.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  const menuButton = () =>
    iconButton("menu", "Channels and people", openDrawer, {
      class: "icon-button only-narrow",
      data: { testid: "open-drawer", focus: "drawer" },
    });

  function title(one) {
    const user = one.is_im ? state.users.get(one.user) : null;
    const lead = user ? avatar(user, "small") : icon(one.is_private ? "lock" : "hash");
    const sub = one.is_im ? user?.title : one.topic;
    const name = h(
      "h1",
      { data: { testid: "channel-name-heading" } },
      lead,
      h("span", null, channelTitle(one)),
      one.is_archived ? h("em", { class: "pill" }, "archived") : null,
    );
    return h(
      "div",
      { class: "head-title" },
      name,
      sub ? h("p", { class: "topic", title: sub, data: { testid: "topic" } }, inline(sub)) : null,
    );
  }

  function tools(one) {
    const toggle = (pane) => () => openPane(state.pane === pane ? "" : pane);
    const counter = (name, count, label, pane) =>
      h(
        "button",
        {
          type: "button",
          class: "head-count",
          "aria-label": label,
          title: label,
          "aria-pressed": String(state.pane === pane),
          data: { testid: `show-${pane}`, focus: `show-${pane}` },
          on: { click: toggle(pane) },
        },
        icon(name),
        h("span", null, count),
      );
    if (one.is_im)
      return [one.pins.length ? counter("pin", one.pins.length, `${one.pins.length} pinned`, "pins") : null];
    return [
      counter("people", one.members.length, `${one.members.length} members`, "members"),
      counter("pin", one.pins.length, `${one.pins.length} pinned`, "pins"),
      iconButton("more", "Channel actions", (event) => actions(event.currentTarget, one), {
        "aria-haspopup": "menu",
        data: { testid: "channel-menu", focus: "channel-menu" },
      }),
    ];
  }

  function actions(anchor, one) {
    const act = (work) => () => attempt(() => adopt(work));
    const items = one.is_member
      ? [
          { label: "Add people", icon: "people", pick: () => invite(one) },
          { label: "Leave channel", icon: "back", pick: act(() => state.api.leave(one.id)) },
          "-",
          { label: "Archive channel", icon: "trash", danger: true, pick: () => archive(one) },
        ]
      : [{ label: "Join channel", icon: "plus", pick: act(() => state.api.join(one.id)) }];
    menu(anchor, items, { label: "Channel actions", align: "end" });
  }

  function tabs() {
    if (!state.boot.app.home_enabled) return null;
    const tab = (name, label) =>
      h(
        "button",
        {
          type: "button",
          class: "tab",
          role: "tab",
          "aria-selected": String(state.tab === name),
          tabindex: state.tab === name ? "0" : "-1",
          data: { testid: `tab-${name}`, focus: `tab-${name}` },
          on: { click: () => openTab(name) },
        },
        label,
      );
    const move = (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = state.tab === "home" ? "messages" : "home";
      root.querySelector(`[data-focus="tab-${other}"]`)?.focus();
      openTab(other);
    };
    return h(
      "div",
      { class: "tabs", role: "tablist", "aria-label": state.boot.app.name, on: { keydown: move } },
      tab("home", "Home"),
      tab("messages", "Messages"),
    );
  }

  function bookmarks(one) {
    if (!one.bookmarks.length) return null;
    const entry = (mark) => {
      const code = mark.emoji?.replaceAll(":", "");
      return h(
        "a",
        { class: "bookmark", href: safeUrl(mark.link) ?? "#", target: "_blank", rel: "noopener noreferrer" },
        code && emoji(code) ? h("span", { "aria-hidden": "true" }, emoji(code)) : icon("link"),
        mark.title,
      );
    };
    return h(
      "nav",
      { class: "bookmarks", "aria-label": "Bookmarks", data: { testid: "bookmarks" } },
      one.bookmarks.map(entry),
    );
  }
}
