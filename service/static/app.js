/** Puts the page together: what the reader does -> requests -> what is shown. */
import { measureRegions, readModel, renderPicture, suggestCrops } from './api.js';
import { BoxEditor } from './boxes.js';
import { drawDistribution } from './chart.js';
import { COLOR_MAPS } from './colormaps.js';
import { comparisonRows, differences } from './compare.js';
import { showCrops } from './crops.js';
import { fileSize, find, make, save } from './dom.js';
import { acceptPhotos, choosePhotos } from './intake.js';
import { paintLegend } from './map.js';
import { attempt, showError } from './notices.js';
import { cutOut } from './photo.js';
import { showResult } from './result.js';
import { Slot } from './slot.js';
import { makeTabs } from './tabs.js';

const DEBOUNCE_MS = 250;

/** What each view is, how strong it begins, and whether it has the colours of a map. */
const VIEWS = {
  overlay: { strength: 90, coloured: true, hint: 'The photo glows where people look.' },
  heat: { strength: 100, coloured: true, hint: 'How attention is spread over the photo.' },
  fog: { strength: 100, coloured: false, hint: 'Only what is looked at in the first seconds is clear.' },
  focal: {
    strength: 70,
    coloured: false,
    hint: 'Circles sized by share of attention, not in viewing order.',
  },
};

const first = new Slot(find('#frame-a'));
const second = new Slot(find('#frame-b'));
const look = { view: 'overlay', colors: COLOR_MAPS[0], strength: 1 };
const strengths = Object.fromEntries(
  Object.entries(VIEWS).map(([view, { strength }]) => [view, strength]),
);
let panel = 'result';
let maxBytes = Infinity;
let measuring = new AbortController();
let cropping = new AbortController();
let regions = null; // as the service answered, of the photo on the stage
let crops = null;

// Photos

/** Load `file` into the slot that it is meant for. */
function take(file, target) {
  const isSecond = panel === 'compare' && first.photo && !first.frame.contains(target);
  return isSecond ? takeSecond(file) : takeFirst(file);
}

function takeFirst(file) {
  return attempt(lookingAt(file), async () => {
    checkSize(file);
    const startedEmpty = !first.photo;
    wait(true);
    try {
      if (!(await first.load(file, () => openWorkspace(true)))) return '';
    } catch (error) {
      openWorkspace(!startedEmpty);
      wait(false);
      repaint();
      throw error;
    }
    openWorkspace(true);
    wait(false);
    forgetFindings();
    showResult(first.photo);
    showComparison();
    repaint();
    if (panel === 'crops') findCrops();
    if (startedEmpty) find('#photo-name').focus({ preventScroll: true });
    return summarise(first.photo);
  });
}

function takeSecond(file) {
  return attempt(lookingAt(file), async () => {
    checkSize(file);
    const hadPhoto = second.photo !== null;
    try {
      if (!(await second.load(file, () => openSecond(true)))) return '';
    } catch (error) {
      openSecond(hadPhoto);
      repaint();
      throw error;
    }
    openSecond(true);
    showComparison();
    repaint();
    return summarise(second.photo);
  });
}

function lookingAt(file) {
  return `Looking at ${file.name} (${fileSize(file.size)})…`;
}

/** What is found of one photo must not be used while another one is on the stage. */
function wait(waiting) {
  find('#workspace').classList.toggle('waiting', waiting);
  find('.panel').inert = waiting;
  find('#box-layer').inert = waiting;
  find('#save').inert = waiting;
}

/** A file over the limit is better refused here: a server that stops reading looks broken. */
function checkSize(file) {
  if (file.size > maxBytes) {
    throw new Error(
      `${file.name} has ${fileSize(file.size)}. This server takes at most ${fileSize(maxBytes)}.`,
    );
  }
}

function openWorkspace(open) {
  find('#welcome').hidden = open;
  find('#workspace').hidden = !open;
  find('#new-photo').hidden = !open;
}

function openSecond(open) {
  find('.picture', second.frame).hidden = !open;
  find('figcaption', second.frame).hidden = !open;
  find('#second-zone').hidden = open;
}

function summarise({ file, prediction: { score, score_std: spread } }) {
  const said = score === null ? '' : ` Score ${score.toFixed(1)} of 10, ± ${spread.toFixed(1)}.`;
  return `${file.name} is ready.${said}`;
}

// View

function repaint() {
  const { coloured, hint } = VIEWS[look.view];
  look.strength = strengths[look.view] / 100;
  first.show(look);
  if (panel === 'compare') second.show(look);
  find('#colors-field').hidden = !coloured;
  find('#legend').hidden = !coloured;
  find('#view-hint').textContent = hint;
  find('#strength').value = strengths[look.view];
  paintLegend(find('#legend canvas'), look.colors);
}

let repaintRequest = 0;

/** Once a frame is as often as anyone can see it. */
function repaintSoon() {
  cancelAnimationFrame(repaintRequest);
  repaintRequest = requestAnimationFrame(repaint);
}

// Boxes

const editor = new BoxEditor({
  layer: find('#box-layer'),
  rows: find('#box-rows'),
  // A finger scrolls the page unless the reader has come for boxes.
  mayDraw: ({ pointerType }) =>
    panel === 'boxes' || (panel === 'result' && pointerType === 'mouse'),
  onDrawn: () => showPanel('boxes'),
  onChange: measureSoon,
});

let measureTimer = 0;

function measureSoon() {
  find('#box-list').hidden = editor.items.length === 0;
  measuring.abort();
  clearTimeout(measureTimer);
  regions = null;
  if (editor.items.length) measureTimer = setTimeout(measure, DEBOUNCE_MS);
}

function measure() {
  measuring = new AbortController();
  return attempt('Measuring boxes…', async () => {
    regions = await measureRegions(first.photo.file, editor.boxes, measuring.signal);
    editor.show(regions);
    return 'Boxes are measured.';
  });
}

// Crops

function findCrops() {
  return attempt('Looking for crops…', async () => {
    const chosen = document.querySelectorAll('#crop-form [name=aspect]:checked');
    const aspects = [...chosen].map(({ value }) => value);
    if (!aspects.length) throw new Error('Choose at least one shape.');
    cropping.abort();
    cropping = new AbortController();
    const { file } = first.photo;
    crops = await suggestCrops(file, aspects, find('#crop-count').value, cropping.signal);
    drawCrops();
    return `${crops.length} crops are found.`;
  });
}

function drawCrops() {
  const { file, scene, prediction } = first.photo;
  showCrops(find('#crop-layer'), find('#crop-list'), {
    crops: crops ?? [],
    imageSize: prediction.image_size,
    score: prediction.score,
    picture: pictureOf(scene),
    onSave: scene.shown ? (crop) => saveCrop(file, prediction, crop) : null,
  });
  find('#crop-note').hidden = scene.shown;
  find('#crop-note').textContent =
    'This browser cannot show the format, so it cannot cut the photo either. The boxes are in the JSON.';
}

function pictureOf({ photo, width, height }) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d').putImageData(new ImageData(photo, width, height), 0, 0);
  return canvas;
}

function saveCrop(file, prediction, crop) {
  return attempt('Cutting the crop…', async () => {
    const blob = await cutOut(file, prediction.image_size, crop.box);
    const ending = blob.type === 'image/jpeg' ? 'jpg' : 'png';
    save(blob, `${stem(file)}.crop-${crop.aspect.replace(':', 'x')}-${crop.rank}.${ending}`);
    return 'The crop is saved.';
  });
}

/** Boxes and crops belong to the photo before. */
function forgetFindings() {
  cropping.abort();
  crops = null;
  find('#crop-layer').replaceChildren();
  find('#crop-list').replaceChildren();
  const [height, width] = first.photo.prediction.image_size;
  editor.reset([height, width]);
  const form = find('#box-form');
  for (const name of ['x', 'width']) form.elements[name].max = width;
  for (const name of ['y', 'height']) form.elements[name].max = height;
}

// Comparison

function showComparison() {
  const both = first.photo !== null && second.photo !== null;
  find('#comparison').hidden = !both;
  find('#compare-invitation').hidden = both;
  if (!both) return;
  const [a, b] = [first.photo.prediction, second.photo.prediction];
  find('#differences').replaceChildren(...differences(a, b).map((text) => make('li', {}, text)));
  find('#comparison-rows').replaceChildren(...comparisonRows(a, b));
  const scored = a.score !== null && b.score !== null;
  const series = [{ ...a, name: 'A' }, { ...b, name: 'B' }];
  find('#two-distributions').replaceChildren(...(scored ? [drawDistribution(series)] : []));
}

// Saving

function stem({ name }) {
  return name.replace(/\.[^.]*$/, '');
}

function savePicture() {
  first.canvas.toBlob((blob) => save(blob, `${stem(first.photo.file)}.${look.view}.png`));
}

function saveMap() {
  return attempt('Rendering the map…', async () => {
    const { file } = first.photo;
    save(await renderPicture(file, 'map&bits=16'), `${stem(file)}.map.png`);
    return 'The map is saved.';
  });
}

/** What the service said, without the map, which has a file of its own. */
function saveJson() {
  const { file, prediction } = first.photo;
  const answer = { name: file.name, prediction: { ...prediction, map: null }, regions, crops };
  const text = JSON.stringify(answer, null, 2);
  save(new Blob([text], { type: 'application/json' }), `${stem(file)}.json`);
}

// Wiring

const showPanel = makeTabs(find('[role=tablist]'), (id) => {
  panel = id;
  find('#workspace').dataset.panel = id;
  find('#frame-b').hidden = id !== 'compare';
  if (id === 'crops' && first.photo && !crops) findCrops();
  repaint(); // the frames have another size now
});

for (const name of COLOR_MAPS) {
  find('#colors').append(make('option', { value: name }, name[0].toUpperCase() + name.slice(1)));
}
find('#colors').addEventListener('change', (event) => {
  look.colors = event.target.value;
  repaint();
});
find('#views').addEventListener('change', (event) => {
  look.view = event.target.value;
  repaint();
});
find('#strength').addEventListener('input', (event) => {
  strengths[look.view] = Number(event.target.value);
  repaintSoon();
});
window.addEventListener('resize', repaintSoon);

find('#box-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const { x, y, width, height } = event.target.elements;
  editor.add([x, y, width, height].map(({ valueAsNumber }) => valueAsNumber));
});
find('#clear-boxes').addEventListener('click', () => editor.reset(editor.imageSize));
find('#crop-form').addEventListener('submit', (event) => {
  event.preventDefault();
  findCrops();
});
find('#save-overlay').addEventListener('click', savePicture);
find('#save-map').addEventListener('click', saveMap);
find('#save-json').addEventListener('click', saveJson);

choosePhotos(find('#first-photo'), find('#file-a'), takeFirst);
choosePhotos(find('#second-photo'), find('#file-b'), takeSecond);
find('#new-photo').addEventListener('click', () => find('#file-a').click());
find('#other-second').addEventListener('click', () => find('#file-b').click());
acceptPhotos({
  zones: [find('#drop-zone'), find('#second-zone'), find('#frame-a')],
  onPhoto: take,
  onNothing: showError,
});

showPanel('result');
attempt('Asking the server…', async () => {
  const { name, version, license, device, limits, metrics } = await readModel();
  maxBytes = limits.max_bytes;
  find('#model').textContent = `${name} ${version}, ${license}, on ${device}`;
  const agreement = metrics.oasis?.SRCC;
  if (agreement === undefined) return; // other weights, measured on something else
  find('#agreement').textContent =
    `On unseen photos its ranking agrees with theirs by ${agreement.toFixed(2)} of 1.`;
});
