/** Where one writes: Enter sends, Shift+Enter breaks the line; commands, mentions and emoji complete; files go along. */

import { completionList, offer } from "./completion.js";
import { h, iconButton } from "./dom.js";
import { pickEmoji } from "./emojipicker.js";
import { toHandles, toWire } from "./mentions.js";
import { adopt, send } from "./session.js";
import { channel, channelTitle, on, state } from "./store.js";
import { attempt } from "./toast.js";

let serial = 0;

/**
 * @param {{target: () => {channel: string, thread?: string}|null, placeholder: () => string, testid: string,
 *   editLast?: () => boolean, commands: boolean}} options
 */
export function composer({ target, placeholder, testid, editLast, commands }) {
  const listId = `completion-${(serial += 1)}`;
  const field = h("textarea", {
    class: "composer-field",
    rows: "1",
    role: "combobox",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": listId,
    spellcheck: "true",
    data: { testid, focus: testid },
    on: { input: typed, keydown: key, blur: () => completion.show(null), click: typed, paste },
  });
  const completion = completionList(field, listId, take);
  const sendButton = iconButton("send", "Send", submit, {
    class: "icon-button send",
    data: { testid: `${testid}-send` },
  });
  const picker = h("input", {
    type: "file",
    hidden: true,
    multiple: true,
    data: { testid: `${testid}-file` },
    on: { change: () => (upload([...picker.files]), (picker.value = "")) },
  });
  const tools = h(
    "div",
    { class: "composer-tools" },
    iconButton("clip", "Attach a file", () => picker.click()),
    iconButton("smile", "Emoji", (event) => pickEmoji(event.currentTarget, (name) => insert(`:${name}: `))),
    commands ? iconButton("bolt", "Commands", () => ((field.value = "/"), field.focus(), typed())) : null,
    h(
      "span",
      { class: "composer-help" },
      h("kbd", null, "Enter"),
      " sends, ",
      h("kbd", null, "Shift+Enter"),
      " new line",
    ),
    sendButton,
  );
  const box = h(
    "div",
    { class: "composer-box", on: { dragover: (event) => event.preventDefault(), drop } },
    field,
    picker,
    tools,
  );
  const closed = h("div", { class: "composer-closed" });
  const node = h("div", { class: "composer" }, completion.node, box, closed);
  let shown = "";
  on("current channels boot thread", retarget);
  retarget();
  return { node, field };

  function retarget() {
    const goal = target();
    const one = goal && channel(goal.channel);
    field.placeholder = goal ? placeholder() : "";
    field.setAttribute("aria-label", field.placeholder);
    gate(one);
    const key = goal ? `${state.user}/${goal.channel}/${goal.thread ?? ""}` : "";
    if (key === shown) return;
    if (shown) state.drafts.set(shown, field.value);
    shown = key;
    set(state.drafts.get(key) ?? "");
    completion.show(null);
  }

  /** Archived or not joined: say so instead of a field that would fail. */
  function gate(one) {
    const words = !one
      ? ""
      : one.is_archived
        ? "This channel is archived. It can be read, not written."
        : !one.is_im && !one.is_member
          ? `You are looking at #${one.name} without being in it.`
          : "";
    box.hidden = Boolean(words);
    closed.hidden = !words;
    const join =
      words &&
      !one.is_archived &&
      h(
        "button",
        {
          type: "button",
          class: "button primary small",
          on: { click: () => attempt(() => adopt(() => state.api.join(one.id))) },
        },
        "Join channel",
      );
    closed.replaceChildren(...[words, join].filter(Boolean));
  }

  function set(value) {
    field.value = value;
    grow();
  }

  function grow() {
    field.style.height = "auto";
    // Not on the page yet: there is nothing to measure.
    if (field.scrollHeight) field.style.height = `${Math.min(field.scrollHeight, 220)}px`;
    sendButton.classList.toggle("ready", Boolean(field.value.trim()));
  }

  function typed() {
    grow();
    completion.show(offer(field.value.slice(0, field.selectionStart), commands));
  }

  function insert(text, from = field.selectionStart) {
    field.setRangeText(text, from, field.selectionEnd, "end");
    field.focus();
    typed();
  }

  function take(item, from) {
    insert(item.insert, from);
  }

  function key(event) {
    if (event.isComposing) return;
    if (completion.key(event)) event.preventDefault();
    else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      submit();
    } else if (event.key === "ArrowUp" && !field.value && editLast?.()) event.preventDefault();
    else return;
    event.stopPropagation();
  }

  async function submit() {
    const goal = target();
    const text = field.value.trim();
    if (!goal || !text) return;
    completion.show(null);
    const command = commands && commandOf(text);
    // The field is free at once; what could not leave comes back.
    set("");
    const left = command ? await run(goal.channel, command, text) : await send(goal.channel, toWire(text), goal.thread);
    if (!left && !field.value) set(text);
  }

  async function run(id, command, text) {
    box.classList.add("busy");
    const left = await attempt(async () => {
      await state.api.command(id, command.command, toHandles(text.slice(command.command.length).trim()));
    });
    box.classList.remove("busy");
    return left;
  }

  function paste(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    upload(files);
  }

  function drop(event) {
    event.preventDefault();
    upload([...event.dataTransfer.files]);
  }

  async function upload(files) {
    const goal = target();
    for (const file of files) await attempt(() => state.api.upload(goal.channel, file));
  }
}

const commandOf = (text) => state.boot.commands.find((one) => text.split(/\s/)[0] === one.command);

/** "Message #incidents", "Message Ana Ortiz". */
export function placeholderOf(one) {
  return one ? `Message ${one.is_im ? "" : "#"}${channelTitle(one)}` : "";
}
