// Small things that stand in many places.

import { html, useEffect, useReducer } from "../../dashboard/core/html.js";
import { initial, tone } from "../core/names.js";

/** Somebody, as a letter in a colour; the name stands beside it. */
export const Face = ({ name, kind = "" }) => html`<i class=${`face ${tone(name)} ${kind}`} aria-hidden="true">${initial(name)}</i>`;

/** @param {{ title: string, children: unknown, tools?: unknown, kind: string }} of */
export const Card = ({ title, tools, children, kind }) => html`
  <section class=${`card ${kind}`} aria-label=${title}>
    <header><h3>${title}</h3>${tools}</header>
    ${children}
  </section>
`;

/** Render again every so often, as long as it matters. @param {number} ms 0 for not at all */
export function useTick(ms) {
  const [, again] = useReducer((count) => count + 1, 0);
  useEffect(() => {
    if (!ms) return undefined;
    const timer = setInterval(again, ms);
    return () => clearInterval(timer);
  }, [ms]);
}
