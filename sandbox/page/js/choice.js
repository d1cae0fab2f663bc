/** The select of Block Kit: a combobox with search, one or many values, grouped options, options from the app. */

import { fill, h, icon } from "./dom.js";
import { float } from "./floating.js";

let serial = 0;

/**
 * @typedef {{value: string, text: any, words: string, hint?: any, raw: any}} Option
 * @typedef {{label?: string, options: Option[]}} Group
 * @param {{label: string, placeholder: string, multi: boolean, max?: number, picked: Option[],
 *   load: (query: string) => Group[]|Promise<Group[]>, change: (picked: Option[]) => void, minLength?: number,
 *   remote?: boolean, data: object, id?: string}} options `remote`: the app filters, not the page
 * @returns {HTMLElement}
 */
export function choice(options) {
  const { label, placeholder, multi, max = Infinity, load, change, minLength = 0, remote = false } = options;
  const listId = `list-${(serial += 1)}`;
  let picked = [...options.picked];
  let shown = [];
  let active = -1;
  let remove = null;
  let round = 0;

  const input = h("input", {
    type: "text",
    class: "choice-input",
    id: options.id ?? null,
    role: "combobox",
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": options.id ? null : label,
    "aria-expanded": "false",
    "aria-controls": listId,
    "aria-autocomplete": "list",
    data: options.data,
    on: { input: () => open(), click: () => (remove ? null : open(true)), keydown: key, blur: leave },
  });
  const tags = h("span", { class: "choice-tags" });
  const list = h("div", {
    id: listId,
    class: "menu choice-list",
    role: "listbox",
    "aria-label": label,
    "aria-multiselectable": multi ? "true" : null,
  });
  list.addEventListener("pointerdown", (event) => event.preventDefault());
  const box = h("span", { class: `choice ${multi ? "multi" : ""}` }, tags, input, icon("down"));
  show();
  return box;

  function show() {
    input.placeholder = multi && picked.length ? "" : placeholder;
    if (!multi) {
      input.value = picked[0]?.words ?? "";
      return;
    }
    fill(
      tags,
      picked.map((one) => h("span", { class: "tag", data: { value: one.value } }, one.text, remover(one))),
    );
  }

  function remover(one) {
    const take = () => set(picked.filter((other) => other.value !== one.value));
    return h(
      "button",
      { type: "button", class: "tag-remove", "aria-label": `Remove ${one.words}`, on: { click: take } },
      icon("close"),
    );
  }

  function set(next) {
    picked = next;
    show();
    change(picked);
  }

  async function open(all = false) {
    const query = all || (!multi && input.value === picked[0]?.words) ? "" : input.value.trim();
    const mine = (round += 1);
    if (!remove) {
      remove = float(list, box, { match: true, onOutside: () => close() });
      input.setAttribute("aria-expanded", "true");
      if (!multi) input.select();
    }
    if (query.length < minLength) return note(`Type ${minLength} character${minLength > 1 ? "s" : ""} to search`);
    let answer = load(query);
    if (answer instanceof Promise) {
      note("Loading…");
      answer = await answer.catch((error) => ({ problem: error.message }));
    }
    // A slower answer to an older question must not replace the newer one.
    if (mine !== round || !remove) return undefined;
    return answer.problem ? note(answer.problem) : fillList(remote ? answer : filter(answer, query));
  }

  function note(text) {
    shown = [];
    fill(list, h("div", { class: "menu-note", role: "presentation" }, text));
  }

  function fillList(groups) {
    shown = groups.flatMap((group) => group.options);
    if (!shown.length) return note("No matches");
    let at = 0;
    fill(
      list,
      groups
        .filter((group) => group.options.length)
        .map((group) => [
          group.label ? h("div", { class: "menu-head", role: "presentation" }, group.label) : null,
          group.options.map((one) => row(one, at++)),
        ]),
    );
    const current = shown.findIndex((one) => has(one));
    return activate(multi ? 0 : Math.max(current, 0));
  }

  function row(one, index) {
    return h(
      "div",
      {
        id: `${listId}-${index}`,
        class: "menu-item",
        role: "option",
        "aria-selected": String(has(one)),
        data: { value: one.value },
        on: { click: () => pick(one) },
      },
      h("span", { class: "menu-text" }, h("span", null, one.text), one.hint ? h("small", null, one.hint) : null),
      has(one) ? icon("check") : null,
    );
  }

  function has(one) {
    return picked.some((other) => other.value === one.value);
  }

  function activate(index) {
    list.querySelector(".active")?.classList.remove("active");
    active = index;
    const node = document.getElementById(`${listId}-${index}`);
    node?.classList.add("active");
    node?.scrollIntoView({ block: "nearest" });
    if (node) input.setAttribute("aria-activedescendant", node.id);
  }

  function pick(one) {
    if (!one) return;
    if (!multi) set([one]);
    else if (has(one)) set(picked.filter((other) => other.value !== one.value));
    else if (picked.length < max) set([...picked, one]);
    if (!multi) close();
    else {
      input.value = "";
      open();
    }
  }

  function close() {
    if (!remove) return;
    remove();
    remove = null;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function leave() {
    close();
    if (multi) input.value = "";
    else if (!input.value.trim() && picked.length) set([]);
    else show();
  }

  function key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) {
      event.preventDefault();
      if (!remove) open(true);
      else if (shown.length) activate((active + steps[event.key] + shown.length) % shown.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (remove) pick(shown[active]);
      else open(true);
    } else if (event.key === "Escape" && remove) {
      event.preventDefault();
      event.stopPropagation();
      close();
      show();
    } else if (event.key === "Backspace" && multi && !input.value && picked.length) {
      set(picked.slice(0, -1));
    }
  }
}

function filter(groups, query) {
  if (!query) return groups;
  const wanted = query.toLowerCase();
  return groups.map((group) => ({
    ...group,
    options: group.options.filter((one) => one.words.toLowerCase().includes(wanted)),
  }));
}
