// Time as the replicas have it; countdowns do not trust the clock of whoever watches.

import { useEffect, useReducer } from "./html.js";

let ahead = 0;

/** Learn what time it is there. @param {string} at RFC 3339 */
export function learn(at) {
  const there = Date.parse(at);
  if (Number.isFinite(there)) ahead = there - Date.now();
}

/** Now, by the replicas' clock, in ms since 1970. */
export const now = () => Date.now() + ahead;

/** Render again every so often. @param {number} ms */
export function useTick(ms) {
  const [, again] = useReducer((count) => count + 1, 0);
  useEffect(() => {
    const timer = setInterval(again, ms);
    return () => clearInterval(timer);
  }, [ms]);
}
