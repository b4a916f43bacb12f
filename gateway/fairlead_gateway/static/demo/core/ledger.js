// What a window missed while it was away, as it comes in: how much, in what order, and whether it is all there.

const SAID = "new_message";

/** What came in one channel after a connection was lost. */
class Gap {
  constructor(recovery, offset) {
    this.recovered = recovery.recovered;
    this.code = recovery.code ?? "";
    this.missing = recovery.recovered ? recovery.missed : 0;
    this.last = offset;
    this.goal = offset + this.missing;
    this.inOrder = true;
    this.said = 0;
    this.other = 0;
  }

  heard({ type, offset }) {
    this.inOrder &&= offset > this.last;
    this.last = offset;
    if (type === SAID) this.said += 1;
    else this.other += 1;
  }
}

export class Ledger {
  #gaps = new Map(); // channel -> Gap
  #positions = {};

  /** The connection is gone; the client stood here. @param {import("../../client/fairlead.js").Positions} positions */
  lost(positions) {
    this.#positions = positions;
    this.#gaps.clear();
  }

  /** A channel is back. @param {import("../../client/fairlead.js").Recovery} recovery */
  recovered(recovery) {
    this.#gaps.set(recovery.channel, new Gap(recovery, this.#positions[recovery.channel]?.offset ?? 0));
  }

  /** A message of a channel; what is beyond what was missed is new. */
  heard(message) {
    const gap = this.#gaps.get(message.channel);
    if (gap && message.offset && message.offset <= gap.goal) gap.heard(message);
  }

  /** Where the client stands now says whether anything is still on its way. */
  isWhole(positions) {
    return [...this.#gaps].every(([name, gap]) => !gap.missing || (positions[name]?.offset ?? 0) >= gap.goal);
  }

  /** @returns {{ text: string, isGood: boolean }} for people */
  verdict(positions) {
    const gaps = [...this.#gaps];
    const lost = gaps.filter(([, gap]) => !gap.recovered && !gap.code).map(([name]) => name);
    if (lost.length) return { text: `what was missed in ${lost.join(", ")} is gone; it begins anew`, isGood: false };
    const sum = (count) => gaps.reduce((total, [, gap]) => total + count(gap), 0);
    const parts = [counted(sum((gap) => gap.said), "message"), counted(sum((gap) => gap.other), "update")].filter(Boolean);
    if (!parts.length) return { text: "nothing was missed", isGood: true };
    const isWhole = this.isWhole(positions);
    const inOrder = gaps.every(([, gap]) => gap.inOrder);
    const how = `${isWhole ? "all here" : "not all here"}, ${inOrder ? "in order" : "out of order"}`;
    return { text: `${parts.join(" and ")} missed, ${how}`, isGood: isWhole && inOrder };
  }
}

const counted = (count, what) => (count ? `${count} ${what}${count > 1 ? "s" : ""}` : "");
