/** The PagerDuty phone: it rings for the chosen person; and everybody's phone can be told how to behave. */

import { phone as api } from "./api.js";
import { clockOf } from "./dates.js";
import { avatar, fill, h, icon, iconButton } from "./dom.js";
import { onExtra } from "./session.js";
import { displayName, me, on, state } from "./store.js";
import { oneAtATime, whenReleased } from "./timing.js";
import { attempt } from "./toast.js";

/**
 * @param {HTMLElement} root the drawer
 * @param {(ringing: {mine: number, all: number}) => void} onRing
 */
export function phone(root, onRing) {
  let data = null;
  let rang = new Set();
  let behaviourOpen = false;
  const refresh = oneAtATime(look);
  onExtra("phone", refresh);
  on("boot", () => {
    rang = new Set();
    refresh();
  });
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.stopPropagation();
    toggle(false);
  });
  return { toggle, refresh };

  async function look() {
    data = await api.state().catch(() => null);
    const ringing = (data?.calls ?? []).filter((call) => call.ringing);
    const forMe = ringing.filter((call) => isMe(call.person));
    // A new call takes the phone out of the pocket, once; after that one may put it away.
    if (forMe.some((call) => !rang.has(call.id))) root.hidden = false;
    rang = new Set([...rang, ...forMe.map((call) => call.id)]);
    onRing({ mine: forMe.length, all: ringing.length });
    whenReleased(draw);
  }

  function toggle(open = root.hidden) {
    root.hidden = !open;
    if (open) {
      draw();
      refresh();
      root.querySelector("button")?.focus();
    } else document.querySelector('[data-testid="open-phone"]')?.focus();
  }

  function personOf(id) {
    return data.people.find((one) => one.id === id);
  }

  /** PagerDuty has its own ids; the same e-mail is the same person. */
  function isMe(id) {
    return id === state.user || (Boolean(me()?.email) && personOf(id)?.email === me().email);
  }

  function draw() {
    if (root.hidden) return;
    const focused = root.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
    const head = h(
      "header",
      { class: "drawer-head" },
      h("h2", null, icon("phone"), "PagerDuty phone"),
      iconButton("close", "Close the phone", () => toggle(false), {
        data: { testid: "close-phone", focus: "close-phone" },
      }),
    );
    if (!data) fill(root, head, h("p", { class: "empty-note" }, "PagerDuty is not part of this sandbox."));
    else fill(root, head, h("div", { class: "drawer-body" }, handset(), others(), people()));
    if (focused) root.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  function handset() {
    const calls = data.calls.filter((call) => isMe(call.person));
    const ringing = calls.filter((call) => call.ringing);
    const past = calls
      .filter((call) => !call.ringing)
      .sort((a, b) => b.at - a.at)
      .slice(0, 4);
    return h(
      "div",
      { class: `handset ${ringing.length ? "ringing" : ""}`, data: { ringing: String(ringing.length) } },
      h("p", { class: "handset-who" }, `${displayName(me())}'s phone`),
      ringing.length ? ringing.map(incoming) : h("p", { class: "handset-quiet" }, "Quiet."),
      past.length
        ? h(
            "ul",
            { class: "past" },
            past.map((call) => h("li", null, h("time", null, clockOf(call.at)), h("span", null, call.title))),
          )
        : null,
    );
  }

  function incoming(call) {
    const press = (kind) => () => attempt(() => api.answer(call.id, kind).then(refresh));
    return h(
      "div",
      { class: "call", role: "alert", data: { call: call.id, testid: "call" } },
      h(
        "p",
        { class: "call-kind" },
        h("span", { class: "bell", "aria-hidden": "true" }, "🔔"),
        `${call.kind === "sms" ? "Message" : "Call"} from PagerDuty`,
      ),
      h("p", { class: "call-title" }, call.title),
      h(
        "div",
        { class: "call-buttons" },
        h(
          "button",
          {
            type: "button",
            class: "button primary-fill",
            data: { testid: "call-acknowledge", focus: `ack-${call.id}` },
            on: { click: press("acknowledge") },
          },
          "Acknowledge",
        ),
        h(
          "button",
          {
            type: "button",
            class: "button danger",
            data: { testid: "call-decline", focus: `decline-${call.id}` },
            on: { click: press("decline") },
          },
          "Decline",
        ),
      ),
    );
  }

  function others() {
    const ringing = data.calls.filter((call) => call.ringing && !isMe(call.person));
    if (!ringing.length) return null;
    return h(
      "ul",
      { class: "others" },
      ringing.map((call) =>
        h(
          "li",
          { data: { person: call.person } },
          h("span", { class: "bell", "aria-hidden": "true" }, "🔔"),
          `${personOf(call.person)?.name ?? call.person}'s phone rings: ${call.title}`,
        ),
      ),
    );
  }

  function people() {
    const node = h(
      "details",
      { open: behaviourOpen, data: { testid: "phone-people" } },
      h("summary", { data: { focus: "behave" } }, "How everybody behaves"),
      h("p", { class: "hint" }, "In practice time."),
      h("ul", { class: "behave" }, data.people.map(behaviour)),
    );
    node.addEventListener("toggle", () => (behaviourOpen = node.open));
    return node;
  }

  function behaviour(one) {
    const user = [...state.users.values()].find((other) => other.email === one.email);
    const value = one.mode === "never" ? "never" : String(one.after);
    const choices = [...new Set(["5", "20", "60", "300", "1200", ...(value === "never" ? [] : [value])])].sort(
      (a, b) => a - b,
    );
    const change = (event) => {
      const picked = event.currentTarget.value;
      attempt(() =>
        api
          .person(one.id, picked === "never" ? "never" : "acks", picked === "never" ? one.after : Number(picked))
          .then(refresh),
      );
    };
    const id = `behave-${one.id}`;
    return h(
      "li",
      null,
      avatar(user ?? { initials: one.name.slice(0, 2) }, "small"),
      h("label", { for: id }, one.name),
      h(
        "select",
        { id, class: "field compact", data: { person: one.id, focus: id }, on: { change } },
        choices.map((seconds) =>
          h("option", { value: seconds, selected: seconds === value }, `acknowledges after ${span(Number(seconds))}`),
        ),
        h("option", { value: "never", selected: value === "never" }, "never answers"),
      ),
    );
  }
}

const span = (seconds) => (seconds % 60 || !seconds ? `${seconds} s` : `${seconds / 60} min`);
