// <use-passkey data-options="…" data-says="…">: a button that has the browser make a passkey, or log in with one, and
// sends what it answers with the form round it. Without scripts there is no such button.
customElements.define("use-passkey", class extends HTMLElement {
  connectedCallback() {
    if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
      return;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.className = this.dataset.class ?? "";
    button.textContent = this.dataset.says;
    button.addEventListener("click", () => this.ask(button));
    this.append(button);
  }

  async ask(button) {
    const form = this.closest("form");
    if (!form.reportValidity()) {
      return;
    }
    button.disabled = true;
    try {
      const options = JSON.parse(this.dataset.options);
      const answer = options.rp
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
      form.elements.namedItem("answer").value = JSON.stringify(answer.toJSON());
      form.submit();
    } catch {
      this.querySelector("p")?.remove();
      const said = document.createElement("p");
      said.setAttribute("role", "alert");
      said.textContent = this.dataset.failed;
      this.append(said);
      button.disabled = false;
    }
  }
});
