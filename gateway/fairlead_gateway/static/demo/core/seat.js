// One person at the page: a client on one replica, and all that its window shows.

import { cell } from "../../dashboard/core/cell.js";
import { Client } from "../../client/fairlead.js";
import { Backends } from "./backends.js";
import { Cable } from "./cable.js";
import { Counter } from "./counter.js";
import { keep, kept } from "./kept.js";
import { Ledger } from "./ledger.js";
import { replicaName, seconds } from "./names.js";
import { Notices } from "./notices.js";
import { People } from "./people.js";
import { beside, HERE, post } from "./post.js";
import { Questions } from "./questions.js";
import { Storm } from "./storm.js";
import { Talk } from "./talk.js";
import { Tasks } from "./tasks.js";

export const TALKS = ["lobby", "network"];

const KEPT_FRAMES = 80;
const KEPT_NEWS = 12;
const SETTLE_MS = 1500;
const AGAIN_MS = 2000;
const BACKOFF_MAX_MS = 2000; // a replica that was killed is there again in a second or two

/** @typedef {{ key: number, text: string, kind: "good" | "bad" | "calm" }} News */

export class Seat {
  /** @type {import("../../dashboard/core/cell.js").Cell<import("../../client/fairlead.js").StateChange & { until: number }>} */
  line = cell({ state: "connecting", code: 0, word: "", text: "", attempt: 0, retryInMs: 0, until: 0 });
  replica = cell("");
  /** @type {import("../../dashboard/core/cell.js").Cell<News[]>} */
  news = cell([]);
  frames = cell([]); // { key, way, text }
  current = cell(TALKS[0]);
  cable = new Cable();
  ledger = new Ledger();
  notices = new Notices();
  #number = 0;
  #travel = new Set();
  #lostAt = 0;

  /** @param {{ user: string, index: number, isHere: boolean }} who `isHere`: stay with the address of the page */
  constructor({ user, index, isHere }) {
    this.user = user;
    this.index = index;
    this.isHere = isHere;
    this.talks = Object.fromEntries(TALKS.map((name) => [name, new Talk(name, user)]));
    this.people = new People(user);
    this.questions = new Questions(this);
    this.tasks = new Tasks(this);
    this.counter = new Counter(this);
    this.backends = new Backends(this);
    this.storm = new Storm(this);
    document.addEventListener("visibilitychange", () => this.looked());
    addEventListener("pagehide", () => this.#keep());
  }

  // -- connecting --------------------------------------------------------------------------------

  async start() {
    let invited;
    try {
      invited = await post([HERE], "invitations", { user: this.user });
    } catch (error) {
      this.line.set({ ...this.line.value, state: "waiting", text: error.message, until: Date.now() + AGAIN_MS });
      return setTimeout(() => this.start(), AGAIN_MS);
    }
    const sockets = this.isHere ? [] : invited.sockets;
    const own = sockets[this.index % sockets.length];
    const others = sockets.filter((one) => one !== own);
    /** Where its own replica can be asked, and the others; one address for all where something stands in front. */
    this.own = own ? [beside(own)] : [HERE];
    this.others = own ? others.map(beside) : [HERE];
    this.canKill = Boolean(own);
    this.#begin(own ? `${own}/ws` : "ws", invited.token);
  }

  #begin(url, first) {
    const token = async (reason) => {
      const known = reason === "connect" && first;
      first = "";
      return known || (await post([...this.own, ...this.others, HERE], "invitations", { user: this.user })).token;
    };
    const client = new Client(url, { token, positions: this.#restore(), WebSocket: this.cable.sockets, backoffMaxMs: BACKOFF_MAX_MS });
    this.client = client;
    for (const name of TALKS) this.talks[name].attach(client.session(name));
    client.onState((change) => this.#changed(change));
    client.onRecovered((recovery) => this.#recovered(recovery));
    client.onError((error) => this.tell(error.message, "bad"));
    client.onFrame((way, frame) => this.#frame(way, frame));
    client.onQuestion((question, signal) => this.questions.asked(question, signal));
    client.on("*", (message) => this.#heard(message));
    this.connect();
  }

  /** Connect, or again after it was told to stop. */
  connect() {
    // What it was stopped by is shown as its state.
    this.client.connect().catch(() => {});
  }

  #changed(change) {
    const before = this.line.value.state;
    this.line.set({ ...change, until: Date.now() + change.retryInMs });
    if (change.state === "open") return this.#opened();
    if (before === "open") {
      this.#lostAt = performance.now();
      this.ledger.lost(this.client.positions);
    }
  }

  #opened() {
    const before = this.replica.value;
    this.replica.set(replicaName(this.client.replica));
    this.storm.isKilled.set(false);
    if (!this.#lostAt) return this.#settle();
    const away = performance.now() - this.#lostAt;
    this.#lostAt = 0;
    const where = this.replica.value === before ? "" : ` on ${this.replica.value}`;
    this.#judge(`Back${where} after ${seconds(away)}`);
    this.people.refresh();
  }

  /** What was missed comes behind this. */
  #recovered(recovery) {
    this.ledger.recovered(recovery);
    const talk = this.talks[recovery.channel.replace(/^session:/, "")];
    if (recovery.recovered && recovery.missed) talk?.tell("while you were away");
  }

  /** Say what recovery has done, once everything is here, or ought to be. */
  #judge(what) {
    const until = performance.now() + SETTLE_MS;
    const look = () => {
      const { positions } = this.client;
      if (!this.ledger.isWhole(positions) && performance.now() < until) return setTimeout(look, 50);
      const { text, isGood } = this.ledger.verdict(positions);
      this.tell(`${what}: ${text}.`, isGood ? "good" : "bad");
    };
    // What is told about channels that were asked for anew comes with the next replies.
    setTimeout(look, 150);
  }

  async #settle() {
    this.people.attach(this.client, TALKS[0]);
    try {
      await Promise.all([...TALKS.map((name) => this.client.session(name).join()), this.counter.open()]);
      await Promise.all([...TALKS.map((name) => this.talks[name].open()), this.people.refresh()]);
    } catch (error) {
      this.tell(error.message, "bad");
    }
  }

  // -- hearing -----------------------------------------------------------------------------------

  #heard(message) {
    this.ledger.heard(message);
    const talk = this.talks[message.session_id ?? message.channel?.replace(/^session:/, "")];
    HEARD[message.type]?.(this, message, talk);
  }

  #frame(way, frame) {
    const key = ++this.#number;
    this.frames.set([...this.frames.value.slice(1 - KEPT_FRAMES), { key, way, text: JSON.stringify(frame) }]);
    for (const hear of this.#travel) hear(way, frame);
  }

  /** Every frame, as it passes. @param {(way: "in" | "out", frame: any) => void} hear */
  onTravel(hear) {
    this.#travel.add(hear);
    return () => this.#travel.delete(hear);
  }

  /** Whether whoever sits here can see what is said in a conversation. */
  sees(name) {
    return this.current.value === name && document.visibilityState === "visible";
  }

  show(name) {
    this.current.set(name);
    this.looked();
  }

  looked() {
    if (this.sees(this.current.value)) this.talks[this.current.value].seen();
  }

  /** @param {"good" | "bad" | "calm"} kind */
  tell(text, kind = "calm") {
    this.news.set([{ key: ++this.#number, text, kind }, ...this.news.value.slice(0, KEPT_NEWS - 1)]);
  }

  /** Do something that may fail, and tell why it did. */
  async trying(work) {
    try {
      return await work();
    } catch (error) {
      this.tell(error.message, "bad");
      return null;
    }
  }

  // -- across a reload ---------------------------------------------------------------------------

  #keep() {
    const said = Object.fromEntries(TALKS.map((name) => [name, this.talks[name].keep()]));
    if (this.client) keep(this.user, { positions: this.client.positions, said });
  }

  #restore() {
    const { positions, said } = kept(this.user);
    for (const name of TALKS) this.talks[name].restore(said[name] ?? []);
    return positions;
  }
}

/** What each kind of message does to a seat. @type {Record<string, (seat: Seat, message: any, talk?: Talk) => void>} */
const HEARD = {
  new_message(seat, message, talk) {
    talk?.heard(message, seat.sees(talk.name));
  },
  typing(_seat, message, talk) {
    talk?.types(message);
  },
  session_joined(seat, { user_id: who }, talk) {
    if (talk?.name === TALKS[0]) seat.people.came(who);
  },
  session_left(seat, { user_id: who }, talk) {
    if (talk?.name === TALKS[0]) seat.people.left(who);
  },
  user_status_update(seat, { user_id: who, status }) {
    if (status === "offline") seat.people.left(who);
    else seat.people.came(who);
  },
  message_status_update(_seat, message, talk) {
    talk?.marked(message);
  },
  notification(seat, message) {
    seat.notices.add(message.notification);
  },
};
