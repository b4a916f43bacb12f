// Who uses the page: a token, kept for this tab and never in an address.

import { cell } from "./cell.js";

const KEY = "fairlead.token";

/**
 * @typedef {{ token: string, user: string, role: string, expires: number }} Session `expires` in ms since 1970
 */

/** @type {import("./cell.js").Cell<Session | null>} */
export const session = cell(null);

/** Why somebody is to sign in again; empty for no special reason. */
export const farewell = cell("");

let timer = 0;

/** What a token says of itself; whether that is true only a replica can tell. @returns {Session | null} */
export function read(token) {
  try {
    const bytes = Uint8Array.from(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")), (c) =>
      c.charCodeAt(0),
    );
    const { sub, role, exp } = JSON.parse(new TextDecoder().decode(bytes));
    return {
      token,
      user: String(sub),
      role: typeof role === "string" ? role : "",
      expires: exp ? exp * 1000 : Infinity,
    };
  } catch {
    return null;
  }
}

/** Use *token* from now on. @returns {boolean} false when it is none, or is too old */
export function signIn(token) {
  const found = read(token.trim());
  if (!found) return false;
  if (found.expires <= Date.now()) {
    farewell.set("That token has expired.");
    return false;
  }
  sessionStorage.setItem(KEY, found.token);
  farewell.set("");
  session.set(found);
  clearTimeout(timer);
  const left = found.expires - Date.now();
  if (left < 2 ** 31) timer = setTimeout(() => signOut("Your token has expired."), left);
  return true;
}

/** Forget the token. @param {string} [why] */
export function signOut(why = "") {
  sessionStorage.removeItem(KEY);
  clearTimeout(timer);
  farewell.set(why);
  session.set(null);
}

/** Sign in with what stands behind the address, which is wiped at once, or with what this tab had before. */
export function resume() {
  if (!take()) signIn(sessionStorage.getItem(KEY) ?? "");
}

/** Sign in with what stands behind the address; whoever was signed in before is no more. @returns {boolean} */
function take() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given === null) return false;
  history.replaceState(null, "", `${location.pathname}${location.search}#/`);
  if (!signIn(given)) signOut(farewell.value || "What the address held is no token.");
  return true;
}

addEventListener("hashchange", take);
