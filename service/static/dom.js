/** Short ways to find and make elements, and to say numbers. */

/** @param {string} selector @param {ParentNode} [root] @returns {HTMLElement} */
export function find(selector, root = document) {
  return root.querySelector(selector);
}

/**
 * @param {string} tag
 * @param {Record<string, string | number | boolean>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Like `make`, for SVG. @returns {SVGElement} */
export function makeSvg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children);
  return element;
}

/** .312 -> '31%'. @param {number} share @param {number} [digits] */
export function percent(share, digits = 0) {
  return `${(share * 100).toFixed(digits)}%`;
}

/** 6.4, 6.1 -> '+0.3'; the sign is a real minus. @param {number} difference */
export function signed(difference) {
  const rounded = difference.toFixed(1);
  if (Number(rounded) === 0) return '±0.0';
  return difference > 0 ? `+${rounded}` : rounded.replace('-', '−');
}

/** 2_400_000 -> '2.4 MB'. @param {number} bytes */
export function fileSize(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Offer `blob` as a download. @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = make('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  // Some browsers read the blob after the click returns.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** 'cat.jpg' -> 'cat'. @param {File} file */
export function stem({ name }) {
  return name.replace(/\.[^.]*$/, '');
}
