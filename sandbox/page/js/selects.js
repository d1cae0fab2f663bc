/** Every select of Block Kit on the one combobox: fixed options, options of the app, people, channels. */

import { choice } from "./choice.js";
import { confirmation } from "./dialog.js";
import { avatar, h } from "./dom.js";
import { hooks, recall } from "./fieldstate.js";
import { textObject, words } from "./mrkdwn.js";
import { channelTitle, displayName, state } from "./store.js";

/** How each kind names what was picked: [one, many, initial one, initial many]. */
const NAMES = {
  static: ["selected_option", "selected_options", "initial_option", "initial_options"],
  external: ["selected_option", "selected_options", "initial_option", "initial_options"],
  users: ["selected_user", "selected_users", "initial_user", "initial_users"],
  channels: ["selected_channel", "selected_channels", "initial_channel", "initial_channels"],
  conversations: ["selected_conversation", "selected_conversations", "initial_conversation", "initial_conversations"],
};

/**
 * @param {any} element
 * @param {import("./elements.js").Place} place
 * @param {(element: any, place: any, picked: object) => void} remember
 */
export function select(element, place, remember) {
  const multi = element.type.startsWith("multi_");
  const kind = element.type.replace(/^multi_|_select$/g, "");
  const names = NAMES[kind];
  if (!names) return h("span", { class: "unknown" }, `Unsupported element: ${element.type}`);
  const [one, many, initialOne, initialMany] = names;
  const key = multi ? many : one;
  const initial = multi ? (element[initialMany] ?? []) : (element[initialOne] ?? null);
  const now = recall(element, place, { [key]: initial })[key];
  const wrap = wrapper(kind);
  const node = choice({
    label: place.label,
    placeholder: element.placeholder?.text ?? (multi ? "Select options" : "Select an option"),
    multi,
    max: element.max_selected_items,
    picked: (multi ? now : [now]).filter(Boolean).map(wrap),
    minLength: kind === "external" ? (element.min_query_length ?? 3) : 0,
    remote: kind === "external",
    load: loader(kind, element, place, wrap),
    change,
    data: hooks(place, element),
    id: place.id,
  });

  async function change(picked) {
    // A changed mind before the app was told: nothing is remembered, the old choice is drawn again with the message.
    if (element.confirm && !(await confirmation(element.confirm, textObject))) return;
    const raw = picked.map((option) => option.raw);
    remember(element, place, { [key]: multi ? raw : (raw[0] ?? null) });
  }
  return node;
}

/** From what Block Kit holds (an option object or an id) to a row of the list. */
function wrapper(kind) {
  if (kind === "users") return (id) => person(id);
  if (kind === "channels" || kind === "conversations") return (id) => conversation(id);
  return (option) => ({
    value: option.value,
    text: textObject(option.text),
    words: words(option.text?.text ?? ""),
    hint: option.description ? textObject(option.description) : null,
    raw: option,
  });
}

function person(id) {
  const user = state.users.get(id);
  const name = displayName(user) || id;
  return {
    value: id,
    text: h("span", { class: "with-avatar" }, avatar(user, "small"), name),
    words: name,
    hint: user?.title,
    raw: id,
  };
}

function conversation(id) {
  const channel = state.channels.get(id);
  const name = channel ? `${channel.is_im ? "" : "#"}${channelTitle(channel)}` : id;
  return { value: id, text: name, words: name, hint: channel?.topic || null, raw: id };
}

function loader(kind, element, place, wrap) {
  if (kind === "external") {
    return async (query) => groupsOf(await place.surface.options(place.block, element, query), wrap);
  }
  if (kind === "users") return () => [{ options: [...state.users.keys()].map(wrap) }];
  if (kind === "channels") return () => [{ options: visible((one) => !one.is_im && !one.is_private).map(wrap) }];
  if (kind === "conversations") return () => [{ options: visible(() => true).map(wrap) }];
  return () => groupsOf(element, wrap);
}

const visible = (test) =>
  [...state.channels.values()].filter((one) => !one.is_archived && test(one)).map((one) => one.id);

function groupsOf({ options, option_groups: groups }, wrap) {
  if (groups?.length) return groups.map((group) => ({ label: group.label?.text, options: group.options.map(wrap) }));
  return [{ options: (options ?? []).map(wrap) }];
}
