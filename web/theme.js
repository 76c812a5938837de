// Light, dark, or the system's theme: the choice is kept in this browser. The colours are in style.css; this only names
// which of them to use.

const KEY = 'parlor.theme';
const ORDER = ['system', 'light', 'dark'];
const GROUND = { light: '#fbf8f2', dark: '#191815' };

/** The current choice: `system`, `light` or `dark`. */
export function theme() {
  let kept = null;
  try {
    kept = localStorage.getItem(KEY);
  } catch {
    // Storage can be forbidden; then the choice lasts as long as the page.
  }
  return ORDER.includes(kept) ? kept : document.documentElement.dataset.theme ?? 'system';
}

/** Switches to the next choice and returns it. */
export function nextTheme() {
  const next = ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length];
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // As above.
  }
  apply(next);
  return next;
}

function apply(choice) {
  document.documentElement.dataset.theme = choice;
  // The browser's bar on a phone follows the page's theme, not only the system's.
  for (const meta of document.querySelectorAll('meta[name="theme-color"]')) {
    meta.content = GROUND[choice] ?? GROUND[meta.media.includes('dark') ? 'dark' : 'light'];
  }
}

apply(theme());
