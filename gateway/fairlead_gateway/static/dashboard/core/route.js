// Which screen is shown: what stands behind the # of the address.

import { cell } from "./cell.js";

/** @typedef {{ screen: string, id: string, query: Record<string, string> }} Place `id`: what a detail is open for */

/** @returns {Place} */
function parse() {
  // Anything else behind the # names no screen, a token for instance.
  const [path, query = ""] = location.hash.startsWith("#/") ? location.hash.slice(2).split("?") : [""];
  const [screen = "", id = ""] = path.split("/");
  return { screen: screen || "overview", id: decoded(id), query: Object.fromEntries(new URLSearchParams(query)) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** @type {import("./cell.js").Cell<Place>} */
export const place = cell(parse());

addEventListener("hashchange", () => place.set(parse()));

/** The address of a screen. @returns {string} */
export function to(screen, id = "", query = {}) {
  const given = Object.entries(query).filter(([, value]) => value);
  const asked = given.length ? `?${new URLSearchParams(given)}` : "";
  return `#/${screen}${id ? `/${encodeURIComponent(id)}` : ""}${asked}`;
}

/** Go there; *quietly* leaves no step to come back to. */
export function go(address, quietly = false) {
  if (!quietly) return void (location.hash = address);
  history.replaceState(null, "", address);
  place.set(parse());
}
