// A list of any length that builds elements only for the visible rows. Rows are stored oldest first and
// shown newest first; the elements are in the order in which they are shown.
class Windowed {
  constructor(list, space, make, fill, chosen) {
    Object.assign(this, { list, space, make, fill, chosen });
    this.rows = [];
    this.row = null;
    this.pool = [];
    this.waiting = false;
    this.measure();
    list.addEventListener("scroll", () => this.draw(), { passive: true });
    list.addEventListener("keydown", (event) => this.key(event));
    list.addEventListener("click", ({ target }) => {
      const option = target.closest("[role=option]");
      if (option) this.choose(option.row, true);
    });
    new ResizeObserver(() => this.measure()).observe(list);
  }

  measure() {
    this.height = parseFloat(getComputedStyle(this.list).getPropertyValue("--row"));
    const needed = Math.ceil(this.list.clientHeight / this.height) + 4;
    while (this.pool.length < needed) {
      const element = this.make();
      element.hidden = true;
      this.pool.push(element);
      this.space.append(element);
    }
    for (const element of this.pool) element.row = null;
    this.draw();
  }

  // Show other rows, beginning with the newest.
  show(rows) {
    this.rows = rows;
    for (const element of this.pool) element.row = null;
    this.list.scrollTop = 0;
    this.draw();
  }

  // `count` rows were added at the end of `rows`. Older rows that are in view stay in view.
  grown(count) {
    if (this.list.scrollTop > 0) {
      this.space.style.height = `${this.rows.length * this.height}px`;
      this.list.scrollTop += count * this.height;
    }
    this.draw();
  }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.paint();
    });
  }

  paint() {
    const { rows, pool, height } = this;
    this.space.style.height = `${rows.length * height}px`;
    const top = Math.max(0, Math.floor(this.list.scrollTop / height) - 1);
    let active = "";
    pool.forEach((element, offset) => {
      const place = top + offset;
      const row = rows[rows.length - 1 - place];
      element.hidden = row === undefined;
      if (row === undefined) {
        element.row = null;
        element.id = "";
        return;
      }
      if (element.row !== row) {
        element.row = row;
        element.id = `row-${row.n}`;
        this.fill(element, row);
      }
      element.style.transform = `translateY(${place * height}px)`;
      element.ariaPosInSet = place + 1;
      element.ariaSetSize = rows.length;
      element.ariaSelected = row === this.row;
      if (row === this.row) active = element.id;
    });
    if (active) this.list.setAttribute("aria-activedescendant", active);
    else this.list.removeAttribute("aria-activedescendant");
  }

  choose(row, by) {
    this.row = row;
    this.draw();
    this.chosen(row, by);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.list.clientHeight / this.height) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined || this.rows.length === 0) return;
    event.preventDefault();
    const at = this.row ? this.rows.length - 1 - this.rows.lastIndexOf(this.row) : -1;
    const place = Math.min(this.rows.length - 1, Math.max(0, at + step));
    const y = place * this.height;
    const { scrollTop, clientHeight } = this.list;
    if (y < scrollTop) this.list.scrollTop = y;
    else if (y + this.height > scrollTop + clientHeight) this.list.scrollTop = y + this.height - clientHeight;
    this.choose(this.rows[this.rows.length - 1 - place], false);
  }
}
