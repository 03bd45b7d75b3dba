/** How gathered attention is, as a number of 0..100, and what is usual. */

/**
 * The middle half of 240 photos (60 each of OSIE, EyeCrowd, Scene and SALICON) and of 26 web pages,
 * by the released weights; `data/focus_reference.py` measures them.
 */
const USUAL = { version: '0.3.0', photo: [38, 58], light: [28, 37] };

/** What an even spread has in its busiest tenth. */
const EVEN = 0.1;

/** @param {import('./api.js').Saliency} saliency @returns {number} 0 even .. 100 all in a tenth */
export function focusOf({ concentration }) {
  return Math.round(((concentration - EVEN) / (1 - EVEN)) * 100);
}

/**
 * @param {string} version of the weights; of others nothing is known
 * @param {boolean} light whether the picture is mostly white, as web pages are
 * @returns {string} a sentence, or nothing
 */
export function usualFocus(version, light) {
  if (version !== USUAL.version) return '';
  const [low, high] = USUAL[light ? 'light' : 'photo'];
  return `Usual for ${light ? 'web pages' : 'photos'}: ${low} to ${high}.`;
}
