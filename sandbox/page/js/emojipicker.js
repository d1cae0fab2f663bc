/** Pick an emoji: favourites first, a search field, arrow keys in the grid. */

import { fill, h } from "./dom.js";
import { emoji, emojiOr, FAVOURITES, findEmoji } from "./emoji.js";
import { popup } from "./floating.js";

/** @param {HTMLElement} anchor @param {(name: string) => void} pick */
export function pickEmoji(anchor, pick) {
  const grid = h("div", { class: "emoji-grid", role: "listbox", "aria-label": "Emoji" });
  const search = h("input", {
    type: "search",
    class: "field",
    placeholder: "Search emoji",
    "aria-label": "Search emoji",
    on: { input: draw, keydown: fromSearch },
  });
  const node = h("div", { class: "menu emoji-picker", data: { testid: "emoji-picker" } }, search, grid);
  const close = popup(anchor, node, { align: "end", focus: search });
  draw();

  function draw() {
    const part = search.value.trim().replaceAll(":", "");
    const found = part ? findEmoji(part, 40) : [...new Set([...FAVOURITES, ...findEmoji("", 400)])];
    // A code the table does not know can still be used, as a custom emoji could.
    if (part && !emoji(part) && !found.length && /^[a-z0-9_+-]+$/.test(part)) found.push(part);
    fill(grid, found.map(one));
  }

  function one(name) {
    const take = () => {
      close();
      pick(name);
    };
    return h(
      "button",
      {
        type: "button",
        class: "emoji-button",
        role: "option",
        "aria-label": name.replaceAll("_", " "),
        title: `:${name}:`,
        data: { emoji: name },
        on: { click: take, keydown: move },
      },
      emojiOr(name),
    );
  }

  function fromSearch(event) {
    if (event.key === "Enter") {
      event.preventDefault();
      grid.firstElementChild?.click();
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      grid.firstElementChild?.focus();
    }
  }

  function move(event) {
    const all = [...grid.children];
    const columns = Math.max(1, Math.floor(grid.clientWidth / all[0].offsetWidth));
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (!step) return;
    event.preventDefault();
    const to = all.indexOf(event.currentTarget) + step;
    (all[to] ?? (to < 0 ? search : all.at(-1))).focus();
  }
}
