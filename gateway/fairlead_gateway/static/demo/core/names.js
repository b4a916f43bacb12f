// How people and replicas are called on the page.

/** `user:ada` is ada. */
export const named = (sender) => (sender ?? "").replace(/^(user|service):/, "");

/** `dev-8000-9f86d081` is dev-8000, in this life and the next. */
export const replicaName = (replica) => replica.replace(/-[0-9a-f]{8}$/, "");

/** A span of time for people. @param {number} ms */
export const seconds = (ms) => `${(Math.max(0, ms) / 1000).toFixed(1)} s`;

/** `1:05`, `1:00:05`. @param {number} ms */
export function clock(ms) {
  const all = Math.ceil(Math.max(0, ms) / 1000);
  const [hours, minutes] = [Math.floor(all / 3600), Math.floor(all / 60) % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(all % 60)}` : `${minutes}:${two(all % 60)}`;
}

/** What is seen first of somebody. @param {string} name */
export const initial = (name) => [...name][0]?.toUpperCase() ?? "?";

/** One of five colours, the same for a name everywhere. @param {string} name */
export function tone(name) {
  if (name === "ada") return "sea";
  if (name === "ben") return "rope";
  const sum = [...name].reduce((total, letter) => total + letter.codePointAt(0), 0);
  return ["plum", "moss", "slate"][sum % 3];
}
