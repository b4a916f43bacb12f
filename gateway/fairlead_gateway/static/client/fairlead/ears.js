/** Who hears what: functions of the application, of which none can disturb another (M1). */
export class Ears {
  /** @type {Map<string, Set<Function>>} */
  #ears = new Map();
  #report;

  /** @param {(error: Error) => void} report */
  constructor(report) {
    this.#report = report;
  }

  /** @param {string} type @param {Function} ear @returns {() => void} what ends it */
  on(type, ear) {
    const own = (/** @type {any[]} */ ...told) => ear(...told); // the same function may be given twice
    const ears = this.#ears.get(type) ?? new Set();
    this.#ears.set(type, ears.add(own));
    return () => {
      ears.delete(own);
      if (!ears.size && this.#ears.get(type) === ears) this.#ears.delete(type);
    };
  }

  /** @param {string} type */
  has(type) {
    return this.#ears.has(type);
  }

  /** Call those of *types*, in order. @param {string[]} types @param {any[]} told @returns {Promise<boolean>[]} whether each went well */
  tell(types, ...told) {
    return types.flatMap((type) => [...(this.#ears.get(type) ?? [])]).map((ear) => this.#call(ear, told));
  }

  /** @param {Function} ear @param {any[]} told */
  async #call(ear, told) {
    try {
      await ear(...told);
      return true;
    } catch (error) {
      this.#report(asError(error));
      return false;
    }
  }
}

/** @param {unknown} thrown */
export const asError = (thrown) => (thrown instanceof Error ? thrown : new Error(String(thrown)));
