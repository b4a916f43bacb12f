/** What the end of a connection asks of a client (R1, R2). */

/** @typedef {"stop" | "back off" | "delay" | "token"} Deed */

/** By the hundreds of the code. @type {{ [hundreds: number]: Deed }} */
const BY_HUNDREDS = { 40: "stop", 42: "delay", 44: "stop" };

/** Codes that are not as their hundreds. @type {{ [code: number]: Deed }} */
const BY_CODE = { 4401: "token", 4408: "back off", 4429: "back off" };

/** Words for those who close without one. @type {{ [code: number]: string }} */
const WORDS = {
  1000: "normal",
  1001: "going_away",
  1002: "protocol_error",
  1003: "unsupported",
  1005: "no_code",
  1006: "lost",
  1007: "not_utf8",
  1008: "policy",
  1009: "too_large",
  1011: "internal_error",
  1012: "restart",
  1013: "replica_full",
};

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** @param {number} code @returns {Deed} */
export const deed = (code) => BY_CODE[code] ?? BY_HUNDREDS[Math.floor(code / 100)] ?? "back off";

/** `drain: 350` as word and text. @param {number} code @param {string} reason */
export function wording(code, reason) {
  const [, word, text] = /^([a-z_]+)(?:: (.*))?$/s.exec(reason) ?? [];
  return word ? { word, text: text ?? "" } : { word: WORDS[code] ?? "other", text: reason };
}

/** The milliseconds that a reason names; null for none. @param {string} text */
export const delay = (text) => (/^\d+$/.test(text) ? timer(Number(text)) : null);

/** Full jitter. @param {number} tries @param {number} min @param {number} max in ms */
export const backoff = (tries, min, max) => Math.random() * Math.min(max, min * 2 ** tries);

/** As many of *ms* as a timer can wait. @param {number} ms */
export const timer = (ms) => Math.max(0, Math.min(ms, LONGEST_TIMER_MS));
