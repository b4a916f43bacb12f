/** Patches of JSON documents, as every language applies them (`tests/vectors/patches.json`). */

const MAX_SEGMENTS = 32;
const MAX_PATHS = 1000;
const MAX_PADDING = 100; // how far beyond the end of a list a place may be
const SEGMENT = /(?:[^.\\]|\\[.\\])+/gs;
const PATH = /^(?:[^.\\]|\\[.\\])+(?:\.(?:[^.\\]|\\[.\\])+)*$/s;
const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);

/** The end of a path: a value to put there, or none where something is to be gone. */
class End {
  /** @param {unknown} [value] */
  constructor(value) {
    this.value = value;
  }
}

const GONE = new End();

/** @typedef {Map<string, Tree | End>} Tree the paths of a patch, by segment */

/**
 * The paths of a patch and of its `unset`, to be applied.
 * @param {any} patch
 * @param {any} [unset]
 * @returns {Tree}
 * @throws {TypeError} for what is not as the grammar says
 */
export function checked(patch, unset = []) {
  if (!isObject(patch) || !Array.isArray(unset)) throw new TypeError("a patch maps paths to values, unset is a list");
  /** @type {[string, End][]} */
  const ends = [
    ...Object.entries(patch).map(([path, value]) => /** @type {[string, End]} */ ([path, new End(value)])),
    ...unset.map((path) => /** @type {[string, End]} */ ([path, GONE])),
  ];
  if (ends.length < 1 || ends.length > MAX_PATHS) throw new TypeError(`a patch has 1 to ${MAX_PATHS} paths`);
  /** @type {Tree} */
  const root = new Map();
  for (const [path, end] of ends) plant(root, path, end);
  return root;
}

/** The document after a patch; what did not change is shared with the one before. @param {any} document @param {Tree} tree */
export const apply = (document, tree) => grown(isObject(document) ? document : {}, tree);

/** @param {Tree} tree @param {string} path @param {End} end */
function plant(tree, path, end) {
  const way = segments(path);
  const last = /** @type {string} */ (way.pop());
  for (const segment of way) {
    const branch = tree.get(segment) ?? new Map();
    if (branch instanceof End) throw twoInOne(path);
    tree.set(segment, branch);
    tree = branch;
  }
  if (tree.has(last)) throw twoInOne(path);
  tree.set(last, end);
}

/** @param {unknown} path */
function segments(path) {
  if (typeof path !== "string" || !PATH.test(path)) throw new TypeError(`no path: ${path}`);
  const found = (path.match(SEGMENT) ?? []).map((segment) => segment.replace(/\\([.\\])/g, "$1"));
  if (found.length > MAX_SEGMENTS || found.some((segment) => FORBIDDEN.has(segment))) throw new TypeError(`no path: ${path}`);
  return found;
}

/** @param {string} path */
const twoInOne = (path) => new TypeError(`${path} begins another path of this patch, or is begun or repeated by one`);

/** A copy of *container*, which gives way already, with what *tree* says. @param {any} container @param {Tree} tree */
function grown(container, tree) {
  const copy = Array.isArray(container) ? [...container] : { ...container };
  for (const [segment, end] of tree) {
    const isThere = has(copy, segment);
    if (end === GONE) {
      if (isThere && Array.isArray(copy)) copy[Number(segment)] = null;
      else if (isThere) delete copy[segment];
    } else if (end instanceof End) {
      copy[segment] = end.value;
    } else {
      const inner = isThere ? copy[segment] : undefined;
      if (puts(end)) copy[segment] = grown(makingWay(inner, end), end);
      else if (typeof inner === "object" && inner !== null) copy[segment] = grown(inner, end);
    }
  }
  return copy;
}

/** *old* if *tree* can be put into it, else an empty object. @param {any} old @param {Tree} tree */
function makingWay(old, tree) {
  if (isObject(old)) return old;
  if (Array.isArray(old)) {
    const places = [...tree].filter(([, end]) => puts(end)).map(([segment]) => place(segment));
    if (places.every((one) => one >= 0 && one <= old.length + MAX_PADDING)) {
      const missing = Math.max(...places) + 1 - old.length;
      return missing > 0 ? [...old, ...Array(missing).fill(null)] : old;
    }
  }
  return {};
}

/** @param {any} value */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether anything is put there, so that the way must be made. @param {Tree | End} end @returns {boolean} */
const puts = (end) => (end instanceof End ? end !== GONE : [...end.values()].some(puts));

/** @param {string} segment which place of a list it is; -1 for none */
const place = (segment) => (/^(?:0|[1-9][0-9]{0,8})$/.test(segment) ? Number(segment) : -1);

/** @param {any} container @param {string} segment */
const has = (container, segment) =>
  Array.isArray(container)
    ? place(segment) >= 0 && place(segment) < container.length
    : Object.prototype.hasOwnProperty.call(container, segment);
