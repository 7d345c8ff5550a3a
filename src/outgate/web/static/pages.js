// What the pages add to HTML and htmx: small, and every page works without it.

// The server writes times in the browser's zone, which it learns by this cookie.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.split("; ").includes(`zone=${zone}`)) {
  document.cookie = `zone=${zone}; path=/; max-age=31536000; samesite=lax`;
}

// <go-on to="/path">: when it comes into the page, what was under way is done, and the next page is asked for.
customElements.define("go-on", class extends HTMLElement {
  connectedCallback() {
    location.assign(this.getAttribute("to"));
  }
});

// <fill-in data-host="…" then="password">: puts what was found into the form round it, except where somebody has typed
// already; whoever stands in a field that is filled in goes on to the one that is left.
customElements.define("fill-in", class extends HTMLElement {
  connectedCallback() {
    const form = this.closest("form");
    for (const [name, value] of Object.entries(this.dataset)) {
      const field = form.elements.namedItem(name);
      if (field instanceof RadioNodeList) {
        field.value = value;
      } else if (field && field.value === field.defaultValue) {
        field.value = value;
        if (field === document.activeElement) {
          form.elements.namedItem(this.getAttribute("then")).focus();
        }
      }
    }
  }
});
