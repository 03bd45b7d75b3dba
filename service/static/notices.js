/** What the page says of its state: busy, done, failed, key wanted. */
import { ApiError, rememberKey } from './api.js';
import { find } from './dom.js';

const PATIENCE_MS = 2000; // an answer that comes sooner needs no clock

/** @type {Set<{text: string, started: number}>} what is under way, the newest last */
const tasks = new Set();

/** @type {string[]} how the tasks of late ended: what ends beside others is not lost */
let endings = [];

/** @type {Map<string, () => Promise<string | void>>} what goes on once there is a key, by its text */
const refused = new Map();

/**
 * Do `work`; say what is going on, how it ended or why it failed. Where a key is wanted, ask for it
 * and do the work again.
 *
 * @param {string} text what is going on
 * @param {() => Promise<string | void>} work returns how it ended
 */
export async function attempt(text, work) {
  const task = { text, started: Date.now() };
  find('#error').hidden = true;
  find('#key-form').hidden = refused.size === 0;
  if (tasks.size === 0) endings = [];
  tasks.add(task);
  say();
  try {
    const ending = await work();
    if (ending) endings.push(ending);
  } catch (error) {
    // An abort means that something newer has begun, which speaks for itself.
    if (error instanceof ApiError && error.status === 401) askForKey(error.message, text, work);
    else if (error.name !== 'AbortError') showError(error.message);
  } finally {
    tasks.delete(task);
    say();
  }
}

/** @param {string} text */
export function showError(text) {
  find('#error').hidden = false;
  find('#error p').textContent = text;
}

/** Say what is under way, or else how it ended, which only screen readers need to hear. */
function say() {
  const task = [...tasks].at(-1);
  find('#status').classList.toggle('busy', task !== undefined);
  find('#status .text').textContent = task?.text ?? endings.join(' ');
  showClock();
}

function showClock() {
  const task = [...tasks].at(-1);
  const waited = task ? Date.now() - task.started : 0;
  find('#status .elapsed').textContent =
    waited < PATIENCE_MS ? '' : `${Math.round(waited / 1000)} s`;
}

function askForKey(reason, text, work) {
  const form = find('#key-form');
  if (find('#key').value) showError(reason); // of the key that was just given
  refused.set(text, work);
  form.hidden = false;
  form.onsubmit = (event) => {
    event.preventDefault();
    rememberKey(find('#key').value);
    const waiting = [...refused];
    refused.clear();
    for (const [text, work] of waiting) attempt(text, work);
  };
  find('#key').focus();
}

export function hideError() {
  find('#error').hidden = true;
}

setInterval(showClock, 500);
find('#error button').addEventListener('click', hideError);
document.addEventListener('keydown', ({ key }) => {
  if (key === 'Escape') hideError();
});
