/** The beginning: build the parts of the page, become somebody, and listen to the keys that work everywhere. */

import { refreshDates } from "./chips.js";
import { composer, placeholderOf } from "./composer.js";
import { closeFloating } from "./floating.js";
import { header } from "./header.js";
import { home } from "./home.js";
import { jump } from "./jump.js";
import { editLast, messageList } from "./messages.js";
import { modals } from "./modal.js";
import { pane } from "./pane.js";
import { panel } from "./panel.js";
import { phone } from "./phone.js";
import { become, openChannel } from "./session.js";
import { sidebar } from "./sidebar.js";
import { channel, channelTitle, on, state } from "./store.js";
import { attempt, toast } from "./toast.js";
import { topbar } from "./topbar.js";

const FIRST_PERSON = "U0ANA";
const byId = (id) => document.getElementById(id);
let ringing = 0;

function build() {
  const list = byId("messages");
  const writer = composer({
    target: () => (state.current ? { channel: state.current } : null),
    placeholder: () => placeholderOf(channel()),
    testid: "composer",
    commands: true,
    editLast: () => editLast(list),
  });
  byId("composer").replaceWith(writer.node);
  sidebar(byId("sidebar"), closeDrawer);
  header(byId("channel-head"), openDrawer);
  messageList(list, byId("announcer"));
  home(byId("home"), byId("conversation"));
  pane(byId("pane"));
  modals();
  const bar = topbar(byId("topbar"), {
    jump: () => jump(tools),
    phone: () => open(ring, breakage, "panel"),
    panel: () => open(breakage, ring, "phone"),
  });
  const ring = phone(byId("phone"), (now) => {
    ringing = now.mine;
    if (ringing) byId("panel").hidden = true;
    bar.ring(now);
    title();
  });
  const breakage = panel(byId("panel"), bar.panelState);
  const tools = [
    { label: "PagerDuty phone", icon: "phone", go: () => ring.toggle(true) },
    { label: "Break things", icon: "hammer", go: () => breakage.toggle(true) },
  ];
  byId("scrim").addEventListener("click", closeDrawer);
  on("current channels boot", () => (title(), address()));
  on("connection", banner);
  document.addEventListener("click", goto);
  document.addEventListener("keydown", (event) => keys(event, tools));
  setInterval(refreshDates, 15_000);
}

/** One drawer at a time: they share a corner. */
function open(one, _other, otherId) {
  byId(otherId).hidden = true;
  one.toggle();
}

function openDrawer() {
  document.body.classList.add("drawer-open");
  byId("scrim").hidden = false;
  byId("sidebar").querySelector("button")?.focus();
}

function closeDrawer() {
  document.body.classList.remove("drawer-open");
  byId("scrim").hidden = true;
}

function title() {
  const unread = [...state.channels.values()]
    .filter((one) => one.has_mention || (one.is_im && one.unread))
    .reduce((sum, one) => sum + one.unread, 0);
  const one = channel();
  const place = one ? `${one.is_im ? "" : "#"}${channelTitle(one)}` : "";
  document.title = `${ringing ? "📞 Ringing · " : ""}${unread ? `(${unread}) ` : ""}${place} · Practice estate`;
}

/** The address names person and channel, so that a reload, a bookmark or a second window is the same place. */
function address() {
  const url = new URL(location.href);
  url.searchParams.set("user", state.user);
  url.searchParams.set("channel", state.current);
  history.replaceState(null, "", url);
}

function banner() {
  const node = byId("banner");
  node.hidden = !state.lost;
  node.textContent = state.lost ? "Connection lost. Reconnecting…" : "";
  document.body.dataset.connected = String(state.connected);
}

function goto(event) {
  const id = event.target.closest?.("[data-goto]")?.dataset.goto;
  if (id) attempt(() => openChannel(id));
}

function keys(event, tools) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    jump(tools);
  } else if (event.key === "F6") {
    event.preventDefault();
    nextRegion(event.shiftKey ? -1 : 1);
  } else if (event.altKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    event.preventDefault();
    neighbour(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Escape" && !event.defaultPrevented) {
    closeFloating();
    const open = [...document.querySelectorAll(".drawer:not([hidden])")].at(-1);
    if (document.body.classList.contains("drawer-open")) closeDrawer();
    else if (open) open.querySelector("[data-testid^=close]").click();
    else document.querySelector('[data-testid="composer"]')?.focus();
  }
}

/** F6 walks through the regions of the page. */
function nextRegion(step) {
  const stops = [
    "#topbar button",
    "#sidebar button",
    "#channel-head button",
    '#messages article[tabindex="0"]',
    '[data-testid="composer"]',
    "#pane button",
    ".drawer:not([hidden]) button",
  ];
  const nodes = stops
    .map((selector) => [...document.querySelectorAll(selector)].find((node) => node.checkVisibility()))
    .filter(Boolean);
  const regions = nodes.map((node) =>
    node.closest("#topbar, #sidebar, #channel-head, #messages, .composer, #pane, .drawer"),
  );
  const at = regions.findIndex((region) => region.contains(document.activeElement));
  nodes[(at + step + nodes.length) % nodes.length].focus();
}

/** Alt+arrows walk through the channels of the left column. */
function neighbour(step) {
  const ids = [...document.querySelectorAll("#sidebar [data-channel]")].map((node) => node.dataset.channel);
  const to = ids[(ids.indexOf(state.current) + step + ids.length) % ids.length];
  if (to) attempt(() => openChannel(to));
}

build();
const wanted = new URLSearchParams(location.search);
const place = wanted.get("channel") ?? "";
const start = become(wanted.get("user") || FIRST_PERSON, place);
// An address of another team's practice: begin as the first person instead.
start
  .catch(() => become(FIRST_PERSON, place))
  .catch((error) => {
    toast(error.message, "bad");
    byId("banner").hidden = false;
    byId("banner").textContent = `${error.message} Reload the page to try again.`;
  });
