// Messages and events as they happen, as far as a filter lets them through and a reader keeps up.

import { cell } from "./cell.js";
import { act, line, on } from "./monitor.js";

const KEPT = 500;
const RATE_MS = 5000;

/**
 * @typedef {{ messages: boolean, events: string[], types: string[], channels: string[],
 *     max_per_second: number }} Filter
 */
/** @typedef {{ items: any[], held: any[], isPaused: boolean, dropped: number, rate: number, problem: string }} Watched
 *     newest first; `held`: what has come since the pause */

/** @type {import("./cell.js").Cell<Watched>} */
export const watched = cell(nothing());

let filter = null;
let number = 0;
let recent = []; // when the last ones came

function nothing() {
  return { items: [], held: [], isPaused: false, dropped: 0, rate: 0, problem: "" };
}

/** Watch, until `unwatch`; also after the line was lost. @param {Filter} next */
export async function watch(next) {
  filter = next;
  const reply = await act({ action: "watch_live", ...next });
  if (filter === next) watched.set({ ...watched.value, problem: reply.type === "error" ? reply.message : "" });
}

export function unwatch() {
  filter = null;
  act({ action: "unwatch_live" });
}

export function clear() {
  watched.set({ ...nothing(), isPaused: watched.value.isPaused });
}

export function pause() {
  watched.set({ ...watched.value, isPaused: true });
}

/** Go on; what came meanwhile comes first. */
export function resume() {
  const { held, items } = watched.value;
  watched.set({ ...watched.value, isPaused: false, held: [], items: [...held, ...items].slice(0, KEPT) });
}

on("live", ({ items, dropped }) => {
  if (!filter) return;
  const now = Date.now();
  recent = [...recent.filter((at) => at > now - RATE_MS), ...items.map(() => now)];
  const fresh = items.map((item) => ({ ...item, number: ++number })).reverse();
  const before = watched.value;
  const where = before.isPaused ? "held" : "items";
  const rate = recent.length / (RATE_MS / 1000);
  watched.set({
    ...before,
    [where]: [...fresh, ...before[where]].slice(0, KEPT),
    dropped: before.dropped + dropped,
    rate,
  });
});

line.subscribe(({ phase }) => phase === "open" && filter && watch(filter));
