// The same as a server draws it.

import { createSSRApp } from 'vue';
import { renderToString } from 'vue/server-renderer';
import { parlor } from '../../../clients/js/src/vue.js';
import { Root } from './vue.mjs';

export const draw = (begin) => renderToString(createSSRApp(Root, { begin }).use(parlor, null));
