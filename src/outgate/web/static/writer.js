// The writer: the way of the chosen address, checks of recipients, drafts kept by themselves, files with their progress,
// rich text. The form works without any of it.

const SAVE_AFTER = 2000; // milliseconds without a key

customElements.define("mail-writer", class extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.waiting = 0;
    this.done = Promise.resolve();
    this.from = this.form.elements.namedItem("from");
    this.signature = this.chosen();
    this.from.addEventListener("change", () => this.choose());
    this.choose();
    for (const name of ["to", "cc", "bcc"]) {
      this.form.elements.namedItem(name).addEventListener("change", (event) => this.check(event.target));
    }
    this.form.addEventListener("input", (event) => event.target.type === "file" || this.later());
    this.files = this.form.elements.namedItem("file");
    this.files.addEventListener("change", () => this.attach());
    this.querySelector("[data-plain-only]").hidden = true;
    // The draft's number may still be on its way when the form is sent.
    this.form.addEventListener("submit", (event) => this.submit(event));
  }

  chosen() {
    return this.from.selectedOptions[0]?.dataset ?? {};
  }

  choose() {
    for (const way of this.querySelectorAll("[data-way]")) {
      way.hidden = way.dataset.way !== this.from.value;
    }
    const before = this.signature, after = this.chosen();
    this.signature = after;
    if (before !== after) {
      this.querySelector("rich-text").sign(before, after);
    }
  }

  async check(field) {
    const asked = new URLSearchParams({ from: this.from.value, recipients: field.value });
    const answer = await fetch("/write/check", { method: "POST", body: asked }).catch(() => null);
    if (answer?.ok) {
      const why = document.createElement("template");
      why.innerHTML = await answer.text();
      const text = why.content.textContent.trim();
      this.querySelector(`#${field.id}-said`).textContent = text;
      field.toggleAttribute("aria-invalid", Boolean(text));
    }
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), SAVE_AFTER);
  }

  save() {
    clearTimeout(this.timer);
    this.queue("save", false);
  }

  attach() {
    clearTimeout(this.timer);
    this.queue("attach", true);
  }

  // One request at a time, so that one message has one draft.
  queue(what, withFiles) {
    this.waiting += 1;
    this.done = this.done.then(() => this.post(what, withFiles)).then(() => { this.waiting -= 1; });
  }

  post(what, withFiles) {
    return new Promise((done) => {
      const data = new FormData(this.form);
      data.set("do", what);
      data.set("quiet", "on");
      const progress = this.querySelector("progress"), request = new XMLHttpRequest();
      if (withFiles) {
        progress.hidden = false;
        request.upload.onprogress = (event) => { progress.value = (100 * event.loaded) / event.total; };
      } else {
        data.delete("file");
      }
      request.onloadend = () => {
        progress.hidden = true;
        if (withFiles) {
          this.files.value = "";
        }
        this.show(request);
        done();
      };
      request.open("POST", "/");
      request.send(data);
    });
  }

  show(request) {
    const state = this.querySelector("#draft-state"), answer = document.createElement("template");
    answer.innerHTML = request.responseText;
    const kept = answer.content.querySelector("[data-draft]");
    if (request.status === 200 && kept) {
      this.form.elements.namedItem("draft").value = kept.dataset.draft;
      state.textContent = kept.dataset.said;
      state.classList.remove("bad");
      this.querySelector("#files").replaceChildren(...kept.childNodes);
    } else {
      // A refusal is a sentence; else there is no answer at all, or a page in its place: the one to log in.
      const said = request.status >= 400 && !answer.content.querySelector("title") && answer.content.textContent.trim();
      state.textContent = said || state.dataset.lost;
      state.classList.add("bad");
    }
  }

  submit(event) {
    clearTimeout(this.timer);
    if (this.waiting) {
      event.preventDefault();
      this.done.then(() => setTimeout(() => this.form.requestSubmit(event.submitter)));
    }
  }
});

const TAGS = new Set("A B BLOCKQUOTE BR CODE DIV EM H1 H2 H3 I LI OL P PRE S STRONG U UL".split(" "));

// What is pasted keeps the tags of the buttons; the server cleans it once more.
function plainEnough(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  for (const silent of parsed.querySelectorAll("script, style, title, template, svg, math")) {
    silent.remove();
  }
  for (const element of [...parsed.body.querySelectorAll("*")]) {
    if (!TAGS.has(element.tagName)) {
      element.replaceWith(...element.childNodes);
      continue;
    }
    for (const { name, value } of [...element.attributes]) {
      if (!(element.tagName === "A" && name === "href" && /^(https?:|mailto:)/i.test(value))) {
        element.removeAttribute(name);
      }
    }
  }
  const fragment = document.createDocumentFragment();
  fragment.append(...[...parsed.body.childNodes].map((node) => document.importNode(node, true)));
  return fragment;
}

function asHtml(text) {
  return text.split("\n").map((line) => {
    const block = document.createElement("div");
    block.textContent = line;
    return line ? block.outerHTML : "<div><br></div>";
  }).join("");
}

// More than lines of text.
function isFormatted(html) {
  return /<(?!\/?(div|br|p)\b)/i.test(html ?? "");
}

customElements.define("rich-text", class extends HTMLElement {
  connectedCallback() {
    this.plain = this.querySelector("textarea");
    this.html = this.querySelector("input");
    this.html.value ||= this.dataset.begin ?? ""; // without scripts the text alone counts
    this.signed = this.closest("mail-writer")?.signature ?? {};
    this.bar = document.createElement("div");
    this.bar.className = "row bar";
    this.prepend(this.bar);
    this.html.value || isFormatted(this.signed.signatureHtml) ? this.enrich() : this.simplify();
    this.closest("form").addEventListener("formdata", (event) => {
      event.formData.set("html", this.squire ? this.squire.getHTML() : "");
    });
  }

  button(label, press) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "plain";
    button.textContent = label;
    button.addEventListener("click", press);
    this.bar.append(button);
    return button;
  }

  simplify() {
    this.bar.replaceChildren();
    this.button(this.dataset.rich, () => this.enrich().focus());
  }

  enrich() {
    this.bar.replaceChildren();
    const area = document.createElement("div"), does = this.dataset;
    area.className = "rich";
    for (const [name, value] of [["role", "textbox"], ["aria-multiline", "true"], ["aria-labelledby", "text-label"], ["tabindex", "0"]]) {
      area.setAttribute(name, value);
    }
    this.plain.hidden = true;
    this.plain.after(area);
    this.area = area;
    this.squire = new Squire(area, { blockTag: "DIV", sanitizeToDOMFragment: plainEnough });
    this.squire.setHTML(this.html.value || this.withSignature(this.plain.value));
    const toggle = (tag, on, off) => () => (this.squire.hasFormat(tag) ? off() : on());
    const squire = this.squire;
    this.button(does.bold, toggle("B", () => squire.bold(), () => squire.removeBold()));
    this.button(does.italic, toggle("I", () => squire.italic(), () => squire.removeItalic()));
    this.button(does.underline, toggle("U", () => squire.underline(), () => squire.removeUnderline()));
    this.button(does.list, toggle("UL", () => squire.makeUnorderedList(), () => squire.removeList()));
    this.button(does.numbers, toggle("OL", () => squire.makeOrderedList(), () => squire.removeList()));
    this.button(does.quote, () => squire.increaseQuoteLevel());
    this.button(does.link, () => {
      const where = prompt(does.where, "https://");
      if (/^(https?:|mailto:)/i.test(where ?? "")) {
        squire.makeLink(where);
      }
    });
    this.button(does.plain, () => this.impoverish());
    squire.addEventListener("input", () => this.dispatchEvent(new Event("input", { bubbles: true })));
    return area;
  }

  impoverish() {
    this.plain.value = this.area.innerText;
    this.html.value = "";
    this.squire.destroy();
    this.squire = null;
    this.area.remove();
    this.plain.hidden = false;
    this.simplify();
    this.plain.focus();
  }

  // Text as HTML, with its signature as that was formatted.
  withSignature(text) {
    const { signature, signatureHtml } = this.signed;
    const mark = `-- \n${signature}`, at = signature ? text.indexOf(mark) : -1;
    if (at < 0) {
      return asHtml(text);
    }
    return asHtml(`${text.slice(0, at)}-- `) + signatureHtml + asHtml(text.slice(at + mark.length));
  }

  // Another address has another signature; what was written over is left.
  sign(before, after) {
    this.signed = after;
    if (this.squire) {
      const old = before.signatureHtml && this.squire.getHTML();
      if (old && old.includes(before.signatureHtml)) {
        this.squire.setHTML(old.replace(before.signatureHtml, () => after.signatureHtml ?? ""));
      } else if (!before.signatureHtml && after.signatureHtml && !this.area.textContent.trim()) {
        this.squire.setHTML(`<div><br></div><div>-- </div>${after.signatureHtml}`);
      }
      return;
    }
    const mark = (text) => (text ? `\n\n-- \n${text}` : "");
    const old = mark(before.signature), text = this.plain.value;
    if (old && text.includes(old)) {
      this.plain.value = text.replace(old, () => mark(after.signature));
    } else if (!old && after.signature && !text.trim()) {
      this.plain.value = mark(after.signature);
    }
  }
});
