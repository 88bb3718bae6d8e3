import { computed, effect, signal } from "@preact/signals";

/** The theme a person chose; `system` follows the operating system. */
export type Theme = "system" | "light" | "dark";

const STORE = "prism.theme";
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(prefersDark.matches);
prefersDark.addEventListener("change", (event) => {
  systemIsDark.value = event.matches;
});

function stored(): Theme {
  try {
    const value = localStorage.getItem(STORE);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system"; // storage is blocked
  }
}

/** The chosen theme. Change it with `setTheme`. */
export const theme = signal<Theme>(stored());

/** Whether the page is dark now. */
export const isDark = computed(() => (theme.value === "system" ? systemIsDark.value : theme.value === "dark"));

effect(() => {
  if (theme.value === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme.value;
});

/** Applies a theme and keeps it for this browser. */
export function setTheme(value: Theme): void {
  theme.value = value;
  try {
    localStorage.setItem(STORE, value);
  } catch {
    // storage is blocked: the choice lasts until the page closes
  }
}
