/** How photos come in: chosen, dropped anywhere on the page (folders too), or pasted. */

const ENDINGS = /\.(jpe?g|jpe|jfif|jif|mpo|a?png|webp|tiff?|bmp|dib|gif|hei[cf]|hif|avif|jxl)$/i;

/**
 * @typedef {(files: File[], target?: EventTarget) => void} OnPhotos with where they were dropped
 */

/**
 * @param {object} parts
 * @param {HTMLElement[]} parts.zones light up while a photo is dragged over the page
 * @param {OnPhotos} parts.onPhotos
 * @param {(text: string) => void} parts.onNothing something other than photos came
 */
export function acceptPhotos({ zones, onPhotos, onNothing }) {
  const mark = (over) => zones.forEach((zone) => zone.classList.toggle('over', over));

  document.addEventListener('dragover', (event) => {
    event.preventDefault(); // or the browser opens the file instead of the page
    mark(event.dataTransfer.types.includes('Files'));
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) mark(false);
  });
  document.addEventListener('drop', async (event) => {
    event.preventDefault();
    mark(false);
    const { target } = event;
    let files;
    try {
      files = await readDropped(event.dataTransfer);
    } catch ({ message }) {
      onNothing(`What was dropped cannot be read by the browser: ${message}`);
      return;
    }
    if (files.length) onPhotos(files, target);
    else onNothing('Drop photo files, or a folder with some: not a picture of another page.');
  });
  document.addEventListener('paste', (event) => {
    const files = [...event.clipboardData.files].filter(({ type }) => type.startsWith('image/'));
    if (!files.length) return; // text, meant for a field
    event.preventDefault();
    onPhotos(files, event.target);
  });
}

/**
 * Make `button` open the file dialog of `input`.
 *
 * @param {HTMLElement} button
 * @param {HTMLInputElement} input for files, or for a folder with `webkitdirectory`
 * @param {OnPhotos} onPhotos
 * @param {(text: string) => void} onNothing
 */
export function choosePhotos(button, input, onPhotos, onNothing) {
  button.addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    const chosen = [...input.files];
    input.value = ''; // the same file again is a change too
    const files = keepPhotos(chosen).sort(byPath);
    if (files.length) onPhotos(files);
    else if (chosen.length) onNothing('There are no photos in that folder.');
  });
}

/** A folder's files come in no order. */
function byPath(a, b) {
  return a.webkitRelativePath.localeCompare(b.webkitRelativePath, undefined, { numeric: true });
}

/** One file is taken as it is: the service says best what is wrong with it. */
function keepPhotos(files) {
  if (files.length === 1 && !files[0].webkitRelativePath) return files;
  return files.filter(({ name, type }) =>
    !name.startsWith('.') && (type.startsWith('image/') || ENDINGS.test(name)),
  );
}

async function readDropped({ items, files }) {
  // Both lists are empty once this function waits for anything.
  const plain = [...files];
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some(({ isDirectory }) => isDirectory)) return keepPhotos(plain);
  return keepPhotos((await Promise.all(entries.map(readEntry))).flat());
}

async function readEntry(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const inside = [];
  for (;;) {
    // At most a hundred come at a time.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    inside.push(...some);
  }
  inside.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  return (await Promise.all(inside.map(readEntry))).flat();
}
