/** The bar on top: jump, practice clock, the bot's state, phone, panel, light or dark. */

import { fill, h, icon, iconButton } from "./dom.js";
import { menu } from "./floating.js";
import { on, state } from "./store.js";
import { whenReleased } from "./timing.js";
import { attempt } from "./toast.js";

/**
 * @param {HTMLElement} root
 * @param {{jump: () => void, phone: () => void, panel: () => void}} tools
 */
export function topbar(root, tools) {
  let ringing = { mine: 0, all: 0 };
  let broken = 0;
  let parts = null;
  on("boot connection", draw);
  return {
    ring(now) {
      ringing = now;
      whenReleased(draw);
    },
    panelState(count, data) {
      broken = count;
      parts = data;
      whenReleased(draw);
    },
  };

  function draw() {
    if (!state.boot) return;
    const focused = root.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
    fill(
      root,
      h(
        "button",
        {
          type: "button",
          class: "jump-button",
          "aria-keyshortcuts": "Control+K Meta+K",
          data: { testid: "jump-open", focus: "jump" },
          on: { click: tools.jump },
        },
        icon("search"),
        h("span", null, "Jump to…"),
        h("kbd", null, "Ctrl K"),
      ),
      h(
        "div",
        { class: "topbar-tools" },
        practice(),
        shortcuts(),
        tool("phone", "Phone", tools.phone, ringing.mine || ringing.all, ringing.mine > 0),
        tool("hammer", "Break things", tools.panel, broken, false),
        theme(),
      ),
    );
    if (focused) root.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  function practice() {
    const seconds = parts?.clock?.seconds_per_minute ?? state.boot.practice?.seconds_per_minute ?? 60;
    const words = seconds === 60 ? "Real time" : `1 min = ${seconds} s`;
    return h(
      "span",
      { class: "practice", title: "Practice clock", data: { testid: "practice-clock" } },
      h("b", null, "PRACTICE"),
      h("span", null, words),
    );
  }

  /** Global shortcuts of the app, when it has any. */
  function shortcuts() {
    const all = state.boot.shortcuts.filter((one) => one.type === "global");
    if (!all.length) return null;
    const run = (one) => () => attempt(() => state.api.shortcut(one.callback_id));
    const open = (event) =>
      menu(
        event.currentTarget,
        all.map((one) => ({
          label: one.name,
          hint: one.description,
          icon: "bolt",
          data: { shortcut: one.callback_id },
          pick: run(one),
        })),
        { label: "Shortcuts", align: "end" },
      );
    return iconButton("bolt", "Shortcuts", open, {
      class: "top-button",
      "aria-haspopup": "menu",
      data: { testid: "shortcuts", focus: "shortcuts" },
    });
  }

  function tool(name, label, run, count, alarm) {
    const said = count ? `${label}, ${count} ${name === "phone" ? "ringing" : "broken"}` : label;
    return h(
      "button",
      {
        type: "button",
        class: `top-button ${alarm ? "alarm" : ""}`,
        "aria-label": said,
        title: said,
        data: { testid: name === "phone" ? "open-phone" : "open-panel", focus: `tool-${name}` },
        on: { click: run },
      },
      icon(name),
      h("span", { class: "top-label" }, label),
      count ? h("span", { class: "badge", "aria-hidden": "true" }, count) : null,
    );
  }

  function theme() {
    const dark = isDark();
    const flip = () => {
      const next = dark ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      localStorage.setItem("theme", next);
      draw();
    };
    return iconButton(dark ? "sun" : "moon", dark ? "Light colours" : "Dark colours", flip, {
      class: "top-button",
      data: { testid: "theme", focus: "theme" },
    });
  }
}

const isDark = () =>
  (document.documentElement.dataset.theme ??
    (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
