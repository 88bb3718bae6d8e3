import { refresh } from "../../app/query.ts";
import { useProjectChanges } from "../../app/refresh.ts";

/** Reloads what is shown of on-call after changes, and each minute: shifts end without an event. */
export function useOnCallLive(): void {
  useProjectChanges(/^oncall\./, () => refresh("/oncall"));
}
