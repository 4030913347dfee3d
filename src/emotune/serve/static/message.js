// One message: its probabilities while it is typed, the base model's beside them, and the words that count.

import { ask } from "./service.js";
import { BETWEEN, SEPARATOR, at, count, counted, debounced, element, isBlank, kept, percent, topLabel, whole } from "./show.js";

const PAUSE = 180;
const PAUSE_FOR_WORDS = 250;
const LONGEST_EXPLAINED = 2000;
// With more labels than this, the most probable ones come first and the others are folded away.
const MOST_IN_ORDER = 12;
const FOLDED_TO = 10;
const WORDS_NAMED = 3;
const LEAST_MARK = 0.05;
const STRONGEST_MARK = 0.55;

/** Return a word without the punctuation around it. */
const bare = (word) => word.replace(/^\p{P}+|\p{P}+$/gu, "") || word;

export class MessagePanel {
  /**
   * @param settings What the page has chosen: model, least, calibrated, compare, explain.
   * @param problem Shows an error, or hides it if null, with a function that tries again.
   */
  constructor(settings, problem) {
    this.settings = settings;
    this.problem = problem;
    this.rows = new Map();
    this.prediction = null;
    this.before = null;
    this.chosen = null;
    this.unfolded = false;
    this.asked = {};
    this.field = at("message");
    for (const field of [this.field, at("second")]) field.addEventListener("input", () => this.changed());
    this.predictSoon = debounced(PAUSE, () => this.predict());
    this.wordsSoon = debounced(PAUSE_FOR_WORDS, () => this.explain());
    this.saySoon = debounced(700, () => this.say());
    at("more").firstElementChild.addEventListener("click", () => {
      this.unfolded = !this.unfolded;
      this.order();
    });
  }

  get pairs() {
    return this.settings.model?.pairs ?? false;
  }

  /** The fields: one, or two for a model of pairs. */
  get fields() {
    return this.pairs ? [this.field, at("second")] : [this.field];
  }

  /** The texts of the fields. */
  get sides() {
    return this.fields.map((field) => whole(field.value));
  }

  /** The message as one text, which tells it from others. */
  get text() {
    return this.sides.join(SEPARATOR);
  }

  /** True until every field holds something. */
  get blank() {
    return this.sides.some(isBlank);
  }

  /** The message as the page's own routes take it. */
  get question() {
    const [text, second] = this.sides;
    return this.pairs ? { text, text_pair: second } : { text };
  }

  /** Start again for another model. */
  reset() {
    for (const controller of Object.values(this.asked)) controller.abort();
    this.prediction = this.before = this.chosen = null;
    this.unfolded = false;
    this.rows.clear();
    at("second-side").hidden = !this.pairs;
    at("message-label").textContent = this.pairs ? "First text" : "Message";
    this.field.placeholder = this.pairs ? "The first text" : "Type or paste a message";
    at("bars").querySelectorAll(".bar").forEach((bar) => bar.remove());
    for (const label of this.settings.model.labels) this.addRow(label);
    this.showNothing(); // no number of one model under the name of another
    this.changed();
  }

  showExamples(examples) {
    const holder = at("examples");
    holder.querySelectorAll("button").forEach((button) => button.remove());
    for (const example of examples) {
      const button = element("button", "", example.join(BETWEEN));
      button.type = "button";
      button.dir = "auto";
      button.addEventListener("click", () => {
        this.fields.forEach((field, side) => {
          field.value = example[side];
        });
        this.field.focus();
        this.changed();
      });
      holder.append(button);
    }
    this.hideExamples();
  }

  addRow(label) {
    const radio = element("input", "visually-hidden");
    Object.assign(radio, { type: "radio", name: "explained", value: label });
    radio.addEventListener("change", () => {
      this.chosen = label;
      this.explain();
    });
    const name = element("span", "name", label);
    name.dir = "auto";
    const first = element("span", "fill first");
    const second = element("span", "fill second");
    const track = element("span", "track", first, second);
    track.setAttribute("aria-hidden", "true");
    const before = element("span", "before");
    const after = element("span", "after");
    const bar = element("label", "bar", radio, name, track, element("span", "figures", before, after));
    at("bars").append(bar);
    this.rows.set(label, { bar, radio, first, second, before, after });
  }

  hideExamples() {
    at("examples").hidden = !this.sides.every(isBlank) || at("examples").children.length < 2;
  }

  changed() {
    this.chosen = null;
    this.hideExamples();
    if (!at("words").hidden) this.busy("words", true); // they are of the earlier message
    if (this.blank) {
      for (const controller of Object.values(this.asked)) controller.abort();
      this.prediction = this.before = null;
      this.showNothing();
      return;
    }
    this.predictSoon();
  }

  /** Ask one kind of question; an earlier one of its kind is given up. Returns null if a later one came. */
  async ask(kind, path, body) {
    this.asked[kind]?.abort();
    const controller = new AbortController();
    this.asked[kind] = controller;
    const slow = setTimeout(() => this.busy(kind, true), 400);
    try {
      const answer = await ask(path, body, controller.signal);
      return this.asked[kind] === controller && !controller.signal.aborted ? answer : null;
    } catch (error) {
      if (controller.signal.aborted) return null;
      throw error;
    } finally {
      clearTimeout(slow);
      if (this.asked[kind] === controller) this.busy(kind, false);
    }
  }

  busy(kind, on) {
    at(kind === "words" ? "words" : "result").setAttribute("aria-busy", String(on));
  }

  /** Ask again, since the settings have changed; what is shown is dimmed until the answer comes. */
  again() {
    this.busy("prediction", this.prediction !== null);
    this.predict();
  }

  /** Ask for everything about the message that the settings want. */
  async predict() {
    const { text, sides } = this;
    if (this.blank || !this.settings.model) return;
    const path = `v1/models/${encodeURIComponent(this.settings.model.name)}/predict`;
    if (this.settings.compare) this.compare();
    try {
      const answer = await this.ask("prediction", path, { texts: [this.pairs ? sides : text], calibrated: this.settings.calibrated });
      if (answer === null) return;
      this.prediction = { ...answer.predictions[0], text };
      this.problem(null);
      this.show();
      this.wordsSoon();
    } catch (error) {
      this.failed(error, () => this.predict());
    }
  }

  async compare() {
    const { text, question } = this;
    if (this.blank) return;
    try {
      const answer = await this.ask("before", `page/${encodeURIComponent(this.settings.model.name)}/base`, question);
      if (answer === null) return;
      this.before = { ...answer, text };
    } catch (error) {
      this.before = null;
      if (error.status !== 409) this.failed(error, () => this.compare());
      else this.note(error.message);
    }
    this.show();
  }

  note(message) {
    at("chance").textContent = message ?? "";
    at("chance").hidden = !message;
  }

  failed(error, again) {
    at("result").removeAttribute("aria-busy");
    this.problem(error, again);
  }

  show() {
    const { prediction, before, settings } = this;
    if (prediction === null) return;
    const { probabilities } = prediction;
    const labels = kept(prediction, settings.least);
    const top = topLabel(probabilities);
    const named = labels.length ? labels : [top];
    at("result").className = "";
    at("verdict").classList.toggle("none", labels.length === 0);
    at("label").textContent = labels.length ? labels.join(", ") : "no label";
    at("share").textContent = labels.length === 1 ? percent(probabilities[labels[0]]) : "";
    at("unsure").hidden = labels.length > 0;
    at("unsure").textContent = `The most probable, ${top}, has ${percent(probabilities[top])}.`;
    at("cut").hidden = !prediction.truncated;
    const limit = counted(settings.model.max_length, "token");
    at("cut").textContent = this.pairs
      ? `The two texts are longer than the model reads: the longer one was cut, to ${limit} of both.`
      : `The message is longer than the model reads: it was cut to ${limit}.`;
    const compared = settings.compare && before !== null;
    // Both sides are of the same message, or the base model's is left empty until its answer comes.
    const both = compared && before.text === prediction.text;
    for (const [label, row] of this.rows) {
      row.second.style.width = `${100 * probabilities[label]}%`;
      row.after.textContent = percent(probabilities[label]);
      row.first.style.width = both ? `${100 * before.probabilities[label]}%` : "0";
      row.before.textContent = both ? percent(before.probabilities[label]) : compared ? "…" : "";
      row.bar.classList.toggle("top", labels.includes(label));
      row.radio.disabled = !settings.explain;
      row.radio.checked = settings.explain && label === (this.chosen ?? named[0]);
    }
    const bars = at("bars").classList;
    bars.toggle("compared", compared);
    bars.toggle("plain", !settings.explain);
    bars.toggle("limited", settings.least > 0);
    at("bars").style.setProperty("--least", `${100 * settings.least}%`);
    at("legend").hidden = !compared;
    if (compared) {
      at("before").textContent = `before tuning: ${before.name}`;
      this.note(
        before.is_chance
          ? "The base model has no trained head for these labels: its head is random numbers, so its probabilities are chance. They say nothing about the message."
          : settings.calibrated && "The base model's probabilities are plain: its temperature was not fitted.",
      );
    } else if (!settings.compare) this.note(null);
    this.order();
    this.saySoon();
  }

  /** Keep the labels' own order if they are few; else show the most probable ones. */
  order() {
    const labels = [...this.rows.keys()];
    const folds = labels.length > MOST_IN_ORDER;
    at("more").hidden = !folds;
    if (!folds || this.prediction === null) return;
    const { probabilities } = this.prediction;
    const sorted = labels.sort((one, other) => probabilities[other] - probabilities[one]);
    const inside = at("bars").contains(document.activeElement);
    sorted.forEach((label, place) => {
      const { bar } = this.rows.get(label);
      bar.hidden = !this.unfolded && place >= FOLDED_TO;
      if (!inside) at("bars").append(bar);
    });
    at("more").firstElementChild.textContent = this.unfolded ? "Show fewer labels" : `Show all ${count(labels.length)} labels`;
  }

  /** Show which labels there are, and no message's probabilities. */
  showNothing() {
    at("result").className = "empty";
    at("result").removeAttribute("aria-busy");
    at("words").hidden = at("legend").hidden = at("cut").hidden = true;
    at("label").textContent = at("share").textContent = "";
    at("bars").className = "plain";
    this.note(null);
    [...this.rows.values()].forEach((row, place) => {
      row.first.style.width = row.second.style.width = "0";
      row.before.textContent = row.after.textContent = "";
      row.bar.classList.remove("top");
      row.bar.hidden = this.rows.size > MOST_IN_ORDER && place >= FOLDED_TO;
      row.radio.disabled = true;
      row.radio.checked = false;
    });
    this.saySoon();
  }

  say() {
    if (this.prediction === null) {
      at("said").textContent = "";
      return;
    }
    const share = at("share").textContent;
    at("said").textContent = at("unsure").hidden ? `${at("label").textContent} ${share}` : `No label. ${at("unsure").textContent}`;
  }

  async explain() {
    const { text, settings, question } = this;
    const holder = at("words");
    if (!settings.explain || this.blank) {
      holder.hidden = true;
      return;
    }
    if (this.prediction?.text !== text) return; // the prediction of this message will ask again
    const label = this.chosen ?? kept(this.prediction, settings.least)[0] ?? topLabel(this.prediction.probabilities);
    if (text.length > LONGEST_EXPLAINED) {
      this.showWords([], `Words are weighed in messages of up to ${count(LONGEST_EXPLAINED)} characters; this one has ${count(text.length)}.`);
      return;
    }
    try {
      const answer = await this.ask("words", `page/${encodeURIComponent(settings.model.name)}/words`, { ...question, label });
      if (answer === null || this.text !== text) return;
      if (answer.words === null) {
        this.showWords([], "This model's tokenizer does not tell which word a token belongs to, so words cannot be weighed.");
        return;
      }
      const named = answer.words.filter((word) => word.weight >= LEAST_MARK).sort((one, other) => other.weight - one.weight);
      const most = named.slice(0, WORDS_NAMED).map((word) => bare(word.text));
      this.showWords(
        answer.words,
        most.length ? `The stronger its mark, the more a word counted for ${label}. Most: ${most.join(", ")}.` : `No word counted for ${label}.`,
      );
    } catch (error) {
      if (error.status === 409) this.showWords([], error.message);
      else this.failed(error, () => this.explain());
    }
  }

  showWords(words, caption) {
    const pieces = words.flatMap(({ gap, text, weight }) => {
      if (this.pairs && text === SEPARATOR) return [BETWEEN.trimEnd()];
      if (weight < LEAST_MARK) return [gap, text];
      const mark = element("mark", "", text);
      mark.style.setProperty("--weight", (STRONGEST_MARK * weight).toFixed(3));
      return [gap, mark];
    });
    at("marked").replaceChildren(...pieces);
    at("marked").hidden = words.length === 0;
    at("caption").textContent = caption;
    at("words").hidden = false;
  }
}
