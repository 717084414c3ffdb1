// The deliveries as they come, one of them in full, and the scripted answers. Everything from outside goes
// into text nodes and is never parsed as markup.
(() => {
  const MOST = 10000;
  const by = (id) => document.getElementById(id);
  const filter = by("filter").elements;
  const script = by("script").elements;
  const narrow = matchMedia("(max-width: 60rem)");

  let run = null;
  let rows = [];
  let messages = new Map();
  let only = null;
  let pending = null;

  function element(name, className, ...children) {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...children);
    return made;
  }

  function inBoth([en, zh]) {
    if (en === zh) return [en];
    const spans = [element("span", "", en), element("span", "", zh)];
    spans[0].lang = "en";
    spans[1].lang = "zh-Hant";
    return spans;
  }

  const word = (name) => by("words").content.querySelector(`[data-word=${name}]`).cloneNode(true);
  // Runs of bytes: the receiver has written out every second one.
  const runNodes = (runs) => runs.map((run, number) => (number % 2 ? element("i", "", run) : run));
  const two = (number) => String(number).padStart(2, "0");

  function clock(seconds) {
    const at = new Date(seconds * 1000);
    const thousandths = String(at.getMilliseconds()).padStart(3, "0");
    return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${thousandths}`;
  }

  // The list.
  function make() {
    const row = element("div", "row");
    row.setAttribute("role", "option");
    for (const part of ["at", "status", "id", "attempt", "verdict", "text"]) row.append(element("span", part));
    return row;
  }

  function fill(element, row) {
    const [at, status, id, attempt, verdict, text] = element.children;
    at.textContent = clock(row.at);
    status.textContent = row.broken ?? row.status;
    status.className = `status ${delivered(row) ? "pass" : "fail"}`;
    id.textContent = row.id;
    attempt.textContent = row.attempt > 1 ? `×${row.attempt}` : "";
    verdict.className = `verdict ${tone(row)}`;
    verdict.replaceChildren(...(faulty(row) ? inBoth(row.signature === "right" ? row.body_text : row.signature_text) : []));
    text.textContent = row.method || row.text;
  }

  const delivered = (row) => row.status === 200 && !row.broken;
  const faulty = (row) => row.signature !== "right" || row.body !== "fits";
  const tone = (row) => (row.signature === "right" || row.signature === "stale" ? "warn" : "fail");

  const list = new Windowed(by("list"), by("space"), make, fill, (row, clicked) => open(row, clicked));
  by("list").addEventListener("scroll", () => { by("newest").hidden = by("list").scrollTop === 0; }, { passive: true });
  by("newest").addEventListener("click", () => { by("list").scrollTop = 0; by("list").focus(); });

  function fits(row) {
    if (only !== null && row.id !== only) return false;
    switch (filter.kind.value) {
      case "right": if (row.signature !== "right") return false; break;
      case "wrong": if (row.signature === "right") return false; break;
      case "misfit": if (row.body === "fits") return false; break;
      case "not-200": if (delivered(row)) return false; break;
      case "repeated": if (row.attempt < 2) return false; break;
    }
    return terms.every((each) => row.find.includes(each));
  }

  let terms = [];
  function sift() {
    terms = filter.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    by("chosen").hidden = only === null;
    by("chosen-id").textContent = only ?? "";
    by("clear").hidden = terms.length === 0 && !filter.kind.value && only === null;
    list.show(rows.filter(fits));
    tally();
  }

  function tally() {
    by("count").textContent = list.rows.length.toLocaleString("en");
    by("total").textContent = rows.length.toLocaleString("en");
    by("empty").hidden = rows.length > 0;
    by("nothing").hidden = rows.length === 0 || list.rows.length > 0;
  }

  function take(news) {
    if (news.run !== run) {
      run = news.run;
      rows = [];
      messages = new Map();
      list.show([]);
    }
    let matches = 0;
    for (const row of news.rows) {
      const alike = row.id ? messages.get(row.id) ?? [] : [];
      alike.push(row);
      if (row.id) messages.set(row.id, alike);
      row.attempt = alike.length;
      row.find = [row.id, row.type, row.text, row.status, row.method, ...row.signature_text, ...row.body_text].join(" ").toLowerCase();
      rows.push(row);
      if (fits(row)) { list.rows.push(row); matches++; }
    }
    if (rows.length > MOST) forget(rows.splice(0, rows.length - MOST));
    if (news.missed || rows[0]?.n > 1) by("missed").hidden = false;
    list.grown(matches);
    tally();
    if (list.row && news.rows.some((each) => each.id && each.id === list.row.id)) attempts(list.row);
    waiting(news.waiting);
  }

  function forget(old) {
    for (const row of old) {
      const alike = messages.get(row.id);
      if (alike?.[0] === row) alike.shift();
      if (alike?.length === 0) messages.delete(row.id);
    }
    const last = old[old.length - 1].n;
    const kept = list.rows.findIndex((each) => each.n > last);
    list.rows.splice(0, kept < 0 ? list.rows.length : kept);
  }

  // One delivery.
  async function open(row, clicked) {
    pending?.abort();
    pending = new AbortController();
    let whole = null;
    try {
      const answer = await fetch(`live/requests/${row.n}`, { signal: pending.signal });
      if (answer.ok) whole = await answer.json();
    } catch (fault) {
      if (fault.name === "AbortError") return;
    }
    by("choose").hidden = true;
    by("whole").hidden = false;
    by("one-number").textContent = row.n;
    by("gone").hidden = whole !== null;
    by("one-signature").replaceChildren(verdict(row.signature === "right", row.signature_text, tone(row)));
    by("one-body").replaceChildren(verdict(row.body === "fits", row.body_text, "warn"), ...problems(whole));
    const scripted = row.scripted ? [" · ", word("scripted"), ` ${row.scripted}`] : [];
    const message = whole?.message ? [` · ${whole.message}`] : [];
    by("one-answer").replaceChildren(String(row.broken ?? row.status), ...(row.scripted ? scripted : message));
    by("bytes").replaceChildren(...bytes(whole));
    by("cut").hidden = !whole || whole.content_size === whole.size;
    by("size").textContent = whole?.size.toLocaleString("en") ?? "";
    by("content-size").textContent = whole?.content_size.toLocaleString("en") ?? "";
    attempts(row);
    if (!clicked || !narrow.matches) return;
    by("one").focus({ preventScroll: true });
    by("one").scrollIntoView();
  }

  function verdict(right, text, bad) {
    const mark = element("span", "", right ? "✓ " : "✗ ");
    mark.ariaHidden = "true";
    return element("p", right ? "pass" : bad, mark, ...inBoth(text));
  }

  function problems(whole) {
    if (!whole?.problems.length) return [];
    const items = element("ul", "", ...whole.problems.map((each) => element("li", "", each)));
    items.lang = "en";
    return [items];
  }

  function bytes(whole) {
    if (!whole) return [];
    const lines = [element("b", "", ...runNodes(whole.first)), "\n"];
    for (const [name, value] of whole.headers) {
      lines.push(element("s", "", ...runNodes(name), ": "), ...runNodes(value), "\n");
    }
    return [...lines, "\n", ...runNodes(whole.content)];
  }

  function attempts(row) {
    const alike = messages.get(row.id) ?? [];
    by("attempts").hidden = alike.length < 2;
    if (alike.length < 2) return;
    const latest = alike.slice(-100);
    by("drawing").replaceChildren(drawing(latest));
    by("attempt-list").start = alike.length - latest.length + 1;
    by("attempt-list").replaceChildren(...latest.map((each, number) => {
      const before = latest[number - 1];
      const wait = before ? ` (+${(each.at - before.at).toFixed(2)} s)` : "";
      const button = element("button", "", `${clock(each.at)}${wait} → ${each.broken ?? each.status}`);
      button.type = "button";
      button.ariaCurrent = each === row;
      button.addEventListener("click", () => list.choose(each, false));
      return element("li", "", button);
    }));
  }

  function drawing(alike) {
    const svg = (name, attributes) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      return made;
    };
    const begin = alike[0].at;
    const span = alike[alike.length - 1].at - begin || 1;
    const picture = svg("svg", { class: "timeline", width: "100%", height: 48, "aria-hidden": "true" });
    picture.append(svg("line", { x1: 0, x2: "100%", y1: 24, y2: 24 }));
    let labelled = -100;
    alike.forEach((each, number) => {
      const x = 100 * (each.at - begin) / span;
      picture.append(svg("circle", { cx: `${x}%`, cy: 24, r: 6, class: delivered(each) ? "delivered" : "refused" }));
      const label = (at, y, text) => {
        const made = svg("text", { x: `${at}%`, y, "text-anchor": at < 3 ? "start" : at > 97 ? "end" : "middle" });
        made.append(text);
        picture.append(made);
      };
      if (x - labelled >= 9) {
        label(x, 12, String(each.broken ?? each.status));
        labelled = x;
      }
      const after = alike[number + 1];
      const gap = after ? 100 * (after.at - each.at) / span : 0;
      if (gap >= 14) label(x + gap / 2, 43, `${(after.at - each.at).toFixed(1)} s`);
    });
    return picture;
  }

  // The next answers.
  function waiting(number) {
    by("waits").textContent = number.toLocaleString("en");
    document.querySelector("[data-waiting=none]").hidden = number > 0;
    document.querySelector("[data-waiting=some]").hidden = number === 0;
    by("forget").hidden = number === 0;
  }

  async function send(method, answers) {
    const body = answers && JSON.stringify(answers);
    const headers = body ? { "Content-Type": "application/json" } : {};
    try {
      const answer = await fetch("live/answers", { method, headers, body });
      const reply = await answer.json();
      by("script-fault").textContent = answer.ok ? "" : reply.message;
      if (answer.ok) waiting(reply.waiting);
    } catch (fault) {
      by("script-fault").textContent = fault.message;
    }
  }

  by("script").addEventListener("submit", (event) => {
    event.preventDefault();
    send("POST", { answers: [{
      status: script.status.value ? Number(script.status.value) : null,
      delay: Number(script.delay.value),
      fault: script.fault.value || null,
      times: Number(script.times.value),
    }] });
  });
  by("forget").addEventListener("click", () => send("DELETE"));

  by("filter").addEventListener("submit", (event) => event.preventDefault());
  by("filter").addEventListener("input", sift);
  by("clear").addEventListener("click", () => {
    by("filter").reset();
    only = null;
    sift();
    filter.search.focus();
  });
  by("only").addEventListener("click", () => {
    only = list.row.id;
    sift();
  });
  by("back").addEventListener("click", () => {
    by("list").scrollIntoView();
    by("list").focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    filter.search.focus();
  });

  function connection(state) {
    for (const each of by("connection").children) each.hidden = each.dataset.state !== state;
  }
  by("endpoint").textContent = `${location.origin}/webhook/receiver`;
  by("panel").open = !narrow.matches;
  const source = new EventSource("live/events");
  source.onopen = () => connection("live");
  source.onerror = () => connection("lost");
  source.onmessage = ({ data }) => take(JSON.parse(data));
})();
