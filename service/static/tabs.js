/** Tabs as the ARIA practices describe them: arrow keys choose, Tab goes on into the panel. */

/**
 * @param {HTMLElement} list with `role="tablist"`
 * @param {(id: string) => void} onChange with the id of the panel now shown
 * @returns {(id: string) => void} shows a panel
 */
export function makeTabs(list, onChange) {
  const tabs = [...list.querySelectorAll('[role=tab]')];
  const panelOf = (tab) => tab.getAttribute('aria-controls');
  const choose = (chosen) => {
    for (const tab of tabs) {
      tab.setAttribute('aria-selected', String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      document.getElementById(panelOf(tab)).hidden = tab !== chosen;
    }
    onChange(panelOf(chosen));
  };
  list.addEventListener('click', (event) => {
    const tab = event.target.closest('[role=tab]');
    if (tab) choose(tab);
  });
  list.addEventListener('keydown', (event) => {
    const now = tabs.indexOf(document.activeElement);
    const next = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: -1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const tab = tabs.at(next % tabs.length);
    tab.focus();
    choose(tab);
  });
  return (id) => choose(tabs.find((tab) => panelOf(tab) === id));
}
