// Adds a button that copies to every command; without a script the command can still be selected.
{
  const spoken = document.getElementById("spoken");
  const addButton = (block) => {
    const code = block.querySelector("code");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = block.dataset.copy;
    button.setAttribute("aria-label", `${block.dataset.copy}: ${code.textContent}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = spoken.textContent = block.dataset.copied;
      setTimeout(() => {
        button.textContent = block.dataset.copy;
        spoken.textContent = "";
      }, 2500);
    });
    block.append(button);
  };
  // Browsers have a clipboard where the page came safely: by https, or from this very machine.
  if (navigator.clipboard) document.querySelectorAll("[data-copy]").forEach(addButton);
}
