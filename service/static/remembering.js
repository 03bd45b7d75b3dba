/** What the tab knows until it closes, or where the browser allows no site data, until a reload. */

const known = new Map();

/** @param {string} name @returns {string | null} */
export function recall(name) {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return known.get(name) ?? null;
  }
}

/** @param {string} name @param {string | null} text null: nothing any more */
export function remember(name, text) {
  known.set(name, text);
  try {
    if (text === null) sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, text);
  } catch {
    // No site data are allowed: `known` has it.
  }
}
