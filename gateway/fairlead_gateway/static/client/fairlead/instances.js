import { Ears, asError } from "./ears.js";
import { FairleadError } from "./errors.js";
import { apply, checked } from "./patches.js";

/** @import { InstanceChange, Recovery, Reply, RequestOptions } from "../fairlead.js" */

const SNAPSHOT_MS = 500;
const RETRY_MS = 1000;
const FINAL = new Set(["forbidden", "not_found"]); // asking again is no use
const MAX_KEPT = 1000;

/** A mirror of a named document that everybody changes (I). */
export class Instance {
  #core;
  #ears;
  /** @type {any} */
  document = {};
  version = 0;
  #isWhole = false; // whether the document is that of the version
  #isLoading = false;
  /** Patches that came too early. @type {any[]} */
  #kept = [];
  /** @type {Promise<void> | null} */
  #opening = null;
  #arrived = () => {};
  #failed = (/** @type {Error} */ _error) => {};

  /** @param {import("./core.js").Core} core @param {string} name */
  constructor(core, name) {
    this.#core = core;
    this.#ears = new Ears((error) => core.report(error));
    this.name = name;
    this.channel = `instance:${name}`;
    core.mirrors.set(this.channel, {
      hear: (frame) => this.#hear(frame),
      recovered: (recovery) => this.#recovered(recovery),
      stopped: (error) => this.#failed(error),
    });
  }

  /** @returns {Promise<void>} */
  open() {
    if (this.#opening) return this.#opening;
    const opening = (this.#opening = this.#open());
    // Meanwhile it may have been closed, and opened again.
    opening.catch(() => this.#opening === opening && (this.#opening = null));
    return opening;
  }

  /** @returns {Promise<void>} */
  close() {
    this.#giveUp(new FairleadError("closed", `${this.name} is not followed any more`));
    this.#isWhole = false;
    this.#kept = [];
    return this.#core.leave("unsubscribe", { channels: [this.channel] });
  }

  /**
   * @param {{ [path: string]: unknown }} patch
   * @param {{ unset?: string[], baseVersion?: number, patchId?: string | number } & RequestOptions} [options]
   * @returns {Promise<Reply>}
   */
  patch(patch, options = {}) {
    const { unset, baseVersion, patchId } = options;
    const fields = {
      ...(unset && { unset }),
      ...(baseVersion !== undefined && { base_version: baseVersion }),
      ...(patchId !== undefined && { patch_id: patchId }),
    };
    return this.#core.ask("patch", { instance: this.name, patch, ...fields }, options);
  }

  /** @param {(change: InstanceChange) => void} handler */
  onChange(handler) {
    return this.#ears.on("change", handler);
  }

  // -- following -----------------------------------------------------------------------------------

  /** @param {any} frame */
  #hear(frame) {
    if (this.#opening && frame.type === "snapshot") this.#take(frame);
    if (this.#opening && frame.type === "patch") this.#follow(frame);
    return true;
  }

  /** @param {Recovery} recovery */
  #recovered({ recovered, code }) {
    if (!recovered) this.#isWhole = false;
    if (code) this.#giveUp(new FairleadError(code, `${this.name} is not ours to follow`));
    // Mostly it follows by itself.
    if (this.#opening && !this.#isWhole) this.#core.after(recovered ? 0 : SNAPSHOT_MS, () => this.#isWhole || this.#load());
  }

  async #open() {
    const here = new Promise((resolve, reject) => {
      this.#arrived = () => resolve(undefined);
      this.#failed = reject;
    });
    here.catch(() => {});
    await this.#core.ask("subscribe", { channels: [this.channel] });
    if (!this.#isWhole) this.#core.after(SNAPSHOT_MS, () => this.#isWhole || this.#load());
    await here;
  }

  /** @param {any} frame a patch */
  #follow(frame) {
    const { version } = frame;
    // Version 1 of something that has many is that of a document that began anew.
    const isHole = version > this.version + 1 || (version === 1 && this.version > 1);
    if (!this.#isWhole || isHole) {
      this.#kept.push(frame);
      if (this.#kept.length > MAX_KEPT) this.#kept.shift();
      if (this.#isWhole) this.#load();
    } else if (version === this.version + 1) {
      this.#apply(frame);
    }
  }

  /** @param {any} frame */
  #apply({ patch, unset = [], patch_id: patchId, version }) {
    try {
      this.#change(apply(this.document, checked(patch, unset)), version, patch, unset, patchId);
    } catch (error) {
      this.#core.report(asError(error)); // no patch of ours
      this.#load();
    }
  }

  /** @param {any} state */
  #take({ document, version }) {
    this.#isWhole = true;
    const kept = this.#kept.filter((frame) => frame.version > version);
    this.#kept = [];
    this.#change(document, version, null);
    for (const frame of kept) this.#follow(frame);
    this.#arrived();
  }

  /** @param {any} document @param {number} version @param {any} patch @param {string[]} [unset] @param {string | number} [patchId] */
  #change(document, version, patch, unset = [], patchId) {
    this.document = document;
    this.version = version;
    const id = patchId === undefined ? {} : { patchId };
    this.#ears.tell(["change"], { patch, unset, ...id, version, document });
  }

  /** Ask for the whole of it; patches that come meanwhile are kept. */
  async #load() {
    this.#isWhole = false;
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      this.#loaded(await this.#core.ask("get_state", { channel: this.channel }));
    } catch (/** @type {any} */ error) {
      this.#isLoading = false;
      this.#core.grumble(error);
      if (FINAL.has(error.code)) this.#giveUp(error);
      else this.#core.after(RETRY_MS * (1 + Math.random()), () => this.#opening && !this.#isWhole && this.#load());
    }
  }

  /** @param {any} state */
  #loaded(state) {
    this.#isLoading = false;
    const isBehind = this.#isWhole && state.version <= this.version;
    if (this.#opening && !isBehind) this.#take(state);
  }

  /** @param {Error} error */
  #giveUp(error) {
    this.#opening = null;
    this.#failed(error);
  }
}
