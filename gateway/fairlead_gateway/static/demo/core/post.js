// What the page asks of replicas by HTTP: a token for somebody, and what it wants backends to do.

/**
 * @param {string[]} places addresses to try, one after the other, until one answers
 * @returns {Promise<any>} what it says; fails in its words when it will not
 */
export async function post(places, what, body = {}) {
  let answer = null;
  for (const place of places) {
    // Text, so that the page of one replica may ask the other without being asked back first.
    answer = await fetch(`${place}${what}`, { method: "POST", body: JSON.stringify(body) }).catch(() => null);
    if (answer) break;
  }
  if (!answer) throw new Error("no replica answers");
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.detail ?? `refused: ${answer.status}`);
  return said;
}

/** Where the page itself came from. */
export const HERE = "demo/";

/** Where else the same can be asked. @param {string} socket `ws://127.0.0.1:8001` */
export const beside = (socket) => `${socket.replace(/^ws/, "http")}/demo/`;
