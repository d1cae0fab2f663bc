/** The Home tab of the app: a view, redrawn as the app publishes it. */

import { renderBlocks } from "./blocks.js";
import { fill, h, swap } from "./dom.js";
import { prune } from "./fieldstate.js";
import { emptyNote } from "./message.js";
import { channel, isBotChannel, on, state } from "./store.js";
import { viewSurface } from "./surface.js";

/** @param {HTMLElement} root @param {HTMLElement} conversation what the Home tab takes the place of */
export function home(root, conversation) {
  let fields = new Map();
  let owner = "";
  const content = () => root.firstElementChild;
  on("home current boot", draw);

  function draw() {
    const open = isBotChannel(channel()) && state.tab === "home";
    root.hidden = !open;
    conversation.hidden = open;
    if (!open) return;
    const mark = `${state.user}/${state.home?.id ?? ""}`;
    if (mark !== owner) fields = new Map();
    owner = mark;
    const node = state.home ? view(state.home) : emptyNote(h("p", null, "The app has not put anything here yet."));
    if (content()) swap(content(), node);
    else fill(root, node);
  }

  function view(one) {
    prune(fields, one.blocks);
    return h(
      "div",
      { class: "home-view", data: { view: one.id } },
      renderBlocks(one.blocks, viewSurface(one.id, fields)),
    );
  }
}
