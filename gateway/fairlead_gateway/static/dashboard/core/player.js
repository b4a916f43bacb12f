// A client of the gateway, to try things with: one socket, its frames both ways, and where it stood.

import { cell } from "./cell.js";

const KEPT = 300;

/** @typedef {{ number: number, way: "in" | "out" | "note", at: number, text: string, type: string }} Frame */
/** @typedef {{ phase: "closed" | "connecting" | "open", frames: Frame[], positions: Record<string, any> }} Played */

/** @type {import("./cell.js").Cell<Played>} */
export const played = cell({ phase: "closed", frames: [], positions: {} });

let socket = null;
let number = 0;

function change(more) {
  played.set({ ...played.value, ...more });
}

function keep(way, text, type = "") {
  const frame = { number: ++number, way, at: Date.now(), text, type };
  change({ frames: [...played.value.frames, frame].slice(-KEPT) });
}

/** @param {{ path: string, token: string, recovers: boolean }} how `recovers`: ask for what was missed */
export function connect({ path, token, recovers }) {
  close();
  const positions = played.value.positions;
  const isBack = recovers && Object.keys(positions).length > 0;
  const url = new URL(path.replace(/^\//, ""), document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  if (isBack) url.searchParams.set("wait", "connect");
  const mine = (socket = new WebSocket(url, ["fairlead.v1.json", ...(token ? [`bearer.${token}`] : [])]));
  change({ phase: "connecting", positions: isBack ? positions : {} });
  mine.onopen = () => {
    if (isBack) send(JSON.stringify({ action: "connect", recover: positions }));
  };
  mine.onmessage = ({ data }) => mine === socket && heard(data);
  mine.onclose = ({ code, reason }) => {
    if (mine !== socket) return;
    socket = null;
    change({ phase: "closed" });
    keep("note", `closed ${code}${reason ? `: ${reason}` : ""}`);
  };
}

export function close() {
  const old = socket;
  socket = null;
  old?.close(1000);
  if (old) keep("note", "closed by you");
  change({ phase: "closed" });
}

/** @param {string} text @returns {boolean} whether it went out */
export function send(text) {
  if (socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(text);
  keep("out", text, read(text).action ?? "");
  return true;
}

export const clear = () => change({ frames: [] });

addEventListener("pagehide", close);

function read(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}

function heard(text) {
  const frame = read(text);
  keep("in", text, frame.type ?? "");
  if (frame.type === "connection_established") change({ phase: "open" });
  if (frame.requires_ack) send(JSON.stringify({ action: "ack", channel: frame.channel, message_ids: [frame.id] }));
  change({ positions: moved(played.value.positions, frame) });
}

/** Where each durable channel stands after a frame, as recovery needs it. */
function moved(positions, { channels, channel, offset, id }) {
  const next = { ...positions };
  for (const [name, told] of Object.entries(channels ?? {}))
    if (told.epoch) next[name] = { offset: told.offset, epoch: told.epoch };
  if (next[channel] && offset > next[channel].offset) next[channel] = { ...next[channel], offset, id };
  return next;
}
