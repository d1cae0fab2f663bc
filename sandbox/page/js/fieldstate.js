/** What a person has put into the fields of a message or view; it outlives the drawing of the fields. */

/** Names one element within its message or view. */
export const keyOf = (block, element) => `${block.block_id}\n${element.action_id}`;

/** Attributes that name an element for tests and for keeping the focus across renderings. */
export const hooks = (place, element) => ({ actionId: element.action_id, blockId: place.block.block_id });

/** The remembered value of an element, or its initial one, which is remembered from now on. */
export function recall(element, place, initial) {
  const { state } = place.surface;
  const key = keyOf(place.block, element);
  if (!state.has(key)) state.set(key, { type: element.type, ...initial });
  return state.get(key);
}

/**
 * All values as Slack's `state.values`: block_id, action_id, state.
 * @param {Map<string, object>} state
 * @param {import("./types.js").Block[]} blocks
 */
export function valuesOf(state, blocks) {
  const values = {};
  for (const block of blocks) {
    for (const element of fieldsOf(block)) {
      const held = state.get(keyOf(block, element));
      if (held) (values[block.block_id] ??= {})[element.action_id] = held;
    }
  }
  return values;
}

/** Forget what belongs to fields that are no longer there. */
export function prune(state, blocks) {
  const alive = new Set(blocks.flatMap((block) => fieldsOf(block).map((element) => keyOf(block, element))));
  for (const key of [...state.keys()]) if (!alive.has(key)) state.delete(key);
}

const fieldsOf = (block) =>
  [block.element, block.accessory, ...(block.type === "actions" ? block.elements : [])].filter((one) => one?.action_id);
