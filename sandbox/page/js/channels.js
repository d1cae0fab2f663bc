/** What one does with channels: browse, create, invite, leave, archive. */

import { ask } from "./dialog.js";
import { avatar, fill, h, icon } from "./dom.js";
import { choice } from "./choice.js";
import { adopt, openChannel } from "./session.js";
import { channelTitle, displayName, state } from "./store.js";
import { attempt } from "./toast.js";

/** All channels one may see, with Join and Leave. */
export function addChannels() {
  const list = h("ul", { class: "browse-list" });
  const search = h("input", {
    type: "search",
    class: "field",
    placeholder: "Search channels",
    "aria-label": "Search channels",
    on: { input: draw },
  });
  const dialog = ask({ title: "Channels", body: [search, list], testid: "channel-browser" });
  draw();

  function draw() {
    const wanted = search.value.trim().toLowerCase();
    const all = [...state.channels.values()].filter((one) => !one.is_im && one.name.includes(wanted));
    all.sort((a, b) => Number(a.is_archived) - Number(b.is_archived) || a.name.localeCompare(b.name));
    fill(list, all.length ? all.map(row) : h("li", { class: "menu-note" }, "No channel has this name."));
  }

  function row(one) {
    const open = () => {
      dialog.close();
      openChannel(one.id);
    };
    const toggle = async () => {
      await attempt(() => adopt(() => (one.is_member ? state.api.leave(one.id) : state.api.join(one.id))));
      draw();
    };
    return h(
      "li",
      { data: { channelName: one.name } },
      h(
        "button",
        { type: "button", class: "browse-name", on: { click: open } },
        icon(one.is_private ? "lock" : "hash"),
        h(
          "span",
          null,
          one.name,
          h(
            "small",
            null,
            [one.is_archived ? "archived" : null, `${one.members.length} members`, one.topic]
              .filter(Boolean)
              .join(" · "),
          ),
        ),
      ),
      one.is_archived
        ? null
        : h(
            "button",
            { type: "button", class: "button small", data: { testid: "join" }, on: { click: toggle } },
            one.is_member ? "Leave" : "Join",
          ),
    );
  }
}

/** Ask for a name and make a channel. */
export function createChannel() {
  const name = h("input", {
    class: "field",
    id: "new-channel-name",
    maxlength: "80",
    autocomplete: "off",
    placeholder: "for example plan-b",
    data: { testid: "channel-name" },
  });
  const closed = h("input", { type: "checkbox", data: { testid: "channel-private" } });
  name.addEventListener("input", () => {
    name.value = name.value.toLowerCase().replace(/\s/g, "-");
  });
  ask({
    title: "Create a channel",
    body: [
      h("label", { class: "label", for: "new-channel-name" }, "Name"),
      name,
      h(
        "label",
        { class: "box" },
        closed,
        h("span", null, "Make private", h("small", null, "Only invited people see it")),
      ),
    ],
    okLabel: "Create",
    testid: "channel-dialog",
    ok: () =>
      orSentence(async () =>
        openChannel((await adopt(() => state.api.createChannel(name.value.trim(), closed.checked))).id),
      ),
  });
}

/** Bring people into a channel. */
export function invite(one) {
  let picked = [];
  const others = [...state.users.values()].filter((user) => !one.members.includes(user.id));
  const options = others.map((user) => ({
    value: user.id,
    text: displayName(user),
    words: displayName(user),
    hint: user.title,
    raw: user.id,
  }));
  const people = choice({
    label: "People",
    placeholder: "Names",
    multi: true,
    picked,
    load: () => [{ options }],
    change: (now) => (picked = now),
    data: { testid: "invite-people" },
  });
  ask({
    title: `Add people to ${channelTitle(one)}`,
    body: people,
    okLabel: "Add",
    testid: "invite-dialog",
    ok: () =>
      picked.length
        ? orSentence(() =>
            adopt(() =>
              state.api.invite(
                one.id,
                picked.map((user) => user.value),
              ),
            ),
          )
        : Promise.resolve("Choose somebody first."),
  });
}

/** Archive after a question. */
export function archive(one) {
  ask({
    title: `Archive #${one.name}?`,
    body: h("p", null, "Nobody can write there any more. Its messages stay readable."),
    okLabel: "Archive",
    danger: true,
    testid: "archive-dialog",
    ok: () => orSentence(() => adopt(() => state.api.archive(one.id))),
  });
}

/** The people of a channel, for the right side. */
export const memberRow = (id) => {
  const user = state.users.get(id);
  return h(
    "li",
    { class: "member" },
    avatar(user),
    h(
      "span",
      null,
      h("strong", null, displayName(user) || id),
      h("small", null, user?.title ?? (user?.is_bot ? "App" : "")),
    ),
  );
};

async function orSentence(work) {
  try {
    await work();
    return "";
  } catch (error) {
    return error.message;
  }
}
