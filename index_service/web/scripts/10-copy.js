// Adds a button that copies to every command and every code block of a README; without a script, both can be selected.
{
  const spoken = document.getElementById("spoken");

  // Browsers have a clipboard where the page came safely: by https, or from this very machine. Elsewhere the older way.
  const copy = async (code) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(code.textContent);
    const selection = getSelection();
    selection.selectAllChildren(code);
    document.execCommand("copy");
    selection.removeAllRanges();
  };

  const addButton = (block, code, words, name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words.copy;
    if (name) button.setAttribute("aria-label", name);
    button.addEventListener("click", async () => {
      await copy(code);
      button.textContent = spoken.textContent = words.copied;
      setTimeout(() => {
        button.textContent = words.copy;
        spoken.textContent = "";
      }, 2500);
    });
    block.append(button);
  };

  document.querySelectorAll("[data-copy]").forEach((block) => {
    const code = block.querySelector("code");
    addButton(block, code, block.dataset, `${block.dataset.copy}: ${code.textContent}`);
  });

  document.querySelectorAll("[data-copy-code]").forEach((text) => {
    text.querySelectorAll("pre").forEach((code) => {
      const block = document.createElement("div");
      block.className = "code-block";
      code.replaceWith(block);
      block.append(code);
      addButton(block, code, { copy: text.dataset.copyCode, copied: text.dataset.copied });
    });
  });
}
