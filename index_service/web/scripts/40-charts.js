// Adds buttons that make a drawing larger and smaller; without a script it scrolls.
{
  const addButtons = (frame) => {
    const drawing = frame.querySelector("svg");
    const [width, height] = [drawing.width.baseVal.value, drawing.height.baseVal.value];
    let scale = 1;
    const bar = document.createElement("div");
    bar.className = "chart-buttons";
    for (const [text, factor] of [[frame.dataset.smaller, 0.8], [frame.dataset.larger, 1.25]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "button button-quiet button-small";
      button.textContent = text;
      button.addEventListener("click", () => {
        scale = Math.min(Math.max(scale * factor, 0.25), 3);
        drawing.setAttribute("width", Math.round(width * scale));
        drawing.setAttribute("height", Math.round(height * scale));
      });
      bar.append(button);
    }
    frame.before(bar);
  };
  document.querySelectorAll("[data-zoom]").forEach(addButtons);
}
