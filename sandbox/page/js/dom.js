/** Small helpers to build and keep DOM. Text only ever becomes a text node, never markup. */

/**
 * Build an element. Props: `class`, `on: {event: fn}`, `data: {key: value}`, `prop: {key: value}` (DOM properties),
 * anything else is an attribute; false, null and undefined leave it out.
 * @param {string} tag
 * @param {Record<string, any>|null} [props]
 * @param {...any} children nodes, strings, numbers, nested lists; false and null are skipped
 * @returns {any}
 */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props ?? {})) setProp(node, key, value);
  append(node, children);
  return node;
}

function setProp(node, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (key === "on") for (const [name, fn] of Object.entries(value)) node.addEventListener(name, fn);
  else if (key === "data") for (const [name, v] of Object.entries(value)) v != null && (node.dataset[name] = v);
  else if (key === "prop") Object.assign(node, value);
  else node.setAttribute(key, value === true ? "" : String(value));
}

/** Append children of any nesting. */
export function append(node, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === true) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

/** Replace the whole content of a node. */
export function fill(node, ...children) {
  node.replaceChildren();
  return append(node, children);
}

const ICONS = {
  hash: "M9 4 7 20M17 4l-2 16M4 9h17M3 15h17",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  back: "M14 6l-6 6 6 6",
  down: "M6 9l6 6 6-6",
  menu: "M4 7h16M4 12h16M4 17h16",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  smile: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM8.5 14.5a4 4 0 0 0 7 0M9 9.5h.01M15 9.5h.01",
  thread: "M4 5h16v11H10l-4 4v-4H4zM8 9h8M8 12h5",
  pin: "M9 4h6l-1 6 3 3v2H7v-2l3-3zM12 15v6",
  bolt: "M13 3 5 14h6l-1 7 8-11h-6z",
  edit: "M4 20h4L19 9l-4-4L4 16z",
  trash: "M5 7h14M10 4h4M7 7l1 13h8l1-13M10 11v6M14 11v6",
  send: "M4 12l16-8-5 16-4-6z",
  phone: "M6 3h4l1.5 5-2.5 1.5a12 12 0 0 0 5.5 5.5L16 12.500l5 1.5v4a2 2 0 0 1-2 2A16 16 0 0 1 4 5a2 2 0 0 1 2-2z",
  hammer: "M14 6l4 4M4 20l9-9M11 5l4-2 6 6-2 4-8-8z",
  sun: "M12 17a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.500M17.5 17.5 19 19M19 5l-1.5 1.500M6.5 17.5 5 19",
  moon: "M20 14.500A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.500z",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
  people:
    "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20a6.5 6.5 0 0 1 13 0M16 4.500a3.5 3.5 0 0 1 0 6M18 14.500a6.5 6.5 0 0 1 3.5 5.5",
  file: "M6 3h8l4 4v14H6zM14 3v5h4",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  clip: "M19 11l-7.5 7.500a4.5 4.5 0 0 1-6.5-6.500L13 4a3 3 0 0 1 4.5 4.500L9.5 16.500a1.5 1.5 0 0 1-2-2L14 8",
  home: "M4 11l8-7 8 7v9h-5v-6H9v6H4z",
  check: "M5 12.500l5 5 9-11",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  bookmark: "M7 4h10v16l-5-4-5 4z",
};

/** A line icon by name, decorative unless a label is given. */
export function icon(name, label = "") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  if (label) svg.setAttribute("aria-label", label);
  else svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name] ?? ICONS.more);
  svg.append(path);
  return svg;
}

/** A square icon button with an accessible name and a tooltip. */
export function iconButton(name, label, onclick, props = {}) {
  return h(
    "button",
    { type: "button", class: "icon-button", "aria-label": label, title: label, on: { click: onclick }, ...props },
    icon(name),
  );
}

/** A person's avatar: initials on their colour. */
export function avatar(user, size = "") {
  const node = h(
    "span",
    { class: `avatar ${size} ${user?.is_bot ? "is-bot" : ""}`, "aria-hidden": "true" },
    user?.initials || "?",
  );
  if (user?.color) node.style.setProperty("--who", user.color.startsWith("#") ? user.color : `#${user.color}`);
  return node;
}

/**
 * Make the children of `container` equal `items`, keeping the nodes whose item has not changed.
 * @template T
 * @param {HTMLElement} container
 * @param {T[]} items
 * @param {(item: T) => string} keyOf
 * @param {(item: T) => any} versionOf compared with ===
 * @param {(item: T) => HTMLElement} render
 */
export function reconcile(container, items, keyOf, versionOf, render) {
  const old = new Map([...container.children].map((node) => [node.__key, node]));
  let cursor = container.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const version = versionOf(item);
    let node = old.get(key);
    old.delete(key);
    if (!node || node.__version !== version) {
      const fresh = render(item);
      Object.assign(fresh, { __key: key, __version: version });
      if (node) {
        if (node === cursor) cursor = fresh;
        swap(node, fresh);
      }
      node = fresh;
    }
    if (node === cursor) cursor = cursor.nextElementSibling;
    else container.insertBefore(node, cursor);
  }
  for (const node of old.values()) node.remove();
}

/** Replace a node by its newer self; the keyboard focus stays on the same control. */
export function swap(node, fresh) {
  const active = document.activeElement;
  const had = active && node.contains(active) ? describe(active, node) : null;
  const caret = had && "selectionStart" in active ? [active.selectionStart, active.selectionEnd] : null;
  node.replaceWith(fresh);
  if (!had) return;
  const heir = had === ":self" ? fresh : fresh.querySelector(had);
  // What shows only inside a focused message can take the focus only after the message has it.
  if (heir) fresh.focus({ preventScroll: true });
  heir?.focus({ preventScroll: true });
  if (caret && caret[0] !== null && heir?.setSelectionRange) heir.setSelectionRange(caret[0], caret[1]);
}

function describe(active, root) {
  if (active === root) return ":self";
  const { actionId, blockId, value, focus } = active.dataset;
  if (focus) return `[data-focus="${CSS.escape(focus)}"]`;
  if (!actionId) return null;
  const inBlock = blockId ? `[data-block-id="${CSS.escape(blockId)}"]` : "";
  return `[data-action-id="${CSS.escape(actionId)}"]${inBlock}${value ? `[data-value="${CSS.escape(value)}"]` : ""}`;
}

/** The node where floating things must live to be visible and usable: the open dialog, or the body. */
export function layer(anchor = null) {
  return anchor?.closest("dialog") ?? [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
}
