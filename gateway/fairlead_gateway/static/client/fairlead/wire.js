/** One socket, until it has ended or was let go; frames are objects on this side of it. */
export class Wire {
  #socket;
  #codec;

  /**
   * @param {any} Socket class of the browser, or of `ws`
   * @param {string} url
   * @param {string} token "" for none
   * @param {import("./types.d.ts").Codec | undefined} codec undefined for JSON
   * @param {import("./types.d.ts").Hearer} owner
   */
  constructor(Socket, url, token, codec, owner) {
    this.#codec = codec;
    const protocols = [`fairlead.v1.${codec ? "msgpack" : "json"}`, ...(token ? [`bearer.${token}`] : [])];
    const socket = (this.#socket = new Socket(url, protocols));
    socket.binaryType = "arraybuffer";
    socket.onopen = owner.opened;
    socket.onmessage = (/** @type {MessageEvent} */ { data }) => {
      try {
        owner.heard(this.#read(data));
      } catch (error) {
        owner.failed(error);
      }
    };
    socket.onclose = (/** @type {CloseEvent} */ { code, reason }) => owner.closed(code, reason);
    socket.onerror = () => {}; // the end follows
  }

  /** @param {object} frame */
  send(frame) {
    this.#socket.send(this.#codec ? this.#codec.encode(plain(frame)) : JSON.stringify(frame));
  }

  /** Hear nothing more of it, whenever it ends. @param {number} [code] */
  letGo(code) {
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    if (code === undefined && socket.terminate) socket.terminate();
    else socket.close(code);
  }

  /** @param {any} data */
  #read(data) {
    const frame = typeof data === "string" ? JSON.parse(data) : this.#codec?.decode(new Uint8Array(data));
    if (typeof frame?.type !== "string") throw new Error("a frame without a type");
    return frame;
  }
}

/** Without fields that are undefined, as JSON leaves them out. @param {object} frame */
const plain = (frame) => Object.fromEntries(Object.entries(frame).filter(([, value]) => value !== undefined));
