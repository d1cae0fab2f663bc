/** The surface of a message or view: what its buttons and fields do, and what has been put into them. */

import { state } from "./store.js";
import { toast } from "./toast.js";

const held = new Map();

/** Fields of a message keep what was typed while the message is edited by its app. */
export function messageSurface(message) {
  const key = `${state.user}/${message.channel}/${message.ts}`;
  if (!held.has(key)) held.set(key, new Map());
  return make(
    { type: message.ephemeral ? "ephemeral" : "message", channel: message.channel, ts: message.ts },
    held.get(key),
    {},
  );
}

/**
 * @param {string} viewId
 * @param {Map<string, object>} fields
 * @param {Record<string, string>} errors by block_id
 */
export const viewSurface = (viewId, fields, errors = {}) => make({ type: "view", view_id: viewId }, fields, errors);

/** @returns {import("./types.js").Surface} */
function make(container, fields, errors) {
  return { container, state: fields, errors, act, options };

  async function act(block, element, picked) {
    try {
      // When the app does not answer, the sandbox says so itself, as a toast of its own.
      await state.api.action({
        container,
        block_id: block.block_id,
        action_id: element.action_id,
        ...picked,
        values: valuesByBlock(fields),
      });
    } catch (error) {
      toast(error.message, "bad");
    }
  }

  function options(block, element, query) {
    const where =
      container.type === "view" ? { view_id: container.view_id } : { channel: container.channel, ts: container.ts };
    return state.api.options({ ...where, block_id: block.block_id, action_id: element.action_id, value: query });
  }
}

function valuesByBlock(fields) {
  const values = {};
  for (const [key, value] of fields) {
    const at = key.indexOf("\n");
    (values[key.slice(0, at)] ??= {})[key.slice(at + 1)] = value;
  }
  return values;
}
