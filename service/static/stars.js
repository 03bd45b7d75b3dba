/** Stars that the reader gives by hand: five buttons, or the keys 1 to 5, and 0 for none. */
import { make } from './dom.js';

const MOST_STARS = 5;

/** @param {number} stars @returns {string} for screen readers */
export function starsInWords(stars) {
  return stars === 1 ? '1 star' : `${stars} stars`;
}

/**
 * @param {HTMLElement} group takes the buttons
 * @param {(stars: number) => void} onGive 1..5; 0: none
 * @returns {(stars: number) => void} shows how many there are
 */
export function makeStars(group, onGive) {
  let given = 0;
  const buttons = Array.from({ length: MOST_STARS }, (_, index) => {
    const button = make('button', { type: 'button', 'aria-label': starsInWords(index + 1) });
    button.addEventListener('click', () => onGive(given === index + 1 ? 0 : index + 1));
    return button;
  });
  group.append(...buttons);
  document.addEventListener('keydown', (event) => {
    if (!/^[0-5]$/.test(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest('input:not([type=radio], [type=checkbox]), select, textarea')) return;
    onGive(Number(event.key));
  });
  return (stars) => {
    given = stars;
    buttons.forEach((button, index) => {
      button.textContent = index < stars ? '★' : '☆';
      button.setAttribute('aria-pressed', String(index + 1 === stars));
    });
  };
}
