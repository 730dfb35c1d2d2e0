"use strict";
// On a narrow screen the annex begins folded; on paper, and where a link leads into it, it is open.
(() => {
  const annex = document.getElementById("annex");
  const narrow = window.matchMedia("(max-width: 40rem)").matches;
  const within = () => {
    const id = decodeURIComponent(window.location.hash.slice(1));
    const target = id ? document.getElementById(id) : null;
    return target !== null && annex.contains(target) ? target : null;
  };
  const reveal = () => {
    const target = within();
    if (target !== null && !annex.open) {
      annex.open = true;
      target.scrollIntoView();
    }
  };
  annex.open = !narrow || within() !== null;
  window.addEventListener("hashchange", reveal);
  window.addEventListener("beforeprint", () => { annex.open = true; });
})();
