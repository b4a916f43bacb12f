// The last minutes as charts show them: each second's figures, and what was before the page was opened.

import { ask } from "./api.js";
import { cell } from "./cell.js";
import { stats } from "./monitor.js";
import { session } from "./session.js";

const KEPT = 300;
const GAP_SECONDS = 3;

/** @typedef {Record<string, number | null> & { at: number }} Point `at` in seconds since 1970; rates per second */

/** @type {import("./cell.js").Cell<Point[]>} */
export const points = cell([]);

const FLOWS = ["messages_sent", "messages_received", "disconnections", "errors"];
let last = null; // the update before

/** A point from two updates that follow each other. @returns {Point} */
function between(before, update) {
  const at = Date.parse(update.at) / 1000;
  const seconds = at - Date.parse(before.at) / 1000;
  const point = { at, connections: update.total_connections };
  // A replica that is gone takes its counters with it until they are counted in: never below nothing.
  for (const name of FLOWS) point[name] = seconds > 0 ? Math.max(0, (update[name] - before[name]) / seconds) : null;
  for (const which of ["p50", "p90", "p99"]) point[which] = update.percentiles?.action_ms?.[which] ?? null;
  return point;
}

stats.subscribe((update) => {
  if (!update) return;
  const before = last;
  last = update;
  if (!before) return;
  const point = between(before, update);
  const kept = points.value;
  const newest = kept[kept.length - 1];
  if (newest && point.at <= newest.at) return;
  const hole = newest && point.at - newest.at > GAP_SECONDS ? [{ at: newest.at + 1 }] : [];
  points.set([...kept, ...hole, point].slice(-KEPT));
});

/** What happened in the minute before. */
async function seed() {
  points.set([]);
  last = null;
  if (!session.value) return;
  const history = await ask("GET", "stats/history", { query: { window: "minute" } }).catch(() => ({ points: [] }));
  const before = history.points.map((point) => ({ ...point, at: Date.parse(point.at) / 1000 }));
  const oldest = points.value[0]?.at ?? Infinity;
  points.set([...before.filter((point) => point.at < oldest), ...points.value].slice(-KEPT));
}

session.subscribe(seed);
if (session.value) seed();
