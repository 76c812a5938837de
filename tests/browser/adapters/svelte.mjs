// What the tests of the adapters have in a page, in Svelte.

import * as svelte from 'svelte';
import Root from './Root.svelte';
import SampleRoot from './SampleRoot.svelte';

/** Draws it; `isDrawn`: a server has drawn it. Returns what takes it away. */
export function mount(client, begin, isDrawn = false) {
  return put(Root, { client, begin }, isDrawn);
}

/** The component that stands in the README. */
export function mountSample(client, name) {
  put(SampleRoot, { client, name }, false);
}

function put(Component, props, isDrawn) {
  const how = { target: document.getElementById('root'), props };
  // Svelte 4 has classes.
  if (!svelte.mount) {
    const root = new Component({ ...how, hydrate: isDrawn });
    return () => root.$destroy();
  }
  const root = (isDrawn ? svelte.hydrate : svelte.mount)(Component, how);
  return () => svelte.unmount(root);
}
