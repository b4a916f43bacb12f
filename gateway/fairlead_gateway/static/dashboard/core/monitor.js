// The socket of the page: figures each second, who comes and goes, alerts, and what is watched live.

import { cell } from "./cell.js";
import { learn } from "./clock.js";
import { session, signOut } from "./session.js";

const LONGEST_WAIT_MS = 15_000;
const FIRST_WAIT_MS = 500;
const SILENCE_MS = 10_000;
const STALE_MS = 3000;
const LOOK_MS = 250;

/**
 * @typedef {{ phase: "off" | "connecting" | "open" | "waiting" | "refused", detail: string, until: number }} Line
 *     `until`: when the next attempt is, in ms since 1970
 */

/** @type {import("./cell.js").Cell<Line>} */
export const line = cell({ phase: "off", detail: "", until: 0 });

/** The replica that answers. */
export const servedBy = cell("");

/** The latest `stats_update`. @type {import("./cell.js").Cell<any>} */
export const stats = cell(null);

/** Whether the figures stand still: none came for longer than one may miss. */
export const isStale = cell(false);

let heardAt = 0; // the latest `stats_update`, or else the greeting, in ms since 1970

/** How old the latest figures are, in seconds; null when none ever came. */
export const ageOfFigures = () => (stats.value ? (Date.now() - heardAt) / 1000 : null);

const ears = new Map(); // frame type -> functions
const waiting = new Map(); // action id -> function
let socket = null;
let attempt = 0;
let number = 0;
let timer = 0;
let watchdog = 0;

/** Hear frames of a type. @returns {() => void} what ends it */
export function on(type, hear) {
  if (!ears.has(type)) ears.set(type, new Set());
  ears.get(type).add(hear);
  return () => ears.get(type).delete(hear);
}

/** Send an action. @returns {Promise<any>} the reply, or an error frame */
export function act(action) {
  if (socket?.readyState !== WebSocket.OPEN) return Promise.resolve({ type: "error", message: "not connected" });
  const id = `d${++number}`;
  socket.send(JSON.stringify({ ...action, id }));
  return new Promise((settle) => waiting.set(id, settle));
}

export function start() {
  stop();
  if (!session.value) return;
  line.set({ phase: "connecting", detail: "", until: 0 });
  const url = new URL("ws/admin/monitor", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  const mine = new WebSocket(url, ["fairlead.v1.json", `bearer.${session.value.token}`]);
  socket = mine;
  mine.onmessage = ({ data }) => mine === socket && heard(JSON.parse(data));
  mine.onclose = ({ code, reason }) => mine === socket && ended(code, reason);
}

export function stop() {
  clearTimeout(timer);
  clearTimeout(watchdog);
  const old = socket;
  socket = null;
  old?.close(1000);
  settleAll();
  line.set({ phase: "off", detail: "", until: 0 });
}

/** Forget what somebody else was told. */
function forget() {
  heardAt = 0;
  stats.set(null);
  isStale.set(false);
}

/** Try again now. */
export function hurry() {
  if (line.value.phase === "waiting" || line.value.phase === "refused") start();
}

function heard(frame) {
  if (frame.type === "connection_established") {
    attempt = 0;
    learn(frame.server_time);
    servedBy.set(frame.replica);
    line.set({ phase: "open", detail: "", until: 0 });
    if (!stats.value) heardAt = Date.now();
  }
  if (frame.type === "stats_update") {
    learn(frame.at);
    heardAt = Date.now();
    stats.set(frame);
    isStale.set(false);
  }
  watch();
  const settle = waiting.get(frame.ref);
  if (settle) {
    waiting.delete(frame.ref);
    settle(frame);
  }
  for (const hear of [...(ears.get(frame.type) ?? [])]) hear(frame);
}

/** A line that says nothing for long is dead, whatever the browser believes. */
function watch() {
  clearTimeout(watchdog);
  const mine = socket;
  watchdog = setTimeout(async () => {
    if (mine !== socket || mine?.readyState !== WebSocket.OPEN) return;
    watchdog = setTimeout(() => mine === socket && (mine.close(), ended(1006, "silent")), SILENCE_MS);
    await act({ action: "ping" });
  }, SILENCE_MS);
}

function ended(code, reason) {
  clearTimeout(watchdog);
  socket = null;
  settleAll();
  const detail = reason || (code === 1006 ? "the connection was lost" : `closed ${code}`);
  if (code === 4401) return signOut(`You are signed out: ${detail}.`);
  if ((code >= 4000 && code < 4100) || code === 4403) return line.set({ phase: "refused", detail, until: 0 });
  const moved = code >= 4200 && code < 4300;
  const most = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt++);
  // Between half of it and all of it: a fleet's worth of pages must not come back at once.
  const wait = moved ? Math.random() * FIRST_WAIT_MS : most * (0.5 + Math.random() / 2);
  line.set({ phase: "waiting", detail, until: Date.now() + wait });
  timer = setTimeout(start, wait);
}

function settleAll() {
  for (const settle of waiting.values()) settle({ type: "error", message: "the connection was lost" });
  waiting.clear();
}

// A page that was left may be kept by the browser, and its socket with it.
addEventListener("pagehide", stop);
addEventListener("pageshow", ({ persisted }) => persisted && start());
session.subscribe((now) => {
  forget();
  if (now) start();
  else stop();
});
addEventListener("online", hurry);
setInterval(() => isStale.set(heardAt > 0 && Date.now() - heardAt > STALE_MS), LOOK_MS);
