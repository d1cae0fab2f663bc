/** The panel that breaks things: parts with their state, the practice clock, the bot, links. */

import { panel as api } from "./api.js";
import { fill, h, icon, iconButton } from "./dom.js";
import { link } from "./chips.js";
import { onExtra } from "./session.js";
import { on } from "./store.js";
import { oneAtATime, whenReleased } from "./timing.js";
import { attempt, toast } from "./toast.js";

const GOOD = new Set(["up", "running", "normal", "ok", "healthy", "promoted", "free"]);
const BAD = new Set(["down", "stopped", "failed", "killed", "missing", "corrupt", "losing"]);
// What a recovery changes, a database for one, tells nobody here: an open panel looks again.
const LOOK_AGAIN_MS = 2000;

/** @param {HTMLElement} root the drawer @param {(broken: number, data: any) => void} onState */
export function panel(root, onState) {
  let data;
  let busy = "";
  let looking = 0;
  const refresh = oneAtATime(look);
  onExtra("panel", refresh);
  on("boot", () => data || refresh());
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.stopPropagation();
    toggle(false);
  });
  return { toggle, refresh };

  async function look() {
    const seen = await api.state().catch(() => null);
    if (JSON.stringify(seen) === JSON.stringify(data)) return;
    data = seen;
    onState((data?.parts ?? []).filter((part) => !GOOD.has(part.state)).length, data);
    whenReleased(draw);
  }

  function toggle(open = root.hidden) {
    root.hidden = !open;
    clearInterval(looking);
    if (open) {
      looking = setInterval(() => document.hidden || refresh(), LOOK_AGAIN_MS);
      draw();
      refresh();
      root.querySelector("button")?.focus();
    } else document.querySelector('[data-testid="open-panel"]')?.focus();
  }

  function draw() {
    if (root.hidden) return;
    const focused = root.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
    const head = h(
      "header",
      { class: "drawer-head" },
      h("h2", null, icon("hammer"), "Break things"),
      iconButton("close", "Close the panel", () => toggle(false), {
        data: { testid: "close-panel", focus: "close-panel" },
      }),
    );
    if (!data) fill(root, head, h("p", { class: "empty-note" }, "This sandbox has nothing to break."));
    else
      fill(
        root,
        head,
        h("div", { class: "drawer-body" }, h("ul", { class: "parts" }, data.parts.map(part)), clock(), links()),
      );
    if (focused) root.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  function part(one) {
    const tone = GOOD.has(one.state) ? "good" : BAD.has(one.state) ? "bad" : "odd";
    return h(
      "li",
      { class: "part", data: { part: one.name, state: one.state } },
      h(
        "div",
        { class: "part-head" },
        h("span", { class: `light ${tone}`, "aria-hidden": "true" }),
        h("strong", null, one.title, one.detail ? h("small", null, one.detail) : null),
        h("span", { class: `pill ${tone}` }, one.state),
      ),
      h(
        "div",
        { class: "part-actions" },
        one.actions.map((action) => actionButton(one, action)),
      ),
    );
  }

  function actionButton(one, action) {
    const key = `${one.name}-${action.name}`;
    const run = async () => {
      busy = key;
      draw();
      await attempt(() => api.act(one.name, action.name));
      busy = "";
      await refresh();
      whenReleased(draw);
    };
    return h(
      "button",
      {
        type: "button",
        class: "button small",
        "aria-busy": String(busy === key),
        disabled: Boolean(busy) && busy !== key,
        data: { part: one.name, action: action.name, focus: `panel-${key}` },
        on: { click: run },
      },
      action.title,
    );
  }

  function clock() {
    const now = data.clock.seconds_per_minute;
    const pick = (seconds) => async () => {
      if (await attempt(() => api.clock(seconds))) toast(`The bot restarts: a minute now takes ${seconds} seconds.`);
      await refresh();
    };
    const choices = [...new Set([...data.clock.choices, now])].sort((a, b) => b - a);
    const one = (seconds) =>
      h(
        "button",
        {
          type: "button",
          class: "segment",
          role: "radio",
          "aria-checked": String(seconds === now),
          data: { clock: seconds, focus: `clock-${seconds}` },
          on: { click: pick(seconds) },
        },
        seconds === 60 ? "real time" : `${seconds} s`,
      );
    const hour = (now * 60) / 60;
    return h(
      "section",
      { class: "clock" },
      h("h3", null, "Practice clock"),
      h(
        "p",
        { class: "hint" },
        now === 60
          ? "A minute is a minute."
          : `A minute takes ${now} s, so an hour of escalation takes ${hour >= 1 ? `${+hour.toFixed(1)} min` : `${hour * 60} s`}. Changing it restarts the bot.`,
      ),
      h("div", { class: "segments", role: "radiogroup", "aria-label": "Seconds a minute" }, choices.map(one)),
    );
  }

  function links() {
    const { bot } = data;
    return h(
      "section",
      null,
      bot
        ? h(
            "p",
            { class: "hint", data: { testid: "bot-state", state: bot.state } },
            `Bot process: ${bot.state}${bot.pid ? ` (pid ${bot.pid})` : ""}`,
          )
        : null,
      data.links?.length
        ? [
            h("h3", null, "Look for yourself"),
            h(
              "ul",
              { class: "links" },
              data.links.map((one) => h("li", null, link(one.url, one.title))),
            ),
          ]
        : null,
    );
  }
}
