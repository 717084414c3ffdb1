// The filter, links to what it hides, and lines that copy themselves.
(() => {
  const form = document.getElementById("filter");
  const status = document.getElementById("status");
  const choices = ["outcome", "level", "group", "side"].map((name) => form.elements[name]).filter(Boolean);

  // What the search looks through: read when it is first needed, since a report may be large.
  let index = null;
  function read() {
    index = Array.from(document.querySelectorAll(".rule"), (node) => {
      // Where very many rules are shown, a rule may be one line: its own result.
      const found = node.matches(".result") ? [node] : node.querySelectorAll(".result");
      const results = Array.from(found, (each) => ({ node: each, text: text(each) }));
      const head = Array.from(node.querySelectorAll("h3, .margin, .advice, .said, .brief > summary"), text);
      return { node, head: head.join("\n"), results };
    });
  }
  const text = (node) => node.textContent.toLowerCase();

  function fits(rule) {
    return choices.every(({ name, value }) =>
      !value || (value === "not-passed" ? rule.dataset.outcome !== "pass" : rule.dataset[name] === value));
  }

  function show(node, wanted) {
    if (node.hidden === wanted) node.hidden = !wanted;
  }

  function filter() {
    if (!index) read();
    const terms = form.elements.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { node, head, results } of index) {
      // A word at the rule's head means all of its results, another one those that hold it.
      const own = terms.filter((each) => !head.includes(each));
      let met = fits(node) ? results : [];
      if (own.length > 0) met = met.filter((each) => own.every((term) => each.text.includes(term)));
      show(node, met.length > 0);
      shown += met.length;
      if (met.length === 0) continue;
      const wanted = new Set(met);
      for (const each of results) show(each.node, wanted.has(each));
    }
    for (const section of document.querySelectorAll("section.outcome")) {
      show(section, section.querySelector(".rule:not([hidden])") !== null);
    }
    document.getElementById("count").textContent = shown.toLocaleString("en");
    show(document.getElementById("nothing"), shown === 0);
    show(document.getElementById("clear"), terms.length > 0 || choices.some((each) => each.value));
  }

  function clear() {
    form.reset();
    filter();
    form.elements.search.focus();
  }

  // A link to something that is hidden, or folded, shows it.
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest("[hidden]")) {
      form.reset();
      filter();
    }
    for (let each = target; each; each = each.parentElement) if (each.localName === "details") each.open = true;
    target.scrollIntoView();
  }

  async function copy(button) {
    const line = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(line.textContent);
    } catch {
      getSelection().selectAllChildren(line);
      if (!document.execCommand("copy")) return;
    }
    button.classList.add("done");
    status.textContent = button.innerText;
    setTimeout(() => {
      button.classList.remove("done");
      status.textContent = "";
    }, 2000);
  }

  const button = document.getElementById("copy").content.firstElementChild;
  for (const paste of document.querySelectorAll(".paste")) paste.append(button.cloneNode(true));
  for (const name of document.querySelectorAll("[data-pick]")) {
    const pick = document.createElement("button");
    pick.type = "button";
    pick.append(...name.childNodes);
    pick.addEventListener("click", () => {
      form.elements.group.value = name.dataset.pick;
      filter();
      form.scrollIntoView();
    });
    name.append(pick);
  }
  document.addEventListener("click", ({ target }) => {
    const pressed = target.closest("button");
    if (pressed?.parentElement.className === "paste") copy(pressed);
    if (target.closest("a[href^='#']")) setTimeout(reveal);
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      form.elements.search.focus();
    }
    if (event.key === "Escape" && typing === form.elements.search) clear();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", filter);
  document.getElementById("clear").addEventListener("click", clear);
  addEventListener("hashchange", reveal);
  form.hidden = false;
  reveal();
})();
