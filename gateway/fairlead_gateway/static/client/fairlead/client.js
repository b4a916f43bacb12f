import { Core } from "./core.js";
import { Instance } from "./instances.js";
import { given, socketUrl } from "./options.js";
import { Session, past, saying } from "./sessions.js";
import { Task } from "./tasks.js";

/**
 * @import { Message, Options, QuestionHandler, Recovery, Reply, RequestOptions, StateChange } from "../fairlead.js"
 */

/** A connection to Fairlead that comes back, and misses nothing. */
export class Client {
  #core;
  /** @type {Map<string, Session>} */
  #sessions = new Map();
  /** @type {Map<string, Task>} */
  #tasks = new Map();
  /** @type {Map<string, Instance>} */
  #instances = new Map();

  /** @param {string} url @param {Options} [options] */
  constructor(url, options = {}) {
    this.#core = new Core(socketUrl(url), given(options));
  }

  get state() {
    return this.#core.line.state;
  }

  get connectionId() {
    return this.#core.connectionId;
  }

  get userId() {
    return this.#core.userId;
  }

  get replica() {
    return this.#core.replica;
  }

  get positions() {
    return this.#core.channels.positions;
  }

  connect() {
    return this.#core.line.connect();
  }

  close() {
    this.#core.line.close();
  }

  check() {
    this.#core.line.check();
  }

  now() {
    return new Date(this.#core.now());
  }

  /** @param {string} action @param {object} [fields] @param {RequestOptions} [options] @returns {Promise<Reply>} */
  request(action, fields, options) {
    return this.#core.ask(action, fields, options);
  }

  /** @param {string} action @param {object} [fields] */
  send(action, fields) {
    return this.#core.line.send({ ...fields, action });
  }

  /** @param {string} to @param {unknown} content @param {import("./sessions.js").Saying} [options] @returns {Promise<Reply>} */
  message(to, content, options) {
    return this.request("message", { to, ...saying(content, options) }, options);
  }

  /** @param {Message} message @returns {Promise<Reply>} */
  ack(message) {
    const { id, channel } = message;
    this.#core.acks.noted(message);
    return this.request("ack", { message_ids: [id], ...(channel && { channel }) });
  }

  /** @param {string[]} channels @returns {Promise<Reply>} */
  subscribe(...channels) {
    return this.request("subscribe", { channels });
  }

  /** @param {string[]} channels @returns {Promise<void>} */
  unsubscribe(...channels) {
    return this.#core.leave("unsubscribe", { channels });
  }

  /** @param {string} channel @param {Parameters<typeof past>[2]} [options] */
  history(channel, options) {
    return past(this.#core, channel, options);
  }

  /** @param {string} channel */
  async presence(channel) {
    return (await this.request("presence", { channel })).users;
  }

  /** @param {string} id */
  session(id) {
    return once(this.#sessions, id, () => new Session(this.#core, id));
  }

  /** @param {string} id */
  task(id) {
    return once(this.#tasks, id, () => new Task(this.#core, id));
  }

  /** @param {string} name */
  instance(name) {
    return once(this.#instances, name, () => new Instance(this.#core, name));
  }

  /** @param {string} type @param {(message: Message) => void} handler */
  on(type, handler) {
    return this.#core.messages.on(type, handler);
  }

  /** @param {(change: StateChange) => void} handler */
  onState(handler) {
    return this.#core.notices.on("state", handler);
  }

  /** @param {(recovery: Recovery) => void} handler */
  onRecovered(handler) {
    return this.#core.notices.on("recovered", handler);
  }

  /** @param {(error: Error) => void} handler */
  onError(handler) {
    return this.#core.errors.on("error", handler);
  }

  /** @param {QuestionHandler} handler */
  onQuestion(handler) {
    return this.#core.questions.on(handler);
  }

  /** @param {(way: "in" | "out", frame: any) => void} handler */
  onFrame(handler) {
    return this.#core.notices.on("frame", handler);
  }
}

/** What *made* has under *name*, else a new one. @template T @param {Map<string, T>} made @param {string} name @param {() => T} make @returns {T} */
function once(made, name, make) {
  const found = made.get(name) ?? make();
  made.set(name, found);
  return found;
}
