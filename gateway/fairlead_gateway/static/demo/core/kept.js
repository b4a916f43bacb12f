// What a page that is loaded again goes on from: where its client stood, and what was said. A tab has its own.

const key = (user) => `fairlead.demo.${user}`;

/** Channels in which a message that was missed is more than the state that is told anyway. */
const HAS_HISTORY = /^(user|session):/;

/** @param {{ positions: import("../../client/fairlead.js").Positions, said: { [talk: string]: object[] } }} what */
export function keep(user, what) {
  sessionStorage.setItem(key(user), JSON.stringify(what));
}

/** @returns {{ positions: import("../../client/fairlead.js").Positions, said: { [talk: string]: any[] } }} */
export function kept(user) {
  const { positions, said } = JSON.parse(sessionStorage.getItem(key(user)) ?? '{"positions":{},"said":{}}');
  return { positions: Object.fromEntries(Object.entries(positions).filter(([name]) => HAS_HISTORY.test(name))), said };
}
