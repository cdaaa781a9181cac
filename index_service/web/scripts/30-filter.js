// Adds a field over a long list that hides the rows without its words; without a script all rows stay.
{
  const FEW = 5;
  const spoken = document.getElementById("spoken");
  const addField = (list, number) => {
    const rows = [...list.querySelectorAll("tbody tr")];
    if (rows.length <= FEW) return;
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const bar = document.createElement("div");
    const label = document.createElement("label");
    const input = document.createElement("input");
    bar.className = "live-filter field";
    input.type = "search";
    input.id = label.htmlFor = `live-filter-${number}`;
    input.spellcheck = false;
    input.autocapitalize = input.autocomplete = "off";
    label.textContent = list.dataset.filter;
    bar.append(label, input);
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/);
      // What is ticked is never out of sight.
      rows.forEach((row, at) => {
        row.hidden = !words.every((word) => texts[at].includes(word)) && !row.querySelector(":checked");
      });
      const shown = rows.filter((row) => !row.hidden).length;
      spoken.textContent = list.dataset.counted.replace("{shown}", shown).replace("{all}", rows.length);
    });
    list.before(bar);
  };
  document.querySelectorAll("[data-filter]").forEach(addField);
}
