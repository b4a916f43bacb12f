// The HTTP interface of the replica that served this page.

import { session, signOut } from "./session.js";

const LONGEST_MS = 20_000;
const PREFIX = new URL("api/v1/websocket/", document.baseURI);

const DOTS =
  "An id that is . or .. cannot stand in an address: browsers take it for a step in the path, however it is written.";

/** What a replica has against a request, as a problem document says it (RFC 9457). */
export class Problem extends Error {
  /**
   * @param {number} status 0 when nobody answered
   * @param {string} title a code: `forbidden`
   * @param {string} detail what was wrong and what to do
   */
  constructor(status, title, detail) {
    super(detail);
    this.status = status;
    this.title = title;
  }

  /** Whether the replica has no such route. */
  get isUnknownRoute() {
    return this.status === 404 && this.message.includes("no such route");
  }
}

/**
 * @param {string} method
 * @param {string} path below the prefix: `connections`
 * @param {{ query?: Record<string, unknown>, body?: unknown, signal?: AbortSignal }} [more]
 * @returns {Promise<any>} the JSON of the answer, or null where it has none
 */
export async function ask(method, path, { query = {}, body, signal } = {}) {
  if (path.split("/").some((part) => part === "." || part === "..")) throw new Problem(400, "not over HTTP", DOTS);
  const url = new URL(path, PREFIX);
  for (const [name, value] of Object.entries(query)) {
    if (value !== "" && value !== undefined && value !== null) url.searchParams.set(name, String(value));
  }
  const headers = { Authorization: `Bearer ${session.value?.token ?? ""}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const late = AbortSignal.timeout(LONGEST_MS);
  const until = signal ? AbortSignal.any([signal, late]) : late;
  let answer, text;
  try {
    answer = await fetch(url, { method, headers, signal: until, body: body && JSON.stringify(body) });
    text = await answer.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "unreachable", "The replica that served this page does not answer.");
  }
  const told = read(text);
  if (answer.ok && told !== undefined) return told;
  throw problem(answer, told ?? {});
}

/** What an answer says: null for nothing, undefined for what is not from a replica, such as a proxy's page. */
function read(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return undefined;
  }
}

/** @returns {Problem} */
function problem(answer, told) {
  if (answer.status === 401) signOut(`You are signed out: ${told.detail ?? "the token is not accepted"}.`);
  return new Problem(answer.status, told.title ?? String(answer.status), told.detail ?? `answered ${answer.status}`);
}

/** One name within a path. */
export const segment = (name) => encodeURIComponent(name);
