// The four scenarios: what each one sends, which answers are right, how often, and what makes a run fail.
//
// The arrival rate is constant: a slow answer does not slow the next request down, as people do not wait for each other.

import { check } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter } from 'k6/metrics';

import { DROPPED_MAX, DURATION_S, ERRORS_MAX, P95_MS, PER_S, shop, users } from './settings.js';

// Answers 202 of the sale.
const accepted = new Counter('spike_accepted');
// With the number of the iteration it makes a key that no other run uses.
const RUN = Math.random().toString(36).slice(2);
const JSON_BODY = { 'Content-Type': 'application/json' };

// k6's options for these scenarios at once. Exit code 99 when a threshold is missed.
export function optionsOf(...names) {
  const each = (make) => Object.assign({}, ...names.map(make));
  return {
    scenarios: each((name) => ({ [name]: arrivals(name) })),
    thresholds: each(thresholds),
    summaryTrendStats: ['min', 'med', 'avg', 'p(95)', 'p(99)', 'max'],
  };
}

function arrivals(name) {
  // Little's law: so many requests are under way when each one takes just the P95 that is allowed; then five times that.
  const underWay = Math.ceil(PER_S[name] * 0.2) + 1;
  return {
    executor: 'constant-arrival-rate',
    exec: name,
    rate: PER_S[name],
    timeUnit: '1s',
    duration: `${DURATION_S}s`,
    preAllocatedVUs: underWay,
    maxVUs: 5 * underWay,
  };
}

function thresholds(name) {
  const dropped = Math.floor(PER_S[name] * DURATION_S * DROPPED_MAX);
  const of = {
    [`http_req_duration{scenario:${name}}`]: [`p(95)<${P95_MS}`],
    [`http_req_failed{scenario:${name}}`]: [`rate<${ERRORS_MAX}`],
    [`checks{scenario:${name}}`]: [`rate>${1 - ERRORS_MAX}`],
    // Requests that the generator owed and did not send: then the rate was not the stated one.
    [`dropped_iterations{scenario:${name}}`]: [`count<=${dropped}`],
  };
  // Nobody got a unit: the file's users have all bought before, and nothing was measured but refusals.
  return name === 'spike' ? { ...of, spike_accepted: ['count>0'] } : of;
}

// Each user logs in in turn.
export function login() {
  const user = next();
  const body = JSON.stringify({ email: user.email, password: shop.password });
  const answer = http.post(`${shop.base}/auth/login`, body, expecting([200], JSON_BODY));
  check(answer, {
    'login: 200': (r) => r.status === 200,
    'login: the session is the user\'s': (r) => r.status === 200 && r.json('data.user.id') === user.id,
  });
}

// The first page of the catalogue, as a visitor sees it.
export function list() {
  const answer = http.get(`${shop.base}/products?page=1&page_size=20`, expecting([200], {}));
  check(answer, {
    'list: 200': (r) => r.status === 200,
    'list: there are products': (r) => r.status === 200 && r.json('data.items').length > 0,
  });
}

// One unit of one product; there is stock for all.
export function order() {
  const [user, at] = [next(), exec.scenario.iterationInTest];
  const product = shop.products[at % shop.products.length];
  const body = JSON.stringify({ items: [{ product_id: product.id, quantity: 1 }] });
  const headers = { ...JSON_BODY, ...bearer(user), 'Idempotency-Key': `${RUN}-${at}` };
  const answer = http.post(`${shop.base}/orders`, body, expecting([201], headers));
  check(answer, {
    'order: 201': (r) => r.status === 201,
    'order: the price is the product\'s': (r) =>
      r.status === 201 && r.json('data.amount.minor') === product.price.minor,
  });
}

// A press of buy. Sold out and already bought are answers that a sale has to give; 429 and 503 are not.
export function spike() {
  const answer = http.post(`${shop.base}/spike/events/${shop.event}/orders`, null, expecting([202, 409], bearer(next())));
  if (answer.status === 202) accepted.add(1);
  check(answer, {
    'spike: 202, or 409 sold-out or already-bought': (r) =>
      r.status === 202 || (r.status === 409 && ['sold-out', 'already-bought'].includes(r.json('reason'))),
  });
}

// The next user of this scenario; after the last one the first again.
function next() {
  return users[exec.scenario.iterationInTest % users.length];
}

function bearer(user) {
  return { Authorization: `Bearer ${user.token}` };
}

// Any other status counts in http_req_failed.
function expecting(statuses, headers) {
  return { headers, responseCallback: http.expectedStatuses(...statuses) };
}
