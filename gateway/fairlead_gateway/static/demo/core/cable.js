// The line between a window and its replica, which can be pulled out: sockets end, and no new one comes to be.

import { cell } from "../../dashboard/core/cell.js";

const FAILS_MS = 30;

/** A socket where there is no network. */
class Nowhere extends EventTarget {
  readyState = WebSocket.CONNECTING;
  protocol = "";
  binaryType = "blob";
  bufferedAmount = 0;

  constructor() {
    super();
    setTimeout(() => this.close(), FAILS_MS);
  }

  send() {}

  close() {
    if (this.readyState === WebSocket.CLOSED) return;
    this.readyState = WebSocket.CLOSED;
    const event = new CloseEvent("close", { code: 1006 });
    this.onclose?.(event);
    this.dispatchEvent(event);
  }
}

export class Cable {
  isOut = cell(false);
  #sockets = new Set();

  /** The class of sockets that this cable carries; for a client's `WebSocket`. */
  get sockets() {
    const cable = this;
    return class extends WebSocket {
      constructor(...address) {
        if (cable.isOut.value) return new Nowhere();
        super(...address);
        cable.#sockets.add(this);
        this.addEventListener("close", () => cable.#sockets.delete(this));
      }
    };
  }

  /** End what there is, without telling the client. */
  cut() {
    for (const socket of this.#sockets) socket.close();
  }

  pull() {
    this.isOut.set(true);
    this.cut();
  }

  plug() {
    this.isOut.set(false);
  }
}
