/** Puts the page together: what the reader does -> requests -> what is shown. */
import { hasScore, predict, readModel, sizeOf } from './api.js';
import { BoxEditor } from './boxes.js';
import { chosenAspects, Cropping } from './cropping.js';
import { fileSize, find, make } from './dom.js';
import { acceptPhotos, choosePhotos } from './intake.js';
import { Keeping } from './keeping.js';
import { Measuring } from './measuring.js';
import { attempt, hideError, showError } from './notices.js';
import { makeThumbnail } from './photo.js';
import { Photos } from './photos.js';
import { Queue } from './queue.js';
import { showResult } from './result.js';
import { saveCrops, saveJson, saveMap, saveOverlays, savePicture, saveTable } from './saving.js';
import { Slot } from './slot.js';
import { makeStars } from './stars.js';
import { Strip } from './strip.js';
import { makeTabs } from './tabs.js';
import { Versions } from './versions.js';
import { makeViews } from './views.js';

/** @typedef {import('./photos.js').Item} Item */

const KEEP_AFTER_MS = 300;
const MOST_PHOTOS = 1000; // each is a card in the strip, and a file in the browser's storage

const first = new Slot(find('#frame-a'));
const second = new Slot(find('#frame-b'));
const cropping = new Cropping(first);
const views = makeViews(repaint, repaintSoon);
const keeping = new Keeping();
const photos = new Photos((item, isNew) => {
  keeping.keep(item, isNew);
  showStripSoon();
});
const queue = new Queue(photos, analyse);
let chosen = null; // the item on the stage, or on its way there
let panel = 'result';
let maxBytes = Infinity;
let weights = null; // SHA-256 of the service's, once it has told
let quantiles = null; // scores of everyday photos, where the service knows them

// Photos come in

async function analyse(file, signal) {
  checkSize(file);
  // The request goes out first, so that it travels while the photo is decoded.
  const [found, thumbnail] = await Promise.all([predict(file, signal), makeThumbnail(file)]);
  return { ...found, thumbnail, weights };
}

/** A file over the limit is better refused here: a server that stops reading looks broken. */
function checkSize(file) {
  if (file.size > maxBytes) {
    throw new Error(
      `${file.name} has ${fileSize(file.size)}. This server takes at most ${fileSize(maxBytes)}.`,
    );
  }
}

/** Take files in where they are meant to go: one beside a photo to compare it with is its second. */
function take(files, target) {
  const isSecond =
    panel === 'compare' && first.photo && files.length === 1 && !first.frame.contains(target);
  return isSecond ? takeSecond(files) : takeFirst(files);
}

function takeFirst(files) {
  const startedEmpty = !first.photo;
  return bringIn(files, choose, () => {
    if (startedEmpty) find('#photo-name').focus({ preventScroll: true });
  });
}

function takeSecond(files) {
  return bringIn(files, chooseSecond);
}

/**
 * @param {File[]} files
 * @param {(item: Item) => Promise<boolean>} show
 * @param {() => void} [onShown] when one of them is on the stage
 */
function bringIn(files, show, onShown = () => {}) {
  const room = MOST_PHOTOS - photos.items.length;
  if (files.length > room) {
    showError(
      `The page holds at most ${MOST_PHOTOS} photos and has room for ${room} more. Found ` +
        `${files.length}. The command \`saliency predict\` takes any number.`,
    );
    return undefined;
  }
  const items = files.map((file) => photos.add(file));
  return attempt(lookingAt(files), async () => {
    const all = queue.run();
    all.catch(() => {}); // it is awaited below, unless these photos are ready before
    const shown = showFirst(items, show, onShown);
    await Promise.race([Promise.all(items.map(({ settled }) => settled)), all]);
    await shown;
    const failed = items.filter(({ state }) => state === 'failed');
    const ready = items.filter(({ state }) => state === 'done');
    if (files.length === 1 && failed.length) {
      remove(items[0]); // its reason is told, and there is nothing more to say of it
      throw new Error(failed[0].reason);
    }
    if (failed.length) showError(sayFailed(failed));
    if (files.length === 1) return items[0].prediction ? summarise(items[0]) : '';
    return `${ready.length} of ${files.length} photos are ready.`;
  });
}

/** Show the first of `items` that can be. */
async function showFirst(items, show, onShown) {
  for (const item of items) {
    if (!photos.items.includes(item)) continue; // it was removed meanwhile, and never gets ready
    try {
      if (await show(item)) onShown();
      return;
    } catch {
      // It failed, which is told with the others.
    }
  }
}

function lookingAt(files) {
  if (files.length > 1) return `Looking at ${files.length} photos…`;
  return `Looking at ${files[0].name} (${fileSize(files[0].size)})…`;
}

function tell({ message }) {
  showError(message);
}

function sayFailed(items) {
  const [{ file, reason }] = items;
  const failure = `${file.name}: ${reason}`;
  return items.length === 1 ? failure : `${items.length} photos failed, such as ${failure}`;
}

function summarise({ file, prediction }) {
  const { score, disagreement } = prediction;
  const said = hasScore(prediction) ? ` Score ${score.toFixed(1)} of 10; ${disagreement}.` : '';
  return `${file.name} is ready.${said}`;
}

// Which photo is shown

/** Put `item` on the stage. @returns {Promise<boolean>} false if another one overtook it */
async function choose(item) {
  const before = first.photo?.item ?? null;
  chosen = item;
  queue.preferred = item;
  keeping.shown = item.id;
  showStrip();
  strip.reveal(item);
  wait(true);
  try {
    if (!(await first.load(item, () => openWorkspace(true)))) return false;
  } catch (error) {
    const isThere = photos.items.includes(before); // it may have been removed meanwhile
    if (!isThere) first.clear();
    chosen = isThere ? before : null;
    openWorkspace(isThere);
    wait(false);
    repaint();
    showStrip();
    throw error;
  }
  openWorkspace(true);
  wait(false);
  if (second.photo?.item === item) {
    if (photos.items.includes(before)) chooseSecond(before).catch(() => {}); // they change places
    else dropSecond();
  }
  cropping.forget();
  loadBoxes(versions.first);
  showResult(first.photo, quantiles);
  showStars(item.stars);
  showComparison();
  repaint();
  if (panel === 'crops') cropping.find();
  return true;
}

async function chooseSecond(item) {
  const before = second.photo !== null;
  try {
    if (!(await second.load(item, () => openSecond(true)))) return false;
  } catch (error) {
    openSecond(before);
    repaint();
    throw error;
  }
  openSecond(true);
  loadBoxes(versions.second);
  showComparison();
  repaint();
  return true;
}

/** What is found of one photo must not be used while another one is on the stage. */
function wait(waiting) {
  find('#workspace').classList.toggle('waiting', waiting);
  find('.panel').inert = waiting;
  find('#box-layer').inert = waiting;
  find('#save').inert = waiting;
}

function openWorkspace(open) {
  find('#welcome').hidden = open;
  find('#workspace').hidden = !open;
  find('#add').hidden = !open;
}

function openSecond(open) {
  find('.picture', second.frame).hidden = !open;
  find('figcaption', second.frame).hidden = !open;
  find('#second-zone').hidden = open;
}

// Strip

const strip = new Strip({
  list: find('#cards'),
  onChoose: (item) => {
    if (item.state === 'failed') showError(sayFailed([item]));
    else choose(item).catch(tell);
  },
  onRemove: remove,
});

const showStars = makeStars(find('#stars'), (stars) => {
  if (!first.photo || first.photo.item !== chosen) return;
  photos.update(chosen, { stars });
  showStars(stars);
});

let stripRequest = 0;

function showStripSoon() {
  cancelAnimationFrame(stripRequest);
  stripRequest = requestAnimationFrame(showStrip);
}

function showStrip() {
  const { items, sorted } = photos;
  const [done, failed] = [photos.that('done').length, photos.that('failed').length];
  find('#strip').hidden = items.length < 2;
  strip.show(sorted, chosen);
  const left = items.length - done - failed;
  const counts = [`${items.length} photos`, left && `${left} to go`, failed && `${failed} failed`];
  find('#strip-count').textContent = counts.filter(Boolean).join(', ');
  find('#retry').hidden = failed === 0;
  find('#keeping').hidden = items.length === 0;
  listSeconds();
}

/** Take `item` off the page; what stood beside it is shown, and has the focus if it had. */
function remove(item) {
  const next = photos.neighbourOf(item);
  const hadFocus = find('#cards').contains(document.activeElement);
  queue.drop(item);
  photos.remove(item);
  keeping.forget(item);
  if (second.item === item) dropSecond();
  if (chosen === item) {
    if (next && next.state !== 'failed') choose(next).catch(() => {});
    else clearStage();
  }
  showStrip();
  if (hadFocus && next) strip.focus(next);
}

function clearStage() {
  first.clear();
  cropping.forget();
  wait(false);
  chosen = null;
  const next = photos.that('done')[0];
  if (next) choose(next).catch(() => {});
  else openWorkspace(false);
}

function dropSecond() {
  second.clear();
  openSecond(false);
  showComparison();
}

function clearAll() {
  photos.items.forEach((item) => queue.drop(item));
  photos.clear();
  keeping.clear();
  dropSecond();
  clearStage();
  hideError();
  showStrip();
  find('#first-photo').focus();
}

function retry() {
  const failed = photos.that('failed');
  failed.forEach((item) => photos.renew(item));
  return analyseWaiting(failed.map(({ file }) => file));
}

function analyseWaiting(files) {
  return attempt(lookingAt(files), async () => {
    await queue.run();
    const failed = photos.that('failed');
    if (failed.length) showError(sayFailed(failed));
  });
}

// View

function repaint() {
  first.show(views.look);
  if (panel === 'compare') second.show(views.look);
  views.show(first.photo?.scene.light ?? false);
}

let repaintRequest = 0;

/** Once a frame is as often as anyone can see it. */
function repaintSoon() {
  cancelAnimationFrame(repaintRequest);
  repaintRequest = requestAnimationFrame(repaint);
}

// Boxes

function makeVersion(slot, layer, rows) {
  const version = { slot };
  version.measuring = new Measuring(
    () => ({ file: slot.photo?.file, boxes: slot.photo ? version.editor.boxes : [] }),
    (regions) => {
      version.editor.show(regions);
      versions.showBoxes();
    },
  );
  version.editor = new BoxEditor({
    layer,
    rows,
    // A finger scrolls the page unless the reader has come for boxes.
    mayDraw: ({ pointerType }) =>
      panel === 'boxes' || (panel !== 'crops' && pointerType === 'mouse'),
    onDrawn: () => panel === 'result' && showPanel('boxes'),
    onAdd: () => panel === 'compare' && versions.pairBoxes(version),
    onRemove: (index) => versions.unpair(version, index),
    onChange: () => {
      version.measuring.soon();
      versions.showBoxes();
      if (slot === first) find('#box-list').hidden = version.editor.items.length === 0;
      keepBoxes(version);
    },
  });
  return version;
}

/** What is dragged changes often; it is written down once it stands still. */
function keepBoxes({ slot, editor }) {
  if (!slot.photo) return;
  const { item } = slot.photo;
  item.boxes = editor.boxes;
  clearTimeout(item.keeping);
  item.keeping = setTimeout(() => photos.update(item, {}), KEEP_AFTER_MS);
}

function loadBoxes({ slot, editor }) {
  const { item, prediction } = slot.photo;
  const [height, width] = sizeOf(prediction);
  editor.load([height, width], item.boxes);
  if (slot !== first) return;
  const form = find('#box-form');
  for (const name of ['x', 'width']) form.elements[name].max = width;
  for (const name of ['y', 'height']) form.elements[name].max = height;
}

const versions = new Versions(
  makeVersion(first, find('#box-layer'), find('#box-rows')),
  makeVersion(second, find('#box-layer-b'), make('tbody')),
  views.look,
);

// Comparison

function showComparison() {
  if (panel !== 'compare') return; // it takes a moment, so it waits until somebody looks
  versions.show();
  versions.pairBoxes();
  listSeconds();
}

/** The other photos of the strip, to choose the second version from. */
function listSeconds() {
  if (panel !== 'compare') return;
  const others = photos.sorted.filter((item) => item !== chosen && item.state !== 'failed');
  find('#second-field').hidden = others.length === 0;
  const shown = second.photo?.item.id ?? '';
  const choices = others.map(({ id, file }) =>
    make('option', { value: id, selected: id === shown }, file.name),
  );
  const none = make('option', { value: '', selected: shown === '' }, '–');
  find('#second-choice').replaceChildren(...(shown ? [] : [none]), ...choices);
}

/** With other photos there, the next one is the likely second version. */
function suggestSecond() {
  if (second.photo || !first.photo || second.frame.hasAttribute('aria-busy')) return;
  const { item } = first.photo;
  const next = photos.neighbourOf(item);
  if (next && next.state !== 'failed') chooseSecond(next).catch(tell);
}

// Saving

function doneOnes() {
  return photos.sorted.filter(({ state }) => state === 'done');
}

function saveAllOverlays() {
  const done = doneOnes();
  return attempt(`Drawing ${done.length} overlays…`, async () => {
    await saveOverlays(done, views.look.colors);
    return 'The overlays are saved.';
  });
}

function saveAllCrops() {
  const done = doneOnes();
  return attempt(`Cutting ${done.length} photos…`, async () => {
    const leftOut = await saveCrops(done, chosenAspects());
    if (leftOut) showError(`Photos left out, as this browser cannot cut their format: ${leftOut}.`);
    return 'The crops are saved.';
  });
}

// Wiring

const showPanel = makeTabs(find('[role=tablist]'), (id) => {
  panel = id;
  find('#workspace').dataset.panel = id;
  find('#frame-b').hidden = id !== 'compare';
  if (id === 'crops' && first.photo && !cropping.crops) cropping.find();
  if (id === 'compare') suggestSecond();
  showComparison();
  repaint(); // the frames have another size now
});

window.addEventListener('resize', repaintSoon);

find('#box-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const { x, y, width, height } = event.target.elements;
  versions.first.editor.add({
    x: x.valueAsNumber,
    y: y.valueAsNumber,
    width: width.valueAsNumber,
    height: height.valueAsNumber,
  });
});
find('#clear-boxes').addEventListener('click', () => {
  const { editor } = versions.first;
  for (const box of editor.items.toReversed()) editor.remove(box); // with its partner
});
find('#crop-form').addEventListener('submit', (event) => {
  event.preventDefault();
  cropping.find();
});
find('#save-overlay').addEventListener('click', () => savePicture(first, views.look.view));
find('#save-map').addEventListener('click', () =>
  attempt('Rendering the map…', async () => {
    await saveMap(first);
    return 'The map is saved.';
  }),
);
find('#save-json').addEventListener('click', () =>
  saveJson(first, versions.first.measuring.regions, cropping.crops),
);
find('#save-comparison').addEventListener('click', () =>
  attempt('Drawing the comparison…', async () => {
    await versions.save();
    return 'The comparison is saved.';
  }),
);
find('#save-csv').addEventListener('click', () => saveTable(photos.sorted, quantiles));
find('#save-overlays').addEventListener('click', saveAllOverlays);
find('#save-crops').addEventListener('click', saveAllCrops);

find('#sort').addEventListener('change', (event) => {
  photos.sortedBy = event.target.value;
  showStrip();
  if (chosen) strip.reveal(chosen);
});
find('#retry').addEventListener('click', retry);
find('#remove').addEventListener('click', () => chosen && remove(chosen));
find('#clear').addEventListener('click', () => {
  if (window.confirm('Remove all photos, with their stars and boxes, from this browser?')) clearAll();
});
document.addEventListener('keydown', (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  // Where nothing has the focus, nothing else wants the arrow keys.
  if (!step || event.target !== document.body || !chosen) return;
  let next = photos.beside(chosen, step);
  while (next?.state === 'failed') next = photos.beside(next, step);
  if (next) strip.onChoose(next);
});
find('#second-choice').addEventListener('change', (event) => {
  const item = photos.items.find(({ id }) => id === event.target.value);
  if (item) chooseSecond(item).catch(tell);
});

photos.restore(await keeping.open());
showPanel('result');
showStrip();
const { items } = photos;
const last =
  items.find(({ id }) => id === keeping.shown) ?? items.find(({ state }) => state !== 'failed');
if (last) choose(last).catch(() => {});

choosePhotos(find('#first-photo'), find('#file-a'), takeFirst, showError);
choosePhotos(find('#first-folder'), find('#folder'), takeFirst, showError);
choosePhotos(find('#second-photo'), find('#file-b'), takeSecond, showError);
find('#new-photo').addEventListener('click', () => find('#file-a').click());
find('#new-folder').addEventListener('click', () => find('#folder').click());
find('#other-second').addEventListener('click', () => find('#file-b').click());
acceptPhotos({
  zones: [find('#drop-zone'), find('#second-zone'), find('#frame-a')],
  onPhotos: take,
  onNothing: showError,
});

attempt('Asking the server…', async () => {
  const model = await readModel();
  const { name, version, license, device, limits, metrics, score_quantiles } = model;
  weights = model.sha256;
  maxBytes = limits.max_bytes;
  quantiles = score_quantiles;
  find('#model').textContent = `${name} ${version}, ${license}, on ${device}`;
  const agreement = metrics.oasis?.SRCC;
  if (agreement !== undefined) {
    find('#agreement').textContent =
      `On unseen photos its ranking agrees with theirs by ${agreement.toFixed(2)} of 1.`;
  } // or else: other weights, measured on something else
  if (first.photo) showResult(first.photo, quantiles);
  const outdated = photos.that('done').filter(
    (item) => item.prediction.model.version !== version || (item.weights ?? weights) !== weights,
  );
  outdated.forEach((item) => photos.renew(item));
  if (outdated.includes(chosen)) choose(chosen).catch(() => {});
  const waiting = photos.that('waiting');
  if (waiting.length) analyseWaiting(waiting.map(({ file }) => file));
});
