// Values that more than one part of the page shows.

import { useEffect, useReducer } from "./html.js";

/**
 * @template T
 * @typedef {{ readonly value: T, set: (next: T) => void, subscribe: (hear: (value: T) => void) => () => void }} Cell
 */

/**
 * A value, and those who want to know when it is another.
 * @template T
 * @param {T} value
 * @returns {Cell<T>}
 */
export function cell(value) {
  const ears = new Set();
  return {
    get value() {
      return value;
    },
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      for (const hear of [...ears]) hear(value);
    },
    subscribe(hear) {
      ears.add(hear);
      return () => ears.delete(hear);
    },
  };
}

/**
 * The value of a cell, in a component.
 * @template T
 * @param {Cell<T>} source
 * @returns {T}
 */
export function useCell(source) {
  const [, again] = useReducer((count) => count + 1, 0);
  const shown = source.value;
  useEffect(() => {
    const end = source.subscribe(again);
    // Effects run after the painting: it may be another by now.
    if (!Object.is(source.value, shown)) again();
    return end;
  }, [source]);
  return shown;
}
