// What whoever is signed in may do here, as the replica says it: roles have the ranks that its settings give them.

import { ask } from "./api.js";
import { cell, useCell } from "./cell.js";
import { session, signOut } from "./session.js";

const RANKS = ["user", "viewer", "operator", "admin"];

/** Empty until it is known, `unknown` where the replica cannot say: then nothing is held back that it may refuse. */
export const rank = cell("");

/** Whether somebody of the rank of whoever is signed in may do what needs *needed*. */
export function useMay(needed) {
  const mine = RANKS.indexOf(useCell(rank));
  return mine < 0 || mine >= RANKS.indexOf(needed);
}

async function learnRank() {
  const mine = session.value;
  rank.set("");
  if (!mine) return;
  const { rank: told } = await ask("GET", "me").catch(() => ({ rank: "unknown" }));
  if (session.value !== mine) return;
  if (told !== "user") return rank.set(told);
  const role = mine.role ? `the role ${mine.role}` : "no role";
  signOut(`That token of ${mine.user} has ${role}, which may not see the fleet here: it takes a viewer, an operator or an admin.`);
}

session.subscribe(learnRank);
