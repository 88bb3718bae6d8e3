import { signal } from "@preact/signals";

/**
 * The token of a link in a mail. It is in the fragment of the address, which browsers do not send.
 * It moves to the state of the history entry, so that the address bar does not show it and a
 * reloaded page still has it.
 */
export const linkToken = signal(takeToken());

function takeToken(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given !== null) history.replaceState({ token: given }, "", location.pathname + location.search);
  const state: unknown = history.state;
  return typeof state === "object" && state !== null && "token" in state ? String(state.token) : null;
}

/** After the token was used: a link works once. */
export function dropToken(): void {
  history.replaceState(null, "", location.pathname + location.search);
  linkToken.value = null;
}

// Another link in the same tab changes only the fragment.
addEventListener("hashchange", () => {
  linkToken.value = takeToken();
});
