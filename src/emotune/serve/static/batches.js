// Labels for many messages: in batches, one after the other, with rows that the service refuses told apart.

import { ask } from "./service.js";
import { isBlank, whole } from "./show.js";

const wholly = (text) => (Array.isArray(text) ? text.map(whole) : whole(text));
const lengthOf = (text) => [text].flat().reduce((sum, side) => sum + side.length, 0);

/** Return why a text, or a pair of texts, cannot be labelled; null if it can be. */
function problemOf(text) {
  if (!Array.isArray(text)) return isBlank(text) ? "The message is blank." : null;
  if (text.length !== 2) return "This is no pair: two texts with a tab between them were expected.";
  return text.some(isBlank) ? "One of the two texts is blank." : null;
}

const BATCH = 32;
// Characters per batch, well below any limit on a request's body.
const BATCH_CHARACTERS = 100_000;
// Refusals of what was sent. Others concern the service or the key, and end the labelling.
const REFUSED = new Set([400, 413, 422]);

/**
 * Label texts, or pairs [first, second], and write into `found` one entry per text: a prediction, or { error }.
 *
 * Entries that are there already are kept, so that a stopped labelling goes on.
 */
export async function labelAll({ texts, found, model, calibrated, signal, onProgress }) {
  const path = `v1/models/${encodeURIComponent(model)}/predict`;
  const request = async (rows) => {
    const answer = await ask(path, { texts: rows.map((row) => wholly(texts[row])), calibrated }, signal);
    rows.forEach((row, place) => {
      found[row] = answer.predictions[place];
    });
  };
  const label = async (rows) => {
    try {
      await request(rows);
    } catch (error) {
      if (!REFUSED.has(error.status)) throw error;
      if (rows.length === 1) {
        found[rows[0]] = { error: error.message };
        return;
      }
      const half = rows.length >> 1;
      await label(rows.slice(0, half));
      await label(rows.slice(half));
    }
  };
  let batch = [];
  let characters = 0;
  let done = 0;
  for (let row = 0; row < texts.length; row += 1) {
    const problem = problemOf(texts[row]);
    if (found[row] !== undefined) {
      done += 1;
    } else if (problem !== null) {
      found[row] = { error: problem };
      done += 1;
    } else {
      batch.push(row);
      characters += lengthOf(texts[row]);
    }
    if (batch.length === BATCH || characters >= BATCH_CHARACTERS || (row === texts.length - 1 && batch.length)) {
      signal.throwIfAborted();
      await label(batch);
      done += batch.length;
      batch = [];
      characters = 0;
      onProgress(done);
    }
  }
  onProgress(done);
}
