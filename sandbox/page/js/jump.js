/** Ctrl/Cmd+K: jump to a channel, a person or a tool by a few letters. */

import { ask } from "./dialog.js";
import { avatar, fill, h, icon } from "./dom.js";
import { openChannel, openIm } from "./session.js";
import { channelTitle, displayName, state } from "./store.js";
import { attempt } from "./toast.js";

/** @param {{label: string, icon: string, go: () => void}[]} tools */
export function jump(tools) {
  if (document.querySelector("dialog[open]")) return;
  let active = 0;
  let shown = [];
  const list = h("ul", { class: "jump-list", id: "jump-list", role: "listbox", "aria-label": "Places" });
  const field = h("input", {
    type: "text",
    class: "field",
    role: "combobox",
    autocomplete: "off",
    placeholder: "Channel, person or tool",
    "aria-label": "Jump to",
    "aria-expanded": "true",
    "aria-controls": "jump-list",
    data: { testid: "jump-field" },
    on: { input: draw, keydown: key },
  });
  const dialog = ask({ title: "Jump to", body: [field, list], testid: "jump" });
  draw();

  function places() {
    const channels = [...state.channels.values()]
      .filter((one) => !one.is_im)
      .sort(
        (a, b) =>
          Number(a.is_archived) - Number(b.is_archived) ||
          Number(b.unread > 0) - Number(a.unread > 0) ||
          a.name.localeCompare(b.name),
      );
    const people = [...state.users.values()].filter((one) => one.id !== state.user);
    return [
      ...channels.map((one) => ({
        label: channelTitle(one),
        hint: one.is_archived ? "archived" : one.unread ? `${one.unread} new` : "",
        lead: icon(one.is_private ? "lock" : "hash"),
        go: () => openChannel(one.id),
      })),
      ...people.map((one) => ({
        label: displayName(one),
        hint: one.title ?? "App",
        lead: avatar(one, "small"),
        go: () => openIm(one.id),
      })),
      ...tools.map((one) => ({ label: one.label, hint: "", lead: icon(one.icon), go: one.go })),
    ];
  }

  function draw() {
    const wanted = field.value.trim().toLowerCase().replace(/^[#@]/, "");
    shown = places()
      .filter((one) => one.label.toLowerCase().includes(wanted))
      .slice(0, 20);
    active = 0;
    fill(list, shown.length ? shown.map(row) : h("li", { class: "menu-note" }, "Nothing by that name."));
    mark();
  }

  function row(one, index) {
    return h(
      "li",
      { class: "menu-item", role: "option", id: `jump-${index}`, on: { click: () => go(one) } },
      h("span", { class: "lead" }, one.lead),
      h("span", { class: "menu-text" }, one.label),
      one.hint ? h("small", null, one.hint) : null,
    );
  }

  function mark() {
    [...list.children].forEach((node, index) => {
      node.classList.toggle("active", index === active);
      node.setAttribute("aria-selected", String(index === active));
    });
    field.setAttribute("aria-activedescendant", `jump-${active}`);
    list.children[active]?.scrollIntoView({ block: "nearest" });
  }

  function key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && shown.length) {
      event.preventDefault();
      active = (active + step + shown.length) % shown.length;
      mark();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (shown[active]) go(shown[active]);
    }
  }

  function go(one) {
    dialog.close();
    attempt(async () => one.go());
    requestAnimationFrame(
      () =>
        document.querySelector("dialog[open], .drawer:not([hidden]):focus-within") ??
        document.querySelector('[data-testid="composer"]')?.focus(),
    );
  }
}
