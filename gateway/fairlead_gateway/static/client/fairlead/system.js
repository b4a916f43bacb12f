/** What a browser knows about its network and whether it is looked at; elsewhere nothing is known. */

/** @returns {boolean} */
export const isOffline = () => globalThis.navigator?.onLine === false;

/** Hear what may bring a connection back (R3). @param {() => void} check @returns {(() => void)[]} what ends it */
export function listen(check) {
  const shown = () => document.visibilityState === "visible" && check();
  return [
    ...["online", "pageshow"].map((type) => hear(globalThis, type, check)),
    hear(globalThis.document, "visibilitychange", shown),
  ];
}

/** @param {any} target @param {string} type @param {() => void} ear */
function hear(target, type, ear) {
  target?.addEventListener?.(type, ear);
  return () => target?.removeEventListener?.(type, ear);
}
