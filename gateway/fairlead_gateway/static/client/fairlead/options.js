/** @import { Options } from "../fairlead.js" */
/** @import { Given } from "./types.d.ts" */

const DEFAULTS = {
  openTimeoutMs: 10_000,
  replyTimeoutMs: 10_000,
  backoffMinMs: 500,
  backoffMaxMs: 20_000,
  pongTimeoutMs: 10_000,
  autoAck: true,
};

/** Options with what holds for those that were not given. @param {Options} options @returns {Given} */
export function given(options) {
  const said = Object.entries(options).filter(([, value]) => value !== undefined);
  const all = { ...DEFAULTS, WebSocket: globalThis.WebSocket, ...Object.fromEntries(said) };
  if (!all.WebSocket) throw new TypeError('there is no WebSocket here: give the option WebSocket, e.g. of the package "ws"');
  return all;
}

/** An address of ours as sockets want it; in a page it may be relative. @param {string} address */
export function socketUrl(address) {
  const url = new URL(address, globalThis.document?.baseURI ?? globalThis.location?.href);
  url.protocol = url.protocol.replace(/^http/, "ws");
  url.hash = "";
  return url;
}
