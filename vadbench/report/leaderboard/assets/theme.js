"use strict";
// Light, dark, or what the system says. Loaded before the body, so that no page flashes in the other theme.
(() => {
  const choices = ["system", "light", "dark"];
  let chosen = "system";
  try { chosen = localStorage.getItem("vadbench-theme") || chosen; } catch { /* a browser that stores nothing for files */ }
  if (!choices.includes(chosen)) chosen = "system";

  function apply() {
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
  }

  apply();
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const tell = () => { button.textContent = `Theme: ${chosen}`; };
    button.hidden = false;
    tell();
    button.addEventListener("click", () => {
      chosen = choices[(choices.indexOf(chosen) + 1) % choices.length];
      try { localStorage.setItem("vadbench-theme", chosen); } catch { /* as above: the choice then holds for this page */ }
      apply();
      tell();
    });
  });
})();
