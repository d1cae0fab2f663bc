/** Dates as Slack writes them: `<!date^…>` tokens, day dividers, clock times, "3 minutes ago". */

const at = (seconds) => new Date(Number(seconds) * 1000);
const fmt = (options) => (date) => new Intl.DateTimeFormat("en-US", options).format(date);

const clock = fmt({ hour: "numeric", minute: "2-digit" });
const clockSeconds = fmt({ hour: "numeric", minute: "2-digit", second: "2-digit" });
const short = fmt({ month: "short", day: "numeric", year: "numeric" });
const medium = fmt({ month: "long", day: "numeric", year: "numeric" });
const long = fmt({ weekday: "long", month: "long", day: "numeric", year: "numeric" });
const thisYear = fmt({ weekday: "long", month: "long", day: "numeric" });
const numeric = (date) =>
  [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((n) => String(n).padStart(2, "0")).join("-");

/** Whole days from today: 0 today, -1 yesterday, 1 tomorrow. */
function dayDistance(date) {
  const midnight = (d) => new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
  return Math.round((midnight(date) - midnight(new Date())) / 86_400_000);
}

function pretty(date, otherwise) {
  return { 0: "today", "-1": "yesterday", 1: "tomorrow" }[dayDistance(date)] ?? otherwise(date);
}

/** "2 minutes ago", "in 3 hours". */
export function ago(date, now = new Date()) {
  const seconds = Math.round((date.getTime() - now.getTime()) / 1000);
  const steps = [
    ["day", 86_400],
    ["hour", 3600],
    ["minute", 60],
    ["second", 1],
  ];
  const [unit, size] = steps.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(Math.trunc(seconds / size), unit);
}

const TOKENS = {
  date_num: numeric,
  date_slash: (date) => numeric(date).replaceAll("-", "/"),
  date: medium,
  date_short: short,
  date_long: long,
  date_pretty: (date) => pretty(date, medium),
  date_short_pretty: (date) => pretty(date, short),
  date_long_pretty: (date) => pretty(date, long),
  date_long_full: long,
  day_divider_pretty: (date) => dayLabel(date.getTime() / 1000),
  time: clock,
  time_secs: clockSeconds,
  ago: (date) => ago(date),
};

/**
 * Fill a format such as "{date_short_pretty} at {time}". A pretty word at the start gets its capital, as in Slack.
 * @param {number|string} seconds Unix time
 * @param {string} format
 * @param {string} fallback shown when the time or the format cannot be read
 */
export function formatDate(seconds, format, fallback) {
  const date = at(seconds);
  if (Number.isNaN(date.getTime())) return fallback;
  let known = true;
  const text = format.replace(/\{(\w+)\}/g, (_, name) => {
    if (!TOKENS[name]) known = false;
    return TOKENS[name]?.(date) ?? "";
  });
  if (!known && !text.trim()) return fallback;
  return /^\{\w+pretty\}/.test(format) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

/** "Today", "Yesterday", "Monday, March 4". */
export function dayLabel(seconds) {
  const date = at(seconds);
  const sameYear = date.getFullYear() === new Date().getFullYear();
  const word = pretty(date, sameYear ? thisYear : long);
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** A key that is equal for two instants of the same local day. */
export const dayKey = (ts) => numeric(at(ts));

/** "9:41 AM" of a message's ts. */
export const clockOf = (ts) => clock(at(ts));

/** The full instant, for tooltips. */
export const instantOf = (ts) => `${long(at(ts))} at ${clockSeconds(at(ts))}`;

/** "3 minutes ago" of a ts. */
export const agoOf = (ts) => ago(at(ts));
