// CSV and TSV: read as RFC 4180 has it, written so that a spreadsheet runs nothing.

/** A file that cannot be read; its message is meant for people. */
export class FileError extends Error {}

const SEPARATORS = [",", ";", "\t", "|"];
const LOOKED_AT = 20;

/** Return a file's bytes as text; it must be UTF-8, or UTF-16 with a mark. */
export function decoded(bytes) {
  const view = new Uint8Array(bytes);
  const mark = view.length > 1 ? view[0] * 256 + view[1] : 0;
  const encoding = mark === 0xfffe ? "utf-16le" : mark === 0xfeff ? "utf-16be" : "utf-8";
  let text;
  try {
    text = new TextDecoder(encoding, { fatal: true }).decode(view);
  } catch {
    throw new FileError("The file is not UTF-8. Save it again as UTF-8; in a spreadsheet, choose “CSV UTF-8”.");
  }
  if (text.includes("\0")) throw new FileError("The file is not text: it holds zero bytes. Choose a CSV, TSV or text file.");
  return text;
}

/**
 * Return the rows of a table, each a list of cells; lines without any character are left out.
 *
 * With quotes, a cell that begins with a quote ends with one, and may hold separators, line ends and doubled quotes.
 */
export function parse(text, separator, { quotes = true, most = Infinity } = {}) {
  const rows = [];
  let row = [];
  let place = 0;
  while (place < text.length && rows.length < most) {
    let cell;
    if (quotes && text[place] === '"') {
      let end = place + 1;
      for (;;) {
        end = text.indexOf('"', end);
        if (end < 0) throw new FileError(`Row ${rows.length + 1}: a quote is opened and never closed. Close it, or double it inside a cell.`);
        if (text[end + 1] !== '"') break;
        end += 2;
      }
      cell = text.slice(place + 1, end).replaceAll('""', '"');
      place = end + 1;
      const rest = endOfCell(text, place, separator);
      cell += text.slice(place, rest);
      place = rest;
    } else {
      const end = endOfCell(text, place, separator);
      cell = text.slice(place, end);
      place = end;
    }
    row.push(cell);
    if (text[place] === separator) {
      place += 1;
      if (place < text.length) continue;
      row.push("");
    } else if (text[place] === "\r" && text[place + 1] === "\n") place += 2;
    else place += 1;
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
  }
  return rows;
}

function endOfCell(text, start, separator) {
  let end = start;
  while (end < text.length && text[end] !== separator && text[end] !== "\n" && text[end] !== "\r") end += 1;
  return end;
}

/** Return the separator with which the first rows have the same number of cells, and the most. */
export function separatorOf(text) {
  let best = ",";
  let most = 1;
  for (const separator of SEPARATORS) {
    let rows;
    try {
      rows = parse(text, separator, { most: LOOKED_AT });
    } catch {
      continue;
    }
    const width = rows[0]?.length ?? 0;
    if (width > most && rows.every((row) => row.length === width)) [best, most] = [separator, width];
  }
  if (most === 1) {
    // Uneven rows: the separator of the header.
    const header = text.slice(0, text.search(/[\r\n]|$/));
    best = SEPARATORS.reduce((chosen, one) => (header.split(one).length > header.split(chosen).length ? one : chosen), ",");
  }
  return best;
}

/**
 * Return a file as { rows, separator }; the name's ending says what it is.
 *
 * In TSV a quote is text, unless only quoting gives every row as many cells as the first.
 */
export function readFile(name, text) {
  const ending = name.toLowerCase().split(".").pop();
  if (ending === "txt" || ending === "text" || ending === "log") return { rows: lines(text).map((line) => [line]), separator: null };
  if (ending === "tsv" || ending === "tab") {
    const plain = parse(text, "\t", { quotes: false });
    if (isEven(plain)) return { rows: plain, separator: "\t" };
    try {
      const quoted = parse(text, "\t");
      return { rows: isEven(quoted) ? quoted : plain, separator: "\t" };
    } catch {
      return { rows: plain, separator: "\t" };
    }
  }
  const separator = separatorOf(text);
  return { rows: parse(text, separator), separator };
}

const isEven = (rows) => rows.every((row) => row.length === rows[0].length);

/** Return the lines of a text, without their ends. */
export const lines = (text) => text.split(/\r\n|\n|\r/);

// A spreadsheet runs cells that begin so as formulas (OWASP, CSV injection).
const FORMULA = /^[=+\-@\t\r\n]/;

/** Return a cell of CSV: quoted where needed, and with an apostrophe before what a spreadsheet would run. */
export function cell(value) {
  const text = FORMULA.test(value) ? `'${value}` : String(value);
  return /[",\r\n]|^\s|\s$/.test(text) || text === "" ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Return rows as CSV, each line ended. */
export const write = (rows) => rows.map((row) => `${row.map(cell).join(",")}\r\n`).join("");
