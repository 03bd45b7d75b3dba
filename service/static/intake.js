/** How photos come in: chosen, dropped anywhere on the page, or pasted. */

/**
 * @param {object} parts
 * @param {HTMLElement[]} parts.zones light up while a photo is dragged over the page
 * @param {(file: File, target: EventTarget) => void} parts.onPhoto with where it was dropped
 * @param {(text: string) => void} parts.onNothing something other than a photo was dropped
 */
export function acceptPhotos({ zones, onPhoto, onNothing }) {
  const mark = (over) => zones.forEach((zone) => zone.classList.toggle('over', over));

  document.addEventListener('dragover', (event) => {
    event.preventDefault(); // or the browser opens the file instead of the page
    mark(event.dataTransfer.types.includes('Files'));
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) mark(false);
  });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    mark(false);
    const [file] = event.dataTransfer.files;
    if (file) onPhoto(file, event.target);
    else onNothing('Drop a photo file: from a folder, not from another page.');
  });
  document.addEventListener('paste', (event) => {
    const file = [...event.clipboardData.files].find(({ type }) => type.startsWith('image/'));
    if (!file) return; // text, meant for a field
    event.preventDefault();
    onPhoto(file, event.target);
  });
}

/**
 * Make `button` open the file dialog of `input`.
 *
 * @param {HTMLElement} button
 * @param {HTMLInputElement} input
 * @param {(file: File) => void} onPhoto
 */
export function choosePhotos(button, input, onPhoto) {
  button.addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    const [file] = input.files;
    input.value = ''; // the same file again is a change too
    if (file) onPhoto(file);
  });
}
