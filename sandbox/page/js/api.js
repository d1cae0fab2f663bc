/** Asking the sandbox: one function per thing a person can do. Failures become `ApiError` with a sentence. */

export class ApiError extends Error {}

async function call(method, path, { query = {}, body, form } = {}) {
  const url = new URL(path, location.origin);
  for (const [key, value] of Object.entries(query)) if (value != null) url.searchParams.set(key, value);
  const init = { method };
  if (form) init.body = form;
  else if (body) Object.assign(init, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  let answer;
  try {
    answer = await fetch(url, init);
  } catch {
    throw new ApiError("The sandbox does not answer. Is it still running?");
  }
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(data.error || `The sandbox answered ${answer.status}.`);
  return data;
}

const get = (path, query) => call("GET", path, { query });
const post = (path, body) => call("POST", path, { body });

/** Bind the calls to one acting person. */
export function person(user) {
  const say = (path, body = {}) => post(path, { user, ...body });
  return {
    /** @returns {Promise<import("./types.js").Boot>} */
    boot: () => get("/ui/boot", { user }),
    messages: (channel, thread_ts) => get("/ui/messages", { user, channel, thread_ts }).then((data) => data.messages),
    views: () => get("/ui/views", { user }).then((data) => data.views),
    send: (channel, text, thread_ts) => say("/ui/message", { channel, text, ...(thread_ts ? { thread_ts } : {}) }),
    command: (channel, command, text) => say("/ui/command", { channel, command, text }),
    edit: (channel, ts, text) => say("/ui/edit", { channel, ts, text }),
    remove: (channel, ts) => say("/ui/delete", { channel, ts }),
    action: (body) => say("/ui/action", body),
    options: (body) => say("/ui/options", body),
    submit: (view_id, values) => say("/ui/view/submit", { view_id, values }),
    closeView: (view_id, clear) => say("/ui/view/close", { view_id, clear }),
    react: (channel, ts, name, add) => say("/ui/react", { channel, ts, name, add }),
    pin: (channel, ts, add) => say("/ui/pin", { channel, ts, add }),
    shortcut: (callback_id, where = {}) => say("/ui/shortcut", { callback_id, ...where }),
    home: (tab) => say("/ui/home", { tab }),
    read: (channel, ts) => say("/ui/read", { channel, ts }),
    join: (channel) => say("/ui/join", { channel }),
    leave: (channel) => say("/ui/leave", { channel }),
    invite: (channel, users) => say("/ui/invite", { channel, users }),
    createChannel: (name, is_private) => say("/ui/channel", { name, is_private }),
    im: (other) => say("/ui/im", { other }),
    archive: (channel) => say("/ui/archive", { channel }),
    upload(channel, file) {
      const form = new FormData();
      form.set("user", user);
      form.set("channel", channel);
      form.set("file", file);
      return call("POST", "/ui/upload", { form });
    },
    socketUrl: () => `${location.origin.replace(/^http/, "ws")}/ui/socket?user=${encodeURIComponent(user)}`,
  };
}

/** The PagerDuty phones of everybody. */
export const phone = {
  state: () => get("/phone/state"),
  answer: (call_id, press) => post("/phone/answer", { call_id, press }),
  person: (id, mode, after) => post("/phone/person", { id, mode, after }),
};

/** The panel that breaks things. */
export const panel = {
  state: () => get("/panel/state"),
  act: (part, action) => post("/panel/do", { part, action }),
  clock: (seconds_per_minute) => post("/panel/clock", { seconds_per_minute }),
};
