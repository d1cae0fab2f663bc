/** The left column: the team, whom one is, channels, people, the app. */

import { addChannels, createChannel } from "./channels.js";
import { avatar, fill, h, icon, iconButton } from "./dom.js";
import { menu } from "./floating.js";
import { become, openChannel, openIm } from "./session.js";
import { channelTitle, displayName, isBotChannel, me, on, state } from "./store.js";
import { attempt } from "./toast.js";

/** @param {HTMLElement} root @param {() => void} leave called when something was chosen (the drawer closes) */
export function sidebar(root, leave) {
  on("boot channels current connection", draw);
  root.addEventListener("keydown", arrows);

  function draw() {
    if (!state.boot) return;
    const focused = root.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
    const { scrollTop } = root.querySelector(".side-scroll") ?? { scrollTop: 0 };
    fill(root, head(), h("div", { class: "side-scroll" }, channelsPart(), peoplePart(), appPart()));
    root.querySelector(".side-scroll").scrollTop = scrollTop;
    if (focused) root.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  function head() {
    const user = me();
    return h(
      "div",
      { class: "side-head" },
      h("div", { class: "team" }, h("strong", null, state.boot.team.name), h("small", null, "Practice estate")),
      h(
        "button",
        {
          type: "button",
          class: "switcher",
          "aria-haspopup": "menu",
          "aria-label": `You are ${displayName(user)}. Choose whom to be`,
          data: { testid: "switcher", focus: "switcher", user: state.user },
          on: { click: (event) => choosePerson(event.currentTarget) },
        },
        avatar(user),
        h(
          "span",
          { class: "switcher-words" },
          h("strong", null, displayName(user)),
          h("small", null, user?.title || "You"),
        ),
        icon("down"),
      ),
    );
  }

  function choosePerson(anchor) {
    const people = [...state.users.values()].filter((one) => !one.is_bot);
    menu(
      anchor,
      people.map((one) => ({
        label: displayName(one),
        hint: one.title,
        lead: avatar(one),
        checked: one.id === state.user,
        data: { user: one.id },
        pick: () => attempt(() => become(one.id, state.current)),
      })),
      { label: "Choose whom to be", header: h("p", { class: "menu-head" }, "Choose whom to be"), testid: "people" },
    );
  }

  function channelsPart() {
    const mine = [...state.channels.values()].filter((one) => one.is_member && !one.is_im && !one.is_archived);
    mine.sort((a, b) => a.name.localeCompare(b.name));
    const archived = channelIsOpenElsewhere();
    return part(
      "Channels",
      [...mine, ...archived].map((one) => row(one)),
      [
        iconButton("search", "Browse channels", addChannels, { data: { testid: "browse-channels", focus: "browse" } }),
        iconButton("plus", "Create a channel", createChannel, { data: { testid: "create-channel", focus: "create" } }),
      ],
    );
  }

  /** A channel one looks at without being in it stays in the list while it is open. */
  function channelIsOpenElsewhere() {
    const one = state.channels.get(state.current);
    return one && !one.is_im && (!one.is_member || one.is_archived) ? [one] : [];
  }

  function peoplePart() {
    const ims = [...state.channels.values()].filter((one) => one.is_im && !isBotChannel(one));
    const newDm = (event) => {
      const others = [...state.users.values()].filter((one) => !one.is_bot && one.id !== state.user);
      const items = others.map((one) => ({
        label: displayName(one),
        hint: one.title,
        lead: avatar(one, "small"),
        data: { user: one.id },
        pick: () => go(() => openIm(one.id)),
      }));
      menu(event.currentTarget, items, { label: "New direct message", testid: "dm-people" });
    };
    return part(
      "Direct messages",
      ims.map((one) => row(one)),
      [iconButton("plus", "New direct message", newDm, { data: { testid: "new-dm", focus: "new-dm" } })],
    );
  }

  function appPart() {
    const { app } = state.boot;
    const im = [...state.channels.values()].find(isBotChannel);
    const dot = h("span", {
      class: `presence ${app.connected ? "on" : ""}`,
      title: app.connected ? "Connected" : "Not connected",
    });
    const label = `${app.name}, app, ${app.connected ? "connected" : "not connected"}`;
    const entry = im
      ? row(im, dot)
      : h(
          "li",
          null,
          h(
            "button",
            {
              type: "button",
              class: "side-row",
              "aria-label": label,
              data: { focus: "app", testid: "app-row" },
              on: { click: () => go(() => openIm(app.bot_user_id)) },
            },
            avatar(state.users.get(app.bot_user_id), "small"),
            h("span", { class: "side-name" }, app.name),
            dot,
          ),
        );
    return part("Apps", [entry], []);
  }

  function part(title, rows, buttons) {
    const id = `side-${title.replace(/\W/g, "").toLowerCase()}`;
    return h(
      "section",
      { class: "side-part", "aria-labelledby": id },
      h("div", { class: "side-title" }, h("h2", { id }, title), buttons),
      h("ul", null, rows),
    );
  }

  function row(one, extra = null) {
    const open = one.id === state.current;
    const unread = one.unread > 0 && !open;
    const mark = one.is_im ? avatar(state.users.get(one.user), "small") : icon(one.is_private ? "lock" : "hash");
    const badge =
      unread && (one.has_mention || one.is_im)
        ? h("span", { class: "badge", "aria-hidden": "true" }, one.unread > 99 ? "99+" : one.unread)
        : null;
    const said = unread ? `, ${one.unread} unread${one.has_mention ? ", mentions you" : ""}` : "";
    return h(
      "li",
      null,
      h(
        "button",
        {
          type: "button",
          class: `side-row ${open ? "open" : ""} ${unread ? "unread" : ""} ${one.is_archived ? "archived" : ""}`,
          "aria-current": open ? "page" : null,
          "aria-label": `${channelTitle(one)}${one.is_private && !one.is_im ? ", private" : ""}${said}`,
          data: {
            channel: one.id,
            channelName: one.name,
            focus: `channel-${one.id}`,
            unread: unread ? String(one.unread) : null,
          },
          on: { click: () => go(() => openChannel(one.id)) },
        },
        mark,
        h("span", { class: "side-name" }, channelTitle(one)),
        extra,
        badge,
      ),
    );
  }

  function go(work) {
    leave();
    attempt(async () => work());
  }

  function arrows(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || event.altKey) return;
    const all = [...root.querySelectorAll("button")];
    const at = all.indexOf(document.activeElement);
    if (at < 0) return;
    event.preventDefault();
    all[(at + step + all.length) % all.length].focus();
  }
}
