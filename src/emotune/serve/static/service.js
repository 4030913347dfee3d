// Requests to the service, its errors, and its key, which is held in memory only.

import { at } from "./show.js";

const TIMEOUT = 60_000;
const RETRIES = 5;

/** An error of the service: its message is meant for people. */
export class ServiceError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

let key = null;
let asking = null;

/** True while the service wants a key on every request. */
export const hasKey = () => key !== null;

/**
 * Ask the service, and return the parsed answer.
 *
 * Throws a ServiceError, or an AbortError if the signal was given.
 */
export async function ask(path, body, signal) {
  return (await fetched(path, body, signal)).json();
}

/** Return the service's response; a missing key is asked for, and a busy service is asked again. */
export async function fetched(path, body, signal) {
  for (let attempt = 0; ; attempt += 1) {
    const used = key;
    const response = await sent(path, body, signal);
    if (response.ok) return response;
    if (response.status === 401) {
      await newKey(used);
      signal?.throwIfAborted();
      continue;
    }
    if ((response.status === 429 || response.status === 503) && attempt < RETRIES) {
      await pause(1000 * Math.min(Number(response.headers.get("Retry-After")) || attempt + 1, 10), signal);
      continue;
    }
    throw new ServiceError(await reason(response), response.status);
  }
}

async function sent(path, body, signal) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key !== null) headers.Authorization = `Bearer ${key}`;
  const late = AbortSignal.timeout(TIMEOUT);
  const options = { headers, signal: signal ? AbortSignal.any([signal, late]) : late };
  if (body !== undefined) Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  try {
    return await fetch(path, options);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ServiceError(
      late.aborted
        ? `The service did not answer within ${TIMEOUT / 1000} seconds. It may be busy; try again.`
        : "The service cannot be reached. It may have been stopped; start it again, then try again.",
      0,
    );
  }
}

async function reason(response) {
  try {
    const { error } = await response.json();
    if (error?.message) return error.message;
  } catch {
    // Not JSON: an answer of a proxy, for example.
  }
  return `The service answered with status ${response.status}. Try again, or look into its log.`;
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** Ask for a key, unless another request did meanwhile. */
function newKey(used) {
  if (key !== used) return Promise.resolve();
  asking ??= dialog(used !== null).finally(() => {
    asking = null;
  });
  return asking;
}

function dialog(refused) {
  const box = at("key-dialog");
  const field = at("key");
  at("key-hint").textContent = refused
    ? "The service refused this key. Give another."
    : "It is kept in this page's memory until the page is closed.";
  field.value = "";
  box.returnValue = "";
  box.showModal();
  field.focus();
  at("key-cancel").onclick = () => box.close("");
  return new Promise((resolve, reject) => {
    box.onclose = () => {
      const given = field.value.trim();
      field.value = "";
      if (box.returnValue === "use" && given) {
        key = given;
        resolve();
      } else {
        reject(new ServiceError("This service needs a key. Try again, and give it when asked.", 401));
      }
    };
  });
}
