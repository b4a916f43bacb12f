/** An answer that is an error, or none at all. */
export class FairleadError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{ [key: string]: any }} [detail]
   */
  constructor(code, message, detail = {}) {
    super(message);
    this.name = "FairleadError";
    this.code = code;
    this.detail = detail;
  }
}
