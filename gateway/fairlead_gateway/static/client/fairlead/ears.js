/** Who hears what: functions of the application, of which none can disturb another (M1). */
export class Ears {
  /** @type {Map<string, Set<{ ear: Function, wants: (told: any) => boolean }>>} */
  #ears = new Map();
  #report;

  /** @param {(error: Error) => void} report */
  constructor(report) {
    this.#report = report;
  }

  /**
   * @param {string} type
   * @param {Function} ear
   * @param {(told: any) => boolean} [wants] whether it is for this one
   * @returns {() => void} what ends it
   */
  on(type, ear, wants = () => true) {
    const own = { ear, wants }; // the same function may be given twice
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
    const ears = types.flatMap((type) => [...(this.#ears.get(type) ?? [])]);
    return ears.filter(({ wants }) => wants(told[0])).map(({ ear }) => this.#call(ear, told));
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
