// The page: models, tabs and settings. The panels do the rest.

import { ManyPanel } from "./many.js";
import { MessagePanel } from "./message.js";
import { ask, fetched, hasKey } from "./service.js";
import { at, counted, count, percent } from "./show.js";

const settings = { model: null, facts: null, least: 0, calibrated: false, compare: false, explain: true };

/** Show an error with a button that tries again; null hides it. */
function problem(error, again) {
  const box = at("problem");
  box.hidden = error === null;
  if (error === null) return;
  const [text, button] = box.children;
  text.textContent = error.message;
  button.hidden = !again;
  button.textContent = "Try again";
  button.onclick = () => {
    box.hidden = true;
    again();
  };
}

const one = new MessagePanel(settings, problem);
const many = new ManyPanel(settings, problem);

async function start() {
  let models;
  try {
    ({ models } = await ask("v1/models"));
  } catch (error) {
    problem(error, start);
    return;
  }
  problem(null);
  if (models.length === 0) {
    problem(new Error("The service has no model. Start it with a folder that emotune run saved."), start);
    return;
  }
  at("model").replaceChildren(...models.map((model) => new Option(model.name, model.name)));
  at("picker").hidden = models.length < 2;
  at("model").onchange = () => choose(models.find((model) => model.name === at("model").value));
  await choose(models[0]);
  if (!matchMedia("(pointer: coarse)").matches) at("message").focus();
}

async function choose(model) {
  settings.model = model;
  settings.facts = null;
  if (!model.calibrated) settings.calibrated = at("calibrated").checked = false;
  at("calibrated-setting").hidden = !model.calibrated;
  at("name").textContent = model.name;
  document.title = `${model.name} · emotune`;
  at("about").textContent = `${model.base}, tuned with ${model.method} · ${counted(model.labels.length, "label")} · reads ${counted(model.max_length, "token")} per ${model.pairs ? "pair" : "message"}`;
  const link = at("report").firstElementChild;
  at("report").hidden = !model.report;
  link.href = `page/${encodeURIComponent(model.name)}/report`;
  one.reset();
  many.modelChanged();
  try {
    const facts = await ask(`page/${encodeURIComponent(model.name)}`);
    if (settings.model !== model) return;
    settings.facts = facts;
    one.showExamples(facts.examples);
    many.modelChanged();
  } catch (error) {
    // Examples, and figures on the threshold, are missing then; predictions are not.
    console.info(error.message);
  }
  leastChanged();
}

// With a key, a link alone would be refused: the report is fetched, and saved as a file.
at("report").firstElementChild.addEventListener("click", async (event) => {
  if (!hasKey()) return;
  event.preventDefault();
  try {
    const { href } = event.currentTarget;
    const { name } = settings.model;
    const file = await (await fetched(href)).blob();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = `${name}_report.html`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } catch (error) {
    problem(error);
  }
});

function leastChanged() {
  const step = Number(at("least").value);
  settings.least = step / 100;
  at("least-shown").textContent = `${step}\u00a0%`;
  at("least").setAttribute("aria-valuetext", `${step} %`);
  const answered = settings.facts?.answered;
  const found = answered && (settings.calibrated ? answered.calibrated : answered.plain);
  at("answered").textContent = found ? answeredLine(answered.rows, found.coverage[step], found.risk[step]) : "A label that is less probable is not given.";
  one.show();
  many.show();
}

function answeredLine(rows, coverage, risk) {
  const where = `Of the ${count(rows)} test rows,`;
  if (risk === null) return `${where} none gets a label.`;
  return `${where} ${coverage === 1 ? "all" : percent(coverage)} get a label, and ${percent(risk)} of these labels are wrong.`;
}

at("least").addEventListener("input", leastChanged);
at("calibrated").addEventListener("change", () => {
  settings.calibrated = at("calibrated").checked;
  leastChanged();
  one.again();
});
at("compare").addEventListener("change", () => {
  settings.compare = at("compare").checked;
  one.show();
  if (settings.compare) one.compare();
});
at("explain").addEventListener("change", () => {
  settings.explain = at("explain").checked;
  one.show();
  one.explain();
});

const tabs = [...document.querySelectorAll("[role=tab]")];

function open(tab) {
  for (const other of tabs) {
    const on = other === tab;
    other.setAttribute("aria-selected", String(on));
    other.tabIndex = on ? 0 : -1;
    at(other.getAttribute("aria-controls")).hidden = !on;
  }
  document.body.dataset.panel = tab.getAttribute("aria-controls");
}

for (const tab of tabs) {
  tab.addEventListener("click", () => open(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -tabs.length, End: tabs.length }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.abs(step) > 1 ? (step < 0 ? 0 : tabs.length - 1) : (tabs.indexOf(tab) + step + tabs.length) % tabs.length;
    open(tabs[next]);
    tabs[next].focus();
  });
}

start();
