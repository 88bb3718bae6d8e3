// A blocking script of the page's head: a stored theme applies before the first paint.
// "system" needs no script, the style sheet follows the operating system.
try {
  const value = localStorage.getItem("prism.theme");
  if (value === "light" || value === "dark") document.documentElement.dataset["theme"] = value;
} catch {
  // storage is blocked: the system's theme applies
}

export {};
