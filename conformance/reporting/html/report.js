// The filter, links to hidden results, and buttons that copy a command.
(() => {
  const form = document.getElementById("filter");
  const status = document.getElementById("status");
  const choices = ["outcome", "level", "group", "side"].map((name) => form.elements[name]).filter(Boolean);

  // The texts to search in. Read when first needed, since a report may be large.
  let index = null;
  function read() {
    index = Array.from(document.querySelectorAll(".rule"), (node) => {
      // On a page with very many rules a rule may be a single line, which is its own result.
      const nodes = node.matches(".result") ? [node] : node.querySelectorAll(".result");
      const results = Array.from(nodes, (result) => ({ node: result, text: text(result) }));
      const head = Array.from(node.querySelectorAll("h3, .margin, .advice, .message, .brief > summary"), text);
      return { node, head: head.join("\n"), results };
    });
  }
  const text = (node) => node.textContent.toLowerCase();

  function fits(rule) {
    return choices.every(({ name, value }) =>
      !value || (value === "not-passed" ? rule.dataset.outcome !== "pass" : rule.dataset[name] === value));
  }

  function show(node, visible) {
    if (node.hidden === visible) node.hidden = !visible;
  }

  function filter() {
    if (!index) read();
    const terms = form.elements.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { node, head, results } of index) {
      // A term in the rule's head matches all of its results, any other term only those that contain it.
      const remaining = terms.filter((term) => !head.includes(term));
      let matches = fits(node) ? results : [];
      if (remaining.length > 0) matches = matches.filter(({ text }) => remaining.every((term) => text.includes(term)));
      show(node, matches.length > 0);
      count += matches.length;
      if (matches.length === 0) continue;
      const visible = new Set(matches);
      for (const result of results) show(result.node, visible.has(result));
    }
    for (const section of document.querySelectorAll("section.outcome")) {
      show(section, section.querySelector(".rule:not([hidden])") !== null);
    }
    document.getElementById("count").textContent = count.toLocaleString("en");
    show(document.getElementById("nothing"), count === 0);
    show(document.getElementById("clear"), terms.length > 0 || choices.some((choice) => choice.value));
  }

  function clear() {
    form.reset();
    filter();
    form.elements.search.focus();
  }

  // A link to a hidden or folded element shows it.
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest("[hidden]")) {
      form.reset();
      filter();
    }
    for (let node = target; node; node = node.parentElement) if (node.localName === "details") node.open = true;
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
