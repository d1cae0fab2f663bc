/** The older attachments of a message: a coloured bar, fields, and blocks inside. */

import { link } from "./chips.js";
import { h } from "./dom.js";
import { mrkdwn } from "./mrkdwn.js";

const COLOURS = { good: "#2e8b57", warning: "#d99a2b", danger: "#c4314b" };

/**
 * @param {import("./types.js").Message} message
 * @param {(blocks: object[]) => HTMLElement} renderBlocks
 */
export function attachmentsOf(message, renderBlocks) {
  return (message.attachments ?? []).map((one) => attachment(one, renderBlocks));
}

function attachment(one, renderBlocks) {
  const node = h(
    "div",
    { class: "attachment" },
    one.pretext ? h("div", null, mrkdwn(one.pretext)) : null,
    one.blocks
      ? renderBlocks(one.blocks)
      : [
          one.title ? h("strong", null, one.title_link ? link(one.title_link, one.title) : one.title) : null,
          one.text ? h("div", null, mrkdwn(one.text)) : null,
          one.fields
            ? h(
                "div",
                { class: "section-fields" },
                one.fields.map((field) => h("div", null, h("strong", null, field.title), h("br"), mrkdwn(field.value))),
              )
            : null,
          one.footer ? h("small", null, one.footer) : null,
        ],
  );
  const colour =
    COLOURS[one.color] ?? (/^#?[0-9a-f]{3,8}$/i.test(one.color ?? "") ? `#${one.color.replace("#", "")}` : null);
  if (colour) node.style.setProperty("--bar", colour);
  return node;
}
