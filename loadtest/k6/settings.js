// What a run is given: variables of the environment, and the file that `spike admin load-users` wrote.

import { SharedArray } from 'k6/data';

// A number from the environment, or its default; anything else stops the run before it starts.
function number(name, byDefault, least = 0) {
  const text = __ENV[name];
  if (text === undefined || text === '') return byDefault;
  const value = Number(text);
  if (!(value >= least)) throw new Error(`${name} is ${JSON.stringify(text)}; allowed: a number from ${least}`);
  return value;
}

// Seconds of each scenario.
export const DURATION_S = number('LOAD_DURATION_S', 30, 1);
// P95 of each scenario has to be below, in milliseconds.
export const P95_MS = number('LOAD_P95_MS', 200);
// Share of requests that may fail, and of the stated rate that the generator may fall short of.
export const ERRORS_MAX = 0.01;
export const DROPPED_MAX = number('LOAD_DROPPED_MAX', 0.01);
// Requests a second, whether or not earlier ones have been answered.
export const PER_S = {
  login: number('LOAD_LOGIN_PER_S', 20, 1),
  list: number('LOAD_LIST_PER_S', 500, 1),
  order: number('LOAD_ORDER_PER_S', 100, 1),
  spike: number('LOAD_SPIKE_PER_S', 1000, 1),
};

const FILE = __ENV.LOAD_USERS;
if (!FILE) throw new Error('LOAD_USERS is not set; allowed: the absolute path of a file from `spike admin load-users`');

// Read once and shared by all virtual users.
export const users = new SharedArray('users', () => JSON.parse(open(FILE)).users);
export const [shop] = new SharedArray('shop', () => {
  const { base, event, expires_at_ms, password, products } = JSON.parse(open(FILE));
  return [{ base: __ENV.LOAD_BASE || base, event, expires_at_ms, password, products }];
});

// The tokens have to outlive the run.
export function setup() {
  if (shop.expires_at_ms < Date.now() + DURATION_S * 1000) {
    throw new Error(`the tokens in ${FILE} expire during this run: make another file with \`spike admin load-users\``);
  }
}
