/* A classic script on purpose: it runs before the first paint, so that a dark page never flashes light. */
(function applyTheme() {
  const stored = (() => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null;
    }
  })();
  if (stored === "dark" || stored === "light") document.documentElement.dataset.theme = stored;
})();
