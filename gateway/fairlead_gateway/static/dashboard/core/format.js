// Figures and times as people read them.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export const NOTHING = "–";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** 12,345 */
export const count = (value) => (isNumber(value) ? whole.format(Math.round(value)) : NOTHING);

/** 1 replica, 2 replicas */
export const several = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;

/** 12.3K, for places where every digit counts less than the space */
export const brief = (value) => (isNumber(value) ? short.format(value) : NOTHING);

/** 0.42, 7.3, 128: three digits that say something. */
export function figure(value) {
  if (!isNumber(value)) return NOTHING;
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 10_000) return whole.format(value);
  if (size < 10) return value.toFixed(size < 1 ? 2 : 1);
  return size < 10_000 ? whole.format(Math.round(value)) : short.format(value);
}

export const rate = (value) => (isNumber(value) ? `${figure(value)}/s` : NOTHING);

export const ms = (value) => (isNumber(value) ? `${figure(value)} ms` : NOTHING);

export function bytes(value) {
  if (!isNumber(value)) return NOTHING;
  const units = ["B", "KiB", "MiB", "GiB"];
  const power = Math.min(units.length - 1, value > 0 ? Math.floor(Math.log2(value) / 10) : 0);
  return `${figure(value / 1024 ** power)} ${units[power]}`;
}

/** How long: 12 s, 3 min 4 s, 2 h 5 min, 3 d 4 h. */
export function span(seconds) {
  if (!isNumber(seconds)) return NOTHING;
  const total = Math.max(0, Math.round(seconds));
  for (const [size, unit, below, belowUnit] of SPANS) {
    if (total < size) continue;
    const rest = below ? Math.floor((total % size) / below) : 0;
    return rest ? `${Math.floor(total / size)} ${unit} ${rest} ${belowUnit}` : `${Math.floor(total / size)} ${unit}`;
  }
  return "0 s";
}

/** @type {[number, string, number, string][]} a unit in seconds, its sign, and the one that is told beside it */
const SPANS = [
  [86_400, "d", 3600, "h"],
  [3600, "h", 60, "min"],
  [60, "min", 1, "s"],
  [1, "s", 0, ""],
];

/** 4:05, for what runs down. */
export function countdown(left) {
  const seconds = Math.max(0, Math.ceil(left / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  return `${hours ? `${hours}:${two(Math.floor(seconds / 60) % 60)}` : Math.floor(seconds / 60)}:${two(seconds % 60)}`;
}

/** 14:03:22; with the day where it is another. */
export function moment(at) {
  const date = new Date(at ?? NaN);
  if (Number.isNaN(date.getTime())) return NOTHING;
  const today = new Date().toDateString() === date.toDateString();
  return today ? time.format(date) : `${day.format(date)}, ${time.format(date)}`;
}

/** The end of an id: those of connections begin with the time, and so all alike. */
export const tail = (id) => (id.length > 12 ? `…${id.slice(-12)}` : id);

/** The ends of an id, which tell ids apart. */
export const ends = (id) => (id && id.length > 16 ? `${id.slice(0, 6)}…${id.slice(-6)}` : (id ?? NOTHING));
