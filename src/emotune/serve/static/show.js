// Small helpers for showing text. Text from models and messages goes into the page as text only, never as HTML.

export const at = (id) => document.getElementById(id);

/** Return a new element with a class and children; strings become text. */
export function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** Return a probability as a percentage that never says 0 or 100 for what is not. */
export function percent(share) {
  if (share > 0 && share < 0.0005) return "<\u00a00.1\u00a0%";
  if (share < 1 && share >= 0.9995) return ">\u00a099.9\u00a0%";
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

const numbers = new Intl.NumberFormat("en");
export const count = (number) => numbers.format(number);
export const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/** Return the labels whose probability reaches a threshold: one or none, or several where a task allows that. */
export function kept(prediction, least) {
  const given = Array.isArray(prediction.label) ? prediction.label : prediction.label === null ? [] : [prediction.label];
  return given.filter((label) => prediction.probabilities[label] >= least);
}

/** Return the most probable label. */
export function topLabel(probabilities) {
  return Object.keys(probabilities).reduce((best, label) => (probabilities[label] > probabilities[best] ? label : best));
}

/** Return a function that runs another once calls of it have stopped for some milliseconds. */
export function debounced(milliseconds, run) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...values), milliseconds);
  };
}

// As the service counts it: white space, and characters without width.
const BLANK = /^[\s\u001c-\u001f\u0085\u00ad\u200b-\u200f\u2060-\u2064\ufeff]*$/;
export const isBlank = (text) => BLANK.test(text);

/** The sign between the texts of a pair in the service's answers. Few fonts have it. */
export const SEPARATOR = "\u241f";
/** What stands between them on the page. */
export const BETWEEN = " | ";

/** Return text without halves of characters, which no JSON parser has to accept. */
export const whole = (text) => (text.toWellFormed ? text.toWellFormed() : text);
