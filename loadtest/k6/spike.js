// Presses of buy in a running sale.

import { optionsOf } from './scenarios.js';

export { setup } from './settings.js';
export { spike } from './scenarios.js';
export const options = optionsOf('spike');
