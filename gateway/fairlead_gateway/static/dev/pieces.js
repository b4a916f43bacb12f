// Elements that more than one part of the page makes.

export const clone = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

export function small(text) {
  const element = document.createElement("small");
  element.textContent = text;
  return element;
}
