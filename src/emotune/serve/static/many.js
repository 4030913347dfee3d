// Many messages: pasted lines or a file, a table of their labels, and the table as a CSV file.

import { labelAll } from "./batches.js";
import { FileError, decoded, lines, readFile, write } from "./csv.js";
import { BETWEEN, at, count, counted, element, isBlank, kept, percent } from "./show.js";

const LARGEST_FILE = 20_000_000;
const MOST_ROWS = 100_000;
// Rows of the table at a time; fewer where the settings are below the table.
const SHOWN = matchMedia("(max-width: 52rem)").matches ? 25 : 100;
const PREVIEWED = 3;

export class ManyPanel {
  /** @param settings, problem As for the panel of one message. */
  constructor(settings, problem) {
    this.settings = settings;
    this.problem = problem;
    this.file = null;
    this.job = null;
    this.hadPairs = false;
    this.shown = SHOWN;
    at("lines").addEventListener("input", () => this.inputChanged());
    at("choose").addEventListener("click", () => at("file").click());
    at("file").addEventListener("change", () => this.open(at("file").files[0]));
    at("remove").addEventListener("click", () => this.remove());
    for (const id of ["column", "column-pair"]) at(id).addEventListener("change", () => this.inputChanged());
    at("header").addEventListener("change", () => this.headerChanged());
    at("start").addEventListener("click", () => this.start());
    at("cancel").addEventListener("click", () => this.controller.abort());
    at("download").addEventListener("click", () => this.download());
    at("rest").firstElementChild.addEventListener("click", () => this.showMore());
    this.acceptDrops();
    this.inputChanged();
  }

  acceptDrops() {
    const panel = at("many");
    const over = (on) => at("drop").classList.toggle("over", on);
    // Anywhere on the page, so that a file dropped beside the field does not replace the page.
    for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
    panel.addEventListener("dragover", (event) => over(event.dataTransfer.types.includes("Files")));
    panel.addEventListener("dragleave", (event) => panel.contains(event.relatedTarget) || over(false));
    panel.addEventListener("drop", (event) => {
      over(false);
      const [file] = event.dataTransfer.files;
      if (file) this.open(file);
    });
  }

  async open(file) {
    at("file").value = "";
    if (!file || this.controller) return;
    try {
      if (file.size > LARGEST_FILE) {
        throw new FileError(`${file.name} has ${count(Math.ceil(file.size / 1e6))} MB; this page takes ${LARGEST_FILE / 1e6}. Use emotune predict for larger files.`);
      }
      const { rows, separator } = readFile(file.name, decoded(await file.arrayBuffer()));
      if (!rows.some((row) => row.some((cell) => !isBlank(cell)))) throw new FileError(`${file.name} holds no messages.`);
      const width = rows.reduce((most, row) => Math.max(most, row.length), 0);
      this.file = { name: file.name, rows, width, uneven: rows.filter((row) => row.length !== rows[0].length).length };
      const names = rows[0].map((cell) => cell.trim().toLowerCase());
      at("header").checked = separator !== null && (width > 1 || this.textColumns.includes(names[0]));
      this.problem(null);
      this.headerChanged();
      at("paste").hidden = true;
      at("opened").hidden = false;
      at("column").focus();
    } catch (error) {
      if (!(error instanceof FileError) && error.name !== "NotReadableError") throw error;
      this.problem(error instanceof FileError ? error : new Error(`${file.name} cannot be read. Choose it again.`));
    }
  }

  get pairs() {
    return this.settings.model?.pairs ?? false;
  }

  get textColumns() {
    return this.settings.facts?.text_columns ?? ["text"];
  }

  /** Names of the columns of both texts: those that a model of pairs was trained on. */
  get pairColumns() {
    return this.settings.facts?.pair_columns ?? [];
  }

  /** Show what another model needs; a model of pairs takes the columns that it was trained on. */
  modelChanged() {
    const again = this.pairs || this.hadPairs;
    this.hadPairs = this.pairs;
    at("second-column").hidden = !this.pairs;
    at("column-label").textContent = this.pairs ? "Column of the first texts" : "Column of the messages";
    at("lines-label").textContent = this.pairs ? "Pairs, one per line, with a tab between the two texts" : "Messages, one per line";
    if (this.controller) return;
    if (this.file !== null && again) this.headerChanged();
    else this.inputChanged();
  }

  remove() {
    this.file = null;
    at("paste").hidden = false;
    at("opened").hidden = true;
    this.inputChanged();
    at("lines").focus();
  }

  /** Names of the file's columns. */
  get names() {
    const { rows, width } = this.file;
    const first = at("header").checked ? rows[0] : [];
    return Array.from({ length: width }, (_, column) => first[column]?.trim() || (width === 1 ? "text" : `column ${column + 1}`));
  }

  headerChanged() {
    const { names } = this;
    const lower = names.map((name) => name.toLowerCase());
    const wanted = this.pairs ? this.pairColumns.slice(0, 1) : this.textColumns;
    const known = wanted.map((name) => lower.indexOf(name.toLowerCase())).find((place) => place >= 0);
    const chosen = known ?? (this.pairs ? 0 : longestColumn(this.file.rows.slice(0, 50), names.length));
    const second = lower.indexOf(this.pairColumns[1]?.toLowerCase());
    this.offer("column", names, chosen);
    this.offer("column-pair", names, second >= 0 ? second : Math.min(chosen + 1, names.length - 1));
    const { uneven, rows } = this.file;
    at("file-note").hidden = uneven === 0;
    at("file-note").textContent = `${counted(uneven, "row")} of ${count(rows.length)} ${uneven === 1 ? "has" : "have"} another number of cells than the first; missing cells are taken as empty.`;
    this.inputChanged();
  }

  /** Fill a list of columns, with one chosen. */
  offer(id, names, chosen) {
    at(id).replaceChildren(...names.map((name, place) => new Option(name, place, place === chosen, place === chosen)));
  }

  /** What is to be labelled: names of columns, rows, and the messages among their cells. */
  get input() {
    if (this.file === null) {
      const given = lines(at("lines").value).filter((line) => !isBlank(line));
      if (this.pairs) {
        const rows = given.map((line) => line.split("\t"));
        return { name: "pairs", names: ["text", "text_pair"], rows, texts: rows };
      }
      return { name: "messages", names: ["text"], rows: given.map((line) => [line]), texts: given };
    }
    const { columns } = this;
    const rows = this.file.rows.slice(at("header").checked ? 1 : 0);
    return { name: this.file.name.replace(/\.[^.]*$/, ""), names: this.names, rows, texts: rows.map((row) => this.textOf(row, columns)) };
  }

  /** Numbers of the columns of the texts: one, or two for a model of pairs. */
  get columns() {
    return (this.pairs ? ["column", "column-pair"] : ["column"]).map((id) => Number(at(id).value));
  }

  textOf(row, columns) {
    const cells = columns.map((column) => row[column] ?? "");
    return this.pairs ? cells : cells[0];
  }

  inputChanged() {
    const { texts } = this.input;
    if (this.file !== null) this.preview();
    const start = at("start");
    start.textContent = texts.length ? `Label ${counted(texts.length, "message")}` : "Label the messages";
    start.disabled = texts.length === 0 || texts.length > MOST_ROWS;
    at("many-said").textContent =
      texts.length > MOST_ROWS ? `This page labels up to ${count(MOST_ROWS)} messages at a time; these are ${count(texts.length)}. Use emotune predict for more.` : "";
  }

  preview() {
    const { names, rows } = this.input;
    const chosen = this.columns;
    at("file-name").textContent = this.file.name;
    at("file-rows").textContent = counted(rows.length, "row");
    const marked = (made, place) => {
      if (chosen.includes(place)) made.classList.add("chosen");
      made.dir = "auto";
      return made;
    };
    const head = element("tr", "", ...names.map((name, place) => Object.assign(marked(element("th", "", name), place), { scope: "col" })));
    const body = rows.slice(0, PREVIEWED).map((row) => element("tr", "", ...names.map((_, place) => marked(element("td", "", shortened(row[place] ?? "")), place))));
    at("preview").replaceChildren(element("thead", "", head), element("tbody", "", ...body));
  }

  async start() {
    const { model, calibrated } = this.settings;
    if (this.controller || !model) return;
    const { input } = this;
    const goesOn = this.job?.stopped && this.job.key === JSON.stringify([model.name, calibrated, input.texts]);
    if (!goesOn) {
      this.job = { ...input, model, calibrated, found: [], key: JSON.stringify([model.name, calibrated, input.texts]) };
    }
    const { job } = this;
    job.stopped = false;
    this.controller = new AbortController();
    this.running(true);
    const started = performance.now();
    const before = job.found.filter(Boolean).length;
    at("progress").max = job.texts.length;
    at("progress").value = before;
    at("many-said").textContent = `Labelling ${counted(job.texts.length, "message")} …`;
    this.problem(null);
    try {
      await labelAll({
        ...job,
        model: model.name,
        signal: this.controller.signal,
        onProgress: (done) => {
          at("progress").value = done;
          const seconds = (performance.now() - started) / 1000;
          const rate = (done - before) / seconds;
          at("rate").textContent = `${count(done)} of ${count(job.texts.length)}, ${count(Math.round(rate))} per second`;
        },
      });
    } catch (error) {
      job.stopped = true;
      if (!this.controller.signal.aborted) this.problem(error, () => this.start());
    } finally {
      this.controller = null;
      this.running(false);
    }
    this.shown = SHOWN;
    this.show();
    if (job.stopped) at("start").textContent = "Go on";
  }

  running(on) {
    at("running").hidden = !on;
    at("cancel").hidden = !on;
    at("start").disabled = on;
    for (const id of ["lines", "choose", "remove", "column", "column-pair", "header"]) at(id).disabled = on;
    if (on) at("cancel").focus();
    else at("start").focus();
    at("rate").textContent = "";
  }

  /** Return the labels of a row for people and files; "" where there is none. */
  labelOf(found) {
    return found.error ? "" : kept(found, this.settings.least).join(", ");
  }

  /** Show the result under the current threshold. */
  show() {
    if (this.job === null || this.controller) return;
    const { job } = this;
    const rows = job.found.map((found, place) => ({ found, place })).filter(({ found }) => found);
    const failed = rows.filter(({ found }) => found.error);
    const cut = rows.filter(({ found }) => found.truncated).length;
    const unlabelled = rows.length - failed.length - rows.filter(({ found }) => !found.error && this.labelOf(found)).length;
    const parts = [`${counted(rows.length - failed.length, "message")} labelled${job.stopped ? `, ${count(job.texts.length - rows.length)} not yet` : ""}.`];
    if (unlabelled) parts.push(`${count(unlabelled)} of them ${unlabelled === 1 ? "has" : "have"} no label${this.settings.least ? `, being less probable than ${Math.round(100 * this.settings.least)}\u00a0%` : ""}.`);
    if (cut) parts.push(`${counted(cut, "message")} cut to ${count(job.model.max_length)} tokens.`);
    if (failed.length) parts.push(`Left out: ${counted(failed.length, "message")}; ${failed.length === 1 ? "its row says" : "their rows say"} why.`);
    at("many-said").textContent = parts.join(" ");
    at("labelled").hidden = rows.length === 0;
    at("made-by").textContent = `${job.model.name}, ${job.calibrated ? "calibrated" : "plain"} probabilities`;
    this.showShares(rows.filter(({ found }) => !found.error));
    this.rowsShown = rows;
    at("table").tBodies[0].replaceChildren();
    const most = this.shown;
    this.shown = 0;
    this.showMore(most);
  }

  showShares(rows) {
    const shares = new Map(this.job.model.labels.map((label) => [label, 0]));
    let none = 0;
    for (const { found } of rows) {
      const labels = kept(found, this.settings.least);
      if (!labels.length) none += 1;
      for (const label of labels) shares.set(label, (shares.get(label) ?? 0) + 1);
    }
    const most = Math.max(none, ...shares.values());
    const line = (name, number, className) => {
      const fill = element("div", "fill");
      fill.style.width = `${most ? (100 * number) / most : 0}%`;
      const head = Object.assign(element("th", "", name), { scope: "row", dir: "auto" });
      return element("tr", className, head, element("td", "", fill), element("td", "", `${count(number)} (${percent(rows.length ? number / rows.length : 0)})`));
    };
    const found = [...shares].filter(([, number]) => number > 0 || shares.size <= 12).map(([label, number]) => line(label, number, ""));
    if (none) found.push(line("no label", none, "none"));
    at("shares").tBodies[0].replaceChildren(...found);
  }

  showMore(more = SHOWN) {
    const rows = this.rowsShown.slice(this.shown, this.shown + more);
    this.shown += rows.length;
    at("table").tBodies[0].append(
      ...rows.map(({ found, place }) => {
        const text = Object.assign(element("td", "", shortened([this.job.texts[place]].flat().join(BETWEEN), 500)), { dir: "auto" });
        if (found.error) return element("tr", "", text, Object.assign(element("td", "unlabelled", found.error), { colSpan: 2 }));
        const label = this.labelOf(found);
        return element("tr", "", text, Object.assign(element("td", label ? "" : "unlabelled", label || "no label"), { dir: "auto" }), element("td", "", percent(found.probability)));
      }),
    );
    const left = this.rowsShown.length - this.shown;
    at("rest").hidden = left <= 0;
    at("rest").firstElementChild.textContent = `Show ${count(Math.min(left, SHOWN))} more of ${count(left)}`;
  }

  download() {
    const { job } = this;
    const each = at("each").checked ? job.model.labels : [];
    const notes = job.found.some((found) => found?.error);
    const names = unlike([...job.names], ["label", "probability", ...each.map((label) => `p_${label}`), ...(notes ? ["note"] : [])]);
    const rows = job.found.flatMap((found, place) => {
      if (!found) return [];
      const cells = job.names.map((_, column) => job.rows[place][column] ?? "");
      const numbers = found.error ? ["", ...each.map(() => "")] : [found.probability, ...each.map((label) => found.probabilities[label])];
      return [[...cells, this.labelOf(found), ...numbers.map(String), ...(notes ? [found.error ?? ""] : [])]];
    });
    // The mark tells spreadsheets that the file is UTF-8.
    const file = new Blob(["\ufeff", write([names, ...rows])], { type: "text/csv;charset=utf-8" });
    const link = element("a", "");
    link.href = URL.createObjectURL(file);
    link.download = `${job.name}_labelled.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}

/** Return names with others added, each new one numbered if it is taken. */
function unlike(names, added) {
  const all = [...names];
  for (const name of added) {
    let free = name;
    for (let number = 2; all.includes(free); number += 1) free = `${name}_${number}`;
    all.push(free);
  }
  return all;
}

/** Return the number of the column with the longest cells. */
function longestColumn(rows, width) {
  const lengths = Array.from({ length: width }, (_, column) => rows.reduce((sum, row) => sum + (row[column]?.length ?? 0), 0));
  return lengths.indexOf(Math.max(...lengths));
}

const shortened = (text, most = 160) => (text.length > most ? `${text.slice(0, most)}…` : text);
