/** Things that float beside a control: menus, lists, pickers. Always on top, closed by Esc or a click elsewhere. */

import { h, icon, layer } from "./dom.js";

/** Put `node` below `anchor`, or above it when there is more room, always inside the window. */
export function place(node, anchor, { align = "start", match = false } = {}) {
  const box = anchor.getBoundingClientRect();
  if (match) node.style.minWidth = `${box.width}px`;
  const { offsetWidth: width, offsetHeight: height } = node;
  const below = innerHeight - box.bottom;
  const top =
    below < height + 12 && box.top > below
      ? Math.max(8, box.top - height - 4)
      : Math.min(box.bottom + 4, innerHeight - height - 8);
  const left = align === "end" ? box.right - width : box.left;
  node.style.top = `${Math.max(8, top)}px`;
  node.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
}

/** Show `node` in the top layer next to `anchor`; returns the function that takes it away. */
export function float(node, anchor, options = {}) {
  node.setAttribute("popover", "manual");
  node.classList.add("floating");
  layer(anchor).append(node);
  node.showPopover();
  place(node, anchor, options);
  const again = (event) => node.contains(event?.target) || place(node, anchor, options);
  const outside = (event) => {
    if (!node.contains(event.target) && !anchor.contains(event.target)) options.onOutside?.();
  };
  addEventListener("resize", again);
  addEventListener("scroll", again, true);
  addEventListener("pointerdown", outside, true);
  return () => {
    removeEventListener("resize", again);
    removeEventListener("scroll", again, true);
    removeEventListener("pointerdown", outside, true);
    node.remove();
  };
}

let closeOpen = null;

/** Close whatever menu or picker is open. */
export const closeFloating = () => closeOpen?.();

/**
 * A floating panel with its own content that takes the focus and gives it back.
 * @param {HTMLElement} anchor
 * @param {HTMLElement} node
 * @param {{align?: "start"|"end", focus?: HTMLElement}} [options]
 * @returns {() => void} close
 */
export function popup(anchor, node, options = {}) {
  closeOpen?.();
  const selector = anchor.dataset.focus ? `[data-focus="${CSS.escape(anchor.dataset.focus)}"]` : null;
  const remove = float(node, anchor, { ...options, onOutside: () => close(false) });
  anchor.setAttribute("aria-expanded", "true");
  function close(refocus = true) {
    if (closeOpen !== close) return;
    closeOpen = null;
    const inside = node.contains(document.activeElement);
    remove();
    // Focus first: a toolbar shows only while something in it is open or focused.
    const heir = anchor.isConnected ? anchor : selector && document.querySelector(selector);
    if (refocus || inside) heir?.focus({ preventScroll: true });
    anchor.setAttribute("aria-expanded", "false");
  }
  closeOpen = close;
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    close();
  });
  (options.focus ?? node.querySelector("button, input, [tabindex]"))?.focus({ preventScroll: true });
  return close;
}

/**
 * @typedef {{label: any, hint?: string, icon?: string, danger?: boolean, checked?: boolean, data?: object,
 *   pick: () => void}|"-"} MenuItem
 * @param {HTMLElement} anchor
 * @param {MenuItem[]} items
 * @param {{label: string, align?: "start"|"end", header?: any, testid?: string}} options
 */
export function menu(anchor, items, { label, align = "start", header = null, testid }) {
  const list = h("div", { class: "menu", role: "menu", "aria-label": label, data: { testid } }, header);
  for (const item of items)
    list.append(item === "-" ? h("div", { class: "menu-rule", role: "separator" }) : entry(item));
  list.addEventListener("keydown", arrows);
  const first = list.querySelector('[aria-checked="true"]') ?? list.querySelector("[role^=menuitem]");
  const close = popup(anchor, list, { align, focus: first });

  function entry(item) {
    const radio = item.checked !== undefined;
    return h(
      "button",
      {
        type: "button",
        class: `menu-item ${item.danger ? "danger" : ""}`,
        role: radio ? "menuitemradio" : "menuitem",
        "aria-checked": radio ? String(item.checked) : null,
        tabindex: "-1",
        data: item.data ?? {},
        on: {
          click() {
            close();
            item.pick();
          },
        },
      },
      item.icon ? icon(item.icon) : null,
      item.lead,
      h("span", { class: "menu-text" }, h("span", null, item.label), item.hint ? h("small", null, item.hint) : null),
      item.checked ? icon("check") : null,
    );
  }

  function arrows(event) {
    const all = [...list.querySelectorAll("[role^=menuitem]")];
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Tab") close();
    else if (to !== undefined) {
      event.preventDefault();
      all[(to + all.length) % all.length]?.focus();
    } else if (event.key.length === 1 && /\S/.test(event.key)) {
      all.find((one, i) => i > at && one.textContent.trim().toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
    }
  }
  return close;
}
