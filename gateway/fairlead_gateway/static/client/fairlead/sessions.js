/** @import { Message, Past, Reply, RequestOptions } from "../fairlead.js" */
/** @typedef {{ messageType?: string, metadata?: object, messageId?: string } & RequestOptions} Saying */

const SAID_AGAIN_MS = 3000;
const SILENT_MS = 5000;

/** A conversation, as one of its members takes part in it. */
export class Session {
  #core;
  #saidAt = 0; // that somebody types; 0 while nobody does
  #silence = () => {};

  /** @param {import("./core.js").Core} core @param {string} id */
  constructor(core, id) {
    this.#core = core;
    this.id = id;
    this.channel = `session:${id}`;
  }

  /** @returns {Promise<Reply>} */
  join() {
    return this.#core.ask("join_session", { session_id: this.id });
  }

  /** @returns {Promise<void>} */
  leave() {
    this.#silence();
    this.#saidAt = 0;
    return this.#core.leave("leave_session", { session_id: this.id });
  }

  /** @param {unknown} content @param {Saying} [options] @returns {Promise<Reply>} */
  send(content, options) {
    const reply = this.#core.ask("message", { session_id: this.id, ...saying(content, options) }, options);
    this.typing(false);
    return reply;
  }

  typing(isTyping = true) {
    this.#silence();
    const isKnown = isTyping ? Date.now() < this.#saidAt + SAID_AGAIN_MS : !this.#saidAt;
    if (!isKnown) {
      const isSaid = this.#core.line.send({ action: "typing", session_id: this.id, is_typing: isTyping });
      this.#saidAt = isTyping && isSaid ? Date.now() : 0;
    }
    if (isTyping) this.#silence = this.#core.after(SILENT_MS, () => this.typing(false));
  }

  /** @param {string} messageId @returns {Promise<Reply>} */
  read(messageId) {
    return this.#core.ask("read", { session_id: this.id, message_id: messageId });
  }

  /** @param {Parameters<typeof past>[2]} [options] */
  history(options) {
    return past(this.#core, this.channel, options);
  }

  async members() {
    return (await this.#core.ask("presence", { channel: this.channel })).users;
  }

  /** @param {string} type @param {(message: Message) => void} handler */
  on(type, handler) {
    return this.#core.messages.on(type, handler, (frame) => frame.channel === this.channel || frame.session_id === this.id);
  }
}

/** The fields of a message. @param {unknown} content @param {Saying} [options] */
export const saying = (content, { messageType, metadata, messageId } = {}) => ({
  content,
  ...(messageType && { message_type: messageType }),
  ...(metadata && { metadata }),
  ...(messageId && { message_id: messageId }),
});

/**
 * What *channel* has said last, or before an offset: nothing that is heard (C4).
 * @param {import("./core.js").Core} core @param {string} channel @param {{ limit?: number, before?: number } & RequestOptions} [options]
 * @returns {Promise<Past>}
 */
export async function past(core, channel, { limit = 50, before, ...options } = {}) {
  const asked = { channel, limit, ...(before !== undefined && { before }) };
  const { messages, offset, epoch, more, before: next } = await core.ask("history", asked, options);
  return { messages, offset, epoch, more, before: next };
}
